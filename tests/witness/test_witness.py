"""The witness's decision: each step says no, a continuation is cosigned, a fork is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from hub.api.limits import Rate
from hub.crypto.signing import SigningKey
from hub.errors import NotReady
from hub.tlog.checkpoint import Checkpoint, open_checkpoint
from hub.tlog.cosigning import MOST_BYTES, AddCheckpoint, cosignature_in
from hub.tlog.merkle import EMPTY_ROOT, Tree, consistency_proof, leaf_hash, root
from hub.tlog.note import Cosigner, Note, NoteSigner
from hub.witness.home import WitnessHome
from hub.witness.server import LIMITS, serve_witness
from hub.witness.witness import Reply, Witness
from tests.transparency.logs import KEY, ORIGIN, VKEY
from tests.witness.conftest import START, Served

SIGNER = NoteSigner(ORIGIN, KEY)
TRUE = [leaf_hash(b"%d" % n) for n in range(100)]
FALSE = [*TRUE[:10], *(leaf_hash(b"other %d" % n) for n in range(90))]


def signed(size: int, leaves: list[bytes] = TRUE, signer: NoteSigner = SIGNER) -> bytes:
    return Checkpoint(signer.name, size, root(leaves[:size])).sign([signer])


def request(old: int, size: int, leaves: list[bytes] = TRUE) -> bytes:
    proof = consistency_proof(leaves[:size], old)
    return bytes(AddCheckpoint(old, proof, signed(size, leaves)))


def ask(witness: Witness, old: int, size: int, leaves: list[bytes] = TRUE) -> Reply:
    return witness.add_checkpoint(request(old, size, leaves))


@pytest.fixture
def opened(witness: Callable[..., Served]) -> tuple[Served, Witness]:
    served = witness()
    return served, served.open()


def test_a_growing_log_is_cosigned(opened: tuple[Served, Witness]) -> None:
    served, judge = opened
    old = 0
    for size in (1, 7, 7, 64, 100):
        served.time += 1
        reply = ask(judge, old, size)
        assert (reply.status, reply.media_type) == (200, "text/plain; charset=utf-8")
        text = Note.parse(signed(size)).text
        _, verified = cosignature_in(reply.body, text, [served.key])
        assert verified.time == served.time
        old = size


def test_what_it_holds_is_what_it_cosigned(opened: tuple[Served, Witness]) -> None:
    from hashlib import sha256

    served, judge = opened
    name = sha256(ORIGIN.encode()).hexdigest()
    assert judge.checkpoint(name) is None
    stray = Cosigner("stranger", SigningKey.generate())
    note = Note.parse(signed(5))
    note = note.adding(stray.line(note.text, 1))
    assert judge.add_checkpoint(bytes(AddCheckpoint(0, (), bytes(note)))).status == 200
    held = judge.checkpoint(name)
    assert held is not None
    found = open_checkpoint(held, origin=ORIGIN, log_keys=[VKEY], witnesses=[served.key])
    assert (found.checkpoint.size, len(found.cosignatures)) == (5, 1)
    assert b"stranger" not in held
    assert judge.checkpoint("0" * 64) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        b"old 00\n\n" + signed(3),
        b"old -1\n\n" + signed(3),
        b"old 0\nnot base64\n\n" + signed(3),
        b"new 0\n\n" + signed(3),
        b"old 0\n\n" + signed(3)[:-9],
        b"old 0\n" + b"AAAA\n" * 64 + b"\n" + signed(3),
        b"old 0\n\n" + b"x" * MOST_BYTES,
        request(3, 3).replace(b"old 3", b"old 4"),
    ],
)
def test_1_and_4_malformed_is_400(opened: tuple[Served, Witness], body: bytes) -> None:
    assert opened[1].add_checkpoint(body).status == 400


def test_2_an_unknown_log_is_404(opened: tuple[Served, Witness]) -> None:
    other = NoteSigner("other.example", SigningKey.generate())
    body = bytes(AddCheckpoint(0, (), signed(3, signer=other)))
    assert opened[1].add_checkpoint(body).status == 404


def test_3_not_signed_by_the_log_is_403(opened: tuple[Served, Witness]) -> None:
    stranger = NoteSigner(ORIGIN, SigningKey.generate())
    body = bytes(AddCheckpoint(0, (), signed(3, signer=stranger)))
    assert opened[1].add_checkpoint(body).status == 403
    false = signed(3).replace(signed(3).split(b"\n")[2], signed(4).split(b"\n")[2])
    assert opened[1].add_checkpoint(bytes(AddCheckpoint(0, (), false))).status == 403


def test_5_another_old_size_is_409_with_the_right_one(opened: tuple[Served, Witness]) -> None:
    _, judge = opened
    assert ask(judge, 0, 50).status == 200
    for old, size in ((0, 60), (40, 60), (40, 45), (0, 50), (55, 60)):
        reply = ask(judge, old, size)
        assert reply == Reply(409, b"50\n", "text/x.tlog.size")


def test_6_what_does_not_continue_is_422(opened: tuple[Served, Witness]) -> None:
    served, judge = opened
    empty = Checkpoint(ORIGIN, 1, EMPTY_ROOT).sign([SIGNER]).replace(b"\n1\n", b"\n0\n")
    assert judge.add_checkpoint(bytes(AddCheckpoint(0, (), empty))).status == 403
    proof = bytes(AddCheckpoint(0, (bytes(32),), signed(3)))
    assert judge.add_checkpoint(proof).status == 422, "from nothing there is no proof"
    assert ask(judge, 0, 50).status == 200
    assert ask(judge, 50, 60, FALSE).status == 422
    assert judge.add_checkpoint(bytes(AddCheckpoint(50, (), signed(60)))).status == 422
    assert judge.add_checkpoint(bytes(AddCheckpoint(50, (bytes(32),), signed(50)))).status == 422
    assert ask(judge, 50, 60).status == 200, "and then goes on"
    assert served.time == START


def test_a_checkpoint_of_nothing_has_one_root(opened: tuple[Served, Witness]) -> None:
    lines = f"{ORIGIN}\n0\n{'A' * 43}=\n"
    note = bytes(Note(lines, (SIGNER.line(lines),)))
    assert opened[1].add_checkpoint(bytes(AddCheckpoint(0, (), note))).status == 422
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT).sign([SIGNER])
    assert opened[1].add_checkpoint(bytes(AddCheckpoint(0, (), empty))).status == 200


def test_two_heads_of_one_size_are_evidence_whatever_else_is_asked(
    opened: tuple[Served, Witness],
) -> None:
    served, judge = opened
    ask(judge, 0, 50)
    assert ask(judge, 0, 50, FALSE).status == 409
    assert ask(judge, 50, 50, FALSE).status == 422
    [file] = served.home.evidence()
    assert file.name.startswith("fork-")
    kept = file.read_bytes()
    assert kept.startswith(b"FORK")
    for leaves in (TRUE, FALSE):
        assert signed(50, leaves).split(b"\n\n")[0] in kept
    assert ask(judge, 50, 51).status == 200, "it stays with the history it cosigned"


def test_an_unproven_head_is_kept_once_and_not_without_end(
    opened: tuple[Served, Witness], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, judge = opened
    monkeypatch.setattr("hub.witness.home.MOST_UNPROVEN", 3)
    ask(judge, 0, 50)
    for size in (60, 60, 61, 62, 63, 64):
        assert ask(judge, 50, size, FALSE).status == 422
    names = [one.name.split("-")[0] for one in served.home.evidence()]
    assert names == ["unproven"] * 3
    ask(judge, 50, 50, FALSE)
    assert len(served.home.evidence()) == 4, "a fork is always kept"


def test_several_logs_do_not_touch_one_another(witness: Callable[..., Served]) -> None:
    other = NoteSigner("other.example", SigningKey.generate())
    served = witness(logs=[VKEY, other.verifier])
    judge = served.open()
    assert ask(judge, 0, 50).status == 200
    body = bytes(AddCheckpoint(0, (), signed(7, FALSE, other)))
    assert judge.add_checkpoint(body).status == 200
    assert ask(judge, 50, 60).status == 200


def test_another_key_of_the_log(witness: Callable[..., Served]) -> None:
    """A log that changed its key has both here until the old one is taken off."""
    new = NoteSigner(ORIGIN, SigningKey.generate())
    served = witness(logs=[VKEY, new.verifier])
    judge = served.open()
    assert ask(judge, 0, 50).status == 200
    body = bytes(AddCheckpoint(50, consistency_proof(TRUE[:60], 50), signed(60, signer=new)))
    assert judge.add_checkpoint(body).status == 200


def test_it_remembers(opened: tuple[Served, Witness]) -> None:
    served, judge = opened
    ask(judge, 0, 50)
    assert ask(served.open(), 0, 60).body == b"50\n"


def test_racing_requests_never_put_the_size_back(opened: tuple[Served, Witness]) -> None:
    """Two open books, many threads: what is cosigned is one history, growing."""
    served, judge = opened
    judges, sizes, lock = [judge, served.open()], [], threading.Lock()

    def race(number: int) -> None:
        old = 0
        for size in range(1 + number, 90, 4):
            if old > size:
                continue
            reply = ask(judges[number % 2], old, size)
            if reply.status == 409:
                old = int(reply.body)
                if old < size:
                    reply = ask(judges[number % 2], old, size)
            if reply.status == 200:
                with lock:
                    sizes.append(size)
                old = size

    threads = [threading.Thread(target=race, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert int(ask(judge, 0, 100).body) == max(sizes)
    assert not served.home.evidence()
    assert Tree(TRUE).size == 100


# -- over HTTP, and at home -----------------------------------------------------------------------


def test_over_http(witness: Callable[..., Served]) -> None:
    from hashlib import sha256

    served = witness()
    with httpx2.Client(base_url=served.serve()) as client:
        answer = client.post("/add-checkpoint", content=request(0, 50))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        conflict = client.post("/add-checkpoint", content=request(0, 60))
        assert (conflict.status_code, conflict.text) == (409, "50\n")
        assert conflict.headers["content-type"] == "text/x.tlog.size"
        held = client.get(f"/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint")
        assert held.text.startswith(f"{ORIGIN}\n50\n")
        assert client.get("/0000/checkpoint").status_code == 404
        assert client.get("/add-checkpoint").status_code == 405
        assert client.post("/add-checkpoint", content=b"x" * (MOST_BYTES + 1)).status_code == 413


def test_one_address_has_an_allowance(witness: Callable[..., Served]) -> None:
    served = witness()
    limits = replace(LIMITS, public=Rate(0.001, 3))
    server = serve_witness(served.open(), "127.0.0.1", 0, limits=limits)
    with httpx2.Client(base_url=server.url) as client:
        answers = [client.post("/add-checkpoint", content=b"") for _ in range(5)]
        other = client.get("/0000/checkpoint")
    server.stop()
    assert [one.status_code for one in answers] == [400] * 3 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert other.status_code == 429


def test_a_home_is_made_once(tmp_path: Path) -> None:
    home = WitnessHome(tmp_path / "w")
    home.init("w.example")
    with pytest.raises(NotReady):
        home.init("w.example")
    with pytest.raises(NotReady, match="--name"):
        WitnessHome(tmp_path / "x").init("with space")
    assert (tmp_path / "w" / "witness.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(NotReady, match="witness's vkey"):
        home.watch([str(home.cosigner().verifier)])
    with pytest.raises(NotReady, match="not a verifier key"):
        home.watch(["nonsense"])
    home.watch([str(VKEY)])
    home.watch([str(VKEY)])
    assert home.logs() == [VKEY]
    (tmp_path / "w" / "witness.key").unlink()
    with pytest.raises(NotReady, match="restore it"):
        home.cosigner()
