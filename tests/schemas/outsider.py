"""A recipient's reader written from docs/formats.md alone: nothing of the project is imported.

Avro by the Apache implementation, primitives by `cryptography`; schemas are read as files. Section
numbers are those of the document. Any failed check is an AssertionError.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import avro.io
import avro.schema
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SCHEMAS = Path(__file__).parents[2] / "schemas"
PRIMITIVES = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


# -- 1. Avro, strictly --------------------------------------------------------------------------


def plain(document: Any) -> Any:
    """Timestamps and dates stay numbers here, and decimals bytes: fewer ways to differ."""
    if isinstance(document, dict):
        return {key: plain(one) for key, one in document.items() if key != "logicalType"}
    return [plain(one) for one in document] if isinstance(document, list) else document


def schemaless(document: Any, body: bytes) -> Any:
    schema = avro.schema.parse(json.dumps(plain(document)))
    buffer = io.BytesIO(body)
    value = avro.io.DatumReader(schema).read(avro.io.BinaryDecoder(buffer))
    assert buffer.tell() == len(body), "bytes are left over"
    return value


def message(name: str, data: bytes) -> dict[str, Any]:
    """A single-object encoding of the wire schema of this name."""
    document = json.loads((SCHEMAS / "wire" / f"{name}.avsc").read_text("utf-8"))
    assert data[:2] == b"\xc3\x01"
    assert data[2:10] == fingerprint(document), f"not a {name}"
    value: dict[str, Any] = schemaless(document, data[10:])
    return value


def canonical(schema: Any, namespace: str = "") -> Any:
    """Parsing Canonical Form (as a value; JSON without white space makes it text)."""
    if isinstance(schema, list):
        return [canonical(branch, namespace) for branch in schema]
    if isinstance(schema, str):
        return schema if schema in PRIMITIVES or "." in schema else f"{namespace}.{schema}"
    kind = schema["type"]
    if kind in PRIMITIVES:
        return kind
    if kind == "array":
        return {"type": kind, "items": canonical(schema["items"], namespace)}
    if kind == "map":
        return {"type": kind, "values": canonical(schema["values"], namespace)}
    namespace = schema.get("namespace", namespace)
    named = {"name": f"{namespace}.{schema['name']}", "type": kind}
    if kind == "record":
        fields = [(one["name"], canonical(one["type"], namespace)) for one in schema["fields"]]
        return {**named, "fields": [{"name": name, "type": inner} for name, inner in fields]}
    return {**named, **{key: schema[key] for key in ("symbols", "size") if key in schema}}


def fingerprint(document: Any) -> bytes:
    """CRC-64-AVRO as the specification's own code computes it, little-endian."""
    empty = 0xC15D213AA4D7A795
    found = empty
    for byte in json.dumps(canonical(document), separators=(",", ":")).encode():
        found ^= byte
        for _ in range(8):
            found = (found >> 1) ^ (empty & -(found & 1))
    return found.to_bytes(8, "little")


# -- 2. Event schemas ---------------------------------------------------------------------------


def event_schema(identity: bytes) -> dict[str, Any]:
    """The schema with this identity, of all files there are."""
    for path in [*SCHEMAS.glob("case/*.avsc"), *SCHEMAS.glob("history/*/*.avsc")]:
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if hashlib.sha256(text.encode()).digest() == identity:
            return document
    raise AssertionError("no schema has this identity")


# -- 3. Compartments ----------------------------------------------------------------------------


