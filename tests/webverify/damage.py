"""Every kind of damage, by the code of docs/evidence.md that it should be found under."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from hub.crypto.signing import SigningKey
from hub.tlog.note import Cosigner
from tests.webverify.corpus import (
    Forger,
    Place,
    members,
    raw,
    resigned,
    row_value,
    row_with,
)
from tests.webverify.questions import Question

Change = Callable[[dict[str, bytes], dict[str, Any]], None]
ACCEPTED, SETTLED = "nrm.Case.EventAccepted", "nrm.Case.Settled"
SENDING, RECEIVED = "nrm.DeliveryLog.Sending", "nrm.ReceiptLog.Received"
STRANGER = SigningKey(bytes(range(32)))
WITNESS = Cosigner("witness.example", SigningKey(bytes(range(1, 33))))

Damaged = Iterator[tuple[str, Question]]  # the code expected; empty: it verifies


def container_damage(place: Place) -> Damaged:
    """Step 1, and step 2 as far as it needs no key."""
    whole = place.made(case=place.case)
    parts = members(whole)
    first = "log/checkpoint"

    def local(name: str) -> int:
        return whole.index(b"PK\x03\x04", whole.index(name.encode()) - 40)

    def patched(at: int, new: bytes) -> bytes:
        return whole[:at] + new + whole[at + len(new) :]

    def tell(code: str, name: str, data: bytes) -> tuple[str, Question]:
        return code, place.question(f"{code}-{name}", data)

    yield tell("not_a_bundle", "text", b"this is a text and no bundle")
    yield tell("truncated", "empty", b"")
    yield tell("truncated", "half", whole[: len(whole) // 2])
    yield tell("truncated", "last-byte", whole[:-1])
    yield tell("not_canonical", "after", whole + b"x")
    yield tell("not_canonical", "date", patched(local(first) + 12, b"\x22"))
    yield tell("not_stored", "deflated", patched(local(first) + 8, b"\x08"))
    yield tell("not_stored", "encrypted", patched(local(first) + 6, b"\x01"))
    yield tell("not_stored", "descriptor", patched(local(first) + 6, b"\x08"))
    yield tell("bad_checksum", "member", patched(whole.index(parts[first]), b"N"))
    for name in ("../up", "/root", "log//x", "log/./x", "log\\x", "Log/x", "log/ä", "x" * 101):
        ordered = {key: parts[key] for key in list(parts)[:2]} | {name: b"x"}
        yield tell("bad_name", str(abs(hash(name)) % 10**8), raw(ordered))
    turned = dict(reversed(list(parts.items())))
    yield tell("bad_order", "turned", raw(turned))
    swapped = {**{k: parts[k] for k in list(parts)[:2]}, "log/vkey": parts["log/vkey"], **parts}
    yield tell("bad_order", "swapped", raw(swapped))
    yield tell("bad_order", "twice", _twice(parts))
    huge = struct.pack("<I", 65 * 1024 * 1024)
    yield tell("too_large", "member", patched(local(first) + 18, huge + huge))

    yield tell("member_missing", "signature", raw({"manifest.json": parts["manifest.json"]}))
    yield tell(
        "member_unlisted",
        "more",
        raw(dict(sorted({**parts, "log/witnesses": b"x"}.items(), key=_place))),
    )
    less = {name: part for name, part in parts.items() if name != "log/paths"}
    yield tell("member_unlisted", "less", raw(less))
    yield tell(
        "member_differs", "row", raw({**parts, "log/paths": parts["log/paths"][:-1] + b"\0"})
    )
    for name, document in _manifests(json.loads(parts["manifest.json"])):
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        code = "newer_version" if name == "newer" else "bad_manifest"
        yield tell(code, name, raw({**parts, "manifest.json": data}))


def _place(item: tuple[str, bytes]) -> tuple[int, bytes]:
    first = ("manifest.json", "manifest.sig")
    return (first.index(item[0]) if item[0] in first else 2, item[0].encode())


def _twice(parts: dict[str, bytes]) -> bytes:
    """A file whose last member stands there twice."""
    whole = raw(parts)
    name, data = list(parts.items())[-1]
    header = struct.pack(
        "<4s5H3I2H", b"PK\x03\x04", 10, 0, 0, 0, 0x21, zlib.crc32(data), len(data), len(data),
        len(name), 0,
    )  # fmt: skip
    at = whole.index(b"PK\x01\x02" + struct.pack("<HH", 10, 10))
    return whole[:at] + header + name.encode() + data + whole[at:]


def _manifests(good: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "newer", {**good, "format": "nrm-evidence/2"}
    yield "other-format", {**good, "format": "zip"}
    yield "no-json", b"{"
    yield "no-object", []
    yield "no-text", b'{"format": "\xff"}'
    yield "deep", b"[" * 100_000
    for name in good:
        yield f"without-{name}", {key: value for key, value in good.items() if key != name}
    yield "kind", {**good, "kind": "other"}
    yield "float", {**good, "as_of": 1.5}
    yield "huge", {**good, "tree_size": 2**53}
    yield "negative", {**good, "as_of": -1}
    yield "late", {**good, "as_of": good["tree_size"] + 1}
    yield "true", {**good, "as_of": True}
    yield "why", {**good, "rows": [[1, "other"]]}
    yield "descending", {**good, "rows": [[2, "policy"], [1, "hub"]]}
    yield "scope", {**good, "scope": {"agency": "A", "event": "x"}}
    yield "case", {**good, "scope": {"case": "C1"}}
    yield "holder", {**good, "holder": 5}
    yield "list", {**good, "rows": 5}
    yield "twice", json.dumps(good)[:-1].encode() + b', "as_of": %d}' % good["as_of"]
    yield "fraction", json.dumps(good).replace('"as_of": ', '"as_of": 1.0e0, "x": ').encode()
    yield (
        "whole-fraction",
        json.dumps({**good, "more": 0}).replace('"more": 0', '"more": 1.0').encode(),
    )
    [name, length, digest] = good["members"][0]
    yield "upper-case", {**good, "members": [[name, length, digest.upper()], *good["members"][1:]]}
    yield "short-digest", {**good, "members": [[name, length, digest[:-2]], *good["members"][1:]]}
    yield "length", {**good, "members": [[name, str(length), digest], *good["members"][1:]]}
    yield "row-of-three", {**good, "rows": [[*one, 0] for one in good["rows"]]}
    yield "claims-object", {**good, "claims": {**good["claims"], "receipts": {}}}
    yield "null-case", {**good, "scope": {"case": None}}
    yield "claims", {**good, "claims": {**good["claims"], "decisions": [2, 1]}}
    yield "members", {**good, "members": [["../x", 1, "00"]]}


def signed_damage(place: Place) -> Damaged:
    """Steps 2 to 5: made to fit and signed by the hub, but for the log's own signature."""
    data, key = place.made(case=place.case), place.signing

    def tell(code: str, name: str, change: Change, **trust: Any) -> tuple[str, Question]:
        return code, place.question(f"{code}-{name}", resigned(data, key, change), **trust)

    def put(name: str, content: bytes | None) -> Change:
        def change(parts: dict[str, bytes], _: dict[str, Any]) -> None:
            parts.pop(name, None)
            if content is not None:
                parts[name] = content

        return change

    def claim(**values: Any) -> Change:
        return lambda _, manifest: manifest.update(values)

    parts = members(data)
    note = parts["log/checkpoint"].decode()
    flipped = _flipped_signature(note)
    yield "", place.question("as-made", data)
    yield "", place.question("key-inside", data, log_key="")
    for name in ("log/checkpoint", "log/paths", "log/vkey"):
        yield tell("member_missing", name.replace("/", "-"), put(name, None))
    yield tell("member_unlisted", "statement", put("statement.json", b"{}"))
    yield tell("member_missing", "earlier", put("log/earlier", note.encode()))
    yield tell("bad_checkpoint", "no-note", put("log/checkpoint", b"nothing"))
    yield tell("bad_checkpoint", "no-text", put("log/checkpoint", b"\xff\n\n"))
    for name in ("a b", "a\tb", "a+b"):
        line = f"\N{EM DASH} {name} {base64.b64encode(bytes(76)).decode()}\n"
        told = tell(
            "bad_checkpoint",
            f"name-{name.encode().hex()}",
            put("log/checkpoint", (note + line).encode()),
        )
        yield told
    yield tell("bad_checkpoint", "vkey", put("log/vkey", b"nrm-hub+00000000+AAAA\n"))
    yield tell("bad_checkpoint", "origin", claim(origin="other-hub"))
    size = json.loads(parts["manifest.json"])["tree_size"]
    yield tell("bad_checkpoint", "size", claim(tree_size=size + 1))
    yield tell("bad_log_signature", "flipped", put("log/checkpoint", flipped.encode()))
    other = note.replace("nrm-hub ", "another ")
    yield tell("wrong_log", "unsigned", put("log/checkpoint", other.encode()))
    stranger = _vkey(place.origin, STRANGER)
    yield "wrong_log", place.question("wrong_log-key", data, log_key=stranger)
    witness = str(WITNESS.verifier)
    yield "few_witnesses", place.question("few", data, witnesses=[witness], quorum=1)

    earlier = place.road.hub.exchange.log.checkpoints(0, 1)[0][1]
    whole = place.made(case=place.case, earlier=earlier.encode())
    yield "", place.question("earlier-inside", whole)
    yield "", place.question("earlier-proved", whole, earlier=earlier)
    yield "", place.question("earlier-same", data, earlier=note)
    yield "", place.question("earlier-open", data, earlier=earlier)
    yield from _history(place, whole)

    yield tell("bad_paths", "short", put("log/paths", parts["log/paths"][:-1]))
    yield tell("bad_paths", "long", put("log/paths", parts["log/paths"] + b"\0"))
    yield tell("bad_paths", "empty", put("log/paths", b""))
    bent = bytearray(parts["log/paths"])
    bent[5] ^= 1
    yield tell("not_in_log", "path", put("log/paths", bytes(bent)))
    row = next(name for name in parts if name.startswith("rows/"))
    yield tell("not_in_log", "row", put(row, parts[row] + b"\0"))
    foreign = resigned(data, STRANGER, lambda *_: None)
    yield "bad_hub_signature", place.question("bad_hub_signature-stranger", foreign)
    schema = next(name for name in parts if name.startswith("schemas/store/"))
    yield tell("bad_row", "schema", put(schema, b'{"type": "int"}'))
    event = next(name for name in parts if name.startswith("schemas/event/"))
    yield tell("unknown_schema", "absent", put(event, None))
    yield tell("unknown_schema", "other", put(event, parts[event] + b" "))
    claims = json.loads(parts["manifest.json"])["claims"]
    for name in ("decisions", "deliveries", "receipts"):
        less = {**claims, name: claims[name][1:]}
        yield tell("claims_differ", name, claim(claims=less))
    scope = {"case": "0" * 32}
    yield tell("claims_differ", "scope", claim(scope=scope))


