"""Publishing: kept as published then, sent to the rapporteur, and never enough to work out more."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
import sqlite3
import sys
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from connectors.agency.identity import AgencyIdentity
from hub.clock import Clock, ScenarioTime
from hub.domain.facts import has_small_cells
from hub.home import Home
from hub.hub import Hub
from hub.statistics.describe import describe
from hub.statistics.tables import TABLES
from hub.store import events as stored
from tests.cli.programs import ROOT, Done, nrm
from tests.privacy.canaries import Canary, files, found_in
from tests.road import Road
from tests.statistics import attacker
from tests.statistics.town import CANARIES, NOW, ROLES, name_of, people, publish

Q1 = ("--period", "2026-Q1")


def say(town: Path, *arguments: str, home: bool = True) -> Done:
    at = ("--home", str(town / "hub")) if home else ()
    return nrm("statistics", *arguments, *at)


def publishing(town: Path, *arguments: str) -> Done:
    return say(town, "publish", *arguments, "--by", "desk", "--as", str(town / "CA-1"))


def published(town: Path, *arguments: str) -> list[dict[str, Any]]:
    done = publishing(town, *arguments, "--json")
    assert done.code == 0, done.err
    said: list[dict[str, Any]] = json.loads(done.out)
    return said


def figures(town: Path) -> list[tuple[str, str, Any]]:
    """(table, period, figures) of all editions in the log."""
    from hub.hub import Reading
    from hub.statistics.editions import Ledger

    with Reading.open(Home(town / "hub")) as reading:
        return [
            (one.table, one.period, one.figures)
            for one in Ledger.read(reading.exchange.log).editions
        ]


def refused(done: Done, reason: str) -> None:
    assert done.code == 1, done.out + done.err
    assert f"({reason})" in done.err or f": {reason}:" in done.err, done.err
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err


# -- kept, and sent ----------------------------------------------------------------------------


def test_a_table_is_kept_in_the_log_and_reaches_the_rapporteur(town: Path) -> None:
    [said] = published(town, "victims-by-sex-and-age", *Q1)
    assert (said["edition"], said["news"], said["suppression"]) == (1, "published", "lt5")
    road = reopened(town)
    try:
        road.partner("RAP-1")
        road.settle()
        log = road.hub.exchange.log
        [kept] = log.read(0, 10, frozenset({stored.TablePublished.TOPIC}))
        assert isinstance(kept.event, stored.TablePublished)
        partner = sqlite3.connect(town / "RAP-1.db")
        [row] = partner.execute("select period, suppression, cells from statistics_published")
        partner.close()
    finally:
        road.close()
    assert row[:2] == ("2026-Q1", "lt5")
    assert json.loads(row[2]) == json.loads(kept.event.figures)
    verdict = nrm("audit", "verify", "--home", str(town / "hub"))
    assert verdict.code == 0, verdict.err


def test_publishing_again_publishes_nothing_anew(town: Path) -> None:
    first = published(town, "funnel", *Q1)
    again = published(town, "funnel", *Q1)
    assert again[0]["news"] == "published before"
    assert {**again[0], "news": ""} == {**first[0], "news": ""}
    assert len(figures(town)) == 1


def test_what_was_kept_but_not_said_is_said_the_next_time(
    town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between the log and the event."""
    from hub.cli import statistics_publishing

    with monkeypatch.context() as dying:

        def dies(*_: object) -> int:
            raise OSError(5, "gone", "here")

        dying.setattr(statistics_publishing._Opened, "tell", dies)
        assert publishing(town, "funnel", *Q1).code == 1
    assert len(figures(town)) == 1
    [said] = published(town, "funnel", *Q1)
    assert said["news"] == "published before"
    assert said["event"] > said["position"]
    assert published(town, "funnel", *Q1)[0]["event"] == said["event"]


def test_all_tables_of_a_period_are_counted_at_one_position(town: Path) -> None:
    said = published(town, "all", *Q1)
    assert [one["table"] for one in said] == list(TABLES)
    assert len({one["position"] for one in said}) == 1


