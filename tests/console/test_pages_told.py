"""What the operations pages say, against what is counted otherwise: row by row in the whole log,
in the partners' own databases, and in the story as it was written."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from hub.console.desk import Console
from hub.console.viewer import Viewer
from hub.store import events as stored
from schemas import wire
from tests.cli.programs import nrm
from tests.console.conftest import signed_in_at
from tests.console.html import Element, read
from tests.console.story import FLOW, Story
from tests.work.office import DONE, OPEN

OPERATOR = Viewer("Omar Operator", "operator")
OFFICER = Viewer("Sara Shelter", "agency_officer", "SH-1")


def page(console: Console, path: str, viewer: Viewer = OPERATOR) -> Element:
    answer = signed_in_at(console, viewer).get(path)
    assert answer.status_code == 200
    return read(answer.text)


def table(found: Element, label: str) -> list[list[str]]:
    """Rows of the table in the region of this name, or named by this id."""
    [region] = [
        one
        for one in found.all("div")
        if label in (one.attrs.get("aria-label"), one.attrs.get("aria-labelledby"))
    ]
    return next(region.all("table")).rows()


def facts(element: Element) -> dict[str, str]:
    """A list of facts as term → what is said of it."""
    [found] = list(element.all("dl"))
    terms = [one.text for one in found.all("dt")]
    return dict(zip(terms, [one.text for one in found.all("dd")], strict=True))


def rows_of(made: Story, kind: type) -> list[stored.StoreEvent]:
    return [one.event for one in made.hub.exchange.log.read(0, 10_000, frozenset({kind.TOPIC}))]


# -- overview ----------------------------------------------------------------------------------


def test_partners_as_their_own_databases_have_it(told_console: Console, told: Story) -> None:
    found = {row[0].split()[0]: row for row in table(page(told_console, "/"), "partners")}
    assert set(found) == set(told.identities)
    sent = Counter(
        one.agency for one in rows_of(told, stored.Sending) if isinstance(one, stored.Sending)
    )
    for agency, row in found.items():
        assert int(row[2].split(" /")[0]) == sent[agency], agency
        assert int(row[4]) == sent[agency] - int(row[3]), agency
    for agency in ("SH-1", "CA-1", "LEG-1", "POL-1"):
        with sa.create_engine(f"sqlite:///{told.folder / agency}.db").connect() as db:
            [(last,)] = db.execute(sa.text("SELECT last_sequence FROM nrm_connector_state")).all()
            aside = db.execute(
                sa.text("SELECT count(*) FROM nrm_quarantine WHERE state = 'waiting'")
            ).scalar()
        assert int(found[agency][3]) == last, agency
        assert int(found[agency][6]) == aside, agency
    assert "silent" in found["POL-1"][1]
    assert "sets aside" in found["SH-1"][1]
    assert "up to date" in found["CA-1"][1]


def test_alarms_are_what_the_list_holds(told_console: Console, told: Story) -> None:
    now = told.time.at
    standing = [one for one in told.everything() if one.state == OPEN]
    late = [one for one in standing if one.due is not None and one.due <= now]
    cards = {
        next(card.all("h3")).text: [one.text for one in card.all("p")]
        for card in page(told_console, "/").all("li")
        if card.attrs.get("class") == "card"
    }
    assert cards["Overdue work"] == [str(len(late)), f"overdue of {len(standing)} open"]
    assert cards["Recalls overdue"][0] == "1"
    assert cards["Break-glass not reviewed"] == ["1", "1 overdue"]
    assert cards["Set aside by partners"][0] == "1"
    assert cards["Stalls"][0] == "1"


def test_flow_is_the_story_by_the_minute(told_console: Console) -> None:
    found = page(told_console, "/")
    [drawn] = [one for one in found.all("svg") if one.attrs["class"] == "flow"]
    heights = {float(one.attrs["x"]): float(one.attrs["height"]) for one in drawn.all("rect")}
    assert len(heights) == sum(one > 0 for one in FLOW)
    assert len(set(heights.values())) == len({one for one in FLOW if one}), "as high as many"
    assert f"{sum(FLOW)} in the last hour" in found.text
    listed = {int(row[0].split("–")[0]): int(row[1]) for row in table(found, "Events accepted")}
    assert listed == {59 - minute: count for minute, count in enumerate(FLOW) if count}
    day = page(told_console, "/?span=day")
    accepted = sum(
        one.timestamp.date().isoformat() == "2026-03-12" for one in rows_of_accepted(told_console)
    )
    assert f"{accepted} in the last day" in day.text


def rows_of_accepted(console: Console) -> list[stored.StoreEvent]:
    topics = frozenset({stored.EventAccepted.TOPIC})
    return [one.event for one in console.exchange.log.read(0, 10_000, topics)]


def test_the_checkpoint_and_the_policy_in_force(told_console: Console, told: Story) -> None:
    [aside] = [
        one
        for one in page(told_console, "/").all("section")
        if one.attrs["aria-labelledby"] == "seal"
    ]
    said = facts(aside)
    size, _ = told.hub.exchange.log.latest_checkpoint() or (0, "")
    assert said["Under checkpoint"] == str(size)
    assert said["Log position"] == str(told.hub.exchange.log.head)
    assert said["Witnesses"] == "no witnesses configured"
    assert said["Policy in force"] == "coe-2"


def test_an_officer_sees_the_own_deliveries(told_console: Console, told: Story) -> None:
    sent = sum(one.agency == "SH-1" for one in rows_of(told, stored.Sending))  # type: ignore[attr-defined]
    found = page(told_console, "/", OFFICER)
    figures = [one.text for one in found.all("p") if one.attrs.get("class") == "figure"]
    assert figures == [f"{sent} / {sent}", "–", "1", "0"]


# -- work --------------------------------------------------------------------------------------


def test_the_work_list_is_the_list(told_console: Console, told: Story) -> None:
    standing = [one for one in told.everything() if one.state == OPEN]
    found = table(page(told_console, "/work"), "Work list")
    assert len(found) == len(standing)
    late = table(page(told_console, "/work?overdue=yes"), "Work list")
    due = sorted(one.due for one in standing if one.due is not None and one.due <= told.time.at)
    assert len(late) == len(due)
    assert all("overdue" in row[2] for row in late)
    of_police = table(page(told_console, "/work?agency=POL-1"), "Work list")
    assert len(of_police) == sum(one.agency == "POL-1" for one in standing)
    auditor = table(page(told_console, "/work?role=auditor"), "Work list")
    mine = [one for one in standing if one.role == "auditor"]
    escalated = [
        one for one in standing if one.escalates == "auditor" and one.overdue(told.time.at)
    ]
    assert len(auditor) == len({one.item for one in (*mine, *escalated)})
    done = table(page(told_console, "/work?state=done"), "Work list")
    assert len(done) == min(sum(one.state == DONE for one in told.everything()), 50)


def test_items_lead_to_their_case(told_console: Console, told: Story) -> None:
    item = next(one for one in told.items("recall_open"))
    links = [one.attrs["href"] for one in page(told_console, f"/work/{item.item.hex}").all("a")]
    assert item.case_id is not None
    assert f"/cases/{item.case_id.hex}" in links


# -- withdrawals -------------------------------------------------------------------------------


def test_every_withdrawal_with_what_followed(told_console: Console, told: Story) -> None:
    found = page(told_console, "/withdrawals")
    by_case = {
        next(one.all("a")).attrs["href"].removeprefix("/cases/"): one
        for one in found.all("article")
    }
    named = {name: told.hub.exchange.pseudonyms.canonical("case", name).hex for name in CASES}
    assert set(by_case) == set(named.values())
    for name, rows in CASES.items():
        article = by_case[named[name]]
        shown = [row for one in article.all("table") for row in one.rows()]
        assert [(row[0].split()[0], _state(row[1])) for row in shown] == [
            one[:2] for one in rows
        ], name
        for row, (_, _, purge) in zip(shown, rows, strict=True):
            assert row[5].startswith(purge), name
    kept = by_case[named["C2"]]
    assert "kept: health: Legal Aid Act s. 4" in kept.text
    assert facts(by_case[named["C4"]])["In flight"] == "Nothing had been marked for sending."


CASES = {
    "C1": [("CA-1", "deleted", "47 min"), ("SH-1", "restricted", "47 min")],
    "C2": [("LEG-1", "kept in part", "3 h 0 min")],
    "C3": [("POL-1", "overdue", "open for 8 d 0 h")],
    "C4": [],
}


def _state(text: str) -> str:
    return next(one for one in ("kept in part", "deleted", "restricted", "overdue") if one in text)


def test_the_last_release_and_what_was_in_flight(told_console: Console, told: Story) -> None:
    """Found again in the recipients' delivery logs, which the page does not read."""
    exchange = told.hub.exchange
    for article in page(told_console, "/withdrawals").all("article"):
        said = facts(article)
        case = bytes.fromhex(next(article.all("a")).attrs["href"].removeprefix("/cases/"))
        [noted] = [one for one in exchange.withdrawals if one.case_id.bytes == case]
        sent = [
            one
            for one in rows_of(told, stored.Sending)
            if isinstance(one, stored.Sending)
            and one.case_id == case
            and one.kind == "release"
            and one.decision < noted.position
            and "consent:c1" in json.loads(one.items)["bases"].values()
        ]
        if not sent:
            assert said["Last release before"] == "Nothing was ever released on it."
            continue
        last = max(one.event_position for one in sent)
        at = exchange.log.read(last - 1, 1)[0].event.timestamp
        assert f"{at:%Y-%m-%d %H:%M}, log position {last}" in said["Last release before"]
        to = {one.agency for one in sent if one.event_position == last}
        assert all(one in said["Last release before"] for one in to)
        assert all(one in said["In flight"] for one in {one.agency for one in sent})


