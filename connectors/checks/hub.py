"""The hub: reached, trusted, on the same time, with this agency's key; and how much waits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import httpx2

from connectors.agency.http import place
from connectors.agency.http_auth import signed_requests
from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import REGISTRY_PATH, HttpInbox, Inbox
from connectors.agency.registry_cache import RegistryCache
from connectors.errors import ConnectorError
from connectors.findings import Finding
from connectors.loopback import is_here
from connectors.settings import PartnerSettings, open_inbox
from connectors.sink import Position
from hub.topics import TopicDeniedError, TopicError, Topics, open_topics

SKEW: Final = 30.0
"""Seconds a signed request may be off; the hub refuses it beyond."""
SOME_SKEW: Final = 5.0
MUCH: Final = 1000  # messages


def hub_findings(
    settings: PartnerSettings, identity: AgencyIdentity, position: Position | None, now: datetime
) -> list[Finding]:
    url = settings.inbox.url or (
        identity.hub.http_url if settings.inbox.via == "http" else identity.hub.topics_url
    )
    if url is None:
        return [Finding("wrong", "hub", "no address", "set inbox.url, or install a new approval")]
    found = [_encryption(url)]
    if settings.inbox.via == "http":
        found.append(_clock(url, identity, settings.inbox.timeout_seconds, now))
    try:
        inbox = open_inbox(settings, identity)
    except ConnectorError as wrong:
        return [*found, Finding("wrong", "hub", str(wrong), "check inbox.url, and that it runs")]
    try:
        found += _registry(inbox, identity)
        if settings.inbox.via == "http":
            found += _waiting_by_http(url, identity, position, settings.inbox.timeout_seconds)
        else:
            found += _topics(url, identity, position)
    except ConnectorError as wrong:
        found.append(Finding("wrong", "hub", str(wrong), "check inbox.url, and that it runs"))
    finally:
        inbox.close()
    return found


def _encryption(url: str) -> Finding:
    parts = urlsplit(url)
    host = (parts.netloc.rpartition("@")[2]).rpartition(":")[0] or parts.hostname
    security = dict(parse_qsl(parts.query)).get("security", "").lower()
    encrypted = parts.scheme in ("https", "embedded") or security in ("ssl", "sasl_ssl")
    if encrypted or is_here(host or ""):
        return Finding("ok", "tls", f"the way to the hub ({place(url)}) is encrypted or local")
    return Finding(
        "warning",
        "tls",
        f"the way to the hub ({place(url)}) is not encrypted: contents are sealed all the same, "
        "but sizes, times and who speaks to whom can be seen",
        "use https; for Kafka, security=ssl (docs/operations-kafka.md)",
    )


def _clock(url: str, identity: AgencyIdentity, seconds: float, now: datetime) -> Finding:
    """The hub's own time stands in every answer, also in a refusal."""
    headers = signed_requests(identity)("GET", REGISTRY_PATH, b"")
    try:
        with httpx2.Client(timeout=seconds, trust_env=False) as client:
            answer = client.get(url.rstrip("/") + REGISTRY_PATH, headers=dict(headers))
        theirs = parsedate_to_datetime(answer.headers["date"]).astimezone(UTC)
    except (httpx2.HTTPError, httpx2.InvalidURL, KeyError, ValueError):
        return Finding("warning", "clock", "the hub's time is not known: it gave no answer with it")
    off = (now - theirs).total_seconds()
    text = f"this machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the hub"
    if abs(off) >= SKEW:
        return Finding("wrong", "clock", text, "set it (NTP): the hub refuses its requests")
    if abs(off) >= SOME_SKEW:
        return Finding("warning", "clock", text, "set it (NTP)")
    return Finding("ok", "clock", "on the hub's time")


def _registry(inbox: Inbox, identity: AgencyIdentity) -> list[Finding]:
    signed = inbox.registry()
    if signed is None:
        return [
            Finding(
                "warning", "hub", "reached, but it has published no registry yet",
                "wait until the hub runs; without it no agency's evidence can be checked",
            )
        ]  # fmt: skip
    registry = RegistryCache(identity)
    registry.update(signed)
    found = [Finding("ok", "hub", f"reached; registry as of its change {registry.position}")]
    key = registry.signing_key(identity.agency, identity.signing.key_id)
    if key is None:
        found.append(
            Finding(
                "wrong", "registry", f"the hub does not know {identity.agency}'s present key",
                "have the enrolment request approved, then nrm-hub agency install",
            )
        )  # fmt: skip
    elif key.valid_to is not None:
        found.append(
            Finding(
                "wrong", "registry", f"{identity.agency}'s key was revoked: no receipt is taken",
                "make a new identity: docs/connectors.md, Stolen keys",
            )
        )  # fmt: skip
    return found


def _waiting_by_http(
    url: str, identity: AgencyIdentity, position: Position | None, seconds: float
) -> list[Finding]:
    if position is None:
        return []
    inbox = HttpInbox(url, signed_requests(identity), timeout=seconds)
    try:
        waits = inbox.newest(position.sequence) > position.sequence
    finally:
        inbox.close()
    text = "deliveries wait to be fetched" if waits else "nothing waits at the hub"
    return [Finding("ok", "lag", text)]


def _topics(url: str, identity: AgencyIdentity, position: Position | None) -> list[Finding]:
    """What may be read: the own deliveries, and not what others send."""
    names = identity.hub.topics
    found: list[Finding] = []
    try:
        topics = open_topics(url)
    except TopicError as wrong:
        return [Finding("wrong", "hub", str(wrong), "check inbox.url, and that it runs")]
    try:
        deliveries = names["deliveries"]
        end = topics.end(deliveries)
        topics.read(deliveries, None, 1, 0.0)
        if position is not None:
            life, _, offset = position.cursor.rpartition(":")
            same = life == topics.identity(deliveries) and offset.isdigit()
            found.append(_lag(end - int(offset) if same else end))
        if not url.startswith("embedded:"):
            found += _others(topics, names)
    except TopicDeniedError as denied:
        found.append(
            Finding(
                "wrong", "rights", f"this agency may not read its topic: {denied}",
                "ask the hub's operator to enrol its Kafka user again",
            )
        )  # fmt: skip
    except TopicError as wrong:
        found.append(Finding("wrong", "hub", str(wrong), "check that the broker runs"))
    finally:
        topics.close()
    return found


def _lag(messages: int) -> Finding:
    if messages >= MUCH:
        return Finding(
            "warning",
            "lag",
            f"{messages} messages wait",
            "start the connector, or see why it waits",
        )
    return Finding("ok", "lag", f"{messages} messages wait")


def _others(topics: Topics, names: Mapping[str, str]) -> list[Finding]:
    """Receipts and submissions of all agencies lie on shared topics that only the hub reads."""
    found = []
    for name in ("receipts", "ingest"):
        try:
            topics.read(names[name], None, 1, 0.0)
        except TopicDeniedError:
            continue
        found.append(
            Finding(
                "warning", "rights", f"this user may read what others send ({name})",
                "have the broker's access rules turned on (docs/operations-kafka.md)",
            )
        )  # fmt: skip
    return found or [Finding("ok", "rights", "may not read what others send")]
