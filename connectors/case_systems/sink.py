"""The sink of a case system: a RemoteSink whose receipts say no more than the system can do.

Where a system keeps what it no longer shows (a history of changes, rows that are only marked as
deleted), a recall is answered "restricted", not "deleted": out of use and out of sight, but there
until the partner's own people purge it. The two kinds say in their tutorials who does that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.case_systems.places import Places
from connectors.delivery import Arrived
from connectors.effects import Work
from connectors.errors import ConnectorError, SettingsError
from connectors.findings import Finding
from connectors.kinds import Place
from connectors.landed import Landed
from connectors.remote.copies import CaseSystem, Copies
from connectors.remote.sink import RemoteSink


class RecordSystem(CaseSystem, Protocol):
    """A case system that can be looked at.

    name: its kind. purges: whether what put() removes is gone from it for good, versions and
    history included.
    """

    @property
    def name(self) -> str: ...

    @property
    def purges(self) -> bool: ...

    def look(self) -> list[Finding]:
        """What there is to say of account, settings and mapping. Raises what requests raise."""

    def landed(self, case_ref: str) -> list[Landed]:
        """The case as the system shows it now."""


class CaseSink(RemoteSink):
    """Sink into one case system."""

    def __init__(self, state: Path, system: RecordSystem, places: Places, place: Place) -> None:
        metadata = sa.MetaData()
        self._copies = Copies(system, metadata)
        super().__init__(state, place.agency, place.hub, self._copies, metadata, place.recalls)
        self._seen: set[str] = set()
        self._system = system
        self._places = places

    def prepare(self) -> None:
        super().prepare()
        if not self._places.exists and self.position().sequence:
            raise SettingsError(
                f"{self._places.name} is missing: without it a recall would leave fields filled. "
                f"Put it back, or remove {self._state} too: then everything is brought once more"
            )
        self._places.prepare()

    def check(self) -> list[Finding]:
        try:
            return self._system.look()
        except ConnectorError as failed:
            return [Finding("wrong", self._system.name, str(failed), "mend this, then check again")]

    @property
    def leaves(self) -> str:
        """What a recall leaves behind."""
        return "" if self._system.purges else "its history, or rows that are marked as deleted"

    def landed(self) -> list[Landed]:
        """Cases of which something is held, and those seen before, read back."""
        with self.database.reading() as db:
            self._seen.update(self._copies.cases(db))
        return [one for case_ref in sorted(self._seen) for one in self._system.landed(case_ref)]

    def _remove(
        self, db: Connection, work: Work, item: Arrived, about: tuple[str, tuple[str, ...]]
    ) -> str:
        there = bool(self._places.filled(about[0]))  # or was, or was about to be
        outcome = super()._remove(db, work, item, about)
        if outcome == "deleted" and there and not self._system.purges:
            return "restricted"
        return outcome


def agreed(system: str, found: Sequence[Finding]) -> None:
    """SettingsError with everything that is wrong, if something is."""
    wrong = [f"  {one.subject}: {one.text}: {one.fix}" for one in found if one.level == "wrong"]
    if wrong:
        raise SettingsError(f"{system} and the settings do not agree:\n" + "\n".join(wrong))
