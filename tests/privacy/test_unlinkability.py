"""Cases and persons cannot be joined over partners: pseudonyms differ, and where the hub attests,
nothing else is left to join on.

Two immigration enforcement agencies are told the same flags about the same people, two embassies
the same contents on the same consents; the default profile has the hub attest for both roles. An
attacker with both databases, and with every delivery opened, tries to match them. Two auditors,
who are given the agencies' evidence, show that the attack finds what there is to find.

Not looked at: order and time of arrival, which nothing but batches at fixed intervals would hide
(docs/privacy.md), and contents that say who somebody is, which are the same person's everywhere.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.agency.registry_cache import RegistryCache
from connectors.opening.opener import Opener
from schemas import wire
from tests.privacy.told import Told, noted, values
from tests.road import CONSENT

CASES = 12
SEEDS = range(60)  # of the attacker's guesses where nothing decides
ORDER = {"sequence", "first_sequence", "last_sequence", "id", "cursor"}

Known = dict[str, set[str]]  # a partner's name of a case → every value it has about it


def lives() -> Iterator[tuple[str, list[tuple[str, str, dict[str, Any]]]]]:
    """People about whom two partners of each kind are told the same."""
    for number in range(CASES):
        yield (
            f"F{number}",
            [
                ("CA-1", "CaseOpened", {"age_status": "adult"}),
                ("CA-1", "RemovalHoldPlaced", {"hold_ref": "hold", "until": "2026-06-01"}),
                ("CA-1", "ConsentRequested", {"consent_id": f"asked-{number}"}),
            ],
        )
        named = {one: ["identity", "immigration"] for one in ("EMB-1", "EMB-2")}
        given = {**CONSENT, "scope": named, "consent_id": f"consent-{number}"}
        life: list[tuple[str, str, dict[str, Any]]] = [
            ("NGO-1", "CaseOpened", {"age_status": "adult"}),
            ("NGO-1", "ConsentGiven", given),
        ]
        for to in named:
            ids = {"referral_id": f"{to} {number}", "basis": f"consent-{number}"}
            when = {"respond_by": "2027-01-01T00:00:00Z"}
            life.append(("NGO-1", "ReferralMade", {**ids, **when, "to_agency": to}))
            life.append((to, "ReferralAccepted", {"referral_id": f"{to} {number}"}))
        life.append(("NGO-1", "IdentityRecorded", {"family_name": "Same", "gender": None}))
        yield f"E{number}", life


class Watched:
    """One hub, and all that six of its partners were ever told."""

    PARTNERS = ("IMMENF-1", "IMMENF-2", "EMB-1", "EMB-2", "AUD-1", "AUD-2")

    def __init__(self, folder: Path) -> None:
        self.true: dict[str, dict[str, str]] = {}  # partner → its name of a case → the case
        with Told(folder, "CA-1", "NGO-1", *self.PARTNERS) as told:
            self.sent = noted(told)
            everyone = dict(lives())
            for step in range(max(map(len, everyone.values()))):
                batches: dict[str, list[Any]] = {}
                for case, life in everyone.items():
                    if step < len(life):
                        agency, kind, data = life[step]
                        batches.setdefault(agency, []).append(told.event(kind, case, **data))
                for agency, batch in batches.items():
                    outcomes = told.road.publish_all(agency, batch)
                    assert all(one.accepted for one in outcomes), outcomes
                told.road.settle()
            names = told.road.hub.exchange.pseudonyms
            for partner in self.PARTNERS:
                self.true[partner] = {
                    names.pseudonym(partner, "case", names.canonical("case", case)): case
                    for case in everyone
                }
            self.known = {partner: self._known(told, partner) for partner in self.PARTNERS}

    def _known(self, told: Told, partner: str) -> Known:
        """By case: what stands in any row, and in any delivery opened, that is about it."""
        known: Known = {}
        case_of: dict[str, str] = {}
        for kept in self._rows(told, partner):
            if "case_ref" in kept:
                known.setdefault(kept["case_ref"], set()).update(values([tuple(kept.values())]))
                if "event_ref" in kept:
                    case_of[kept["event_ref"]] = kept["case_ref"]
        for kept in self._rows(told, partner):
            if "case_ref" not in kept and kept.get("event_ref") in case_of:
                known[case_of[kept["event_ref"]]] |= values([tuple(kept.values())])
        topic = told.road.hub.exchange.pseudonyms.topic("nrm.d", partner)
        identity = told.road.identities[partner]
        opener = Opener(identity, RegistryCache(identity))
        for name, message in self.sent:
            if name != topic:
                continue
            opened: Any = opener.open(message.value)
            for item in opened.items:
                delivery = wire.DELIVERY.unsingle(item.raw)
                del delivery["sequence"]
                parts = [
                    wire.DELIVERED_COMPARTMENT.unsingle(part)
                    for part in delivery.pop("compartments")
                ]
                about = [delivery, *parts]
                known[item.case_ref] |= {
                    f"{key}={value!r}" for one in about for key, value in one.items()
                }
        return known

    @staticmethod
    def _rows(told: Told, partner: str) -> Iterator[dict[str, Any]]:
        for table, rows in told.tables(partner).items():
            columns = [row[1] for row in told.rows(partner, f"PRAGMA table_info('{table}')")]
            for row in rows:
                kept = dict(zip(columns, row, strict=True))
                yield {
                    name: value
                    for name, value in kept.items()
                    if name not in ORDER and not name.endswith("_at")
                }

    def telling(self, one: str, other: str) -> set[str]:
        """Values both have that do not stand in every case: something could be joined on them."""
        return self._distinct(one) & self._distinct(other)

    def _distinct(self, partner: str) -> set[str]:
        known = self.known[partner]
        counted = Counter(value for about in known.values() for value in about)
        return {value for value, count in counted.items() if count < len(known)}

    def matched(self, one: str, other: str, seed: int) -> int:
        """The attack: pair cases by their rarest common values, else by how alike their names
        look, else by guessing. Returns how many pairs are right."""
        guess = random.Random(seed)
        mine, theirs = self.known[one], self.known[other]
        rare = Counter(value for about in mine.values() for value in about)
        scored = [
            (
                sum(1 / rare[value] for value in mine[a] & theirs[b]),
                alike(a, b) if seed % 2 else 0,
                guess.random(),
                a,
                b,
            )
            for a in mine
            for b in theirs
        ]
        pairs: dict[str, str] = {}
        for *_, a, b in sorted(scored, reverse=True):
            if a not in pairs and b not in pairs.values():
                pairs[a] = b
        right = (self.true[one][a] == self.true[other][b] for a, b in pairs.items())
        return sum(right)


def alike(one: str, other: str) -> int:
    """Equal bits of two pseudonyms."""
    return 128 - (int(one[3:], 16) ^ int(other[3:], 16)).bit_count()


@pytest.fixture(scope="module")
def hubs(tmp_path_factory: pytest.TempPathFactory) -> list[Watched]:
    """Two hubs, so that chance is not one hub's names."""
    return [Watched(tmp_path_factory.mktemp(f"hub{number}")) for number in range(2)]