def test_a_new_table_is_counted_where_the_others_were(town: Path) -> None:
    [first] = published(town, "funnel", *Q1)
    more(town, 8)
    [second] = published(town, "overlap", *Q1)
    assert second["position"] == first["position"]


# -- nothing can be worked out -----------------------------------------------------------------


def test_nothing_can_be_reconstructed_from_everything_published(town: Path) -> None:
    """Every table of a period: no hidden figure has one possible value, none is small."""
    published(town, "all", *Q1)
    hidden = 0
    shared: dict[tuple[str, tuple[str, ...]], Any] = {}
    for name, _, table in figures(town):
        assert not has_small_cells(table, "lt5")
        for path, figure in attacker.walk(table):
            # The same people in another table: the same figure, hidden in both or in none.
            titles = tuple(level.title for level in TABLES[name].levels[: len(path)])
            key = (f"{TABLES[name].family}/{titles}", path)
            assert shared.setdefault(key, attacker.number(figure)) == attacker.number(figure)
            siblings, whole = attacker.parts(figure), attacker.number(figure)
            for part, one in siblings.items():
                if attacker.number(one) is None:
                    assert whole is not None
                    low, high = attacker.interval(siblings, whole, part)
                    assert high - low >= 2, (name, path, part)
                    hidden += 1
    assert hidden > 20


def test_a_person_more_or_less_is_not_seen_in_any_later_edition(town: Path) -> None:
    published(town, "all", *Q1)
    before = {name: table for name, _, table in figures(town)}
    more(town, 1)
    said = published(town, "all", *Q1, "--revise")
    assert {one["news"] for one in said} == {"nothing has changed by enough to be shown"}
    refused(publishing(town, "funnel", *Q1, "--revise"), "nothing_new")
    assert {name: table for name, _, table in figures(town)} == before


def test_editions_do_not_differ_by_a_few_anywhere(town: Path) -> None:
    names = ["victims-by-sex-and-age", "victims-by-citizenship", "funnel", "overlap"]
    names += ["reasonable-grounds", "reasonable-grounds-delays"]
    published(town, *names, *Q1)
    for batch in (9, 3, 14):
        more(town, batch)
        published(town, *names, *Q1, "--revise")
    seen: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for name, _, table in figures(town):
        for path, figure in attacker.walk(table):
            number = attacker.number(figure)
            if number is not None and path[-1:] != ("other",):
                titles = tuple(level.title for level in TABLES[name].levels[: len(path)])
                seen.setdefault((f"{TABLES[name].family}/{titles}", path), []).append(number)
    assert any(len(set(numbers)) > 1 for numbers in seen.values())
    for key, numbers in seen.items():
        for a in numbers:
            for b in numbers:
                assert not 0 < abs(a - b) < 5, (key, numbers)


def test_an_erasure_is_not_seen_and_what_was_published_stays(town: Path) -> None:
    published(town, "funnel", *Q1)
    before = figures(town)
    assert nrm("subject", "shred", name_of(7), "--yes", "--home", str(town / "hub")).code == 0
    assert figures(town) == before
    refused(publishing(town, "funnel", *Q1, "--revise"), "nothing_new")
    # Another table of the same people is not divided: its total would be one less.
    published(town, "overlap", *Q1)
    assert figures(town)[-1][2] == f"{before[0][2]['all']}*"
    shown = say(town, "revisions", "funnel", *Q1, "--json")
    told = json.loads(shown.out)
    assert told["now"] == told["editions"][0]["figures"]


def test_revisions_show_then_and_now(town: Path) -> None:
    published(town, "funnel", *Q1)
    more(town, 30)
    lines = say(town, "revisions", "funnel", *Q1).out.splitlines()
    whole = next(line.split() for line in lines if line.startswith("All"))
    assert whole == ["All", "120", "150", "+30"]
    assert not [line for line in lines if line.split()[-3:] == ["0", "0", "0"] and line[3] == " "]
    published(town, "funnel", *Q1, "--revise")
    told = json.loads(say(town, "revisions", "funnel", *Q1, "--json").out)
    assert [one["edition"] for one in told["editions"]] == [1, 2]
    assert [one["figures"]["all"] for one in told["editions"]] == [120, 150]
    assert say(town, "export", "--out", str(town / "out")).code == 0
    page = (town / "out" / "2026-Q1.html").read_text()
    for edition in (1, 2):  # the newest is on the page; the first can be had from it
        assert f'<a href="funnel_2026-Q1_{edition}.csv">' in page
        assert (town / "out" / f"funnel_2026-Q1_{edition}.csv").exists()
    assert page.index("funnel_2026-Q1_2.csv") < page.index("funnel_2026-Q1_1.csv")


