"""A fork file checked by somebody who has docs/transparency.md, the vkey, and nothing of ours."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.transparency.logs import VKEY
from tests.witness.conftest import Served
from tests.witness.test_witness import FALSE, ask


def forked(file: bytes, vkey: str) -> bool:
    """As the page says it, with an Ed25519 library."""
    name, key_id, public = vkey.split("+", 2)
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public)[1:])
    heads = []
    for part in file.decode().split("--- cosigned before ---\n")[1].split("--- offered now ---\n"):
        start = part.index(f"{name}\n")
        text, lines = part[start:].split("\n\n", 1)
        signed = [one.split(" ")[2] for one in lines.splitlines() if one.startswith(f"— {name} ")]
        made = [base64.b64decode(one) for one in signed]
        [signature] = [one[4:] for one in made if one[:4].hex() == key_id]
        key.verify(signature, f"{text}\n".encode())
        heads.append(text.split("\n"))
    (origin, size, root), (other, same, another) = (one[:3] for one in heads)
    return (origin, size) == (other, same) and root != another


def kept(witness: Callable[..., Served]) -> bytes:
    served = witness()
    judge = served.open()
    ask(judge, 0, 50)
    ask(judge, 50, 50, FALSE)
    [file] = served.home.evidence()
    return file.read_bytes()


def test_the_two_signatures_prove_it(witness: Callable[..., Served]) -> None:
    assert forked(kept(witness), str(VKEY))


def test_made_up_it_proves_nothing(witness: Callable[..., Served]) -> None:
    """One head twice, or a root that the log did not sign."""
    file = kept(witness)
    first, second = file.split(b"--- cosigned before ---\n")[1].split(b"--- offered now ---\n")
    twice = b"--- cosigned before ---\n" + first + b"--- offered now ---\n" + first
    assert not forked(twice, str(VKEY))
    root = second.split(b"\n\n")[-2].rsplit(b"\n", 1)[-1]
    other = base64.b64encode(bytes(32))
    with pytest.raises(InvalidSignature):
        forked(file.replace(root, other), str(VKEY))
