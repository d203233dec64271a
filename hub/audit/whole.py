"""The whole hub, rebuilt from its log as of a position: register, cases, deliveries, work, looks.

One JSON object a line, each part closed by a line with its digest: SHA-256 chained over its lines,
digest = SHA-256(digest before ‖ line), from 32 zero bytes on. No content: what was recorded about
events, and codes. The same log and position give the same bytes, on either database and whatever
was recorded since; docs/replay.md says what an erasure leaves equal.

    {"part":"register","kind":"agency",…}      {"part":"register","digest":…}
    {"part":"case","case":"<id>",…}            … one such group a case, in the order of opening
    {"part":"deliveries","agency":"SH-1",…}    … one such group a recipient
    {"part":"work","item":"<id>",…}
    {"part":"looks","position":…,"viewer":…}   who signed in at the console and opened what
    {"part":"hub","position":…,"digest":…}     over the digests of all parts
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from consumers.work import WorkList
from hub.audit.delivered import Delivered
from hub.audit.erased import destroyed
from hub.audit.in_force import InForce
from hub.audit.output import Output, line
from hub.audit.replay import entries
from hub.audit.walk import pages
from hub.domain.work import WorkItem
from hub.exchange import Exchange
from hub.membership.agencies import Agencies
from hub.store import events as stored
from hub.store.keystore import KeyStore
from hub.store.log import HubLog

PAGE: Final = 2_000
EVERY: Final = 200  # cases between two marks
BEGIN: Final = bytes(32).hex()
_OFFICE: Final = frozenset(
    one.TOPIC
    for one in (
        stored.HubInitialised,
        stored.PolicyPublished,
        stored.OfficerAdmitted,
        stored.OfficerRevoked,
        stored.SubjectShredded,
        stored.HubRestored,
        stored.ViewerGranted,
        stored.ViewerRevoked,
        stored.RedriveOrdered,
    )
)
_LOOKS: Final = frozenset({stored.ViewerSignedIn.TOPIC, stored.ConsoleLooked.TOPIC})
_OPENING: Final = frozenset({stored.EventAccepted.TOPIC})
PHASES: Final = ("register", "cases", "deliveries", "work", "looks")


@dataclass
class _AsOf:
    """What the work list is made of: the log, with the register of one position."""

    log: HubLog
    secrets: KeyStore
    agencies: Agencies
    position: int

    def catch_up(self) -> None:
        """There is nothing later."""


class Whole:
    """One rebuild, written to an output; goes on where the output's mark says."""

    def __init__(self, exchange: Exchange, output: Output) -> None:
        self._exchange, self._log, self._out = exchange, exchange.log, output
        self.end = output.end
        kept = output.kept or {"phase": 0, "after": 0, "part": BEGIN, "hub": BEGIN, "cases": 0}
        self._phase: int = kept["phase"]
        self._after: Any = kept["after"]
        self._part: str = kept["part"]
        self._hub: str = kept["hub"]
        self.cases: int = kept["cases"]

    def make(self, spool: Path) -> Iterator[tuple[str, int, int]]:
        """(phase, done, of) as it goes. spool: files of metadata beside the output, made and left
        for the caller to remove."""
        with Delivered(spool, self._log, self.end) as delivered:
            for reached in delivered.read():
                yield "reading", reached, self.end
            if self._phase == 0:
                self._register()
                self._next_phase()
            if self._phase == 1:
                yield from self._cases()
                self._next_phase("")
            if self._phase == 2:
                yield from self._deliveries(delivered)
                self._next_phase("")
            if self._phase == 3:
                yield from self._work(spool.with_name(spool.name + ".work"))
                self._next_phase()
            if self._phase == 4:
                yield from self._looks()
                self._next_phase()
        if self._phase == len(PHASES):
            self._out.write({"part": "hub", "position": self.end, "digest": self._hub})

    def _next_phase(self, after: Any = 0) -> None:
        self._phase += 1
        self._after = after
        self._mark()

    def _mark(self) -> None:
        self._out.mark(
            self.end,
            {
                "phase": self._phase,
                "after": self._after,
                "part": self._part,
                "hub": self._hub,
                "cases": self.cases,
            },
        )

    def _write(self, told: Mapping[str, Any]) -> None:
        self._out.write(told)
        self._part = _chained(self._part, line(told))

    def _close(self, about: Mapping[str, Any]) -> None:
        self._out.write({**about, "digest": self._part})
        self._hub = _chained(self._hub, bytes.fromhex(self._part))
        self._part = BEGIN

    # -- register ------------------------------------------------------------------------------

    def _register(self) -> None:
        for agency in InForce.at(self._log, self.end).agencies:
            keys = [
                {"key": key.key_id.hex(), "from": key.valid_from, "to": key.valid_to}
                for key in sorted(agency.keys.values(), key=lambda one: one.valid_from)
            ]
            self._write(
                {
                    "part": "register",
                    "kind": "agency",
                    "agency": agency.agency,
                    "name": agency.name,
                    "role": agency.role,
                    "position": agency.position,
                    "agreement": agency.agreement,
                    "keys": keys,
                    "sealing_key": hashlib.sha256(agency.sealing_public).hexdigest()[:32],
                }
            )
        for _, rows in pages(self._log, 0, self.end, _OFFICE):
            for row in rows:
                told = {"part": "register", "position": row.position}
                self._write({**told, **_OFFICES[type(row.event)](row.event)})
        self._close({"part": "register"})

    # -- cases ---------------------------------------------------------------------------------

    def _cases(self) -> Iterator[tuple[str, int, int]]:
        erased = destroyed(self._log, self.end)
        while rows := self._log.rows(self._after, PAGE, _OPENING):
            for row in rows:
                if row.id > self.end:
                    return
                self._after = row.id
                if row.originator_version != 1:
                    continue
                case_id = UUID(str(row.originator_id))
                recorded = [o for o in self._log.stream(case_id) if o.position <= self.end]
                about = {"part": "case", "case": case_id.hex}
                events = 0
                for entry in entries(recorded, erased):
                    self._write({**about, **asdict(entry)})
                    events += 1
                self._close({**about, "events": events})
                self.cases += 1
                if self.cases % EVERY == 0:
                    self._mark()
                    yield "cases", row.id, self.end
            self._mark()
            yield "cases", self._after, self.end

    # -- delivery logs -------------------------------------------------------------------------

    def _deliveries(self, delivered: Delivered) -> Iterator[tuple[str, int, int]]:
        """`after`: the agency under way and the last sequence written of it; -1: it is closed."""
        names = [one.agency for one in InForce.at(self._log, self.end).agencies]
        for number, agency in enumerate(names, start=1):
            begun, at = self._after or ("", 0)
            if agency < begun or (agency == begun and at < 0):
                continue
            after = at if agency == begun else 0
            about = {"part": "deliveries", "agency": agency}
            while page := delivered.of_agency(agency, after, PAGE):
                for sent in page:
                    told = {k: v for k, v in asdict(sent).items() if k != "turn"}
                    self._write({**about, **told, "case_id": sent.case_id.hex()})
                after = page[-1].sequence
                self._after = [agency, after]
                self._mark()
            self._close({**about, "sequence": after})
            self._after = [agency, -1]
            self._mark()
            yield "deliveries", number, len(names)

    # -- work list -----------------------------------------------------------------------------

    def _work(self, path: Path) -> Iterator[tuple[str, int, int]]:
        with HubLog.open(f"sqlite:///{path.resolve()}") as kept:
            as_of = _AsOf(
                self._log,
                self._exchange.secrets,
                InForce.at(self._log, self.end).agencies,
                self.end,
            )
            work = WorkList(as_of, rows=kept.work, end=self.end)
            while work.step():
                yield "work", work.position, self.end
            while page := kept.work.page(self._after, PAGE):
                for item in page:
                    self._write({"part": "work", **_item(item)})
                self._after = page[-1].item.hex
                self._mark()
            self._close({"part": "work"})

    # -- looks ---------------------------------------------------------------------------------

    def _looks(self) -> Iterator[tuple[str, int, int]]:
        for reached, rows in pages(self._log, self._after, self.end, _LOOKS):
            for row in rows:
                self._write({"part": "looks", "position": row.position, **_look(row.event)})
            self._after = reached
            self._mark()
            yield "looks", reached, self.end
        self._close({"part": "looks"})