# -- refused -----------------------------------------------------------------------------------


NOT_SO = [
    (("funnels", *Q1), "unknown_table"),
    (("funnel", "--period", "2026-Q5"), "bad_period"),
    (("funnel", "--period", "2026-Q3"), "period_not_over"),
    (("funnel", "--period", "2026"), "period_not_over"),
    (("funnel", "--period", "2019-Q1"), "no_data"),
    (("funnel", *Q1, "--suppression", "lt4"), "bad_suppression"),
    (("funnel", *Q1, "--epsilon", "0"), "bad_epsilon"),
    (("referrals", *Q1, "--suppression", "dp"), "dp_not_offered"),
    (("victims-by-citizenship", *Q1, "--suppression", "dp"), "dp_not_offered"),
    (("funnel", *Q1, "--suppression", "dp", "--epsilon", "2.5"), "epsilon_spent"),
]


def test_what_may_not_be_published(town: Path) -> None:
    for arguments, reason in NOT_SO:
        refused(publishing(town, *arguments), reason)
    assert figures(town) == []


def test_a_period_keeps_its_protection(town: Path) -> None:
    published(town, "funnel", *Q1)
    refused(publishing(town, "overlap", *Q1, "--suppression", "k10"), "suppression_fixed")
    refused(publishing(town, "funnel", *Q1, "--suppression", "dp"), "suppression_fixed")
    published(town, "funnel", "--period", "2026-Q2", "--suppression", "k10")


def test_days_are_shown_in_one_period_only(town: Path) -> None:
    published(town, "funnel", *Q1)
    refused(publishing(town, "funnel", "--period", "2026-02"), "overlapping_period")
    # Nor may another table of the same people: its total would be part of the quarter's.
    refused(publishing(town, "overlap", "--period", "2026-02"), "overlapping_period")
    published(town, "returns", "--period", "2026-02")


def test_a_quarter_is_added_up_from_its_months(town: Path) -> None:
    months = ["2026-01", "2026-02", "2026-03"]
    names = ["victims-by-organisation", "victims-by-citizenship", "reasonable-grounds"]
    for month in months[:2]:
        published(town, *names, "--period", month)
    refused(publishing(town, *names, *Q1), "overlapping_period")
    published(town, *names, "--period", months[2])
    published(town, *names, *Q1)
    of = {(table, period): figure for table, period, figure in figures(town)}
    exact = 0
    for name in names:
        quarter = dict(attacker.walk(of[name, "2026-Q1"]))
        assert not has_small_cells(of[name, "2026-Q1"], "lt5")
        by_month = [dict(attacker.walk(of[name, month])) for month in months]
        for path, figure in quarter.items():
            number = attacker.number(figure)
            if number is not None and path[-1:] != ("other",):
                # Nothing is said that the months do not say; a part under nobody is nobody.
                told = [
                    0
                    if any(attacker.number(one.get(path[:d], "c")) == 0 for d in range(len(path)))
                    else attacker.number(one[path])
                    if path in one
                    else 0
                    if "other" not in attacker.parts(one[path[:-1]])
                    else None
                    for one in by_month
                ]
                assert None not in told
                assert sum(told) == number  # type: ignore[arg-type]
                exact += 1
    assert exact > 3, "which parts are hidden is drawn by lot; some are always told"
    # The months may be published anew: the quarter says nothing of its own.
    more(town, 30)
    published(town, *names, "--period", months[0], "--revise")
    published(town, *names, *Q1, "--revise")
    refused(publishing(town, "funnel", *Q1), "overlapping_period")


