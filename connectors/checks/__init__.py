"""What `nrm-hub connector check` looks at, before anything flows and while it does.

    settings → files and disk → identity → notice → sink and its system → hub → registry → lag

Each step answers with findings (`connectors/findings.py`) and raises nothing it can name; what
cannot be looked at because an earlier step is wrong is left out. Nothing here prints: a finding
holds names of files, tables and addresses, never a secret or what an event says. Nothing is changed
but what a first run would make: the connector's own tables, and the registry kept beside the keys.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from connectors.agency.identity import AgencyIdentity
from connectors.checks.files import disk_findings, home_findings, settings_findings
from connectors.checks.hub import hub_findings
from connectors.checks.sink import sink_findings
from connectors.errors import ConnectorError
from connectors.findings import Checkable, Finding
from connectors.kinds import KINDS
from connectors.settings import SINKS, PartnerSettings, load_settings, open_notices, open_sink


def look(path: Path, now: datetime) -> list[Finding]:
    """Everything there is to say about the connector of this partner.toml."""
    try:
        settings = load_settings(path)
    except ConnectorError as wrong:
        return [Finding("wrong", "settings", str(wrong), "correct the file")]
    found = [Finding("ok", "settings", f"{path}: {settings.sink.kind} sink, by {_way(settings)}")]
    found += settings_findings(path)
    try:
        identity = AgencyIdentity.load(settings.home)
        hub = identity.hub
    except ConnectorError as wrong:
        found.append(Finding("wrong", "identity", str(wrong), "see docs/connectors.md, step 1"))
        return [*found, *_until_enrolled(settings)]
    found.append(Finding("ok", "identity", f"{identity.agency} at hub {hub.hub}"))
    found += home_findings(identity)
    found += disk_findings(settings)
    found += _notice_findings(settings, identity)
    try:
        sink = open_sink(settings, identity)
    except ConnectorError as wrong:
        found.append(Finding("wrong", "sink", str(wrong), "correct the settings"))
        return [*found, *hub_findings(settings, identity, None, now)]
    try:
        reached, position = sink_findings(sink, now)
        found += reached
        found += hub_findings(settings, identity, position, now)
    finally:
        sink.close()
    return found


def _until_enrolled(settings: PartnerSettings) -> list[Finding]:
    """What the sink says of its system already, while an answer to the request is waited for.

    Nothing is made there. A sink of another package may want the identity: it is not asked.
    """
    kind = settings.sink.kind
    if kind not in ("sql", "jsonl", *KINDS) and entry_points(group=SINKS, name=kind):
        return []
    file = (settings.sink.url or "").removeprefix("sqlite:///")
    empty = file != settings.sink.url and not Path(file).exists()  # looking would make it
    nobody: Any = SimpleNamespace(agency="nobody", hub=SimpleNamespace(hub="nobody"))
    try:
        sink = open_sink(settings, nobody)
    except ConnectorError as wrong:
        return [Finding("wrong", "sink", str(wrong), "correct the settings")]
    try:
        return sink.check() if isinstance(sink, Checkable) and not empty else []
    except ConnectorError as wrong:
        return [Finding("wrong", "sink", str(wrong), "nothing flows until this is mended")]
    finally:
        sink.close()


def _notice_findings(settings: PartnerSettings, identity: AgencyIdentity) -> list[Finding]:
    """Whether the mail server lets us in. Without it deliveries flow all the same."""
    try:
        notices = open_notices(settings, identity)
        found = [] if notices is None else notices.check()
    except ConnectorError as wrong:  # then the connector would not start
        return [Finding("wrong", "notice", str(wrong), "see docs/connect-email.md")]
    return [replace(one, level="warning") if one.level == "wrong" else one for one in found]


def _way(settings: PartnerSettings) -> str:
    return str(settings.inbox.via)
