"""`nrm-hub person feedback`: feedback or a complaint taken down, and kept from whom it is about."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import typer

from connectors.commands.ending import reported
from hub.cli.options import HUB_HOME, AsJson, CaseRef, HubHome
from hub.errors import NotReady, Refused


@reported
def feedback(
    case: CaseRef,
    about: Annotated[str, typer.Option(help="The agency it is about, e.g. SH-1.")],
    as_: Annotated[
        Path | None,
        typer.Option("--as", help="Identity of the agency that takes it down; else the hub."),
    ] = None,
    kind: Annotated[
        Literal["feedback", "complaint", "safeguarding_concern"], typer.Option(help="What it is.")
    ] = "complaint",
    text: Annotated[
        Path | None, typer.Option(help="File with what was said, UTF-8; - reads it from input.")
    ] = None,
    signed: Annotated[
        bool, typer.Option("--signed", help="Its author is known; without, it is anonymous.")
    ] = False,
    via: Annotated[
        Literal["topics", "http"], typer.Option(help="How to reach the hub.")
    ] = "topics",
    url: Annotated[
        str | None, typer.Option(help="Address; what the approval says, if left out.")
    ] = None,
    home: HubHome = HUB_HOME,
    json_: AsJson = False,
) -> None:
    """Take down feedback or a complaint, anonymously unless said otherwise.

    The agency it is about never learns of it, unless the person agrees; so it cannot be taken
    down by that agency. Without --as the hub's own desk does it, for a person who has no agency:
    then --home is read, else --via and --url. The text comes from a file or from input, since a
    command line is seen by many.

    Example: nrm-hub person feedback --case C1 --about SH-1 --text said.txt --as ngo-1
    """
    data: dict[str, Any] = {"kind": kind, "about_agency": about, "anonymous": not signed}
    if said := _said(text):
        data["text"] = said
    if as_ is None:
        outcome = _by_the_hub(home, case, data)
    else:
        outcome = _by_an_agency(as_, via, url, case, data)
    if json_:
        typer.echo(
            json.dumps(
                {
                    "event_id": outcome.event_id,
                    "accepted": outcome.accepted,
                    "reason": outcome.reason,
                    "detail": outcome.detail,
                }
            )
        )
    if not outcome.accepted:
        if not json_:
            typer.echo(f"Error: {outcome.detail} ({outcome.reason})", err=True)
        raise typer.Exit(3)
    if not json_:
        typer.echo(f"Taken down as {outcome.event_id}. {about} is not told of it.")


@dataclass(frozen=True)
class _TakenDown:
    """The hub's answer to feedback."""

    event_id: str
    accepted: bool
    reason: str | None
    detail: str | None


def _by_an_agency(
    place: Path, via: str, url: str | None, case: str, data: dict[str, Any]
) -> _TakenDown:
    from connectors.agency.identity import AgencyIdentity
    from connectors.commands.agency import transport_of
    from connectors.submit import Event, Publisher

    identity = AgencyIdentity.load(place)
    _not_about(identity.agency, data)
    transport = transport_of(identity, via, url)
    [outcome] = Publisher(identity, transport).publish([Event("FeedbackRecorded", case, data)])
    return _TakenDown(str(outcome.event_id), outcome.accepted, outcome.reason, outcome.detail)


def _by_the_hub(home: Path, case_ref: str, data: dict[str, Any]) -> _TakenDown:
    from consumers.own_desk import AGENCY, OwnDesk, own_identity
    from hub.domain.agenda.fires import OwnEvent
    from hub.home import Home
    from hub.hub import Hub
    from hub.person.reading import NO_SUCH_CASE

    _not_about(AGENCY, data)
    place = Home(home)
    hub = Hub.open(place)
    try:
        exchange = hub.exchange
        desk = OwnDesk(own_identity(place.path / "keys"), exchange, hub.ingest, hub.enrolment)
        desk.enrol()
        seen = exchange.position
        case = exchange.case(exchange.pseudonyms.canonical("case", case_ref))
        if case is None:
            raise NO_SUCH_CASE
        [outcome] = desk.publish(
            case,
            [OwnEvent("FeedbackRecorded", data)],
            item=uuid4(),
            at=exchange.clock.now(),
            seen=seen,
        )
    finally:
        hub.stop()
    assert outcome.event_id is not None
    refusal = outcome.refusal
    return _TakenDown(
        str(UUID(bytes=outcome.event_id)),
        outcome.accepted,
        refusal.reason if refusal else None,
        refusal.detail if refusal else None,
    )


def _not_about(agency: str, data: dict[str, Any]) -> None:
    if agency == data["about_agency"]:
        raise Refused(
            0, "complaint_to_itself", f"{agency} would see it; let another agency take it down"
        )


def _said(text: Path | None) -> str:
    if text is None:
        return ""
    try:
        raw = sys.stdin.buffer.read() if str(text) == "-" else text.read_bytes()
        return raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise NotReady("the text is not UTF-8; save it as such") from None