def test_editions_are_spent_some_time(town: Path) -> None:
    published(town, "compensation", *Q1)
    road = reopened(town)
    try:
        for number in range(2, 7):
            record(road, "compensation", "2026-Q1", number)
    finally:
        road.close()
    refused(publishing(town, "compensation", *Q1, "--revise"), "editions_spent")


def test_only_those_who_may_can_publish(town: Path) -> None:
    as_police = say(town, "publish", "funnel", *Q1, "--by", "x", "--as", str(town / "POL-1"))
    refused(as_police, "role_may_not_emit")
    nobody = say(town, "publish", "funnel", *Q1, "--by", " ", "--as", str(town / "CA-1"))
    refused(nobody, "nobody_named")
    stranger = AgencyIdentity.create(town / "X-1", "X-1", "Nobody", "competent_authority")
    not_enrolled = say(town, "publish", "funnel", *Q1, "--by", "x", "--as", str(stranger.home))
    assert not_enrolled.code == 1
    assert "X-1 is not enrolled with this hub" in not_enrolled.err
    assert figures(town) == []


def test_the_hubs_own_agency_speaks_unless_another_is_named(town: Path) -> None:
    for _ in range(2):
        done = say(town, "publish", "funnel", *Q1, "--by", "desk", "--json")
        assert done.code == 0, done.err
    road = reopened(town)
    [row] = road.hub.exchange.log.read(json.loads(done.out)[0]["event"] - 1, 1)
    road.close()
    assert isinstance(row.event, stored.EventAccepted)
    assert (row.event.emitter, row.event.role) == ("HUB", "hub")
    assert len(figures(town)) == 1


def test_previews_are_protected_and_publish_nothing(town: Path) -> None:
    done = say(town, "show", "victims-by-form", *Q1)
    assert done.code == 0
    assert done.out.startswith("NOT PUBLISHED.")
    told = json.loads(say(town, "show", "victims-by-form", *Q1, "--json").out)
    assert told["published"] is False
    assert not has_small_cells(told["figures"], "lt5")
    assert figures(town) == []
    refused(say(town, "show", "victims-by-form", *Q1, "--as-of", "yesterday"), "bad_as_of")
    refused(say(town, "show", "victims-by-form", *Q1, "--as-of", "1"), "no_data")
    refused(say(town, "show", "funnel", *Q1, "--suppression", "dp"), "bad_suppression")
    refused(say(town, "revisions", "funnel", *Q1), "not_published")
    refused(say(town, "export", "--out", str(town / "out")), "not_published")


# -- differential privacy ----------------------------------------------------------------------


def test_noise_is_drawn_once_and_spent_once(town: Path) -> None:
    arguments = ("funnel", *Q1, "--suppression", "dp", "--epsilon", "1.5")
    [first] = published(town, *arguments)
    assert first["epsilon"] == "1.5"
    once = figures(town)
    assert published(town, *arguments)[0]["news"] == "published before"
    assert figures(town) == once
    refused(publishing(town, *arguments, "--revise"), "epsilon_spent")
    published(town, "overlap", *Q1, "--suppression", "dp", "--epsilon", "0.5")
    refused(
        publishing(town, "returns", "--period", "2026-03", "--suppression", "dp"), "epsilon_spent"
    )


def test_adding_up_noise_spends_nothing(town: Path) -> None:
    for month in ("2026-01", "2026-02", "2026-03"):
        published(town, "overlap", "--period", month, "--suppression", "dp", "--epsilon", "1")
    [said] = published(town, "overlap", *Q1, "--suppression", "dp", "--epsilon", "2")
    assert said["epsilon"] == "0"
    *months, quarter = [figure["all"] for _, _, figure in figures(town)]
    assert quarter == sum(months)