def _history(place: Place, whole: bytes) -> Damaged:
    key = place.signing

    def bent(parts: dict[str, bytes], _: dict[str, Any]) -> None:
        proof = bytearray(parts["log/consistency"])
        proof[0] ^= 1
        parts["log/consistency"] = bytes(proof)

    def odd(parts: dict[str, bytes], _: dict[str, Any]) -> None:
        parts["log/consistency"] += b"\0"

    def unsigned(parts: dict[str, bytes], _: dict[str, Any]) -> None:
        parts["log/earlier"] = _flipped_signature(parts["log/earlier"].decode()).encode()

    yield "fork", place.question("fork-proof", resigned(whole, key, bent))
    yield "bad_checkpoint", place.question("history-odd", resigned(whole, key, odd))
    yield "bad_log_signature", place.question("history-unsigned", resigned(whole, key, unsigned))


def _flipped_signature(note: str) -> str:
    head, space, encoded = note.rstrip("\n").rpartition(" ")
    signature = bytearray(base64.b64decode(encoded))
    signature[10] ^= 1
    return f"{head}{space}{base64.b64encode(signature).decode()}\n"


def _vkey(name: str, key: SigningKey) -> str:
    from hub.tlog.note import VerifierKey

    return str(VerifierKey(name, key.public))


