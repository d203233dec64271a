"""An overview whose work list was not followed says so, instead of "nothing is to be done"."""

from __future__ import annotations

from pathlib import Path

from tests.console.stories import OPERATOR, told_by
from tests.played import play, scenario


def test_a_work_list_that_was_not_followed_is_called_old(tmp_path: Path) -> None:
    play(tmp_path, scenario("S1")).close()
    with told_by(tmp_path) as story:
        rows = story.exchange.log.head - story.exchange.log.work.position()
        assert f"has yet to follow {rows} rows" in story.get("/", OPERATOR)
        story.get("/work", OPERATOR)
        assert "has yet to follow" not in story.get("/", OPERATOR)
