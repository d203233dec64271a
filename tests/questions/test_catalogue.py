"""All questions alike: complete, metadata only, the same on both databases, the command."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.audit.questions import QUESTIONS, Answer, Hub, Question, answer, option
from hub.cli import questions as command
from hub.errors import Refused
from hub.exchange import Exchange
from hub.home import Home
from hub.hub import Reading
from hub.store.copying import copy_in, copy_out
from hub.store.log import HubLog
from tests.cli.programs import Done, nrm
from tests.played import NAMES, play, scenario
from tests.privacy.canaries import planted
from tests.questions.asked import hub_of
from tests.questions.test_mappings import MAPPING


def given_for(question: Question, document: dict[str, object]) -> Iterator[dict[str, str]]:
    """Ways to ask a question of a scenario, each of its parameters once."""
    agency = next(iter(one for one in document["agencies"] if one != "HUB"))  # type: ignore[attr-defined]
    case = document["events"][0]["case"]  # type: ignore[index]
    names = {one.name for one in question.parameters}
    need = {one.name for one in question.parameters if one.required}
    if question.id == "Q24":
        yield {"mapping_text": MAPPING}
        return
    if question.id == "Q01":
        yield {"case": case}
        return
    if "agency" in need:
        yield {"agency": agency}
        if "case" in names:
            yield {"agency": agency, "case": case}
        return
    yield {}
    if "case" in names:
        yield {"case": case}
    if "agency" in names:
        yield {"agency": agency}


OF_THE_LOG = [one for one in QUESTIONS.values() if one.who != "rapporteur"]


def test_there_are_all_twenty_four() -> None:
    assert list(QUESTIONS) == [f"Q{number:02d}" for number in range(1, 25)]
    who = {one.id: one.who for one in QUESTIONS.values()}
    assert {id_ for id_, one in who.items() if one == "rapporteur"} == {
        f"Q{number}" for number in range(15, 23)
    }
    assert {id_ for id_, one in who.items() if one == "IT team"} == {"Q23", "Q24"}
    empty = {id_ for id_, one in QUESTIONS.items() if one.must_be_empty}
    assert {"Q03", "Q06", "Q07", "Q11", "Q12", "Q13"} <= empty
    for one in QUESTIONS.values():
        names = [column.name for column in one.columns]
        assert len(set(names)) == len(names)
        assert all(column.means.rstrip().endswith(".") for column in one.columns), one.id
        assert one.rests_on
        assert one.cannot_tell


@pytest.mark.parametrize("name", [*NAMES[:2], "S7"])
def test_no_answer_holds_a_word_of_what_was_said(name: str, tmp_path: Path) -> None:
    document, canaries = planted(scenario(name))
    assert canaries
    road = play(tmp_path, document)
    road.hub.checkpoints.step(now=True)
    try:
        for question in OF_THE_LOG:
            for given in given_for(question, document):
                found = answer(question, hub_of(road.hub), given)
                text = json.dumps(found.as_dict(), ensure_ascii=False) + found.as_csv()
                assert [one.word for one in canaries if one.word in text] == [], question.id
                assert all(len(row) == len(found.columns) for row in found.rows)
                assert found.position == road.hub.exchange.log.head
    finally:
        road.close()


def test_what_is_recorded_later_changes_no_answer_about_earlier(tmp_path: Path) -> None:
    """Asked at the head, and asked as of there when the case had gone on: the same."""
    document = scenario("S1")
    first = play(tmp_path, {**document, "events": document["events"][:19]})
    head = first.hub.exchange.log.head
    then: dict[tuple[str, str], Answer] = {}
    for question in OF_THE_LOG:
        for given in given_for(question, document):
            then[question.id, str(given)] = answer(question, hub_of(first.hub), given)
    first.close()
    later = play(tmp_path, {**document, "events": document["events"][19:]})
    try:
        assert later.hub.exchange.log.head > head
        for question in OF_THE_LOG:
            if not any(one.name == "as_of" for one in question.parameters):
                assert question.id in ("Q07", "Q24")  # about now
                continue
            for given in given_for(question, document):
                now = answer(question, hub_of(later.hub), {**given, "as_of": str(head)})
                before = then[question.id, str(given)]
                assert list(now.rows) == list(before.rows), question.id
                assert now.summary == before.summary, question.id
                assert now.position == before.position == head
    finally:
        later.close()


def test_both_databases_give_the_same_answers(
    folders: Callable[[str], Path], tmp_path: Path, postgres_url: str
) -> None:
    for name in ("S1", "S2", "S7"):
        home = Home(folders(name) / "hub")
        with Reading.open(home) as reading:
            copy_out(reading.settings.store_url, tmp_path / f"{name}.copy")
            url = f"{postgres_url}?schema={name.lower()}"
            with HubLog.open(url) as log:
                copy_in(tmp_path / f"{name}.copy", log)
                here = reading.exchange
                there = Exchange(log, here.secrets, here.pseudonyms, here.clock)
                for question in OF_THE_LOG:
                    for given in given_for(question, scenario(name)):
                        asked = {**given}
                        if any(one.name == "as_of" for one in question.parameters):
                            asked["as_of"] = str(log.head)
                        sqlite = answer(question, hub_of(reading), asked)
                        hub = Hub(there, reading.settings.hub_id, reading.log_verifier)
                        postgres = answer(question, hub, asked)
                        assert list(postgres.rows) == list(sqlite.rows), question.id
                        assert postgres.summary == sqlite.summary, question.id
                        assert postgres.verdict == sqlite.verdict


# -- the command -------------------------------------------------------------------------------


def ask(home: Path, *arguments: str) -> Done:
    return nrm("audit", "ask", *arguments, "--home", str(home / "hub"))


def test_without_a_question_all_are_listed() -> None:
    done = nrm("audit", "ask")
    assert done.code == 0
    assert all(id_ in done.out for id_ in QUESTIONS)
    said = json.loads(nrm("audit", "ask", "--json").out)
    assert [one["id"] for one in said] == list(QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=lambda one: one.id)
def test_every_question_explains_itself(question: Question) -> None:
    done = nrm("audit", "ask", question.id.lower(), "--explain")
    text = " ".join(done.out.split())
    assert f"Example: {question.command}" in text
    for parameter in question.parameters:
        assert parameter.text or option(parameter.name) in text
    assert " ".join(question.rests_on.split()) in text


def test_the_command_offers_every_parameter_there_is() -> None:
    import inspect

    offered = set(inspect.signature(command.ask).parameters)
    wanted = {
        one.name for question in QUESTIONS.values() for one in question.parameters if not one.text
    }
    assert {"table_" if name == "table" else name for name in wanted} <= offered


def test_a_table_json_and_csv_say_the_same(folders: Callable[[str], Path]) -> None:
    home = folders("S1")
    done = ask(home, "Q04")
    assert done.code == 0
    assert "Verdict: nothing that must not be there" in done.out
    as_json = json.loads(ask(home, "Q04", "--json").out)
    as_csv = list(csv.DictReader(io.StringIO(ask(home, "Q04", "--csv").out)))
    assert [row["consent"] for row in as_csv] == [row["consent"] for row in as_json["rows"]]
    assert as_json["position"] > 100
    assert [one["name"] for one in as_json["columns"]] == list(as_csv[0])


def test_exit_code_3_when_something_is_where_nothing_may_be(folders: Callable[[str], Path]) -> None:
    assert ask(folders("S7"), "Q13").code == 3
    assert ask(folders("S7"), "Q13", "--json").code == 3
    assert ask(folders("S1"), "Q13").code == 0
    assert ask(folders("S2"), "Q14").code == 0  # a finding, and no alarm


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("Q99",), "questions are Q01 to Q24"),
        (("Q01",), "give one of --case and --person"),
        (("Q02",), "Q02 needs --agency"),
        (("Q06", "--case", "C1"), "Q06 takes --as-of"),
        (("Q07", "--as-of", "3"), "Q07 takes no parameters"),
        (("Q17", "--period", "2026-Q1"), "Q17 needs --table"),
        (("Q15", "--period", "soon"), "a period is a year"),
        (("Q01", "--case", "nobody"), "no such case"),
        (("Q02", "--agency", "POL-1", "--happened-before", "soon"), "is a date"),
        (("Q03", "--as-of", "soon"), "give a log position, a date"),
        (("Q15", "--period", "2026-Q1"), "is published for 2026-Q1"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: tuple[str, ...], why: str, folders: Callable[[str], Path]
) -> None:
    done = ask(folders("S1"), *arguments)
    assert done.code == 1
    assert why in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_spreadsheet_runs_nothing_of_it() -> None:
    from hub.audit.questions.answer import _safe

    assert _safe("=1+1") == "'=1+1"
    assert _safe(-1.5) == "-1.5"
    assert _safe(None) == ""


def test_an_unknown_parameter_is_not_repeated() -> None:
    with pytest.raises(Refused) as refused:
        QUESTIONS["Q06"].checked({"kanarie": "x"})
    assert "kanarie" not in str(refused.value)
