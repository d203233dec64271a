"""Who holds what of a case, why, and how much one agency holds over all cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request, Response

from hub.audit.answers import AGREEMENT_RULE, NO_RULE, Answer, answers
from hub.audit.course import rows_of
from hub.audit.held import Cell, Holdings, across_cases, cells
from hub.console.desk import Console
from hub.console.form import whole
from hub.console.lanes import SIGNS, kind_of, words
from hub.console.pages.cases import case_id_of, kept
from hub.domain.parties import HUB_ROLE
from hub.domain.settlement import Released
from hub.errors import Refused
from hub.exchange import Exchange
from hub.membership.agencies import Agency
from schemas import codelists

NEVER: Final = Cell(0, 0, "")
PAGE: Final = 50  # decisions on one page of why
UNKNOWN_AGENCY = Refused(0, "unknown_agency", "no agency of this name is enrolled here")
UNKNOWN_CATEGORY = Refused(0, "unknown_category", "there is no data category of this name")


@dataclass(frozen=True, slots=True)
class Line:
    """One agency of the matrix."""

    agency: str
    role: str
    cells: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Agencies that ever had anything of the case; the others are only counted."""

    categories: tuple[str, ...]
    lines: tuple[Line, ...]
    others: int


def matrix_of(exchange: Exchange, holdings: Holdings) -> Matrix:
    """Rows by agency, columns by category, in the order of the code list."""
    found = {agency: cells(one) for agency, one in sorted(holdings.by_agency.items())}
    found = {agency: row for agency, row in found.items() if row}
    known = {name for row in found.values() for name in row}
    listed = [name for name in codelists.load("nrm.category").labels if name in known]
    categories = (*listed, *sorted(known - set(listed)))
    parties = exchange.agencies.parties()
    lines = []
    for agency, row in found.items():
        party = parties.get(agency)
        lines.append(
            Line(
                agency,
                party.role if party else "",
                tuple((name, row.get(name, NEVER)) for name in categories),
            )
        )
    partners = sum(party.role != HUB_ROLE for party in parties.all())
    return Matrix(categories, tuple(lines), partners - len(lines))


def agency_named(exchange: Exchange, name: str) -> Agency:
    """An enrolled agency. Raises Refused for any other name."""
    agency = exchange.agencies.get(name)
    if agency is None:
        raise UNKNOWN_AGENCY
    return agency


def page_asked(found: Sequence[Answer], page: str, event: str) -> int:
    """Which page of these decisions: the one asked for, or that of an event; else the first."""
    last = max((len(found) - 1) // PAGE + 1, 1)
    at = whole(event)
    for number, one in enumerate(found):
        if at == one.position:
            return number // PAGE + 1
    return min(max(whole(page) or 1, 1), last)


def place_of(rule: int) -> str:
    """Where docs/release.md says it."""
    if rule == AGREEMENT_RULE:
        return "2.12"
    return "1.2" if rule == NO_RULE else f"4.{rule}"


def held_pages(console: Console) -> APIRouter:
    """The matrix of a case, each of its cells, and the counts of an agency."""
    pages = APIRouter()

    @pages.get("/cases/{case}/held")
    def held(request: Request, case: str, as_of: str = "") -> Response:
        viewer = console.admit(request, "auditor", "operator")
        case_id = case_id_of(case)
        console.look(viewer, "held", case_id.hex)
        exchange = console.exchange
        holdings = Holdings()
        for row in rows_of(exchange, case_id, as_of or None):
            holdings.take(row.event)
        return console.page(
            request,
            "held",
            case=case_id.hex,
            matrix=matrix_of(exchange, holdings),
            at=kept(as_of),
            as_of=as_of,
            kind_of=kind_of,
            signs=SIGNS,
        )

    @pages.get("/cases/{case}/why")
    def why(
        request: Request,
        case: str,
        agency: str = "",
        category: str = "",
        as_of: str = "",
        page: str = "",
        event: str = "",
    ) -> Response:
        viewer = console.admit(request, "auditor", "operator")
        case_id = case_id_of(case)
        console.look(viewer, "why", case_id.hex)
        exchange = console.exchange
        asked = agency_named(exchange, agency)
        if category not in codelists.load("nrm.category").labels:
            raise UNKNOWN_CATEGORY
        rows = rows_of(exchange, case_id, as_of or None)
        holdings = Holdings(agency)
        for row in rows:
            holdings.take(row.event)
        found = answers(exchange, rows, agency, category)
        mine = holdings.by_agency.get(agency)
        here = page_asked(found, page, event)
        return console.page(
            request,
            "why",
            case=case_id.hex,
            agency=asked,
            category=category,
            decided=len(found),
            answers=found[(here - 1) * PAGE : here * PAGE],
            page=here,
            pages=range(1, (len(found) - 1) // PAGE + 2),
            most=PAGE,
            cell=cells(mine).get(category, NEVER) if mine else NEVER,
            divergent=[one for one in found if not one.same],
            is_released=lambda outcome: isinstance(outcome, Released),
            place_of=place_of,
            at=kept(as_of),
            as_of=as_of,
            kind_of=kind_of,
            signs=SIGNS,
            words=words,
        )

    @pages.get("/agencies/{agency}/held")
    def across(request: Request, agency: str) -> Response:
        viewer = console.admit(request, "auditor", "operator")
        console.look(viewer, "held_across", agency[:64])
        exchange = console.exchange
        asked = agency_named(exchange, agency)
        counted = across_cases(exchange.log, agency)
        return console.page(request, "held_across", agency=asked, counted=counted)

    return pages
