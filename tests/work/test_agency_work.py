"""An agency asks for its list on its own command line, and closes what is its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hub.api.server import serve_api
from tests.answering import Answer, Answering
from tests.cli.programs import Done, nrm
from tests.work.office import ADULT, DONE, Office, at


@pytest.fixture
def url(desk: Office) -> Iterator[str]:
    server = serve_api(desk.hub, port=0)
    yield server.url
    server.stop()


def ask(desk: Office, agency: str, url: str, *more: str) -> Done:
    return nrm("agency", "work", "--home", desk.folder / agency, "--url", url, *more)


def listed(desk: Office, agency: str, url: str, *more: str) -> list[dict[str, Any]]:
    done = ask(desk, agency, url, "--json", *more)
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out)
    return found


def test_each_agency_sees_its_own(desk: Office, url: str) -> None:
    desk.identified("C1")
    desk.until(at(2026, 3, 10))
    [due] = listed(desk, "CA-1", url, "--kind", "reasonable_grounds_due")
    assert due["state"] == "overdue"
    assert listed(desk, "CA-1", url, "--overdue") == [due]
    heading, row = ask(desk, "CA-1", url, "--overdue").out.splitlines()
    assert heading.split()[:3] == ["item", "kind", "state"]
    assert row.split()[:3] == [due["item"], "reasonable_grounds_due", "overdue"]
    assert "Nothing is to be done." in ask(desk, "SH-1", url).out


def test_closing_and_contesting(desk: Office, url: str) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.say("POL-1", "AgeDisputed", "C1", raised_by_role="police", basis="appearance")
    desk.attend()
    [dispute] = listed(desk, "NGO-1", url, "--kind", "age_dispute_contestable")

    def close(agency: str, item: str, because: str, *more: str) -> Done:
        return nrm("agency", "close", item, "--because", because, "--home", desk.folder / agency,
                   "--url", url, *more)  # fmt: skip

    assert "not_found" in close("SH-1", dispute["item"], "done").err, "it is another's"
    no = close("NGO-1", dispute["item"], "so")
    assert no.code == 1
    assert "work_refused" in no.err
    assert "copy it from" in close("NGO-1", "../hub", "done").err
    assert "auditor" in close("NGO-1", dispute["item"], "not_founded", "--contest").out
    assert desk.item("age_dispute_contestable", DONE).closed_by == "NGO-1"
    assert desk.item("contested").role == "auditor"


@pytest.mark.parametrize(
    ("address", "words"),
    [("http://127.0.0.1:9", "does not answer"), ("ftp://x", "is not an address")],
)
def test_an_address_that_is_none(desk: Office, address: str, words: str) -> None:
    done = ask(desk, "NGO-1", address)
    assert (done.code, done.out) == (1, "")
    assert words in done.err


@pytest.mark.parametrize("body", [b"[]", b"<html>", b'{"items": [1]}', b'{"items": null}'])
def test_what_is_no_list_is_an_error_and_not_an_empty_list(desk: Office, body: bytes) -> None:
    other = Answering(lambda _asked: Answer(body=body))
    done = ask(desk, "NGO-1", other.url)
    other.close()
    assert (done.code, done.out) == (1, "")
    assert "not the hub's work list" in done.err
