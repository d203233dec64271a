"""The pages say what the code does: timers, kinds, reasons."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date
from pathlib import Path

from consumers.notices.settings import read_notices
from hub.domain import timers
from hub.domain.policy import PolicyProfile, default_document
from hub.domain.timers import TIMERS
from hub.domain.work import BECAUSE, CONTESTED
from hub.domain.work_kinds import KINDS

DOCS = Path(__file__).parents[2] / "docs"


def rows(page: str) -> list[list[str]]:
    text = (DOCS / page).read_text("utf-8")
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def test_every_timer_is_documented_as_it_is() -> None:
    found = {row[0]: row for row in rows("timers.md") if re.match(r"T\d\d ", row[0])}
    assert list(found) == [f"{name} {timer.name}" for name, timer in TIMERS.items()]
    for name, timer in TIMERS.items():
        row = found[f"{name} {timer.name}"]
        setting = f"`{timer.setting}`" if timer.setting else "–"
        assert row[1:5] == [timer.starts, timer.stops, timer.fires, setting], name


def test_every_kind_is_documented_as_it_is() -> None:
    found = {row[0].strip("`"): row for row in rows("work.md") if row[0].strip("`") in KINDS}
    assert list(found) == list(KINDS)
    for name, kind in KINDS.items():
        assert found[name][1:] == [
            kind.says,
            kind.owner,
            kind.closes,
            kind.escalates or "–",
            kind.timer or "–",
            kind.urgency,
        ], name


def test_every_kind_with_a_timer_names_one_that_there_is() -> None:
    assert {kind.timer for kind in KINDS.values()} - {""} == set(TIMERS)


def test_every_reason_is_documented() -> None:
    found = {row[0].strip("`"): row[1] for row in rows("work.md") if len(row) == 2}
    for code, says in {**BECAUSE, **CONTESTED}.items():
        assert found[code] == says


def test_the_example_of_lengths_by_jurisdiction_is_a_valid_profile() -> None:
    text = (DOCS / "timers.md").read_text("utf-8")
    [example] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    document = default_document()
    document["timers"] |= json.loads("{" + example + "}")
    profile = PolicyProfile.from_document(document)
    assert timers.recovery_minimum(profile.timers, "GB-SCT", date(2026, 1, 1)) == 90


def test_the_settings_of_notices_on_the_page_are_valid() -> None:
    text = (DOCS / "work.md").read_text("utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    example = example.replace("${DESK_SECRET}", "whsec_" + "A" * 32)
    example = example.replace("${MAIL_PASSWORD}", "pw").replace("/etc/ssl/our-ca.pem", __file__)
    told = tomllib.loads(example)
    settings = read_notices(told["notices"], told["mail"])
    assert [one.name for one in settings.receivers] == ["night desk", "duty"]