@pytest.mark.parametrize("pair", [("IMMENF-1", "IMMENF-2"), ("EMB-1", "EMB-2")])
def test_hub_attested_partners_have_no_value_in_common_that_tells_a_case(
    pair: tuple[str, str], hubs: list[Watched]
) -> None:
    for hub in hubs:
        assert len(hub.known[pair[0]]) == len(hub.known[pair[1]]) == CASES
        assert hub.telling(*pair) == set()


@pytest.mark.parametrize("pair", [("IMMENF-1", "IMMENF-2"), ("EMB-1", "EMB-2")])
def test_matching_hub_attested_deliveries_does_no_better_than_chance(
    pair: tuple[str, str], hubs: list[Watched]
) -> None:
    """Guessing CASES pairs gets one right on average, with a variance of one."""
    right = sum(hub.matched(*pair, seed) for hub in hubs for seed in SEEDS)
    tries = len(hubs) * len(SEEDS)
    # Half of the tries pair by the names themselves: one draw per hub, tried thirty times.
    spread = (tries / 2 + len(hubs) * (len(SEEDS) / 2) ** 2) ** 0.5
    assert right <= tries + 4 * spread
    assert right < tries * CASES / 2


def test_the_attack_finds_what_agency_evidence_leaves_to_find(hubs: list[Watched]) -> None:
    """With agency evidence header and signature are the same bytes at both: all are found."""
    for hub in hubs:
        assert hub.telling("AUD-1", "AUD-2")
        known = len(hub.known["AUD-1"])
        assert hub.matched("AUD-1", "AUD-2", 0) == known == 2 * CASES


def test_no_two_partners_know_a_case_or_person_by_the_same_name(hubs: list[Watched]) -> None:
    for hub in hubs:
        names = [name for partner in Watched.PARTNERS for name in hub.true[partner]]
        assert len(set(names)) == len(names)
        for partner in Watched.PARTNERS:
            others = {name for p in Watched.PARTNERS if p != partner for name in hub.true[p]}
            for about in hub.known[partner].values():
                assert not about & others
