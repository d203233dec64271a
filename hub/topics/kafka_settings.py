"""Where a Kafka cluster is, and how topics are made there: what follows kafka:// in a URL.

    broker-1:9093,broker-2:9093?security=ssl&ca=/etc/nrm/ca.pem&replication=3

Options: replication, min_insync, timeout (seconds), security (plaintext, ssl,
sasl_plaintext, sasl_ssl), ca, cert, key (files), user, password_file. A password
is only ever read from a file, so that a URL may be printed and logged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from hub.topics.port import TopicError

BOOTSTRAP_SECONDS: Final = 5.0
"""How long a first contact may take before a command says that nobody answers."""

_OPTIONS: Final = frozenset(
    {"replication", "min_insync", "timeout", "security"}
    | {"ca", "cert", "key", "user", "password_file"}
)
_SECURITY: Final = frozenset({"plaintext", "ssl", "sasl_plaintext", "sasl_ssl"})


@dataclass(frozen=True)
class KafkaSettings:
    """Where the brokers are and how topics are made there. None: from the cluster's size.

    password, mechanism: never from a URL; for settings that are not one.
    """

    servers: tuple[str, ...]
    replication: int | None = None
    min_insync: int | None = None
    timeout: float = 30.0
    security: str = "plaintext"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    user: str | None = None
    password_file: str | None = None
    password: str | None = field(default=None, repr=False)
    mechanism: str = "SCRAM-SHA-512"

    @classmethod
    def parse(cls, text: str) -> KafkaSettings:
        """From what stands behind kafka:// in a URL. A password is never part of it."""
        addresses, _, query = text.partition("?")
        servers = tuple(part for part in addresses.strip("/").split(",") if part)
        options = dict(parse_qsl(query, keep_blank_values=True))
        if unknown := sorted(options.keys() - _OPTIONS):
            raise TopicError(f"unknown Kafka option: {', '.join(unknown)}")
        if options.get("security", "plaintext").lower() not in _SECURITY:
            raise TopicError(f"Kafka security is one of {', '.join(sorted(_SECURITY))}")
        if not servers or any("@" in server for server in servers):
            raise TopicError("a Kafka address is host:port[,host:port] without user or password")
        try:
            return cls(
                servers=servers,
                replication=int(options["replication"]) if "replication" in options else None,
                min_insync=int(options["min_insync"]) if "min_insync" in options else None,
                timeout=float(options.get("timeout", cls.timeout)),
                security=options.get("security", cls.security).lower(),
                **{
                    k: options[k]
                    for k in ("ca", "cert", "key", "user", "password_file")
                    if k in options
                },
            )
        except ValueError as error:
            raise TopicError(f"a Kafka option is not a number: {error}") from None

    def client(self) -> dict[str, Any]:
        """What every kind of client is given."""
        options: dict[str, Any] = {
            "bootstrap_servers": list(self.servers),
            "bootstrap_timeout_ms": int(min(BOOTSTRAP_SECONDS, self.timeout) * 1000),
            "request_timeout_ms": int(min(10.0, self.timeout) * 1000),
            "reconnect_backoff_max_ms": 1_000,
            "security_protocol": self.security.upper(),
            "client_id": "nrm-hub",
        }
        for ours, theirs in (("ca", "cafile"), ("cert", "certfile"), ("key", "keyfile")):
            if (value := getattr(self, ours)) is not None:
                options[f"ssl_{theirs}"] = value
        if self.security.startswith("sasl"):
            password = self.password
            if password is None and self.password_file is not None:
                password = Path(self.password_file).read_text("utf-8").strip()
            if self.user is None or password is None:
                raise TopicError("SASL needs the options user and password_file")
            options["sasl_mechanism"] = self.mechanism
            options["sasl_plain_username"] = self.user
            options["sasl_plain_password"] = password
        return options
