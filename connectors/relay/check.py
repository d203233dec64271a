"""What `nrm-hub connector check` says of a relay: brokers, topics, rights, registry.

Looks and changes nothing. `unfit` is also asked before a topic is written to for the first time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from connectors.errors import ConnectorError
from connectors.findings import Finding
from connectors.relay.options import Options
from connectors.remote.outbound import Outbound
from hub.topics import TopicDeniedError, TopicError
from hub.topics.compacted import CompactedTopics, Described
from hub.topics.kafka_settings import KafkaSettings
from schemas.partner import PartnerSchemas
from schemas.registry import Schemas

NEEDED: Final = frozenset({"DESCRIBE", "DESCRIBE_CONFIGS", "READ", "WRITE"})
_HARMLESS: Final = NEEDED | {"CREATE"}
SLOWEST_MS: Final = 3_600_000  # a recall that waits longer than an hour is no recall
_WEEK_MS: Final = 7 * 24 * 3600 * 1000


def unfit(topic: Described) -> tuple[str, str] | None:
    """Why nothing may be written to this topic, and what to do; None if it is fit."""
    alter = f"kafka-configs.sh --alter --entity-type topics --entity-name {topic.name} --add-config"
    if "compact" not in topic.settings["cleanup.policy"].split(","):
        return (
            f"has cleanup.policy {topic.settings['cleanup.policy']}, so that what is recalled "
            "would stay",
            f"{alter} cleanup.policy=compact",
        )
    if int(topic.settings["max.compaction.lag.ms"]) > SLOWEST_MS:
        return (
            "has no short max.compaction.lag.ms, so that what is recalled would stay for long",
            f"{alter} max.compaction.lag.ms=10000",
        )
    return None


def look(options: Options, kafka: KafkaSettings, topics: Sequence[str]) -> list[Finding]:
    """Everything found. topics: all that may be written to."""
    where = ", ".join(kafka.servers)
    try:
        cluster = CompactedTopics(kafka)
    except TopicDeniedError as denied:
        return [Finding("wrong", "kafka", str(denied), "check user and password")]
    except TopicError as down:
        return [Finding("wrong", "kafka", str(down), "check servers, security and the network")]
    try:
        found = [Finding("ok", "kafka", f"{where}: reached, {cluster.brokers()} brokers")]
        if not options.encrypted and not options.local:
            text = "what is written travels unencrypted"
            found.append(Finding("warning", "kafka", text, 'set security = "sasl_ssl" or "ssl"'))
        try:
            there = cluster.describe(topics)
        except TopicError as wrong:
            fix = f"allow DescribeConfigs on topics prefixed {options.prefix}. to this user"
            return [*found, Finding("wrong", "topics", str(wrong), fix)]
        found += _topics(options, there, len(topics))
        absent = next((name for name in topics if name not in there), None)
        if absent and options.make_topics and not cluster.may_make(absent):
            text = f"this user may not make {absent}, and perhaps not see it"
            fix = f"allow Create on topics prefixed {options.prefix}. to it, or unset make_topics"
            found.append(Finding("wrong", "topics", text, fix))
        for one in there.values():
            found += _topic(one)
        if there and all(NEEDED <= one.rights <= _HARMLESS for one in there.values()):
            found.append(Finding("ok", "rights", "as needed on every topic, and no more"))
    except TopicError as wrong:
        return [Finding("wrong", "kafka", str(wrong), "see the broker's log")]
    finally:
        cluster.close()
    return [*found, *_registry(options)]


def _topics(options: Options, there: dict[str, Described], every: int) -> list[Finding]:
    told = f"{len(there)} of {every} are there"
    if len(there) == every:
        return [Finding("ok", "topics", told)]
    if options.make_topics:
        return [Finding("ok", "topics", f"{told}; the others are made with their first event")]
    return [
        Finding(
            "warning",
            "topics",
            f"{told}; an event of another type waits until its topic is made",
            "make them, compacted, or set make_topics (docs/connect-kafka.md)",
        )
    ]


def _topic(topic: Described) -> list[Finding]:
    found: list[Finding] = []
    if wrong := unfit(topic):
        found.append(Finding("wrong", topic.name, *wrong))
    settings = topic.settings
    if "delete" in settings["cleanup.policy"].split(","):
        found.append(
            Finding(
                "warning",
                topic.name,
                "deletes by time or size besides: readers that start later see less",
                "set cleanup.policy=compact",
            )
        )
    if int(settings["delete.retention.ms"]) < _WEEK_MS:
        found.append(
            Finding(
                "warning",
                topic.name,
                "keeps tombstones for less than a week: a reader that is away for longer does not "
                "learn what was taken back",
                f"set delete.retention.ms={_WEEK_MS}",
            )
        )
    if missing := sorted(NEEDED - topic.rights):
        found.append(
            Finding(
                "wrong", topic.name, f"this user may not {', '.join(missing)}", "grant it by an ACL"
            )
        )
    if extra := sorted(topic.rights - _HARMLESS):
        found.append(
            Finding(
                "warning",
                topic.name,
                f"this user may also {', '.join(extra)}, which the connector never does",
                "grant it only what docs/connect-kafka.md lists",
            )
        )
    return found


def _registry(options: Options) -> list[Finding]:
    """Whether readers find the schemas where they are told to look."""
    if options.registry is None:
        return []
    schema = PartnerSchemas(Schemas.load()).current("CaseOpened")
    fix = "run nrm-hub connector registry, or name the hub's: https://…/schema-registry"
    try:
        client = Outbound(options.registry, seconds=options.timeout_seconds, public=True)
        try:
            answer = client.request("GET", f"schemas/ids/{schema.id}")
            told = answer.json() if answer.good else None
        finally:
            client.close()
    except ConnectorError as wrong:
        return [Finding("wrong", "registry", str(wrong), fix)]
    if isinstance(told, dict) and told.get("schema") == schema.text:
        return [Finding("ok", "registry", f"{options.registry}: knows the schemas")]
    return [Finding("wrong", "registry", f"{options.registry}: does not know the schemas", fix)]
