"""Whatever is wrong with a file: refused with its step, code and exit code, never a traceback."""

from __future__ import annotations

import io
import json
import random
import struct
import time
import tracemalloc
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.audit.evidence.file import archive
from hub.crypto.signing import SigningKey
from nrm_verify import container
from nrm_verify.failure import DAMAGED, EXITS, NOT_A_BUNDLE, Failure
from nrm_verify.log import Trust
from nrm_verify.verify import verify
from tests.road import Road
from tests.verify.made import claiming, failing, made, made_absence, members, program, resigned


@pytest.fixture(scope="module")
def case(road: Road) -> bytes:
    return made(road.hub, case="C1")


@pytest.fixture(scope="module")
def share(road: Road) -> bytes:
    return made(road.hub, case="C1", holder="SH-1")


def fails(data: bytes) -> Failure | None:
    """The failure, or None if it verifies. Anything else that is raised fails the test."""
    try:
        verify(data, Trust())
    except Failure as failure:
        return failure
    return None


# -- one flipped byte ------------------------------------------------------------------------


@pytest.mark.slow
def test_every_single_byte_of_a_small_bundle_counts(share: bytes) -> None:
    data = bytearray(share)
    steps = Counter[int]()
    for at in range(len(data)):
        data[at] ^= 1 << (at % 8)
        failure = fails(bytes(data))
        assert failure is not None, f"byte {at}"
        assert failure.exit in (NOT_A_BUNDLE, DAMAGED), f"byte {at}: {failure}"
        steps[failure.step] += 1
        data[at] ^= 1 << (at % 8)
    assert set(steps) == {1}  # the checksums see all of it; what is below is tested next


def flipped(parts: dict[str, bytes], name: str, at: int) -> bytes:
    """The bundle with one byte of one member flipped, and the container made to fit."""
    changed = bytearray(parts[name])
    changed[at] ^= 1 << (at % 8)
    return archive({**parts, name: bytes(changed)})


@pytest.mark.parametrize("which", ["case", "share"])
def test_below_the_checksums_digests_and_signatures_see_it(
    which: str, request: pytest.FixtureRequest
) -> None:
    """Somebody who can compute CRC-32: every byte of every member, sampled in the long ones."""
    parts = members(request.getfixturevalue(which))
    chance = random.Random(1)
    for name, content in parts.items():
        places = range(len(content))
        for at in places if len(content) < 80 else sorted(chance.sample(places, 40)):
            failure = fails(flipped(parts, name, at))
            assert failure is not None, f"{name} byte {at}"
            if name == "manifest.sig":
                assert failure.code == "bad_hub_signature"
            elif name != "manifest.json":
                assert (failure.step, failure.code) == (2, "member_differs"), f"{name}: {failure}"


LYING = {
    "log/checkpoint": {"bad_log_signature", "bad_checkpoint", "wrong_log"},
    "log/vkey": {"wrong_log", "bad_checkpoint"},
    "log/paths": {"not_in_log", "bad_paths"},
    "rows/": {"not_in_log"},
    "content/": {"not_disclosed"},
    "schemas/event/": {"unknown_schema"},
}


def test_what_the_hubs_own_key_cannot_mend(road: Road, share: bytes) -> None:
    """Whoever holds the hub's signing key signs any manifest; the log and the agencies do not."""
    parts = members(share)
    chance = random.Random(2)
    for name, content in parts.items():
        expected = next((codes for start, codes in LYING.items() if name.startswith(start)), None)
        if expected is None:
            continue
        for at in sorted(chance.sample(range(len(content)), min(len(content), 12))):
            changed = bytearray(content)
            changed[at] ^= 1 << (at % 8)
            forged = resigned(share, {name: bytes(changed)}, road.hub.keys.signing)
            failure = fails(forged)
            assert failure is not None, f"{name} byte {at}"
            assert failure.code in expected, f"{name} byte {at}: {failure}"


def test_a_big_bundle_sampled(road: Road) -> None:
    data = bytearray(made(road.hub, agency="SH-1"))
    chance = random.Random(3)
    for at in chance.sample(range(len(data)), 400):
        data[at] ^= 0x10
        assert fails(bytes(data)) is not None
        data[at] ^= 0x10
    assert fails(bytes(data)) is None


# -- cut short, put together -----------------------------------------------------------------


def test_cut_short_anywhere(case: bytes) -> None:
    ends = [*range(120), *range(len(case) - 120, len(case)), *range(120, len(case), 997)]
    for end in ends:
        failure = fails(case[:end])
        assert failure is not None, end
        assert failure.code in ("truncated", "bad_checksum"), f"{end}: {failure}"
        assert failure.exit == DAMAGED