def forged_damage(place: Place) -> Damaged:
    """Steps 6 to 12: a log rebuilt around changed rows, signed by all but the agencies."""
    forger = Forger(place)
    rows = forger.rows

    def tell(code: str, name: str, changed: dict[int, bytes]) -> tuple[str, Question]:
        return code, place.question(f"{code}-{name}", forger.forged(changed))

    def settlement(at: int, **values: Any) -> dict[int, bytes]:
        record = json.loads(row_value(rows[at])["settlement"])
        return {at: row_with(rows[at], settlement=json.dumps({**record, **values}).encode())}

    yield "", place.question("forged-nothing", forger.forged())
    cosigned = forger.forged(cosigners=(WITNESS,))
    witness = str(WITNESS.verifier)
    yield "", place.question("cosigned", cosigned, witnesses=[witness], quorum=1)
    other = forger.forged({1: row_with(rows[1], hub="other-hub")})
    yield "wrong_hub", place.question("wrong_hub", other)

    [accepted, settled] = forger.of(ACCEPTED), forger.of(SETTLED)
    event, decision = accepted[len(accepted) // 2], settled[len(settled) // 2]
    again = rows[accepted[-1]][:20] + rows[accepted[0]][20:]
    yield tell("bad_evidence", "said-twice", {accepted[-1]: again})
    yield tell("bad_row", "stream-of-1", {1: bytes(16) + rows[1][16:]})
    yield tell("bad_row", "long-number", {decision: _long_numbers(rows[decision])})
    yield tell("bad_row", "left-over", {event: rows[event] + b"\0"})
    yield tell("gap_in_stream", "twice", {accepted[-1]: rows[settled[-1]]})
    topic = rows[event].replace(b"nrm.Case.EventAccepted", b"nrm.Case.EventAcceptex")
    yield tell("newer_version", "topic", {event: topic})
    prefix = rows[event].index(b"\xc3\x01", 21)
    newer = rows[event][: prefix + 2] + bytes(8) + rows[event][prefix + 10 :]
    yield tell("newer_version", "schema", {event: newer})
    version = rows[event][:16] + b"\0\0\x10\0" + rows[event][20:]
    yield tell("gap_in_stream", "version", {event: version})

    yield tell("register_incomplete", "parties", {decision: row_with(rows[decision], parties=1)})
    yield tell(
        "register_incomplete", "policy", {decision: row_with(rows[decision], policy="other")}
    )

    value = row_value(rows[event])
    emitter = next(a for a in place.agencies if a != value["emitter"])
    yield tell("bad_evidence", "emitter", {event: row_with(rows[event], emitter=emitter)})
    yield tell("bad_evidence", "role", {event: row_with(rows[event], role="embassy")})
    yield tell("bad_evidence", "header", {event: row_with(rows[event], header=b"\xc3\x01")})
    yield tell("bad_evidence", "digest", {event: row_with(rows[event], digest=bytes(32))})
    yield tell("bad_evidence", "index", {event: row_with(rows[event], index=7)})
    signature = bytes([value["signature"][0] ^ 1]) + value["signature"][1:]
    yield tell("bad_agency_signature", "flip", {event: row_with(rows[event], signature=signature)})
    enrolled = forger.of("nrm.Agency.Enrolled", agency=value["emitter"])[0]
    weak = row_with(rows[enrolled], public=bytes(32))
    yield tell("bad_agency_signature", "weak", {enrolled: weak})
    unknown = row_with(rows[enrolled], key_id=bytes(16))
    yield tell("unknown_key", "register", {enrolled: unknown})

    leaves = [bytes(32), *value["leaves"][1:]]
    yield tell("bad_commitment", "leaves", {event: row_with(rows[event], leaves=leaves)})
    turned = list(reversed(value["leaves"]))
    yield tell("bad_commitment", "order", {event: row_with(rows[event], leaves=turned)})
    more = row_with(rows[event], categories=sorted({*value["categories"], "health", "zz"}))
    yield tell("bad_commitment", "categories", {event: more})

    yield from _decisions(tell, settlement, forger)
    yield from _deliveries(tell, forger, place)


def _long_numbers(row: bytes) -> bytes:
    """The row with the number its state begins with written in a byte more than it needs."""
    at = row.index(b"\xc3\x01", 21) + 10
    end = next(place for place in range(at, len(row)) if row[place] < 0x80)
    return row[:end] + bytes([row[end] | 0x80, 0]) + row[end + 1 :]


def _decisions(tell: Any, settlement: Any, forger: Forger) -> Damaged:
    rows, done = forger.rows, set()
    opening = forger.of(SETTLED)[0]  # before any date of birth is stated
    yield tell("decision_differs", "age", settlement(opening, age=[True, False]))
    yield tell("decision_differs", "age-shape", settlement(opening, age=5))
    for at in forger.of(SETTLED):
        record = json.loads(row_value(rows[at])["settlement"])
        released = [
            (agency, category)
            for agency, outcomes in record.get("decided", {}).items()
            for category, outcome in outcomes.items()
            if isinstance(outcome, str)
        ]
        if released and "withheld" not in done:
            done.add("withheld")
            agency, category = released[0]
            decided = record["decided"]
            outcomes = {**decided[agency], category: ["no_consent"]}
            changed = {**decided, agency: outcomes}
            yield tell("decision_differs", "withheld", settlement(at, decided=changed))
            other = {**decided, agency: {**decided[agency], category: "vital_interests"}}
            yield tell("decision_differs", "basis", settlement(at, decided=other))
            stranger = {**decided, "NOBODY": decided[agency]}
            yield tell("decision_differs", "stranger", settlement(at, decided=stranger))
            yield tell("decision_differs", "event", settlement(at, event="no-event"))
            yield tell("decision_differs", "left", settlement(at, left=[agency]))
            recall = [{"to": agency, "action": "delete", "items": {record["event"]: [category]}}]
            yield tell("decision_differs", "recall", settlement(at, recalls=recall))
            rebased = {agency: {record["event"]: {category: "public_task"}}}
            yield tell("decision_differs", "rebased", settlement(at, rebased=rebased))
            yield tell("decision_differs", "categories", settlement(at, categories=["audit"]))
            version = row_with(rows[at], event_version=1_000)
            yield tell("decision_differs", "version", {at: version})
        if record.get("backfill") and "backfill" not in done:
            done.add("backfill")
            yield tell("decision_differs", "backfill", settlement(at, backfill={}))
        if record.get("outsiders") and "outsiders" not in done:
            done.add("outsiders")
            yield tell("decision_differs", "outsiders", settlement(at, outsiders=[]))
    assert done == {"withheld", "backfill", "outsiders"}


def _deliveries(tell: Any, forger: Forger, place: Place) -> Damaged:
    rows = forger.rows
    releases = forger.of(SENDING, kind="release")
    one, next_ = releases[0], releases[1]
    items = json.loads(row_value(rows[one])["items"])
    more = {**items, "bases": {**items["bases"], "health": "public_task"}}
    yield tell(
        "delivery_differs", "more", {one: row_with(rows[one], items=json.dumps(more).encode())}
    )
    bases = dict.fromkeys(items["bases"], "vital_interests")
    other = {**items, "bases": bases}
    yield tell(
        "delivery_differs", "basis", {one: row_with(rows[one], items=json.dumps(other).encode())}
    )
    yield tell("delivery_differs", "decision", {one: row_with(rows[one], decision=1)})
    recipient = next(a for a in place.agencies if a != row_value(rows[one])["agency"])
    yield tell("bad_row", "delivery-agency", {one: row_with(rows[one], agency=recipient)})
    same = row_value(rows[one])
    again = [at for at in releases if row_value(rows[at])["agency"] == same["agency"]][1]
    values = {name: same[name] for name in ("items", "decision", "event_position")}
    yield tell("delivery_differs", "twice", {again: row_with(rows[again], **values)})
    recalls = forger.of(SENDING, kind="recall")
    if recalls:
        at = recalls[0]
        items = json.loads(row_value(rows[at])["items"])
        short = json.dumps({**items, "items": []}).encode()
        yield tell("delivery_differs", "recall", {at: row_with(rows[at], items=short)})
        action = json.dumps({**items, "action": "nothing"}).encode()
        yield tell("delivery_differs", "action", {at: row_with(rows[at], items=action)})
    assert next_

    receipt = forger.of(RECEIVED)[0]
    value = row_value(rows[receipt])
    flipped = bytes([value["signature"][0] ^ 1]) + value["signature"][1:]
    yield tell("bad_receipt", "flip", {receipt: row_with(rows[receipt], signature=flipped)})
    yield tell("bad_receipt", "bytes", {receipt: row_with(rows[receipt], receipt=b"\xc3\x01")})
    wider = row_with(rows[receipt], last_sequence=value["last_sequence"] + 1)
    yield tell("receipt_differs", "wider", {receipt: wider})
    yield tell(
        "bad_row", "receipt-agency", {receipt: row_with(rows[receipt], agency=_other(place, value))}
    )


def _other(place: Place, value: dict[str, Any]) -> str:
    return next(one for one in place.agencies if one != value["agency"])


def holder_damage(place: Place, holder: str) -> Damaged:
    """Opened content that is not what was committed to, or not the holder's."""
    data, key = place.made(case=place.case, holder=holder), place.signing
    parts = members(data)
    content = [name for name in parts if name.startswith("content/")]

    def bent(members: dict[str, bytes], _: dict[str, Any]) -> None:
        members[content[0]] = members[content[0]][:-1] + b"\xfe"

    def claimed(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["holder"] = next(one for one in place.agencies if one != holder)

    def nobody(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["holder"] = None

    def unlisted(_: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["claims"]["content"] = manifest["claims"]["content"][1:]

    for code, name, change in (
        ("not_disclosed", "bent", bent),
        ("not_held", "other-holder", claimed),
        ("not_held", "nobody", nobody),
        ("member_unlisted", "content", unlisted),
    ):
        yield code, place.question(f"{code}-{name}", resigned(data, key, change))


def absence_damage(place: Place, agency: str) -> Damaged:
    """Statements that are not the hub's, or about something else."""
    data, key = place.made(case=place.case, agency=agency, absent=True), place.signing
    envelope = json.loads(members(data)["statement.json"])

    def put(document: Any) -> Change:
        def change(parts: dict[str, bytes], _: dict[str, Any]) -> None:
            parts["statement.json"] = json.dumps(document).encode()

        return change

    kind = "application/vnd.nrm.absence.v1+json"
    payload = json.loads(base64.b64decode(envelope["payload"]))

    def stated(values: dict[str, Any], by: SigningKey = key) -> Any:
        body = json.dumps({**payload, **values}).encode()
        return {
            "payload": base64.b64encode(body).decode(),
            "payloadType": kind,
            "signatures": [
                {"keyid": by.key_id.hex(), "sig": base64.b64encode(by.sign(kind, body)).decode()}
            ],
        }

    yield "", place.question("absence", data)
    yield "", place.question("absence-again", resigned(data, key, put(stated({}))))
    for code, name, document in (
        ("bad_statement", "json", []),
        ("bad_statement", "empty", {}),
        ("bad_statement", "size", stated({"tree_size": 1})),
        ("bad_statement", "agency", stated({"agency": "OTHER"})),
        ("bad_statement", "more", stated({"more": 1})),
        ("bad_hub_signature", "key", stated({}, STRANGER)),
        ("bad_hub_signature", "type", {**stated({}), "payloadType": "text/plain"}),
    ):
        changed = resigned(data, key, put(document))
        yield code, place.question(f"{code}-statement-{name}", changed)