def test_noise_has_one_shape_and_is_noise() -> None:
    from decimal import Decimal

    from hub.statistics.counts import Node
    from hub.statistics.noise import noisy

    def draw(a: int, b: int, epsilon: str = "1") -> Any:
        return noisy(Node(a + b, parts={"a": Node(a), "b": Node(b)}), Decimal(epsilon))

    draws = [draw(1000, 0)["by"]["a"] for _ in range(200)]
    assert len(set(draws)) > 3
    assert abs(sum(draws) / 200 - 1000) < 1  # seven standard errors
    assert all(attacker.parts(draw(3, 0)).keys() == {"a", "b"} for _ in range(5))
    assert all(one >= 0 for _ in range(50) for one in draw(0, 0, "0.1")["by"].values())


def test_several_tables_with_noise_are_published_all_or_none(town: Path) -> None:
    every = ("all", *Q1, "--suppression", "dp", "--epsilon")
    done = publishing(town, *every, "0.2")
    refused(done, "epsilon_spent")
    assert "tables at 0.2 are 3.2 of epsilon, and 2 of 2 is left" in done.err
    assert figures(town) == []
    said = published(town, *every, "0.1")
    assert len(said) > 10
    assert {one["news"] for one in said} == {"published"}
    assert {one["news"] for one in published(town, *every, "0.1")} == {"published before"}

    # The page says that it is noise, and how much; marks of hidden figures are not explained.
    assert say(town, "export", "--out", str(town / "out")).code == 0
    page = (town / "out" / "2026-Q1.html").read_text()
    assert page.count("the smallest parts are off by at most 30") >= len(said)
    assert "may not add up to their whole" in page
    assert "&lt;5" not in page


def test_noise_keeps_within_what_the_page_says() -> None:
    """The discrete Laplace distribution: P(|x| > k) = 2q^(k+1)/(1+q), variance 2q/(1-q)^2."""
    for hundredths in range(1, 1001):
        epsilon = hundredths / 100
        q = math.exp(-epsilon)
        k = math.ceil(3 / epsilon)
        assert 2 * q ** (k + 1) / (1 + q) <= 0.05
        assert 2 * q / (1 - q) ** 2 <= 2 / epsilon**2