def derived(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The derived record of a compartment. (No shipped type needs named types written out anew.)"""
    category, _, party = name.partition("/")
    if party:
        members = [f for f in document["fields"] if _is(f, category) and f.get("per_party")]
        fields = [{"name": f["name"], "type": _entry(f["type"], len(members))} for f in members]
    else:
        own = [f for f in document["fields"] if _is(f, category) and not f.get("per_party")]
        inherit = [f for f in document["fields"] if f.get("category") == "inherit"]
        members = [f for f in document["fields"] if f in own or f in inherit] if own else inherit
        fields = [{"name": f["name"], "type": f["type"]} for f in members]
    return {"type": "record", "name": "Derived", "namespace": "nrm.case", "fields": fields}


def _is(field: dict[str, Any], category: str) -> bool:
    return bool(field.get("category", "unreleasable") == category)


def _entry(kind: Any, members: int) -> Any:
    if isinstance(kind, list):
        [kind] = [branch for branch in kind if branch != "null"]
    entry = kind["values"] if kind["type"] == "map" else kind
    return entry if members == 1 else ["null", entry]


# -- 4. Commitments; also the batch tree of 6 ---------------------------------------------------


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def labelled(name: str) -> bytes:
    return bytes([len(name.encode())]) + name.encode()


def hashes(joined: bytes) -> list[bytes]:
    assert len(joined) % 32 == 0
    return [joined[at : at + 32] for at in range(0, len(joined), 32)]


def root_of_path(entry: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """RFC 9162 §2.1.3.2: the root this path leads to."""
    assert 0 <= index < size
    node, at, last = sha256(b"\x00", entry), index, size - 1
    for sibling in path:
        assert last > 0, "the path is too long"
        if at & 1 or at == last:
            node = sha256(b"\x01", sibling, node)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            node = sha256(b"\x01", node, sibling)
        at, last = at >> 1, last >> 1
    assert last == 0, "the path is too short"
    return node


# -- 5. Signatures ------------------------------------------------------------------------------


def verify(public: bytes, kind: str, body: bytes, signature: bytes) -> None:
    head = f"DSSEv1 {len(kind)} {kind} {len(body)} ".encode()
    Ed25519PublicKey.from_public_bytes(public).verify(signature, head + body)


# -- 7. Reading a message, steps 1 to 8 ---------------------------------------------------------


def registry(signed: bytes, hub_public: bytes) -> dict[str, Any]:
    """Section 9."""
    outer = message("SignedRegistry", signed)
    kind = "application/vnd.nrm.registry.v1+avro"
    verify(hub_public, kind, outer["registry"], outer["signature"])
    return message("Registry", outer["registry"])


def read(
    raw: bytes,
    *,
    hub: str,
    recipient: str,
    hub_public: bytes,
    sealing_private: bytes,
    known: dict[str, Any],
) -> list[dict[str, Any]]:
    """Every delivery of a message, verified; `content` holds the decoded compartments."""
    outer = message("SealedDeliveries", raw)  # (1)
    assert (outer["hub"], outer["recipient"]) == (hub, recipient)
    first, last = outer["first_sequence"], outer["last_sequence"]
    assert outer["signing_key_id"] == sha256(hub_public)[:16]
    info = f"nrm.deliveries.v1\n{hub}\n{recipient}\n{first}\n{last}".encode()
    signed = info + b"\n" + sha256(outer["box"])
    verify(hub_public, "application/vnd.nrm.deliveries.v1", signed, outer["signature"])  # (2)
    mlkem = MLKEM768PrivateKey.from_seed_bytes(sealing_private[:64])
    x25519 = X25519PrivateKey.from_private_bytes(sealing_private[64:])
    opener = hpke.MLKEM768X25519PrivateKey(mlkem, x25519)
    batch = message("DeliveryBatch", SUITE.decrypt(outer["box"], opener, info=info))  # (3)
    deliveries = [message("Delivery", one) for one in batch["deliveries"]]  # (5)
    assert [one["sequence"] for one in deliveries] == list(range(first, last + 1))  # (4)
    for delivery in deliveries:
        if delivery["kind"] == "release":
            delivery["content"] = _content(delivery, hub, known)
    return deliveries


def _content(delivery: dict[str, Any], hub: str, known: dict[str, Any]) -> dict[str, Any]:
    header = _evidence(delivery, hub, known) if delivery["evidence"] is not None else None
    event_id = header["event_id"] if header else bytes(16)
    bases = {one["category"] for one in delivery["bases"]}
    document = event_schema(delivery["schema"])
    assert document["name"] == delivery["event_type"]
    content: dict[str, Any] = {}
    for encoded in delivery["compartments"]:  # (7)
        part = message("DeliveredCompartment", encoded)
        name = part["name"]
        assert name.partition("/")[0] in bases
        assert name not in content
        associated = event_id + labelled(name) + delivery["schema"]
        opened = AESGCM(part["key"]).decrypt(bytes(12), part["ciphertext"], associated)
        salt, body = opened[:16], opened[16:]
        path = hashes(part["path"])
        if header:
            assert 3 <= len(path) <= 16
            commitment = sha256(salt, labelled(name), body)
            root = root_of_path(commitment, part["index"], 1 << len(path), path)
            assert root == header["disclosure_root"]
        else:
            assert (part["index"], path) == (-1, [])
        content[name] = schemaless(derived(document, name), body)  # (8)
    return content


def _evidence(delivery: dict[str, Any], hub: str, known: dict[str, Any]) -> dict[str, Any]:
    given = message("AgencyEvidence", delivery["evidence"])  # (6)
    header, head = message("Header", given["header"]), message("BatchHead", given["head"])
    path = hashes(given["path"])
    assert root_of_path(given["header"], given["index"], head["size"], path) == head["root"]
    assert head["agency"] == header["agency"] == delivery["agency"]
    assert head["audience"] == hub
    [agency] = [one for one in known["agencies"] if one["agency"] == head["agency"]]
    [key] = [one for one in agency["keys"] if one["key_id"] == head["key_id"]]
    assert key["valid_from"] <= delivery["recorded"]
    assert key["valid_to"] is None or delivery["recorded"] < key["valid_to"]
    kind = "application/vnd.nrm.batch.v1+avro"
    verify(key["public"], kind, given["head"], given["signature"])
    assert str(UUID(bytes=header["event_id"])) == delivery["event_ref"]
    for name in ("event_type", "schema", "occurred_at"):
        assert header[name] == delivery[name]
    return header
