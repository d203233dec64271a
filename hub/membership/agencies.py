"""Who takes part: agencies, their keys by log position, their agreements.

A fold of the `nrm.Agency.*` and `nrm.Agreement.*` events. Validity is by log position, never by
clock: a key revoked at position p refuses everything recorded after p and reclassifies nothing
before it. Nothing here decides on consent; see `hub/release.py`.

What leaves the hub speaks of validity by *change*: the first change of the register is 1, the next
2. A log position would tell a partner how much was recorded about everybody in between, withheld
events included; a change tells it what the public register tells it anyway. Only changes of the
register end or begin validity, so "valid at this change" and "valid at this position" are the same.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hub.domain.parties import Parties, Party
from hub.store import events as stored

if TYPE_CHECKING:
    from hub.store.events import StoreEvent

CHANGES: Final[tuple[type[StoreEvent], ...]] = (  # what changes the register
    stored.AgencyEnrolled,
    stored.AgencyKeyAdded,
    stored.AgencyKeyRevoked,
    stored.AgencySealingKeyChanged,
    stored.AgreementSigned,
    stored.AgreementEnded,
)


@dataclass(frozen=True)
class SigningKeyRecord:
    """A public Ed25519 key and the log positions it may sign at, `[valid_from, valid_to)`."""

    key_id: bytes
    public: bytes
    valid_from: int
    valid_to: int | None = None

    def valid_at(self, position: int) -> bool:
        return self.valid_from <= position and (self.valid_to is None or position < self.valid_to)


@dataclass
class Agency:
    """One agency as recorded so far.

    returned: the position at which it came back with new keys after all it had were revoked.
    """

    agency: str
    name: str
    role: str
    position: int
    keys: dict[bytes, SigningKeyRecord] = field(default_factory=dict)
    sealing_public: bytes = b""
    agreement: str | None = None
    returned: int = 0

    @property
    def shut_out(self) -> bool:
        """Every signing key is revoked: nothing is taken from it, and nothing is sent to it."""
        return all(key.valid_to is not None for key in self.keys.values())


class Agencies:
    """All agencies. `apply` folds one recorded event; the rest only reads."""

    def __init__(self) -> None:
        self._agencies: dict[str, Agency] = {}
        self._versions: dict[str, int] = {}
        self._parties: Parties | None = None
        self._changed_at: list[int] = []
        self.position = 0

    def __contains__(self, agency: str) -> bool:
        return agency in self._agencies

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(sorted(self._agencies.values(), key=lambda a: a.agency))

    def get(self, agency: str) -> Agency | None:
        return self._agencies.get(agency)

    def agreement(self, agency: str) -> str:
        """Name of the agreement in force; empty if there is none."""
        return self._agencies[agency].agreement or ""

    def version(self, agency: str) -> int:
        """Version of the agency's stream so far (0: none)."""
        return self._versions.get(agency, 0)

    @property
    def changes(self) -> int:
        """How often the register changed: the number of its last change."""
        return len(self._changed_at)

    def change_at(self, position: int) -> int:
        """Number of the register's last change at or before a log position; 0 before the first."""
        return bisect_right(self._changed_at, position)

    def apply(self, position: int, event: StoreEvent) -> None:
        match event:
            case stored.AgencyEnrolled():
                agency = Agency(event.agency, event.name, event.role, position)
                agency.keys[event.key_id] = SigningKeyRecord(event.key_id, event.public, position)
                agency.sealing_public = event.sealing_public
                self._agencies[event.agency] = agency
            case stored.AgencyKeyAdded():
                agency = self._agencies[event.agency]
                if agency.shut_out:
                    agency.returned = position
                agency.keys[event.key_id] = SigningKeyRecord(event.key_id, event.public, position)
            case stored.AgencyKeyRevoked():
                keys = self._agencies[event.agency].keys
                old = keys[event.key_id]
                keys[event.key_id] = SigningKeyRecord(
                    old.key_id, old.public, old.valid_from, position
                )
            case stored.AgencySealingKeyChanged():
                self._agencies[event.agency].sealing_public = event.sealing_public
            case stored.AgreementSigned():
                self._agencies[event.agency].agreement = event.agreement
            case stored.AgreementEnded():
                self._agencies[event.agency].agreement = None
            case _:
                return
        agency_id: str = event.agency
        self._versions[agency_id] = event.originator_version
        self.position = position
        self._changed_at.append(position)
        self._parties = None

    def parties(self) -> Parties:
        """The snapshot that decisions take; its version is the position of the last change."""
        if self._parties is None:
            self._parties = Parties(
                [
                    Party(a.agency, a.role, a.agreement is not None, a.position)
                    for a in self._agencies.values()
                ],
                version=self.position,
            )
        return self._parties
