"""Nothing in a bundle that its holder does not hold: canaries in every free-text field.

Played through a whole hub, one scenario after another. A bundle without a holder has none; one for
a holder has exactly those of what it was released, was sent and still holds, as far as the events
are in it; and its rows have nothing of what others were told.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hub.errors import Refused
from schemas.registry import Schemas
from tests.played import NAMES, event_id, play, scenario
from tests.privacy.canaries import Canary, planted
from tests.privacy.test_canaries import held
from tests.road import Road
from tests.verify.made import checked, made, made_absence, members

REFUSED = "refused: "


@dataclass
class Played:
    road: Road
    document: dict[str, Any]
    canaries: list[Canary]


@pytest.fixture(scope="module", params=NAMES)
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Played]:
    document, canaries = planted(scenario(request.param))
    assert canaries
    road = play(tmp_path_factory.mktemp(request.param), document)
    yield Played(road, document, canaries)
    road.close()


def found(data: bytes, canaries: list[Canary]) -> set[str]:
    """Words of canaries that stand anywhere in the file, in any shape."""
    return {one.word for one in canaries if any(shape in data for shape in one.shapes())}


def cases(played: Played) -> list[str]:
    return sorted({event["case"] for event in played.document["events"]})


def recipients(played: Played) -> list[str]:
    return sorted(agency for agency in played.document["agencies"] if agency != "HUB")


def test_without_a_holder_there_is_no_content_at_all(played: Played) -> None:
    for case in cases(played):
        data = made(played.road.hub, case=case)
        assert found(data, played.canaries) == set()
        assert not any(name.startswith("content/") for name in members(data))
    for agency in recipients(played):
        assert found(asked(played, agency=agency), played.canaries) == set()
        for case in cases(played):
            data = asked(played, made_absence, agency=agency, case=case)
            assert found(data, played.canaries) == set()


def asked(played: Played, make: Callable[..., bytes] = made, **question: Any) -> bytes:
    """The file, or what was said instead of one: that is told to somebody too."""
    try:
        return make(played.road.hub, **question)
    except Refused as refused:
        return f"{REFUSED}{refused}".encode()


def share(played: Played, case: str, agency: str) -> bytes | None:
    """A bundle for a holder, if there is one."""
    data = asked(played, case=case, holder=agency)
    return None if data.startswith(REFUSED.encode()) else data


def test_a_holder_has_what_it_holds_and_nothing_else(played: Played) -> None:
    opened = 0
    for agency in recipients(played):
        holding = held(played.road, played.document, agency)
        names = {event_id(event["id"]).bytes: event["id"] for event in played.document["events"]}
        for case in cases(played):
            data = share(played, case, agency)
            if data is None:
                continue
            report = checked(data, played.road.hub)
            there = found(data, played.canaries)
            inside = {names[one.row.value["event_id"]] for one in report.statements.values()}
            for canary in played.canaries:
                due = (canary.event, canary.category) in holding and canary.event in inside
                assert (canary.word in there) == due, f"{agency}: {canary}"
            opened += len(report.content)
    assert opened


def test_rows_tell_a_holder_nothing_of_others(played: Played) -> None:
    """No decision, no profile, no other's delivery; facts only of categories it holds."""
    for agency in recipients(played):
        for case in cases(played):
            data = share(played, case, agency)
            if data is None:
                continue
            report = checked(data, played.road.hub)
            holding = held(played.road, played.document, agency)
            names = {str(event_id(one["id"])): one["id"] for one in played.document["events"]}
            for row in report.rows:
                assert row.why in ("hub", "register", "event", "delivery", "receipt")
                if row.why in ("delivery", "receipt"):
                    assert row.value["agency"] == agency
            for one in report.statements.values():
                value = one.row.value
                if value["emitter"] == agency:
                    continue
                schema = Schemas.load().by_id(value["schema_id"])
                assert schema is not None
                assert not any(field.per_party for field in schema.fields)
                told = names[one.event_id]
                for name in json.loads(value["facts"]):
                    field = schema.field(name)
                    if field is not None:
                        assert (told, field.category) in holding, f"{agency}: {name}"


def test_content_is_what_was_said_and_signed(played: Played) -> None:
    """The opened parts are the agency's own bytes, category by category."""
    looked = 0
    for agency in recipients(played):
        data = share(played, cases(played)[0], agency)
        if data is None:
            continue
        report = checked(data, played.road.hub)
        for part in report.content:
            value = report.statements[part.position].row.value
            schema = Schemas.load().by_id(value["schema_id"])
            assert schema is not None
            schema.join({part.name: part.body}, trusted=False)
            looked += 1
    assert looked


def test_nothing_is_hidden_in_compression(played: Played) -> None:
    """What the search above rests on: every byte of a member stands in the file as it is."""
    data = made(played.road.hub, case=cases(played)[0])
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert {one.compress_type for one in file.infolist()} == {zipfile.ZIP_STORED}
        assert sum(one.file_size for one in file.infolist()) < len(data)


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    canary = Canary("Kanarie1x0001Zz", "e1", "identity")
    assert found(b"...Kanarie1x0001Zz...", [canary]) == {canary.word}
    assert found(canary.word.encode().hex().encode(), [canary]) == {canary.word}
    assert found(b"nothing", [canary]) == set()
