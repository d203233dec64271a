"""Into Primero (API v2): one case per case, rows of subforms and referrals for its events.

    read the case → create or merge its fields and rows → look whether they are kept
    → make or revoke its referrals → disable it, if nothing is left and the settings say so

Each request is a transaction of its own there: half a batch may be visible until the next attempt
ends. Ids are ours, so whatever is sent twice is one thing.

Primero deletes no case, and keeps every former value in its record history. A recall is therefore
answered "restricted": the fields are empty, the rows gone, the referrals revoked; the history
stays until the partner's own people purge it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from connectors.case_systems.mapping import CaseMapping
from connectors.case_systems.options import CaseOptions, fits, opened
from connectors.case_systems.places import Places
from connectors.case_systems.primero_api import PrimeroApi, Refused
from connectors.case_systems.primero_case import (
    RECEIVER,
    Desk,
    RecordedCase,
    rows_of,
    said,
    unkept,
)
from connectors.case_systems.primero_forms import FORM, Forms, mismatches
from connectors.case_systems.sink import CaseSink, agreed
from connectors.errors import SinkDownError, SinkRefusedError
from connectors.findings import Finding
from connectors.kinds import Place
from connectors.landed import Landed
from connectors.remote.copies import CaseChange
from connectors.remote.outbound import basic
from connectors.secret import Secret

_LIVE: Final = ("in_progress", "accepted", None)


class Options(CaseOptions):
    """[sink.options] of kind primero."""

    url: str
    """Address of the instance: https://primero.example"""

    username: str
    """The account."""

    password: Secret
    """Its password."""

    module: str
    """Unique id of the module new cases belong to."""

    state: Path = Path("primero.state.db")
    """The connector's books."""

    when_empty: Literal["leave", "disable"] = "leave"
    """What becomes of a case when all we filled is recalled."""


def open_sink(options: Options, place: Place) -> CaseSink:
    return opened(
        options,
        place,
        FORM,
        lambda: basic(options.username, options.password.read(place.folder)),
        lambda http, mapping, places: Primero(options, place, PrimeroApi(http), mapping, places),
    )


