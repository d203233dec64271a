"""One partner's site, as its partner.toml describes it: what its commands open first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.agency.identity import AgencyIdentity
    from connectors.settings import PartnerSettings
    from connectors.sink import Sink


def opened(path: Path) -> tuple[PartnerSettings, AgencyIdentity, Sink]:
    """Settings, identity and sink; nothing is made or asked yet.

    SettingsError or IdentityError says what is wrong with which file.
    """
    from connectors.agency.identity import AgencyIdentity
    from connectors.settings import load_settings, open_sink

    settings = load_settings(path)
    identity = AgencyIdentity.load(settings.home)
    return settings, identity, open_sink(settings, identity)