def test_something_behind_or_before(case: bytes) -> None:
    assert failing(case + b"\0").code == "not_canonical"
    assert failing(case + case).code == "not_canonical"
    assert failing(b"\0" + case).code == "not_a_bundle"


def test_nothing_and_other_files(tmp_path: Path) -> None:
    assert failing(b"").code == "truncated"
    for content in (b"PK", b"%PDF-1.7\n", b"{}", bytes(1000), "é".encode("latin-1") * 50):
        assert failing(content).exit in (NOT_A_BUNDLE, DAMAGED)


def test_members_exchanged_between_two_bundles(road: Road, case: bytes) -> None:
    other = members(made(road.hub, agency="SH-1"))
    own = members(case)
    for name in own:
        if name in other and other[name] != own[name]:
            failure = failing(archive({**own, name: other[name]}))
            assert failure.code in ("member_differs", "member_unlisted", "bad_hub_signature")
    swapped = {**own}
    rows = [name for name in own if name.startswith("rows/")]
    swapped[rows[2]], swapped[rows[3]] = own[rows[3]], own[rows[2]]
    assert failing(archive(swapped)).code == "member_differs"
    # Also with a manifest that lists them so: each row has one place in the tree.
    forged = resigned(case, {rows[2]: own[rows[3]], rows[3]: own[rows[2]]}, road.hub.keys.signing)
    assert failing(forged).code == "not_in_log"


def test_signed_by_another_key(case: bytes) -> None:
    failure = failing(resigned(case, {}, SigningKey.generate()))
    assert (failure.step, failure.code, failure.exit) == (6, "bad_hub_signature", 5)


# -- the container ---------------------------------------------------------------------------


def zipped(method: int = zipfile.ZIP_STORED, **parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in parts.items():
            file.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def test_a_zip_bomb_is_not_opened() -> None:
    bomb = zipped(zipfile.ZIP_DEFLATED, manifest=bytes(50_000_000))
    assert len(bomb) < 100_000
    tracemalloc.start()
    failure = failing(bomb)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert (failure.step, failure.code, failure.exit) == (1, "not_stored", 3)


def test_a_million_members_are_not_read() -> None:
    """Only as many as a bundle may have; and each is one look at its header."""
    parts = {f"rows/{number:012d}": b"" for number in range(container.MOST_MEMBERS + 10)}
    one = (
        archive({"manifest.json": b"", "manifest.sig": b"", **parts})
        if len(parts) < 65_000
        else b""
    )
    started = time.process_time()
    failure = failing(one)
    assert failure.code == "too_many_members"
    local = one[: one.index(b"PK\x01\x02")]
    many = local * 16  # over a million headers, about 70 MB
    assert failing(many).code == "too_many_members"
    assert time.process_time() - started < 20


def test_a_file_larger_than_one_may_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(2 * container.LARGEST_FILE)
    code, told = program(capsys, path)
    assert code == NOT_A_BUNDLE
    assert "too_large" in told


def local(name: bytes, **fields: int) -> bytes:
    """A first member's local header with some fields changed."""
    values = {
        "needed": 10, "flags": 0, "method": 0, "time": 0, "date": 0x21, "crc": zlib.crc32(b""),
        "packed": 0, "length": 0, "named": len(name), "extra": 0, **fields,
    }  # fmt: skip
    return struct.pack("<4s5H3I2H", b"PK\x03\x04", *values.values()) + name


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (local(b"../../etc/passwd"), "bad_name"),
        (local(b"/manifest.json"), "bad_name"),
        (local(b"rows/../manifest.json"), "bad_name"),
        (local(b"rows\\1"), "bad_name"),
        (local(b"C:manifest.json"), "bad_name"),
        (local("é".encode("latin-1")), "bad_name"),
        (local("manifest.json\u202e".encode()), "bad_name"),
        (local(b"a" * 101), "bad_name"),
        (local(b""), "bad_name"),
        (local(b"rows/000000000001"), "bad_order"),
        (local(b"manifest.json", flags=1), "not_stored"),  # encrypted
        (local(b"manifest.json", flags=8), "not_stored"),  # lengths behind the data
        (local(b"manifest.json", method=8), "not_stored"),
        (local(b"manifest.json", packed=1), "not_stored"),
        (local(b"manifest.json", time=1), "not_canonical"),
        (local(b"manifest.json", date=0), "not_canonical"),
        (local(b"manifest.json", needed=45), "not_canonical"),
        (local(b"manifest.json", extra=4) + bytes(4), "not_canonical"),
        (local(b"manifest.json", packed=2**32 - 1, length=2**32 - 1), "too_large"),
        (local(b"manifest.json", packed=9, length=9), "truncated"),
        (local(b"manifest.json", crc=1), "bad_checksum"),
        (local(b"manifest.json") * 2, "bad_order"),  # one name twice
    ],
)  # fmt: skip
def test_headers_no_bundle_has(head: bytes, code: str) -> None:
    assert failing(head).code == code