class Primero:
    """One instance."""

    name: Final = "primero"
    purges: Final = False

    def __init__(
        self,
        options: Options,
        place: Place,
        api: PrimeroApi,
        mapping: CaseMapping,
        places: Places,
    ) -> None:
        self._options = options
        self._place = place
        self._api = api
        self._mapping = mapping
        self._places = places
        self._desk: Desk | None = None

    def prepare(self) -> None:
        """Read the forms; SettingsError if the mapping does not fit them."""
        agreed("Primero", self.look())

    def close(self) -> None:
        self._api.close()

    # -- check -----------------------------------------------------------------------------

    def look(self) -> list[Finding]:
        forms = self._api.forms()
        found = [
            Finding("ok", "primero", "the account is accepted and sees the forms"),
            Finding(
                "warning",
                "recalls",
                "former values stay in the record history: recalls are answered restricted",
                "agree with Primero's administrators who purges the history, and when",
            ),
        ]
        wrong = mismatches(self._mapping, forms)
        found += fits(self._mapping, wrong, "forms")
        if wrong:
            return found
        self._desk = Desk(
            self._place.hub,
            self._place.agency,
            self._options.module,
            forms,
            self._mapping,
            self._places,
        )
        return found + self._warned(forms)

    def _warned(self, forms: Forms) -> list[Finding]:
        found = []
        for _, target in self._mapping.every("case"):
            if forms.fields[target.name].type == "tick_box":
                where = f"{self._mapping.path}:{target.line}"
                text = f"{target.name} is a tick box: emptied, it reads as not ticked"
                found.append(Finding("warning", where, text, "use a radio button to tell the two"))
        targets = [t for _, t in self._mapping.every("refer") if t.name == "transitioned_to"]
        receivers = self._api.receivers() if targets else frozenset()
        for target in targets:
            missing = sorted(set(target.outputs or ()) - receivers)
            if missing:
                where = f"{self._mapping.path}:{target.line}"
                text = f"no referral can go to {', '.join(missing)}"
                found.append(Finding("warning", where, text, "name users that receive referrals"))
        return found

    def landed(self, case_ref: str) -> list[Landed]:
        """The fields and rows that the mapping fills."""
        assert self._desk is not None  # prepare() comes first
        case = self._api.case(self._desk.record(case_ref))
        if case is None:
            return []
        place = f"case {case.get('case_id_display') or self._desk.record(case_ref)}"
        filled = {target.name for _, target in self._mapping.every("case")}
        empty = {name: self._desk.forms.fields[name].emptied for name in filled}
        values = {name: case.get(name) for name in sorted(filled)}
        ours = {name: one for name, one in values.items() if said(one) and one != empty[name]}
        there = [Landed(place, "case", ours)]
        maps = [one.settings for one in self._mapping.maps]
        for name in sorted({one["rows"] for one in maps if "rows" in one}):
            there += [
                Landed(place, name, {n: v for n, v in row.items() if n != "unique_id" and said(v)})
                for row in rows_of(case, name).values()
            ]
        return there

    # -- changing --------------------------------------------------------------------------

    def put(self, changes: Sequence[CaseChange]) -> None:
        for change in changes:
            self._put(change)

    def _put(self, change: CaseChange) -> None:
        assert self._desk is not None  # prepare() comes first
        record, names = self._desk.record(change.case_ref), self._desk.forms.names
        for _ in range(2):
            case = RecordedCase.of(self._desk, change, self._api.case(record))
            done = list(case.fillings())
            self._places.fill((name, place, "") for name, place, _ in done)
            data = case.data()
            if not data:
                break
            try:
                if case.found is not None:
                    self._api.update(record, data, names)
                if case.found is not None or self._api.create(data, names):
                    self._kept(record, data)
                    break
            except Refused as refused:
                sequence = case.sequence(refused.fields)
                raise SinkRefusedError("sink_refused", refused.told(), sequence) from None
        else:
            raise SinkDownError("Primero has a case under our id and does not show it: check what "
                                "the account may see")  # fmt: skip
        if case.found is not None or data:
            self._refer(case)
        if not case.events and case.found is not None and self._options.when_empty == "disable":
            self._api.disable(record)
        self._places.fill(done)
        self._places.empty(case.emptied())

    def _kept(self, record: str, data: Mapping[str, Any]) -> None:
        """Primero drops what the account's role may not write, and says nothing: so look."""
        lost = unkept(data, self._api.case(record) or {})
        if lost:
            raise SinkDownError(
                f"Primero took a change and does not keep {', '.join(lost)}: give the role of the "
                "account the form with it, to read and write"
            )

    def _refer(self, case: RecordedCase) -> None:
        """Make the referrals that are to be, revoke those that are not."""
        if not self._mapping.every("refer"):
            return
        wanted = {case.mark(one.event_ref): case.referral(one) for one in case.touched}
        marks = {*wanted, *(case.mark(one.event_ref) for one in case.change.gone)}
        there = [one for one in self._api.referrals(case.id) if str(one.get("notes")) in marks]
        for one in there:
            mark = str(one["notes"])
            said = wanted.get(mark)
            same = said is not None and all(said.get(n) == one.get(n) for n in RECEIVER)
            if same and one.get("status") != "revoked":
                wanted[mark] = None  # also if it was answered since
            elif one.get("status") in _LIVE:
                self._api.revoke(case.id, str(one.get("id")))
        for event in case.touched:
            said = wanted.get(case.mark(event.event_ref))
            if said is None:
                continue
            try:
                self._api.refer(case.id, said, frozenset(said) | {"consent"})
            except Refused as refused:
                told = f"{refused.told()}, as a referral"
                raise SinkRefusedError("sink_refused", told, event.sequence) from None
