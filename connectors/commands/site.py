"""One partner's site, as its partner.toml describes it: what its commands open first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from connectors.errors import SinkDownError

if TYPE_CHECKING:
    from connectors.agency.identity import AgencyIdentity
    from connectors.settings import PartnerSettings
    from connectors.sink import Sink

T = TypeVar("T")


def opened(path: Path) -> tuple[PartnerSettings, AgencyIdentity, Sink]:
    """Settings, identity and sink; nothing is made or asked yet.

    SettingsError or IdentityError says what is wrong with which file.
    """
    from connectors.agency.identity import AgencyIdentity
    from connectors.settings import load_settings, open_sink

    settings = load_settings(path)
    identity = AgencyIdentity.load(settings.home)
    return settings, identity, open_sink(settings, identity)


def looked(sink: Sink, look: Callable[[], T]) -> T:
    """What `look` reads in the sink's books, beside a connector that holds them for writing: for
    minutes, while its recall waits. Books that are not there yet, or older, are made first."""
    try:
        return look()
    except SinkDownError:
        sink.prepare()
        return look()
