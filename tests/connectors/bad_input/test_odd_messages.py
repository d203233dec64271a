"""Messages, deliveries, registries and outcomes, mutated byte by byte: a reason, no crash."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import pytest

from connectors.agency.identity import AgencyIdentity
from connectors.agency.outcomes import read_outcomes
from connectors.agency.registry_cache import RegistryCache
from connectors.delivery import REASONS, Arrived, BadMessage, Opened, Poison
from connectors.errors import UntrustedError
from connectors.opening.opener import Opener
from connectors.submit import Publisher
from tests.connectors.builder import MiniHub, case_opened, identity_recorded

ROUNDS = 150
VARINTS = (b"\xff" * 9 + b"\x01", b"\x80" * 9 + b"\x01", b"\x00", b"\x01")


def mutations(whole: bytes, seed: int) -> Iterator[bytes]:
    """Bits turned, bytes taken out, put in, moved and doubled, lengths that lie, ends cut off."""
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        found = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 6])):
            at = chance.randrange(len(found))
            match chance.randrange(5):
                case 0:
                    found[at] ^= 1 << chance.randrange(8)
                case 1:
                    found[at] = chance.choice([0, 1, 2, 0x7F, 0x80, 0xFF])
                case 2:
                    found[at : at + chance.randrange(1, 9)] = b""
                case 3:
                    found[at:at] = chance.choice([*VARINTS, bytes(found[:40])])
                case 4:
                    found[at + 1 :] = b""
            if not found:
                break
        if found != whole:
            yield bytes(found)


@pytest.fixture
def opener(police: AgencyIdentity, registry: RegistryCache) -> Opener:
    return Opener(police, registry)


@pytest.fixture
def message(hub: MiniHub, shelter: AgencyIdentity) -> bytes:
    events = hub.stated(shelter, case_opened("C-1"), identity_recorded("C-1"))
    released = [hub.release("POL-1", one) for one in events]
    return hub.message("POL-1", [*released, hub.recall("POL-1", [(events[0], ["identity"])])])


def test_a_message(opener: Opener, message: bytes) -> None:
    for one in mutations(message, 1):
        found = opener.open(one)
        assert isinstance(found, BadMessage)
        assert found.reason in REASONS


def test_a_delivery_that_the_hub_signed_all_the_same(
    hub: MiniHub, opener: Opener, message: bytes
) -> None:
    """Each is read or set aside with its reason, and the next is read."""
    good = opener.open(message)
    assert isinstance(good, Opened)
    raws = [item.raw for item in good.items]
    for one in mutations(raws[0], 2):
        found = opener.open(hub.message("POL-1", [one, *raws[1:]], first=1))
        assert isinstance(found, Opened)
        first, *others = found.items
        assert isinstance(first, Arrived) or first.reason in REASONS
        assert others == list(good.items[1:])
        [again] = opener.reopen(one, 1)
        assert isinstance(again, Poison | Arrived)


def test_a_registry_and_outcomes(
    hub: MiniHub, police: AgencyIdentity, shelter: AgencyIdentity
) -> None:
    cache = RegistryCache(police)
    for one in mutations(hub.registry(), 3):
        with pytest.raises(UntrustedError):
            cache.update(one)
    outcomes = hub.outcomes(Publisher(shelter).prepare([case_opened("C-1")]))
    for one in mutations(outcomes, 4):
        with contextlib.suppress(UntrustedError):
            read_outcomes(one, shelter)
            raise AssertionError("an outcome that was changed is believed")
    assert cache.update(hub.registry())
