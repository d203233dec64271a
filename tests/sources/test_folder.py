"""The folder source: files become events row by row, whole files only, and each row once."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.sources.captured import CapturedSource
from connectors.sources.folder.capture import FolderCapture
from connectors.sources.folder.rows import FileForm
from tests.sources.site import AT, OPENED, Site

CANARY = "Zlatanova-Canary"
HEADER = "case,occurred_at,jurisdiction,channel,age_status,local_case_ref\n"


@dataclass
class Drop:
    """A watched folder. `now` lets files settle."""

    site: Site
    path: Path
    now: float = 100.0
    source: CapturedSource | None = None

    def open(self, form: FileForm | None = None, **options: Any) -> CapturedSource:
        self.path.mkdir(exist_ok=True)
        options = {"encoding": "utf-8-sig", "settle_seconds": 0.0, **options}
        capture = FolderCapture(
            self.path,
            form or FileForm(event="CaseOpened"),
            self.site.identity.salt_secret,
            clock=lambda: self.now,
            **options,
        )
        state = self.path.parent / "folder.state.db"
        holds = options.get("holds_cases", True)
        self.source = CapturedSource(capture, state, name="folder", holds_cases=holds)
        self.source.prepare()
        return self.source

    def put(self, name: str, text: str | bytes) -> None:
        self.path.mkdir(exist_ok=True)
        (self.path / name).write_bytes(text.encode() if isinstance(text, str) else text)

    def report(self, name: str) -> list[dict[str, str]]:
        with (self.path / f"{name}.report.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def lies(self) -> set[str]:
        found = (str(one.relative_to(self.path)) for one in self.path.rglob("*") if one.is_file())
        return set(found)


@pytest.fixture
def drop(site: Site, tmp_path: Path) -> Any:
    found = Drop(site, tmp_path / "drop")
    yield found
    if found.source is not None:
        found.source.close()


def row(case: str, channel: str = "outreach", ref: str = "") -> str:
    return f"{case},{AT},XX,{channel},adult,{ref}\n"


def test_every_row_accepted(site: Site, drop: Drop) -> None:
    drop.put("a.csv", HEADER + row("C-1") + row("C-2"))
    source = drop.open()
    assert site.run(source).accepted == 2
    assert drop.lies() == {"done/a.csv", "done/a.csv.report.csv"}
    [first, second] = drop.report("done/a.csv")
    assert (first["row"], first["outcome"], second["row"]) == ("1", "accepted", "2")
    assert first["event"]
    assert first["position"]
    assert not source.busy()


def test_a_refused_row_its_report_and_the_rest_file(site: Site, drop: Drop) -> None:
    drop.put("a.csv", HEADER + row("C-1", "nowhere", CANARY) + row("C-1") + row("C-2"))
    source = drop.open()
    site.run(source)
    assert drop.lies() == {
        "refused/a.csv",
        "refused/a.csv.report.csv",
        "refused/a.rest.csv",
    }
    first, second, third = drop.report("refused/a.csv")
    assert (first["reason"], first["field"]) == ("unknown_code", "channel")
    assert (second["outcome"], second["reason"]) == ("waiting", "case_held")
    assert third["outcome"] == "accepted"
    assert CANARY not in (drop.path / "refused/a.csv.report.csv").read_text("utf-8")
    rest = (drop.path / "refused/a.rest.csv").read_text("utf-8")
    assert rest == HEADER + row("C-1", "nowhere", CANARY) + row("C-1")
    drop.put("a.rest.csv", HEADER + row("C-1"))  # put right and dropped again
    assert site.run(source).accepted == 1
    assert len(site.recorded()) == 2


def test_without_holding_later_rows_of_the_case_go_on(site: Site, drop: Drop) -> None:
    drop.put("a.csv", HEADER + row("C-1", "nowhere") + row("C-1"))
    progress = site.run(drop.open(holds_cases=False))
    assert (progress.accepted, progress.refused) == (1, 1)


def test_the_same_file_or_row_again_changes_nothing(site: Site, drop: Drop) -> None:
    source = drop.open()
    drop.put("a.csv", HEADER + row("C-1") + row("C-2"))
    site.run(source)
    drop.put("a.csv", HEADER + row("C-1") + row("C-2"))
    drop.put("b.csv", HEADER + row("C-2") + row("C-3"))
    site.run(source)
    assert len(site.recorded()) == 3
    assert {"done/a.csv", "done/a.2.csv", "done/b.csv"} <= drop.lies()


def test_a_row_refused_by_the_hub_is_another_event_when_dropped_again(
    site: Site, drop: Drop
) -> None:
    """Its cause was elsewhere: the row itself is the same."""
    needs = {"type": "NeedsAssessed", "case": "C-1", "occurred_at": AT}
    line = json.dumps({**needs, "data": {"domains": ["housing"]}}) + "\n"
    source = drop.open()
    drop.put("a.jsonl", line)
    assert site.run(source).refused == 1
    assert [one["reason"] for one in drop.report("refused/a.jsonl")] == ["unknown_case"]
    assert site.road.publish("NGO-1", "CaseOpened", "C-1", **OPENED).accepted
    (drop.path / "refused/a.rest.jsonl").rename(drop.path / "a.again.jsonl")
    assert site.run(source).accepted == 1


def test_halves_of_characters_are_the_rows_fault(site: Site, drop: Drop) -> None:
    entry = {"type": "CaseOpened", "case": "C-1", "occurred_at": AT, "data": OPENED}
    broken = [
        {**entry, "case": "\ud800"},
        {**entry, "subject": "\ud800"},
        {**entry, "type": "\ud800"},
        {**entry, "data": {**OPENED, "local_case_ref": "\ud800"}},
        {**entry, "case": ["C-1"]},
    ]
    drop.put("a.jsonl", "".join(json.dumps(one) + "\n" for one in [*broken, entry]))
    progress = site.run(drop.open(holds_cases=False))
    assert progress.accepted == 1
    reasons = [one["reason"] for one in drop.report("refused/a.jsonl")]
    assert reasons[3:] == ["forbidden_character", "missing_column", ""]
    assert "" not in reasons[:3]


def test_a_half_written_file_is_left_until_it_is_whole(site: Site, drop: Drop) -> None:
    source = drop.open(settle_seconds=5.0)
    runner = site.runner(source)
    drop.put("a.csv", HEADER + row("C-1")[:20])
    assert runner.run_once().idle
    assert source.busy()
    drop.now += 4
    drop.put("a.csv", HEADER + row("C-1") + row("C-2"))  # it grew
    assert runner.run_once().idle
    drop.now += 4
    assert runner.run_once().idle
    drop.now += 2
    assert runner.run_once().accepted == 2


def test_a_marker_says_that_a_file_is_whole(site: Site, drop: Drop) -> None:
    source = drop.open(marker=True)
    drop.put("a.csv", HEADER + row("C-1"))
    assert site.run(source).idle
    drop.put("a.csv.done", "")
    assert site.run(source).accepted == 1
    assert drop.lies() == {"done/a.csv", "done/a.csv.report.csv"}


def test_names_that_are_not_whole_files_are_left_alone(site: Site, drop: Drop) -> None:
    names = (".hidden.csv", "a.csv.part", "a.csv.tmp", "notes.txt")
    for name in names:
        drop.put(name, HEADER + row("C-1"))
    (drop.path / "link.csv").symlink_to(drop.path / "notes.txt")
    assert site.run(drop.open()).idle
    assert set(names) <= drop.lies()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", (HEADER + row("C-1")).encode("utf-16"), "not_encoded"),
        ("a.csv", b"", "wrong_header"),
        ("a.csv", row("C-1", ref=CANARY).encode() * 2, "wrong_header"),
        ("a.csv", HEADER.replace("case,", "").encode(), "wrong_header"),
        ("a.csv", HEADER.replace("channel", CANARY).encode(), "wrong_header"),
        ("a.csv", HEADER.replace("channel", "age_status").encode(), "wrong_header"),
        ("a.csv", (HEADER + row("C-1")).replace(",", ";").encode(), "wrong_header"),
        ("a.csv", (HEADER + row("C-1")).replace("\n", "\r").encode(), "row_unreadable"),
        ("a.json", b'[{"type": "CaseOpened"', "row_unreadable"),
        ("a.json", b"\xff" * 9, "not_encoded"),
        ("a.json", b" " * (16 * 2**20 + 1), "too_large"),
    ],
)
def test_files_that_cannot_be_taken(
    site: Site, drop: Drop, name: str, content: bytes, reason: str
) -> None:
    drop.put(name, content)
    drop.put("b.csv", HEADER + row("C-9"))
    assert site.run(drop.open()).accepted == 1  # the next file is not held up
    [told] = drop.report(f"refused/{name}")
    assert (told["row"], told["reason"]) == ("0", reason)
    assert told["what to do"]
    assert CANARY not in str(told)
    assert (drop.path / "refused" / name).read_bytes() == content


def test_bad_rows_are_refused_one_by_one(
    site: Site, drop: Drop, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [
        row("C-1"),
        f"C-2,{AT},XX,outreach\n",
        row("C-3").replace(AT, "yesterday"),
        row("C-4").replace(AT, "2026-03-02 09:00"),
        row("C-5").replace(f"{AT}", ""),
        f'C-6,{AT},XX,"{CANARY},adult,\n',
        row("C-7"),
        row(""),
        row("C-8", ref="x" * 300_000),
        row("C-9"),
    ]
    content = (HEADER + "".join(lines)).encode()
    drop.put("a.csv", content + row("C-10").encode()[:-1] + b"\xff\n" + row("C-11").encode())
    progress = site.run(drop.open())
    assert progress.accepted == 4
    told = {int(one["row"]): one["reason"] for one in drop.report("refused/a.csv")}
    good = {number for number, reason in told.items() if not reason}
    assert good == {1, 7, 10, 12}
    assert told[2] == "row_unreadable"
    assert told[3] == "not_an_instant"
    assert told[4] == "instant_without_zone"
    assert told[5] == "missing_column"
    assert told[6] == "row_unreadable"
    assert told[8] == "missing_column"
    assert told[11] == "not_encoded"
    assert CANARY not in caplog.text
    assert CANARY not in (drop.path / "refused/a.csv.report.csv").read_text("utf-8")


def test_columns_codes_types_and_other_encodings(site: Site, drop: Drop) -> None:
    form = FileForm(
        columns={"Fall": "case", "Zeit": "occurred_at", "Art": "type", "Weg": "channel"},
        codes={"channel": {"Straße": "outreach", "*": "third_party"}},
    )
    text = (
        "Fall;Zeit;Art;Weg;jurisdiction;age_status;group_ref\n"
        f"C-1;{AT};CaseOpened;Straße;XX;adult;\n"
        f"C-2;{AT};CaseOpened;Zug;XX;child;\n"
    )
    drop.put("a.csv", text.encode("cp1252"))
    source = drop.open(form, encoding="cp1252", delimiter=";")
    assert site.run(source).accepted == 2, drop.report("refused/a.csv")


@pytest.mark.parametrize(
    ("name", "begins", "encoding", "told"),
    [
        ("a.CSV", "", "cp1252", "cp1252"),
        ("a.csv", "\ufeff", "utf-8", "cp1252"),  # the mark says more than the settings
        ("a.csv", "sep=;\r\n", "cp1252", "cp1252"),
        ("a.csv", '\ufeff"sep=;"\r\n', "utf-8", "cp1252"),
    ],
)
def test_files_as_spreadsheets_write_them(
    site: Site, drop: Drop, name: str, begins: str, encoding: str, told: str
) -> None:
    lines = [
        HEADER.strip().replace(",", ";"),
        f'Ä-1;{AT};XX;outreach;adult;"„Zimmer"" 2;\nHof"',
        f"Ä-2;{AT};XX;outreach;adult;",
        ";;;;;",
        "",
    ]
    drop.put(name, (begins + "\r\n".join(lines)).encode(encoding))
    source = drop.open(encoding=told, delimiter="," if "sep" in begins else ";")
    events = source.read(10)
    assert [one.event and one.event.case for one in events] == ["Ä-1", "Ä-2"]
    assert events[0].event is not None
    assert events[0].event.data["local_case_ref"] == '„Zimmer" 2;\nHof'


def test_what_could_not_be_read_is_counted_and_told(site: Site, drop: Drop) -> None:
    drop.put("a.csv", HEADER + row("C-1").replace(AT, "yesterday") + row("C-2"))
    drop.put("b.csv", "no header\n")
    drop.put("notes.txt", "")
    source = drop.open()
    assert any("notes" not in one and "left alone" in one for one in source.status().notes)
    source.read(1)
    assert "in work: a.csv, read to row 2 (100 %)" in source.status().notes
    assert site.run(source).accepted == 1
    assert source.unread == 2
    assert source.status().notes[-1].endswith(str(drop.path / "refused"))


def test_a_marker_left_by_a_kill_speaks_for_no_other_file(site: Site, drop: Drop) -> None:
    drop.open(marker=True).close()
    drop.put("work/a.csv", HEADER + row("C-1"))  # moved, and cut off there
    drop.put("a.csv.done", "")
    assert site.run(drop.open(marker=True)).accepted == 1
    drop.put("a.csv", HEADER + row("C-2")[:20])
    assert site.run(drop.open(marker=True)).idle


def test_json_and_json_lines_with_ids_of_their_own(site: Site, drop: Drop) -> None:
    entry = {"type": "CaseOpened", "occurred_at": AT, "data": OPENED}
    own = "8c1d2f5e-6a53-4c4e-9d57-0c1f6a1c8b11"
    drop.put("a.json", json.dumps([{**entry, "case": "C-1", "event_id": own}, {"case": 7}]))
    drop.put(
        "b.jsonl",
        b"\xef\xbb\xbf"
        + "\n".join(json.dumps({**entry, "case": f"C-{n}"}) for n in (2, 3)).encode(),
    )
    progress = site.run(drop.open())
    assert progress.accepted == 3
    assert site.recorded()[0].event_id.hex() == own.replace("-", "")
    assert [one["reason"] for one in drop.report("refused/a.json")] == ["", "missing_column"]
    assert json.loads((drop.path / "refused/a.rest.json").read_text("utf-8")) == [{"case": 7}]


def test_key_columns_tell_rows_apart(site: Site, drop: Drop) -> None:
    form = FileForm(event="CaseOpened", key=["case"])
    drop.put("a.csv", HEADER + row("C-1") + row("C-1", "helpline"))
    source = drop.open(form)
    site.run(source)
    assert [one["reason"] for one in drop.report("refused/a.csv")] == ["", "duplicate_key"]
    drop.put("b.csv", HEADER + row("C-1", "helpline"))  # other bytes under a key that was accepted
    site.run(source)
    [told] = drop.report("refused/b.csv")
    assert told["reason"] == "conflict"
    assert "new row" in told["what to do"]


def test_a_long_file_goes_on_in_the_middle(site: Site, drop: Drop) -> None:
    """Stopped after each batch; quoted line ends and blank lines do not confuse the place."""
    rows = [
        row(f"C-{n}", ref='"a\nb"' if n % 3 else "") + ("\n" if n % 5 == 0 else "")
        for n in range(40)
    ]
    drop.put("a.csv", "\ufeff" + HEADER + "".join(rows))
    accepted = 0
    for _ in range(60):
        source = drop.open()
        runner = site.runner(source)
        runner._pace = type(runner._pace)(rows=3)
        accepted += runner.run_once().accepted
        source.close()
    assert accepted == 40
    assert len(site.recorded()) == 40
    assert "done/a.csv" in drop.lies()
    assert [int(one["row"]) for one in drop.report("done/a.csv")] == list(range(1, 41))


def test_what_keeps_files_from_being_taken_is_told_at_once(tmp_path: Path) -> None:
    [only] = FolderCapture(tmp_path / "nowhere", FileForm(), b"x" * 32).findings()
    assert "there is no folder" in only.text
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "done").touch()
    found = FolderCapture(tmp_path / "here", FileForm(), b"x" * 32, encoding="klingon").findings()
    assert [one.fix.split()[0] for one in found] == ["move", "save"]