def test_time_to_purge_by_partner(told_console: Console, told: Story) -> None:
    found = table(page(told_console, "/withdrawals"), "partners")
    assert [[*row[:1][0].split()[:1], *row[1:]] for row in found] == [
        ["CA-1", "1", "0", "0", "0", "47 min", "47 min"],
        ["LEG-1", "1", "0", "0", "1", "3 h 0 min", "3 h 0 min"],
        ["POL-1", "1", "1", "1", "0", "–", "–"],
        ["SH-1", "1", "0", "0", "0", "47 min", "47 min"],
    ]
    command = json.loads(nrm("recalls", "--home", told.folder / "hub", "--json").out)
    assert sorted(one["recipient"] for one in command) == ["CA-1", "LEG-1", "POL-1", "SH-1"]
    seconds = {one["recipient"]: one["purge_seconds"] for one in command}
    assert seconds["CA-1"] == timedelta(minutes=47).total_seconds()


# -- dead letters and refusals -----------------------------------------------------------------


def test_the_dead_letter(told_console: Console, told: Story) -> None:
    agency, sequence = told.aside
    [letter] = list(page(told_console, "/dead-letters").all("article"))
    assert next(letter.all("h2")).text == f"{agency} delivery {sequence}"
    said = facts(letter)
    assert said["Event"] == "NeedsAssessed"
    assert said["Reason"].startswith("unknown_schema")
    assert said["Set aside for"].startswith("8 d 0 h")
    assert said["Owner"] == "SH-1 shelter, operator"
    [receipt] = [
        one
        for one in rows_of(told, stored.Received)
        if isinstance(one, stored.Received)
        and any(
            e["outcome"] == "quarantined" for e in wire.RECEIPT.unsingle(one.receipt)["exceptions"]
        )
    ]
    assert f"{receipt.timestamp:%Y-%m-%d %H:%M}" in said["Set aside for"]


