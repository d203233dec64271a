"""What a local broker reads as it starts: its settings and those of its log, as text. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Final

LOG4J: Final = """\
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %-5p %c{1} %m%n
"""


def server_properties(
    data: Path,
    address: str,
    controller: str,
    *,
    sasl_address: str | None = None,
    tls_address: str | None = None,
    tls: Path | None = None,
) -> str:
    """server.properties of one broker that is its own controller, with its disk in `data`.

    address: the plain listener, whose user may do everything. sasl_address, tls_address: of the
    listeners that ask for a password, if there are; tls: the PEM file of the second.
    """
    listeners = f"PLAINTEXT://{address},CONTROLLER://{controller}"
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # After a crash the broker waits for its own old session to end: 9 s otherwise.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # Trimmed segments leave the disk within seconds, not within five minutes.
        "log.initial.task.delay.ms": "1000",
        "log.retention.check.interval.ms": "2000",
        "log.cleaner.dedupe.buffer.size": "2097152",  # 128 MiB otherwise
        "log.cleaner.backoff.ms": "100",  # compacted at once, not after fifteen seconds
        "num.network.threads": "2",
        "num.io.threads": "4",
        # What is not granted is denied; the plain listener's user may do everything.
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    if sasl_address is not None:
        listeners += f",SASL_PLAINTEXT://{sasl_address}"
        settings["listener.security.protocol.map"] += ",SASL_PLAINTEXT:SASL_PLAINTEXT"
        settings["sasl.enabled.mechanisms"] = "SCRAM-SHA-512"
        settings["listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config"] = scram
    if tls is not None:
        listeners += f",SASL_SSL://{tls_address}"
        settings["listener.security.protocol.map"] += ",SASL_SSL:SASL_SSL"
        settings["listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config"] = scram
        settings["ssl.keystore.type"] = "PEM"
        settings["ssl.keystore.location"] = str(tls)
    settings["listeners"] = listeners
    return "".join(f"{name}={value}\n" for name, value in settings.items())
