"""Statement: an account in plain words, as sections of paragraphs, lists and tables.

Says who received what, when, why and on which basis; what was not passed on; what was taken back;
agreements, emergencies, requests; every recorded step; and what the person can do about any of
it. Pure: `hub/person/pages.py` makes HTML and PDF of the same sections.

What is deliberately absent (docs/person.md says why): the person's name and everything they told;
addresses; other people and other cases; complaints, unless asked for. `discreet` leaves out the
agencies' names too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hub.person.account import NONE, Account, Recall, Told
from hub.person.names import Names
from hub.person.sections import Cell, Section, Table
from hub.person.steps import AgencyName, Happened
from hub.person.wording import Wording
from schemas import codelists

RIGHTS = (
    "right_withdraw",
    "right_object",
    "right_access",
    "right_correct",
    "right_erase",
    "right_complain",
    "right_authority",
    "right_help",
)


@dataclass
class Statement:
    """A whole statement in one language."""

    language: str
    title: str
    reference: str
    made: str
    colon: str  # between a label and its text
    sections: list[Section]


def statement(
    account: Account,
    agencies: Mapping[str, AgencyName],
    wording: Wording,
    *,
    reference: str,
    made_on: date,
    contact: str | None = None,
    discreet: bool = False,
    complaints: bool = False,
) -> Statement:
    """`account` in the words of one language. contact: whom to ask, in the person's language."""
    write = _Writer(account, Names(agencies, wording, discreet), wording, made_on)
    sections = [
        write.safe(complaints),
        *write.erased(),
        write.short(),
        write.got(),
        write.withheld(),
        write.recalls(),
        write.agreements(),
        write.emergencies(),
        write.requests(),
        write.rights(contact),
        write.days(),
    ]
    return Statement(
        language=wording.language,
        title=wording.say("title_discreet" if discreet else "title"),
        reference=wording.label("reference", reference),
        made=wording.label("made_on", wording.date(made_on)),
        colon=wording.say("label", label="", text=""),
        sections=sections,
    )