def test_what_was_refused(told_console: Console, told: Story) -> None:
    found = table(page(told_console, "/dead-letters/refused"), "Refused by the hub")
    expected = json.loads(nrm("refusals", "--home", told.folder / "hub", "--json").out)
    assert [(int(row[5]), row[3].split()[0]) for row in found] == [
        (one["position"], one["reason"]) for one in expected[::-1]
    ]
    own = table(page(told_console, "/dead-letters/refused", OFFICER), "Refused by the hub")
    assert {row[1] for row in own} == {"SH-1"}
    assert len(own) == sum(one["agency"] == "SH-1" for one in expected)
    narrowed = page(told_console, "/dead-letters/refused?agency=SH-1")
    assert len(table(narrowed, "Refused by the hub")) == len(own)


# -- policy ------------------------------------------------------------------------------------


def test_the_matrix_marks_what_was_changed_and_nothing_else(told_console: Console) -> None:
    found = page(told_console, "/policy/diff")
    assert next(found.all("h1")).text == "coe-2 → coe-3"
    [matrix] = [one for one in found.all("table") if "matrix" in one.attrs.get("class", "")]
    heads = [one.text for one in next(matrix.all("thead")).all("th")]
    changed = {
        (next(row.all("th")).text, heads[number]): cell.text
        for row in next(matrix.all("tbody")).all("tr")
        for number, cell in enumerate(row.all("th", "td"))
        if "changed" in cell.attrs.get("class", "")
    }
    assert changed == {
        ("police", "identity"): "N→A receives more",
        ("immigration enforcement", "identity"): "N→C receives more",
        ("shelter", "whose signature"): "agency→hub",
    }
    timers = table(found, "timers")
    assert timers == [["–", "T11_recall_answer_days", "7 → 5 another way", "is another"]]
    firewall = table(found, "firewall")
    assert [row[0] for row in firewall] == ["shelter", "immigration enforcement"]


