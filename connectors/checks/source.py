"""What `nrm-hub source check` looks at: everything that is missing, at once.

    settings → files → identity → the agency's own system → what waits there → hub

As `connectors/checks/__init__.py` does it for a connector: each step answers with findings, and
what cannot be looked at because an earlier one is wrong is left out. Nothing is sent; made is only
the source's own state file, and only once nothing is wrong with the agency's system.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from connectors.agency.identity import AgencyIdentity
from connectors.checks.files import home_findings, settings_findings
from connectors.checks.hub import hub_findings
from connectors.errors import ConnectorError
from connectors.findings import Checkable, Finding
from connectors.settings import InboxSettings, PartnerSettings, SinkSettings
from connectors.source import Source
from connectors.sources.settings import SourceSettings, load_source_settings, open_source

_OURS: Final = ("outbox", "changes", "folder")


def look_at_source(path: Path, now: datetime) -> list[Finding]:
    """Everything there is to say about the source of this source.toml."""
    try:
        settings = load_source_settings(path)
    except ConnectorError as wrong:
        return [Finding("wrong", "settings", str(wrong), "correct the file")]
    found = [Finding("ok", "settings", f"{path}: {settings.kind}, by {settings.hub.via}")]
    found += settings_findings(path)
    identity: AgencyIdentity | None = None
    try:
        identity = AgencyIdentity.load(settings.home)
        told = f"{identity.agency} ({identity.role}) at hub {identity.hub.hub}"
        found.append(Finding("ok", "identity", told))
    except ConnectorError as wrong:
        found.append(Finding("wrong", "identity", str(wrong), "see docs/connectors.md, step 1"))
    if identity is not None:
        found += home_findings(identity)
    found += _source_findings(settings, identity)
    if identity is not None and identity.enrolled:
        found += hub_findings(_as_inbox(settings), identity, None, now)
    return found


def _source_findings(settings: SourceSettings, identity: AgencyIdentity | None) -> list[Finding]:
    """What the source says of the agency's system, and how it stands if nothing is wrong there.

    A source of another package may want the identity: without one it is not asked.
    """
    if identity is None and settings.kind not in _OURS:
        return []
    nobody: Any = SimpleNamespace(salt_secret=bytes(32))
    try:
        source = open_source(settings, identity or nobody)
    except ConnectorError as wrong:
        return [Finding("wrong", "source", str(wrong), "correct the settings")]
    found: list[Finding] = []
    try:
        if isinstance(source, Checkable):
            found += source.check()
        if identity is not None and not any(one.level == "wrong" for one in found):
            found += _standing(settings, source)
    except ConnectorError as wrong:
        found.append(Finding("wrong", "source", str(wrong), "then check again"))
    finally:
        source.close()
    return found


def _standing(settings: SourceSettings, source: Source) -> Iterator[Finding]:
    source.prepare()
    status = source.status()
    yield Finding("ok", "source", f"{settings.kind}: {status.ready} ready, {status.held} held")
    if status.refused:
        yield Finding("warning", "source", f"{status.refused} refused", "nrm-hub source report")


def _as_inbox(settings: SourceSettings) -> PartnerSettings:
    """The way to the hub is looked at as a connector's is."""
    return PartnerSettings(
        home=settings.home,
        inbox=InboxSettings(via=settings.hub.via, url=settings.hub.url),
        sink=SinkSettings(kind="none"),
    )