def test_without_opendp_the_extra_is_named(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opendp", None)
    monkeypatch.setitem(sys.modules, "opendp.prelude", None)
    done = publishing(town, "funnel", *Q1, "--suppression", "dp")
    refused(done, "dp_not_installed")
    assert "pip install 'nrm-hub[dp]'" in done.err
    assert figures(town) == []


# -- files -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def exported(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town's folder with everything of a quarter published, and its files in `out`."""
    town = tmp_path_factory.mktemp("exported") / "town"
    shutil.copytree(built, town)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hub.hub.Clock", lambda: Clock(ScenarioTime(NOW), steady=None))
        published(town, "all", *Q1)
        done = say(town, "export", "--out", str(town / "out"))
    assert done.code == 0, done.err
    return town / "out"


def test_files_say_what_was_published_and_nothing_else(exported: Path) -> None:
    names = {path.name for path in exported.iterdir()}
    assert {"index.html", "2026-Q1.html"} <= names
    assert len(names) == 2 + 3 * len(TABLES)
    for table, _, figure in figures(exported.parent):
        rows = list(csv.reader(io.StringIO((exported / f"{table}_2026-Q1_1.csv").read_text())))
        metadata = json.loads((exported / f"{table}_2026-Q1_1.csv-metadata.json").read_text())
        assert rows[0] == [one["name"] for one in metadata["tableSchema"]["columns"]]
        assert metadata["url"] == f"{table}_2026-Q1_1.csv"
        levels = len(TABLES[table].levels)
        told = {tuple(c for c in row[:levels] if c != "_T"): row for row in rows[1:]}
        for path, one in attacker.walk(figure):
            number = attacker.number(one)
            assert told[path][levels + 2] == ("" if number is None else str(number))


def test_no_file_holds_anything_of_a_person(exported: Path) -> None:
    road = reopened(exported.parent)
    names = road.hub.exchange.pseudonyms
    words = [*CANARIES, *(name_of(n) for n in range(1, 121))]
    for n in range(1, 121):
        words += [
            names.canonical("subject", name_of(n)).hex,
            str(names.canonical("case", name_of(n))),
        ]
    road.close()
    assert found_in(files(exported), [Canary(word, "", "") for word in words]) == []


def test_charts_can_be_read_without_seeing_them(exported: Path) -> None:
    for path in exported.glob("*.svg"):
        root = ET.fromstring(path.read_text("utf-8"))
        names = {child.tag.partition("}")[2]: child for child in root}
        assert root.get("role") == "img"
        labelled = (root.get("aria-labelledby") or "").split()
        assert labelled == [names["title"].get("id"), names["desc"].get("id")]
        assert names["title"].text
        assert "All" in (names["desc"].text or "") or "Case opened" in (names["desc"].text or "")


def test_hidden_bars_have_one_length(exported: Path) -> None:
    """What is hidden is drawn alike, whatever it hides."""
    widths = set()
    for path in exported.glob("*.svg"):
        for rect in ET.fromstring(path.read_text("utf-8")).iter("{http://www.w3.org/2000/svg}rect"):
            if "-hidden" in (rect.get("fill") or ""):
                widths.add(rect.get("width"))
    assert len(widths) == 1


def test_output_and_logs_name_nobody(town: Path) -> None:
    told = ""
    for arguments in (
        ("show", "victims-by-citizenship", *Q1),
        ("show", "victims-by-citizenship", *Q1, "--json"),
    ):
        done = say(town, *arguments)
        told += done.out + done.err
    done = publishing(town, "all", *Q1)
    told += done.out + done.err
    for word in CANARIES:
        assert word not in told


def test_a_hub_without_a_rapporteur_says_so(tmp_path: Path, town: Path) -> None:
    roles = {name: role for name, role in ROLES.items() if name != "RAP-1"}
    road = Road.open(tmp_path, roles)
    road.time.at = NOW
    publish(road, people(6, date(2026, 1, 2), date(2026, 1, 9)))
    road.close()
    done = publishing(tmp_path, "funnel", *Q1)
    assert done.code == 0, done.err
    assert "No national rapporteur is enrolled" in done.err


# -- helpers of these tests --------------------------------------------------------------------


def reopened(town: Path) -> Road:

    time = ScenarioTime(NOW)
    road = Road(town, Hub.open(Home(town / "hub"), Clock(time, steady=None)), time)
    for agency, role in ROLES.items():
        road.enrol(agency, role)
    return road


def more(town: Path, count: int) -> None:
    """More people, recorded late."""
    road = reopened(town)
    start = 1_000 + road.hub.exchange.position
    publish(road, people(count, date(2026, 1, 2), date(2026, 3, 30), seed=start, start=start))
    road.close()


def record(road: Road, table: str, period: str, number: int) -> None:
    """An edition put straight into the log."""
    from hub.recording.draft import stream_id

    road.hub.exchange.commit(
        lambda draft: draft.add(
            stored.TablePublished(
                originator_id=stream_id("statistics", f"{table}/{period}"),
                originator_version=number,
                timestamp=draft.now,
                table=table,
                period=period,
                as_of=draft.now,
                position=road.hub.exchange.position,
                suppression="lt5",
                epsilon="",
                figures=json.dumps({"all": 20 * number}).encode(),
            )
        )
    )


# -- documentation -----------------------------------------------------------------------------


def test_every_table_and_reason_is_documented() -> None:
    page = (ROOT / "docs" / "statistics.md").read_text("utf-8")
    told = describe()
    assert page.endswith(told + "\n"), "run: python -m hub.statistics.describe"
    assert all(f"`{name}`" in told for name in TABLES)
    assert all(level.means in told for table in TABLES.values() for level in table.levels)
    assert all(level.means for table in TABLES.values() for level in table.levels)
    folders = ("cli/statistics*.py", "statistics/*.py")
    code = [path for pattern in folders for path in (ROOT / "hub").glob(pattern)]
    pattern = re.compile(r'Refused\(\s*0,\s*"(\w+)"')
    reasons = {one for path in code for one in pattern.findall(path.read_text("utf-8"))}
    assert {"nothing_new", "dp_not_installed", "nobody_named"} <= reasons
    assert all(f"`{reason}`" in page for reason in reasons)