def test_the_command_that_approves_is_the_right_one(told_console: Console, told: Story) -> None:
    [command] = [one.text for one in page(told_console, "/policy").all("pre")]
    listed = json.loads(nrm("policy", "proposals", "--home", told.folder / "hub", "--json").out)
    [waiting] = [one for one in listed if one["state"] == "open"]
    assert command == (f"nrm-hub policy approve {waiting['digest']} --officer KEYFILE --home HOME")


def test_history_decided_again(told_console: Console, told: Story) -> None:
    found = page(told_console, "/policy/replay?new=uk")
    lines = nrm("policy", "simulate", "uk", "--home", told.folder / "hub", "--json").out
    totals = json.loads(lines.strip().splitlines()[-1])["totals"]
    assert f"{totals['changed']} of {totals['decisions']} decisions" in found.text


# -- registry ----------------------------------------------------------------------------------


def test_the_register_has_the_agencies_own_keys(told_console: Console, told: Story) -> None:
    found = {row[0].split()[0]: row for row in table(page(told_console, "/registry"), "Agencies")}
    assert set(found) == set(told.identities)
    for agency, identity in told.identities.items():
        known = told.hub.exchange.agencies.get(agency)
        assert known is not None
        assert found[agency][5] == f"{identity.signing.key_id.hex()[:16]} from {known.position}"
        assert found[agency][3] == str(known.position)
    [own] = table(page(told_console, "/registry", OFFICER), "Agencies")
    change = told.hub.exchange.agencies.change_at(
        told.hub.exchange.agencies.get("SH-1").position  # type: ignore[union-attr]
    )
    assert own[3] == str(change)


def test_every_break_glass_access(told_console: Console, told: Story) -> None:
    found = table(page(told_console, "/registry"), "glass")
    expected = json.loads(nrm("audit", "breakglass", "--home", told.folder / "hub", "--json").out)
    assert len(found) == len(expected["invocations"]) == 2
    assert [row[2] for row in found] == ["review overdue", "reviewed"]
    assert [row[1].split()[0] for row in found] == ["POL-1", "POL-1"]
    assert all(row[3] == "threat_to_life" for row in found)
    through = {
        one["position"]: sum(len(names) for names in one["through"].values())
        for one in expected["invocations"]
    }
    assert {int(row[0].split()[-1]): int(row[5].split()[1]) for row in found} == through
    assert sum(through.values()) > 0
    assert "reviews overdue: 1" in page(told_console, "/registry").text


def test_an_old_access_that_waits_for_its_review_is_not_pushed_out(
    told_console: Console, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = told_console.exchange
    others = {uuid4(): None for _ in range(30)}
    monkeypatch.setattr(exchange.emergencies, "cases", {**exchange.emergencies.cases, **others})
    found = page(told_console, "/registry")
    assert [row[2] for row in table(found, "glass")] == ["review overdue", "reviewed"]
    assert "Cases with break-glass: 11 of 31." in found.text
    assert "Show more cases" in found.text


@pytest.mark.postgres
def test_the_same_pages_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, new_postgres_database: object
) -> None:
    from hub.console.desk import LooksUnrecorded
    from tests.consent.stage import close
    from tests.console.story import reading, story

    assert callable(new_postgres_database)
    made = story(tmp_path_factory.mktemp("gres"), store=new_postgres_database())
    with reading(made) as deciding:
        console = Console(deciding, LooksUnrecorded())
        test_partners_as_their_own_databases_have_it(console, made)
        test_alarms_are_what_the_list_holds(console, made)
        test_flow_is_the_story_by_the_minute(console)
        test_the_work_list_is_the_list(console, made)
        test_every_withdrawal_with_what_followed(console, made)
        test_the_dead_letter(console, made)
        test_every_break_glass_access(console, made)
    close(made)