class _Writer:
    """Writes the sections of one statement."""

    def __init__(self, account: Account, names: Names, wording: Wording, today: date) -> None:
        self._account, self._names = account, names
        self._wording, self._today = wording, today
        self._say = wording.say
        order = list(codelists.load("nrm.category").labels)
        self._order = {category: place for place, category in enumerate(order)}

    # -- first ---------------------------------------------------------------------------------

    def safe(self, complaints: bool) -> Section:
        told = ["safe", "contains_not", "complaints_shown" if complaints else "complaints_not"]
        return Section(self._say("safe_heading"), [self._say(one) for one in told], important=True)

    def erased(self) -> list[Section]:
        account = self._account
        on = account.erased_at or account.shredded_at
        if not on:
            return []
        remains = "erased_remains" if account.erased_at else "erased_operator"
        dates = self._wording.several(self._wording.date(one) for one in on)
        when = self._wording.label("erased_when", dates)
        paragraphs = [self._say("erased"), when, self._say(remains)]
        return [Section(self._say("erased_heading"), paragraphs, important=True)]

    def short(self) -> Section:
        account, section = self._account, Section(self._say("short_heading"))
        got = self._several(told.agency for told in _arriving(account.told))
        if got:
            section.points.append((self._say("short_who"), got))
        else:
            section.paragraphs.append(self._say("short_nobody"))
        for label, agencies in (
            ("short_back", [recall.agency for recall in account.recalls]),
            ("short_emergency", [emergency.agency for emergency in account.emergencies]),
        ):
            if agencies:
                section.points.append((self._say(label), self._several(agencies)))
        waiting = [self._wording.of("rights", r.right) for r in account.requests if r.open]
        if waiting:
            section.points.append((self._say("short_requests"), "; ".join(waiting)))
        section.points.append((self._say("short_steps"), str(len(account.events))))
        return section

    # -- who got what ----------------------------------------------------------------------------

    def got(self) -> Section:
        section = Section(self._say("got_heading"))
        by_agency: dict[str, list[Told]] = {}
        for told in _arriving(self._account.told):
            by_agency.setdefault(told.agency, []).append(told)
        if not by_agency:
            section.paragraphs.append(self._say("got_none"))
        section.paragraphs.append(self._say("got_by_itself"))
        columns = self._columns("what", "why", "when", "times", "now")
        for agency in sorted(by_agency, key=self._names.of):
            name, role = self._names.of(agency), self._names.role(agency)
            table = Table(name, columns, self._got_rows(by_agency[agency]))
            section.parts.append(Section(name, [role] if role else [], tables=[table]))
        return section

    def _got_rows(self, items: Sequence[Told]) -> tuple[tuple[Cell, ...], ...]:
        """One row for all that is alike: category, basis and what became of it."""
        alike: dict[tuple[int, str, str, str], list[Told]] = {}
        for told in items:
            place = self._order.get(told.category, len(self._order))
            alike.setdefault((place, told.category, told.basis, told.state), []).append(told)
        return tuple(
            (
                (self._wording.of("categories", category),),
                (self._basis(basis),),
                (self._wording.span(same[0].at, same[-1].at),),
                (str(len(same)),),
                (self._wording.of("states", state),),
            )
            for (_, category, basis, state), same in sorted(alike.items())
        )

    def withheld(self) -> Section:
        section = Section(self._say("withheld_heading"))
        by_agency: dict[str, dict[str, set[str]]] = {}
        for kept in self._account.kept:
            reasons = by_agency.setdefault(kept.agency, {})
            reasons.setdefault(kept.reason, set()).add(kept.category)
        if not by_agency:
            section.paragraphs.append(self._say("withheld_none"))
            return section
        section.paragraphs.append(self._say("withheld_intro"))
        columns = self._columns("why", "what")
        for agency in sorted(by_agency, key=self._names.of):
            rows = sorted(
                ((self._wording.of("reasons", reason),), self._categories(categories))
                for reason, categories in by_agency[agency].items()
            )
            name = self._names.of(agency)
            section.parts.append(Section(name, tables=[Table(name, columns, tuple(rows))]))
        return section

    def recalls(self) -> Section:
        section = Section(self._say("recalls_heading"), [self._say("recalls_intro")])
        if not self._account.recalls:
            section.paragraphs = [self._say("recalls_none")]
            return section
        rows = [
            (
                (self._names.of(recall.agency),),
                self._categories(recall.categories),
                (self._wording.date(recall.asked_at),),
                self._answer(recall),
            )
            for recall in self._account.recalls
        ]
        columns = self._columns("who", "what", "asked_on", "answer")
        section.tables.append(Table(section.heading, columns, tuple(rows)))
        return section

    def _answer(self, recall: Recall) -> Cell:
        if not recall.answers:
            due = () if recall.due is None else (self._dated("column_due", recall.due),)
            return (self._wording.of("answers", NONE), *due)
        lines: list[str] = []
        for said in recall.answers:
            text = self._wording.of("answers", said.outcome)
            if said.own_basis:
                text = self._say("label", label=text, text=said.own_basis)
                about = "; ".join(self._categories(said.categories))
                text += f" ({about})" if about else ""
            if text not in lines:
                lines.append(text)
        if recall.answered_at is not None:
            lines.append(self._dated("answered_on", recall.answered_at))
        return tuple(lines)

    # -- agreements, emergencies, requests ---------------------------------------------------------

    def agreements(self) -> Section:
        section = Section(self._say("agreements_heading"))
        if not self._account.agreements:
            section.paragraphs.append(self._say("agreements_none"))
        for one in self._account.agreements:
            state = self._wording.of("agreements", one.state)
            part = Section(self._say("agreement_number", number=one.number), [state])
            part.points = [
                (self._say(label), self._wording.several(map(self._wording.date, on)))
                for label, on in (
                    ("agreement_asked", _dates(one.asked_at)),
                    ("agreement_given", _dates(one.given_at)),
                    ("agreement_refused", _dates(one.refused_at)),
                    ("agreement_withdrawn", _dates(*one.withdrawn_at)),
                    ("column_until", _dates(one.valid_until)),
                )
                if on
            ]
            part.points.append((self._say("agreement_taken_by"), self._names.of(one.taken_by)))
            if one.scope:
                covers = "agreement_history" if one.covers_history else "agreement_no_history"
                part.paragraphs.append(self._say(covers))
                rows = tuple(
                    ((self._names.of(agency),), self._categories(categories))
                    for agency, categories in one.scope.items()
                )
                columns = (self._say("column_who"), self._say("agreement_may_know"))
                part.tables.append(Table(part.heading, columns, rows))
            section.parts.append(part)
        return section

    def emergencies(self) -> Section:
        section = Section(self._say("emergencies_heading"), [self._say("emergencies_intro")])
        if not self._account.emergencies:
            section.paragraphs.append(self._say("emergencies_none"))
            return section
        rows = [
            (
                (self._names.of(one.agency),),
                self._categories(one.got) or (self._say("emergency_nothing"),),
                (self._wording.date(one.at),),
                (self._wording.of("reviews", one.review),),
            )
            for one in self._account.emergencies
        ]
        columns = self._columns("who", "what", "when", "checked")
        section.tables.append(Table(section.heading, columns, tuple(rows)))
        return section

    def requests(self) -> Section:
        section = Section(self._say("requests_heading"))
        if not self._account.requests:
            section.paragraphs.append(self._say("requests_none"))
            return section
        rows = []
        for one in self._account.requests:
            answer = [self._wording.of("request_states", one.state(self._today))]
            if one.outcome:
                answer.append(self._wording.of("outcomes", one.outcome))
                answer.append(self._wording.of("exemptions", one.exemption))
                answer.append(self._wording.of("actions", one.action))
            elif one.extended:
                answer.append(self._say("request_extended"))
            right = self._wording.of("rights", one.right) if one.right else one.request_id
            rows.append(
                (
                    (right,),
                    tuple(line for line in answer if line),
                    (self._on(one.received_at),),
                    (self._on(one.due_on),),
                )
            )
        columns = self._columns("request", "answer", "asked_on", "due")
        section.tables.append(Table(section.heading, columns, tuple(rows)))
        return section

    # -- last --------------------------------------------------------------------------------------

    def rights(self, contact: str | None) -> Section:
        section = Section(self._say("rights_heading"))
        for right in RIGHTS:
            section.paragraphs.append(self._say(right))
        asked = Section(self._say("contact_heading"), [contact or self._say("contact_default")])
        section.parts.append(asked)
        return section

    def days(self) -> Section:
        section = Section(self._say("days_heading"), [self._say("days_intro")])
        told: dict[str, dict[str, set[str]]] = {}
        for one in _arriving(self._account.told):
            told.setdefault(one.event_id, {}).setdefault(one.agency, set()).add(one.category)
        rows = tuple(
            self._day(event, told.get(event.event_id, {})) for event in self._account.events
        )
        columns = self._columns("day", "happened", "written_by", "passed_on")
        section.tables.append(Table(section.heading, columns, rows))
        return section

    def _day(self, event: Happened, told: Mapping[str, set[str]]) -> tuple[Cell, ...]:
        happened = self._wording.of("events", event.type)
        if event.erased:
            happened = f"{happened} {self._say('days_erased')}"
        passed = tuple(self._names.of(agency) for agency in sorted(told, key=self._names.of))
        return (
            (self._wording.date(event.at),),
            (happened,),
            (self._names.of(event.agency),),
            passed or (self._say("days_nobody"),),
        )

    # -- small words ---------------------------------------------------------------------------

    def _columns(self, *names: str) -> tuple[str, ...]:
        return tuple(self._say(f"column_{name}") for name in names)

    def _categories(self, categories: Iterable[str]) -> Cell:
        last = len(self._order)
        known = sorted(categories, key=lambda one: (self._order.get(one, last), one))
        return tuple(self._wording.of("categories", one) for one in known)

    def _basis(self, basis: str) -> str:
        text = self._wording.of("bases", basis.partition(":")[0])
        number = self._account.agreement_number(basis)
        return text if number is None else self._say("by_agreement", basis=text, number=number)

    def _several(self, agencies: Iterable[str]) -> str:
        names = sorted({self._names.of(agency) for agency in agencies})
        return self._wording.several(names) if names else ""

    def _on(self, on: date | datetime | None) -> str:
        return "–" if on is None else self._wording.date(on)

    def _dated(self, label: str, on: datetime) -> str:
        return self._wording.label(label, self._wording.date(on))


def _dates(*on: date | datetime | None) -> list[date]:
    """Each day once, in order."""
    days = (one.date() if isinstance(one, datetime) else one for one in on if one is not None)
    return list(dict.fromkeys(days))


def _arriving(told: Iterable[Told]) -> Iterable[Told]:
    """What was passed on or is about to be; not what was stopped."""
    return (one for one in told if one.state != "stopped")
