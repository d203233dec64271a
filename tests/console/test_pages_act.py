"""What can be done on the operations pages, by whom, and that nobody else and no other site can."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from hub.audit import conservation
from hub.console.viewer import Viewer
from hub.domain.work import DONE
from hub.store import events as stored
from tests.console.conftest import looking
from tests.console.html import faults, read
from tests.console.story import Story, open_case, partner, sink_of

AUDITOR = Viewer("Ana Auditor", "auditor")
OPERATOR = Viewer("Omar Operator", "operator")
OFFICER = Viewer("Sara Shelter", "agency_officer", "SH-1")
RAPPORTEUR = Viewer("Rita Rapporteur", "rapporteur")


def token(client: TestClient, path: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', client.get(path).text)
    assert found
    return found[1]


def send(client: TestClient, path: str, **fields: str):  # type: ignore[no-untyped-def]
    return client.post(path, data=fields)


# -- work --------------------------------------------------------------------------------------


@pytest.mark.parametrize("viewer", [AUDITOR, OPERATOR], ids=lambda one: one.role)
def test_an_item_is_closed_with_a_reason(lived: Story, viewer: Viewer) -> None:
    item = lived.items("recipient_silent")[0]
    path = f"/work/{item.item.hex}"
    with looking(lived, viewer) as client:
        done = send(client, path, token=token(client, path), do="close", because="seen")
        assert (done.status_code, done.headers["location"]) == (303, path)
        assert "done" in read(client.get(path).text).by_id("content").text
        again = send(client, path, token=token(client, path), do="close", because="seen")
        assert again.status_code == 409
        assert "closed_before" in again.text
        assert faults(read(again.text)) == []
    [closed] = [one for one in lived.items("recipient_silent", DONE) if one.item == item.item]
    assert (closed.closed_by, closed.closed_because) == (viewer.name, "seen")


def test_an_age_dispute_is_contested_and_the_auditor_has_it(lived: Story) -> None:
    open_case(lived, "C7", {"SH-1": ["health"]})
    lived.say("POL-1", "AgeDisputed", "C7", raised_by_role="police", basis="appearance")
    lived.attend()
    item = lived.item("age_dispute_contestable")
    path = f"/work/{item.item.hex}"
    with looking(lived, OPERATOR) as client:
        secret = token(client, path)
        assert "Contest" in client.get(path).text
        wrong = send(client, path, token=secret, do="contest", contest_because="seen")
        assert (wrong.status_code, "unknown_reason" in wrong.text) == (409, True)
        assert (
            send(
                client, path, token=secret, do="contest", contest_because="not_founded"
            ).status_code
            == 303
        )
    assert lived.item("contested").role == "auditor"


def test_what_cannot_be_contested_is_not(lived: Story) -> None:
    item = lived.items("recipient_silent")[0]
    path = f"/work/{item.item.hex}"
    with looking(lived, OPERATOR) as client:
        assert "Contest" not in client.get(path).text
        done = send(
            client, path, token=token(client, path), do="contest", contest_because="not_founded"
        )
    assert (done.status_code, "not_contestable" in done.text) == (409, True)


@pytest.mark.parametrize("secret", ["", "x", "é" * 10])
def test_a_form_that_is_not_ours_changes_nothing(lived: Story, secret: str) -> None:
    item = lived.items("recipient_silent")[0]
    agency, sequence = lived.aside
    head = lived.hub.exchange.log.head
    with looking(lived, OPERATOR) as client:
        for path, fields in (
            (f"/work/{item.item.hex}", {"do": "close", "because": "seen"}),
            (f"/dead-letters/{agency}/{sequence}", {"do": "redrive"}),
        ):
            answer = send(client, path, token=secret, **fields)
            assert answer.status_code == 403
            assert "form_not_ours" in answer.text
    assert lived.hub.exchange.log.head == head


@pytest.mark.parametrize("viewer", [AUDITOR, OFFICER, RAPPORTEUR], ids=lambda one: one.role)
def test_who_may_not_act_cannot(lived: Story, viewer: Viewer) -> None:
    item = lived.items("recipient_silent")[0]
    agency, sequence = lived.aside
    head = lived.hub.exchange.log.head
    with looking(lived, viewer) as client:
        secret = token(client, "/")
        asked = send(client, f"/dead-letters/{agency}/{sequence}", token=secret, do="redrive")
        assert asked.status_code == 403
        if viewer is not AUDITOR:
            path = f"/work/{item.item.hex}"
            assert send(client, path, token=secret, do="close", because="seen").status_code == 403
            assert client.get(path).status_code == 403
    assert lived.hub.exchange.log.head == head


def test_an_item_there_is_not(lived: Story) -> None:
    with looking(lived, OPERATOR) as client:
        for name in ("0" * 32, "none", "%00"):
            answer = client.get(f"/work/{name}")
            assert answer.status_code == 404
        assert "unknown_item" in client.get("/work/none").text


# -- dead letters ------------------------------------------------------------------------------


def test_sent_again_it_is_applied_and_gone_from_the_page(lived: Story) -> None:
    agency, sequence = lived.aside
    path = f"/dead-letters/{agency}/{sequence}"
    with looking(lived, OPERATOR) as client:
        done = send(client, path, token=token(client, "/dead-letters"), do="redrive")
        assert done.status_code == 303
        [letter] = list(read(client.get("/dead-letters").text).all("article"))
        assert "sent again, no answer yet" in letter.text
        assert "overdue" in letter.text, "an order alone ends nothing"
        lived.attend()  # the partner still cannot read it
        [letter] = list(read(client.get("/dead-letters").text).all("article"))
        assert "set aside again" in letter.text
        lived.partners.pop(agency)._inbox.close()
        partner(lived, agency, sink_of(lived, agency, "sqlite"))  # upgraded
        lived.attend()
        assert list(read(client.get("/dead-letters").text).all("article")), "not of itself"
        send(client, path, token=token(client, "/dead-letters"), do="redrive")
        lived.attend()
        page = client.get("/dead-letters").text
        assert list(read(page).all("article")) == []
        assert "nothing is set aside" in page
    assert conservation(lived.hub.exchange.log).classes["quarantined"] == 0
    assert lived.items("dead_letter") == []


def test_followed_up_no_further_it_is_still_counted(lived: Story) -> None:
    agency, sequence = lived.aside
    before = conservation(lived.hub.exchange.log).classes
    with looking(lived, OPERATOR) as client:
        done = send(
            client,
            f"/dead-letters/{agency}/{sequence}",
            token=token(client, "/dead-letters"),
            do="close",
            because="not_needed",
        )
        assert done.status_code == 303
        [letter] = list(read(client.get("/dead-letters").text).all("article"))
        assert "followed up no further" in letter.text
        again = send(
            client,
            f"/dead-letters/{agency}/{sequence}",
            token=token(client, "/dead-letters"),
            do="close",
            because="not_needed",
        )
        assert (again.status_code, "closed_before" in again.text) == (409, True)
    lived.hub.exchange.catch_up()
    assert lived.items("dead_letter") == []
    assert conservation(lived.hub.exchange.log).classes == before


@pytest.mark.parametrize("which", ["SH-1/1", "SH-1/x", "XX-9/1", "SH-1/" + "9" * 5000])
def test_only_what_is_set_aside_is_sent_again(lived: Story, which: str) -> None:
    head = lived.hub.exchange.log.head
    with looking(lived, OPERATOR) as client:
        secret = token(client, "/dead-letters")
        answer = send(client, f"/dead-letters/{which}", token=secret, do="redrive")
        assert (answer.status_code, "not_set_aside" in answer.text) == (409, True)
    assert lived.hub.exchange.log.head == head


def test_who_ordered_it_is_in_the_log(lived: Story) -> None:
    agency, sequence = lived.aside
    with looking(lived, OPERATOR) as client:
        secret = token(client, "/dead-letters")
        send(client, f"/dead-letters/{agency}/{sequence}", token=secret, do="redrive")
    [row] = lived.hub.exchange.log.read(0, 10, frozenset({stored.RedriveOrdered.TOPIC}))
    assert isinstance(row.event, stored.RedriveOrdered)
    assert (row.event.agency, row.event.sequence, row.event.by) == (agency, sequence, OPERATOR.name)


# -- registry ----------------------------------------------------------------------------------


def test_a_revoked_key_ends_where_the_log_says(lived: Story) -> None:
    with looking(lived, OPERATOR) as client:
        position = lived.hub.enrolment.revoke("PRO-1", None, reason="lost", by="operator")
        page = read(client.get("/registry").text)
        [row] = [one for one in page.all("tr") if one.text.startswith("PRO-1")]
        assert f"to before {position} revoked" in row.text
        assert "keys revoked" in row.text
        found = read(client.get("/").text)
        [partner_row] = [one for one in found.all("tr") if one.text.startswith("PRO-1")]
        assert "keys revoked" in partner_row.text
