"""Step 7, register and policy: who took part in which role, with which keys, under which profile.

All of it by log position: a key or agreement is valid from its row on until the row that ends it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nrm_verify.failure import Failure
from nrm_verify.rows import PUBLISHED, REGISTER, SETTLED, Row
from nrm_verify.strict_json import read_json

HUB_ROLE = "hub"


@dataclass
class Key:
    """A signing key, valid at positions from `start` up to, not including, `end`."""

    public: bytes
    start: int
    end: int | None = None

    def valid(self, position: int) -> bool:
        return self.start <= position and (self.end is None or position < self.end)


@dataclass
class Agency:
    """One agency. agreements: (position, whether there is one from there on)."""

    name: str
    role: str
    enrolled: int
    keys: dict[bytes, Key] = field(default_factory=dict)
    agreements: list[tuple[int, bool]] = field(default_factory=list)

    def receives(self, position: int) -> bool:
        """Whether a data-sharing agreement was in force before this position."""
        at = bisect_left(self.agreements, (position, False))
        return at > 0 and self.agreements[at - 1][1]


class Profile:
    """A policy profile as recorded; what it does not name is never released."""

    def __init__(self, position: int, version: str, document: Mapping[str, Any]) -> None:
        self.position = position
        self.version = version
        self._matrix = document["matrix"]
        self._gates = document["event_group_gate"]
        self._glass = document["break_glass"]
        self.private = frozenset(document["private_bodies"])
        self.enforcement = frozenset(document["enforcement_roles"])
        self.served = frozenset(document["enforcement_dispute_serves"])

    def mode(self, role: str, category: str) -> str:
        return str(self._matrix.get(role, {}).get(category, "N"))

    def passes(self, role: str, group: str) -> bool:
        return group in self._gates.get(role, ())

    def glass(self, role: str) -> frozenset[str]:
        return frozenset(self._glass.get(role, ()))


class Register:
    """All agencies and profiles in the bundle, asked by position."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.agencies: dict[str, Agency] = {}
        self.changes: list[int] = []
        self.profiles: list[Profile] = []
        for row in rows:
            if row.topic in REGISTER:
                self._take(row)
                self.changes.append(row.position)
            elif row.topic == PUBLISHED:
                self.profiles.append(_profile(row))

    def _take(self, row: Row) -> None:
        kind, value = row.topic.rpartition(".")[2], row.value
        name = value["agency"]
        agency = self.agencies.get(name)
        if kind == "Enrolled" and "Agency" in row.topic:
            agency = self.agencies[name] = Agency(name, value["role"], row.position)
        if agency is None:
            raise Failure(7, "register_incomplete", f"row {row.position}: {name} is not enrolled")
        match kind:
            case "Enrolled" | "KeyAdded":
                agency.keys[value["key_id"]] = Key(value["public"], row.position)
            case "KeyRevoked":
                key = agency.keys.get(value["key_id"])
                if key is None:
                    raise Failure(
                        7, "register_incomplete", f"row {row.position}: {name} has no such key"
                    )
                key.end = row.position
            case "Signed":
                agency.agreements.append((row.position, True))
            case "Ended":
                agency.agreements.append((row.position, False))

    def key(self, agency: str, key_id: bytes, position: int) -> bytes | None:
        """The public key, if the agency had it and it was valid at this position."""
        known = self.agencies.get(agency)
        key = known.keys.get(key_id) if known is not None else None
        return key.public if key is not None and key.valid(position) else None

    def at(self, position: int) -> list[Agency]:
        """Everybody who could receive something just before this position; never the hub."""
        return [
            one
            for one in self.agencies.values()
            if one.enrolled < position and one.role != HUB_ROLE
        ]

    def profile(self, position: int) -> Profile | None:
        """The profile in force just before this position."""
        at = bisect_left(self.profiles, position, key=lambda one: one.position)
        return self.profiles[at - 1] if at else None

    def last_change(self, position: int) -> int:
        at = bisect_left(self.changes, position)
        return self.changes[at - 1] if at else 0


def read(rows: Sequence[Row]) -> Register:
    """Step 7."""
    register = Register(rows)
    for row in rows:
        if row.topic != SETTLED:
            continue
        position = row.value["position"]
        if register.last_change(position) != row.value["parties"]:
            raise Failure(
                7,
                "register_incomplete",
                f"row {row.position} was decided on the register as of {row.value['parties']}, "
                f"the last change here is {register.last_change(position)}",
            )
        profile = register.profile(position)
        if profile is None or profile.version != row.value["policy"]:
            raise Failure(
                7,
                "register_incomplete",
                f"row {row.position} was decided on profile {row.value['policy'][:64]}, "
                "which was not in force by the rows here",
            )
    return register


def _profile(row: Row) -> Profile:
    try:
        return Profile(row.position, row.value["version"], read_json(row.value["document"]))
    except (KeyError, TypeError, ValueError):
        raise Failure(6, "bad_row", f"row {row.position} holds no policy profile") from None
