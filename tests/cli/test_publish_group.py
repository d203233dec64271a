"""`nrm-hub publish --group`, as a labour inspector would type it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from tests.cli.programs import nrm
from tests.connectors.commands.test_group import sheet, template, worker
from tests.road import Road


def test_a_group_is_published_and_who_was_refused_is_told(tmp_path: Path) -> None:
    roles = {"LI-1": "labour_inspectorate", "CA-1": "competent_authority", "UNI-1": "trade_union"}
    road = Road.open(tmp_path / "world", roles)
    road.time.at = datetime.now(UTC)
    file, home = template(tmp_path), road.identities["LI-1"].home
    far = f"{road.time.at.year + 1}-12-31"
    sheet(tmp_path, [worker(1, until=far), worker(2, until="2020-01-01")])
    road.hub.start()
    try:
        command = ("publish", file, "--group", tmp_path / "workers.csv", "--home", home)
        done = nrm(*command)
        assert done.code == 3, done.err
        assert "2 people, 1 with everything accepted." in done.out
        assert "consent_required" in done.out
        assert "workers.csv.refused.csv" in done.out
        sheet(tmp_path, [worker(1, until=far), worker(2, until=far)])
        done = nrm(*command, "--apart", "--json")
        assert done.code == 0, done.out
        told = [json.loads(line) for line in done.out.splitlines()]
        assert {one["case"] for one in told} == {"W-01", "W-02"}
        assert all(one["accepted"] for one in told)
        assert road.hub.failure is None
    finally:
        road.close()
    (tmp_path / "workers.csv").write_text("person\nA\n", "utf-8")
    wrong = nrm(*command)
    assert (wrong.code, "`case` is missing" in wrong.err) == (1, True)