def _look(event: Any) -> dict[str, Any]:
    told = {"at": event.timestamp.isoformat(), "viewer": event.viewer}
    if isinstance(event, stored.ViewerSignedIn):
        return {**told, "kind": "signed_in", "how": event.how}
    names = ("role", "agency", "page", "about", "seen", "refused")
    return {**told, "kind": "looked", **{name: getattr(event, name) for name in names}}


def _chained(before: str, text: bytes) -> str:
    return hashlib.sha256(bytes.fromhex(before) + text).hexdigest()


def _item(item: WorkItem) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, UUID):
            return value.hex
        return value.isoformat() if isinstance(value, datetime) else value

    return {name: plain(value) for name, value in asdict(item).items()}


def _published(event: Any) -> dict[str, Any]:
    digest = hashlib.sha256(event.document).hexdigest()
    return {"kind": "profile", "version": event.version, "document": digest}


_OFFICES: Final[Mapping[type, Callable[[Any], dict[str, Any]]]] = {
    stored.HubInitialised: lambda event: {"kind": "hub", "hub": event.hub},
    stored.PolicyPublished: _published,
    stored.OfficerAdmitted: lambda event: {
        "kind": "officer",
        "officer": event.officer,
        "key": event.key_id.hex(),
    },
    stored.OfficerRevoked: lambda event: {
        "kind": "officer_revoked",
        "officer": event.officer,
        "key": event.key_id.hex(),
    },
    stored.SubjectShredded: lambda event: {
        "kind": "erased",
        "subject": event.subject_id.hex(),
    },
    stored.HubRestored: lambda event: {"kind": "restored", "backup": event.backup},
    stored.ViewerGranted: lambda event: {
        "kind": "viewer",
        "viewer": event.viewer,
        "proposal": event.proposal,
    },
    stored.ViewerRevoked: lambda event: {
        "kind": "viewer_revoked",
        "viewer": event.viewer,
        "reason": event.reason,
    },
    stored.RedriveOrdered: lambda event: {
        "kind": "redrive",
        "agency": event.agency,
        "sequence": event.sequence,
        "by": event.by,
    },
}