def test_an_ordinary_zip_with_the_same_members_is_none(case: bytes) -> None:
    """Times, flags and sizes as other programs write them could hide bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in members(case).items():
            file.writestr(name, content)
    assert failing(out.getvalue()).step == 1
    with zipfile.ZipFile(io.BytesIO(case)) as file:  # but any program reads ours
        assert file.testzip() is None
        assert file.namelist() == list(members(case))


# -- the manifest ----------------------------------------------------------------------------


def with_manifest(data: bytes, manifest: bytes) -> bytes:
    return archive({**members(data), "manifest.json": manifest})


def changed(data: bytes, **fields: Any) -> bytes:
    manifest = json.loads(members(data)["manifest.json"])
    return with_manifest(data, json.dumps({**manifest, **fields}).encode())


def test_a_newer_version_says_which_and_what_to_do(case: bytes) -> None:
    failure = failing(changed(case, format="nrm-evidence/2"))
    assert (failure.code, failure.exit) == ("newer_version", 8)
    assert "nrm-evidence/2" in failure.text
    assert "install" in failure.text


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"\xff\xfe{}",
        b"[]",
        b"null",
        b"{",
        b"[" * 100_000,
        b'{"format": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"format": "nrm-evidence/1"}',
        b'{"format": 1}',
        b'{"a": ' + b"9" * 10_000 + b"}",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_manifest(case: bytes, manifest: bytes) -> None:
    failure = failing(with_manifest(case, manifest))
    assert (failure.step, failure.code, failure.exit) == (2, "bad_manifest", DAMAGED)


@pytest.mark.parametrize(
    "fields",
    [
        {"as_of": 2**63},
        {"as_of": -1},
        {"as_of": True},
        {"as_of": 1.5},
        {"as_of": "25"},
        {"tree_size": 10**400},
        {"tree_size": 3},
        {"rows": [[2, "case"], [1, "hub"]]},
        {"rows": [[1, "hub"], [1, "hub"]]},
        {"rows": [[1, "because"]]},
        {"rows": {"1": "hub"}},
        {"rows": [1]},
        {"holder": ""},
        {"holder": 7},
        {"holder": "\u001b[2J"},
        {"scope": {}},
        {"scope": {"case": "C1"}},
        {"scope": {"case": "0" * 32, "agency": "SH-1"}},
        {"scope": None},
        {"kind": "absolution"},
        {"claims": {}},
        {"claims": {"content": [[1, 1 << 16]], "decisions": [], "deliveries": [], "receipts": []}},
        {"origin": None},
        {"members": [["../x", 1, "00"]]},
        {"members": [["log/vkey", 1, "zz"]]},
        {"members": "all"},
    ],
    ids=str,
)
def test_manifests_with_wrong_parts(case: bytes, fields: dict[str, Any]) -> None:
    failure = failing(changed(case, **fields))
    assert (failure.step, failure.code, failure.exit) == (2, "bad_manifest", DAMAGED)


def test_members_that_are_missing_or_too_many(road: Road, case: bytes) -> None:
    parts = members(case)
    key = road.hub.keys.signing
    assert failing(archive({k: v for k, v in parts.items() if k == "manifest.json"})).code == (
        "member_missing"
    )
    for name in parts:
        if name not in ("manifest.json", "manifest.sig"):
            left = {k: v for k, v in parts.items() if k != name}
            assert failing(archive(left)).code == "member_unlisted"
    for name in ("log/vkey", "log/paths", "log/checkpoint"):
        assert failing(resigned(case, {name: None}, key)).code == "member_missing"
    assert failing(resigned(case, {"log/earlier": b"x"}, key)).code == "member_missing"
    assert failing(resigned(case, {"statement.json": b"{}"}, key)).code == "member_unlisted"
    extra = {"content/000000000011/00000": b"x"}
    assert failing(resigned(case, extra, key)).code == "member_unlisted"


# -- what a lying hub could claim ------------------------------------------------------------


def test_claims_that_the_rows_do_not_bear_out(road: Road, case: bytes, share: bytes) -> None:
    key = road.hub.keys.signing
    manifest = json.loads(members(case)["manifest.json"])
    claims = manifest["claims"]
    for wrong in (
        {"claims": {**claims, "decisions": claims["decisions"][:-1]}},
        {"claims": {**claims, "receipts": []}},
        {"scope": {"case": "0" * 32}},
        {"holder": "SH-1"},
    ):
        assert failing(claiming(case, key, **wrong)).code == "claims_differ", wrong
    nowhere = {**manifest["scope"], "event": "00000000-0000-0000-0000-000000000000"}
    assert failing(claiming(case, key, scope=nowhere)).code == "delivery_differs"
    assert failing(claiming(share, key, holder="POL-1")).code == "not_held"
    assert failing(claiming(share, key, holder=None)).code == "not_held"


def without(data: bytes, key: SigningKey, drop: Callable[[int, str], bool]) -> bytes:
    """The bundle with rows left out, and everything else made to fit."""
    parts = members(data)
    manifest = json.loads(parts["manifest.json"])
    paths, kept, changes = parts["log/paths"], b"", {}
    rows = []
    for position, why in manifest["rows"]:
        length = 1 + paths[0] * 32
        if drop(position, why):
            changes[f"rows/{position:012d}"] = None
        else:
            kept += paths[:length]
            rows.append([position, why])
        paths = paths[length:]
    left = {position for position, _ in rows}
    claims = {
        name: [one for one in found if name == "content" or one in left]
        for name, found in manifest["claims"].items()
    }
    return claiming(
        resigned_rows(data, {**changes, "log/paths": kept}), key, rows=rows, claims=claims
    )


def resigned_rows(data: bytes, changes: dict[str, bytes | None]) -> bytes:
    parts = members(data)
    for name, content in changes.items():
        if content is None:
            del parts[name]
        else:
            parts[name] = content
    return archive(parts)


def test_rows_left_out_by_the_hub_itself(road: Road, case: bytes) -> None:
    """Each kind of row that is missing is missed."""
    key = road.hub.keys.signing
    manifest = json.loads(members(case)["manifest.json"])
    rows, claims = manifest["rows"], manifest["claims"]
    of = {why: [p for p, one in rows if one == why] for _, why in rows}

    def code(*gone: int) -> str:
        return failing(without(case, key, lambda position, _: position in gone)).code

    assert code(of["policy"][0]) == "register_incomplete"
    assert code(of["register"][-1]) == "register_incomplete"
    assert code(of["register"][0]) == "gap_in_stream"
    assert code(of["case"][2]) == "gap_in_stream"
    first_to_shelter = claims["deliveries"][0]
    assert code(first_to_shelter) == "delivery_differs"
    assert code(1) == "member_missing"


def test_a_row_of_another_log(road: Road, case: bytes, tmp_path: Path) -> None:
    other = Road.open(tmp_path, {"NGO-1": "ngo_support"})
    try:
        other.hub.checkpoints.step(now=True)
        rows = other.hub.exchange.log.rows(2, 1)
    finally:
        other.close()
    from hub.store.mapper import leaf_preimage

    forged = resigned(case, {"rows/000000000003": leaf_preimage(rows[0])}, road.hub.keys.signing)
    failure = failing(forged)
    assert (failure.step, failure.code, failure.exit) == (5, "not_in_log", 6)


def test_random_bytes_in_the_right_places(road: Road, case: bytes) -> None:
    """Members of nonsense under a proper manifest: a failure with a code, quickly."""
    chance, key, parts = random.Random(4), road.hub.keys.signing, members(case)
    names = [name for name in parts if not name.startswith("manifest")]
    for _ in range(300):
        name = chance.choice(names)
        failure = fails(resigned(case, {name: chance.randbytes(chance.randrange(300))}, key))
        if failure is None:
            pytest.fail(f"nonsense in {name} went through")
        assert failure.code in EXITS


def test_absence_bundles_are_no_exception(road: Road) -> None:
    data = made_absence(road.hub, agency="POL-1", case="C1")
    parts, key = members(data), road.hub.keys.signing
    for at in range(0, len(parts["statement.json"]), 7):
        changed = bytearray(parts["statement.json"])
        changed[at] ^= 0x10
        failure = fails(resigned(data, {"statement.json": bytes(changed)}, key))
        # White space around JSON is nobody's claim; the manifest's digest binds even that.
        if failure is not None:
            assert failure.code in ("bad_statement", "bad_hub_signature")
        assert failing(flipped(parts, "statement.json", at)).code == "member_differs"
