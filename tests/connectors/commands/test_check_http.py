"""`nrm-hub connector check` against a real hub that is reached over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.checks import look
from connectors.checks.hub import hub_findings
from connectors.settings import load_settings
from tests.api.conftest import Api
from tests.api.conftest import api as api  # noqa: PLC0414 - a fixture
from tests.api.conftest import world as world  # noqa: PLC0414 - a fixture


def test_all_is_well_and_clocks_that_differ(api: Api, tmp_path: Path) -> None:
    """The hub refuses what is half a minute off; its answer tells its time all the same."""
    identity = api.world.identities["POL-1"]
    partner = tmp_path / "partner.toml"
    partner.write_text(
        f'home = "{identity.home}"\n[sink]\nurl = "sqlite:///p.db"\n'
        f'[inbox]\nvia = "http"\nurl = "{str(api.client.base_url).rstrip("/")}"\n'
    )
    now = datetime.now(UTC)
    everything = look(partner, now)
    assert {one.level for one in everything} == {"ok"}, everything
    assert "nothing waits at the hub" in {one.text for one in everything}
    for off, level in ((-12, "warning"), (12, "warning"), (90, "wrong"), (-90, "wrong")):
        looked = hub_findings(load_settings(partner), identity, None, now + timedelta(seconds=off))
        [clock] = [one for one in looked if one.subject == "clock"]
        assert clock.level == level, clock
        assert clock.fix
