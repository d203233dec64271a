"""The last part of docs/questions.md, with an answer to every question from a played hub.

    python -m tests.questions.examples

What differs from hub to hub (ids, keys, a partner's own clock) is shown as `…`.
"""

from __future__ import annotations

import copy
import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hub.audit.questions import QUESTIONS, Answer
from hub.audit.questions.answer import told as text_of
from hub.audit.questions.describe import describe
from hub.clock import Clock, ScenarioTime
from hub.home import Home
from hub.hub import Hub as RunningHub
from schemas.registry import Schemas
from tests.played import play, scenario
from tests.questions.asked import NOW, Told, hub_of
from tests.questions.stage import erased_person
from tests.questions.test_mappings import MAPPING

# Question → (where it is asked, with what)
ASKED: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "Q01": ("S1", {"case": "C1"}),
    "Q02": ("S1", {"agency": "POL-1", "as_of": "2026-03-20"}),
    "Q03": ("S1", {"case": "C1"}),
    "Q04": ("S1", {}),
    "Q05": ("S2", {}),
    "Q06": ("S1", {}),
    "Q07": ("S1", {}),
    "Q08": ("S1", {"agency": "POL-1"}),
    "Q09": ("S1", {}),
    "Q10": ("S1", {}),
    "Q11": ("erased", {}),
    "Q12": ("S7", {}),
    "Q13": ("S7", {}),
    "Q14": ("S2", {}),
    **{f"Q{number}": ("town", {"period": "2026-Q1"}) for number in range(15, 23)},
    "Q17": ("town", {"period": "2026-Q1", "table": "funnel"}),
    "Q23": ("erased", {"agency": "NGO-1"}),
    "Q24": ("S1", {"mapping_text": MAPPING}),
}
_OWN: Final = frozenset({"case", "cases", "case_ref", "event_ref", "applied"})
_KEY: Final = re.compile(r"key [0-9a-f]{12}")
_PLACES: Final = {
    "erased": "a person was erased; NGO-1 runs no connector",
    "town": "a synthetic town of ninety",
}
Places = Callable[[str], Told]


def upcoming(folder: Path) -> Path:
    """A folder in which a field of CaseOpened is to have another name."""
    document = copy.deepcopy(dict(Schemas.load().by_type("CaseOpened").document))
    next(one for one in document["fields"] if one["name"] == "channel")["name"] = "channels"
    folder.mkdir(exist_ok=True)
    (folder / "CaseOpened.avsc").write_text(json.dumps(document), "utf-8")
    return folder


def examples(places: Places, folder: Path) -> dict[str, str]:
    """One answer to every question, in words."""
    found = {}
    for id_ in QUESTIONS:
        where, given = ASKED[id_]
        extra = {"schemas": str(upcoming(folder / "upcoming"))} if id_ == "Q24" else {}
        found[id_] = _words(places(where).ask(id_, **given, **extra), where)
    return found


def _words(found: Answer, where: str) -> str:
    place = _PLACES.get(where, f"scenario {where}")
    given = ", ".join(f"{name}={value}" for name, value in found.parameters.items())
    lines = [f"For example ({place}{f', {given}' if given else ''}):\n", "```"]
    if found.rows:
        for column, cell in zip(found.columns, found.rows[0], strict=True):
            if cell not in (None, ""):
                shown = "…" if column.name in _OWN else _KEY.sub("key …", text_of(cell))
                lines.append(f"{column.name}: {shown}")
        more = len(found.rows) - 1
        if where != "town" and more:  # there, which lines are hidden is drawn by lot
            lines.append(f"… and {more} more row{'s' if more > 1 else ''}")
    else:
        lines.append("no rows")
    lines += [f"verdict: {found.verdict}"] if found.verdict else []
    lines += [f"position: {found.position}"] if where != "town" else []
    return "\n".join([*lines, "```"])


def generated(places: Places, folder: Path) -> str:
    return describe(examples(places, folder)).rstrip()


def main() -> None:
    from tests.questions.test_rapporteur import build_town, road_of

    with tempfile.TemporaryDirectory() as folder:
        opened: dict[str, Told] = {}

        def place(name: str) -> Told:
            if name not in opened:
                where = Path(folder) / name
                if name == "town":
                    build_town(where)
                    opened[name] = Told(hub_of(road_of(where).hub), {})
                elif name == "erased":
                    where.mkdir()
                    opened[name] = Told(hub_of(erased_person(where).hub), {})
                else:
                    play(where, scenario(name)).close()
                    hub = RunningHub.open(Home(where / "hub"), Clock(ScenarioTime(NOW)))
                    hub.checkpoints.step(now=True)
                    opened[name] = Told(hub_of(hub), scenario(name))
            return opened[name]

        sys.stdout.write(generated(place, Path(folder)) + "\n")


if __name__ == "__main__":
    main()
