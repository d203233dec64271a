"""`nrm-hub statistics publish`: tables kept as published, and said to the rapporteur.

What it opens the hub for is to record an edition and to say it as an event, by the same steps as
an agency's message over a topic.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.commands.ending import reported
from hub.cli.options import HUB_HOME, AsJson, HubHome
from hub.cli.printed import console, progress, table
from hub.errors import NotReady, Refused

if TYPE_CHECKING:
    from connectors.agency.identity import AgencyIdentity
    from hub.exchange import Exchange
    from hub.hub import Hub
    from hub.statistics.editions import Edition
    from hub.statistics.tables import Book

TableName = Annotated[str, typer.Argument(metavar="TABLE", help="nrm-hub statistics tables")]
PeriodName = Annotated[str, typer.Option("--period", help="2026, 2026-Q1 or 2026-03.")]
Suppression = Annotated[
    str, typer.Option("--suppression", help="lt5, k10 or dp: how small numbers are protected.")
]


@reported
def publish(
    names: Annotated[list[str], typer.Argument(metavar="TABLE…", help="One or more, or: all")],
    period: PeriodName,
    by: Annotated[str, typer.Option("--by", help="Who publishes; recorded in the log.")],
    home: HubHome = HUB_HOME,
    as_: Annotated[
        Path | None,
        typer.Option(
            "--as",
            help="Home of the agency that says so, a competent authority; default: the hub's own.",
        ),
    ] = None,
    suppression: Suppression = "lt5",
    epsilon: Annotated[str, typer.Option(help="With dp: how much to spend, of 2.")] = "0.5",
    revise: Annotated[
        bool, typer.Option("--revise", help="Another edition, if enough has changed.")
    ] = False,
    json_: AsJson = False,
) -> None:
    """Publish tables: kept in the log as published, and sent to the national rapporteur.

    Asked again, it publishes nothing anew: the rapporteur gets the edition there is, once. The
    state of the log is that of the period's newest edition, so that tables agree; with --revise
    it is that of now. It goes out with the next `nrm-hub serve` if none is running.

    Example: nrm-hub statistics publish all --period 2026-Q1 --by rapporteur-desk --as ca-1
    """
    from connectors.agency.identity import AgencyIdentity
    from hub.home import Home
    from hub.hub import Hub
    from hub.statistics import editions
    from hub.statistics.noise import parse_epsilon
    from hub.statistics.tables import TABLES

    kind = editions.protection(suppression)
    spend = parse_epsilon(epsilon)
    every = names == ["all"]
    wanted = [editions.find(one) for one in (TABLES if every else names)]
    if every and kind == "dp":
        wanted = [one for one in wanted if one.persons and one.closed]
    if not by.strip():
        raise Refused(0, "nobody_named", "say with --by who publishes")
    said = []
    with closing(_Opened(Hub.open(Home(home)))) as opened:
        identity = AgencyIdentity.load(as_) if as_ else opened.own(Home(home).path / "keys")
        opened.check(identity)
        asked = editions.ended(period, opened.hub.exchange.clock.now())
        exchange = opened.hub.exchange
        books = _Books(exchange, quiet=json_)
        ledger = editions.Ledger.read(exchange.log)
        if kind == "dp" and len(wanted) > 1:
            new = [one for one in wanted if revise or not ledger.of(one, asked)]
            ledger.afford(new, asked, spend)
        for one in wanted:
            before = ledger.of(one, asked)
            if before and not revise:
                if before[-1].suppression != kind:
                    ledger.check(one, asked, kind, spend)
                edition, news = before[-1], "published before"
            else:
                position = ledger.position_for(one, asked, books.head)
                request = editions.Wanted(
                    one, asked, kind, spend, by, position, books.time_of(position)
                )
                try:
                    edition = editions.publish(exchange, ledger, request, books.at(position))
                    news = "published"
                except Refused as no:
                    if not (
                        len(wanted) > 1
                        and before
                        and no.reason in ("nothing_new", "editions_spent")
                    ):
                        raise
                    edition, news = before[-1], no.detail
            told = opened.tell(identity, edition)
            said.append(said_of(edition, news, told))
        rapporteurs = [
            one.agency for one in opened.hub.exchange.agencies if one.role == "national_rapporteur"
        ]
    if json_:
        typer.echo(json.dumps(said, indent=1))
        return
    shown = table("table", ">edition", "as known at", "result", ">log position of its event")
    for row in said:
        shown.add_row(
            row["table"], str(row["edition"]), row["as_of"][:19], row["news"], str(row["event"])
        )
    console().print(shown)
    if not rapporteurs:
        typer.echo("No national rapporteur is enrolled: kept in the log, sent to nobody.", err=True)


def said_of(edition: Edition, news: str, event: int) -> dict[str, Any]:
    return {
        "table": edition.table,
        "period": edition.period,
        "edition": edition.number,
        "as_of": edition.as_of.isoformat(),
        "position": edition.position,
        "suppression": edition.suppression,
        "epsilon": edition.epsilon,
        "news": news,
        "event": event,
    }


def book_at(exchange: Exchange, position: int, *, quiet: bool) -> Book:
    from consumers.statistics import Statistics

    reader = Statistics(exchange)
    with progress(disable=quiet) as bar:
        task = bar.add_task("counting", total=max(position, 1))
        for done in reader.read(position):
            bar.update(task, completed=done)
    return reader.book


class _Books:
    """Everybody counted up to the positions asked for; the log is read once for each."""

    def __init__(self, exchange: Exchange, *, quiet: bool) -> None:
        self._exchange = exchange
        self._quiet = quiet
        self._known: dict[int, Book] = {}
        self.head = exchange.log.head

    def at(self, position: int) -> Book:
        if position not in self._known:
            self._known[position] = book_at(self._exchange, position, quiet=self._quiet)
        return self._known[position]

    def time_of(self, position: int) -> Any:
        return self._exchange.log.read(position - 1, 1)[0].event.timestamp


class _Opened:
    """A hub opened to publish, and an agency's publisher whose submissions it takes at once."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._answers: list[bytes] = []

    def close(self) -> None:
        self.hub.stop()

    def own(self, keys: Path) -> AgencyIdentity:
        """The hub's own agency, enrolled if it never spoke before."""
        from consumers.own_desk import OwnDesk, own_identity

        identity = own_identity(keys)
        OwnDesk(identity, self.hub.exchange, self.hub.ingest, self.hub.enrolment).enrol()
        return identity

    def check(self, identity: AgencyIdentity) -> None:
        """Refuse before anything is recorded."""
        from hub.domain.catalogue import emitters_of

        known = self.hub.exchange.agencies.get(identity.agency)
        if known is None or not identity.enrolled:
            raise NotReady(f"{identity.agency} is not enrolled with this hub")
        if known.role not in emitters_of("StatisticsPublished"):
            raise Refused(
                0, "role_may_not_emit", f"{known.role} may not publish statistics; --as another"
            )

    def tell(self, identity: AgencyIdentity, edition: Edition) -> int:
        """Say it as an event; the same again if it was said already. Its log position."""
        from connectors.submit import Event, Publisher

        for one in self.hub.exchange.agencies:  # another agency may have said it
            known = self.hub.exchange.outcome(one.agency, edition.event_id.bytes)
            if known is not None and known.accepted and known.position is not None:
                return known.position
        event = Event(
            "StatisticsPublished",
            "STATISTICS",
            {
                "period": edition.period,
                "as_of": edition.as_of.isoformat(),
                "table": edition.table,
                "suppression": edition.suppression,
                "cells": edition.figures,
            },
            event_id=edition.event_id,
            occurred_at=edition.published_at,
        )
        [outcome] = Publisher(identity, self).publish([event])
        if not outcome.accepted or outcome.position is None:
            raise Refused(outcome.step or 0, outcome.reason or "", outcome.detail or "")
        return outcome.position

    # The transport: straight into this process's hub, by the same steps as over a topic.

    def send(self, sealed: bytes) -> None:
        from hub.outcomes import outcome_batch

        [answers] = self.hub.exchange.record([self.hub.ingest.admit(sealed)])
        signed = outcome_batch(self.hub.settings.hub_id, self.hub.keys.signing, answers)
        self._answers.append(signed)

    def outcomes(self, timeout: float) -> list[bytes]:  # noqa: ARG002 - they are there already
        answers, self._answers = self._answers, []
        return answers
