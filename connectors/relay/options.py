"""Settings of a relay: `[sink.options]` with `kind = "relay"` (docs/connect-kafka.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.errors import SettingsError
from connectors.given import Count, Seconds
from connectors.kinds import Place
from connectors.loopback import is_here
from connectors.secret import Secret
from hub.topics.kafka_settings import KafkaSettings

_PREFIX: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class Options(BaseModel):
    """[sink.options] of kind relay."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    servers: list[str] = Field(min_length=1)
    """Addresses of brokers to begin with, each host:port."""

    prefix: str = Field(default="nrm", pattern=_PREFIX)
    """Topics are PREFIX.case_opened and so on."""

    state: Path = Path("relay.state.db")
    """The connector's own file: books, and the content held now."""

    security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "sasl_ssl"
    """How brokers are spoken to. Without ssl everything travels readable: for one machine only."""

    user: str | None = None
    """sasl: the user."""

    password: Secret | None = None
    """sasl: its password, `"${NAME}"` or `{ file = "…" }`."""

    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    """sasl: the mechanism."""

    ca_file: Path | None = None
    """ssl: certificates that are trusted; the system's, if left out."""

    certificate_file: Path | None = None
    """ssl: this connector's certificate, where brokers ask for one."""

    key_file: Path | None = None
    """ssl: its key."""

    make_topics: bool = True
    """Whether topics that are missing are made; else your administrator makes them."""

    partitions: Count = 1
    """Partitions of a topic that is made."""

    replication: Count | None = None
    """Copies of a topic that is made; three, or as many as there are brokers, if left out."""

    compaction_lag_seconds: Seconds = 10.0
    """Of a topic that is made: how soon replaced values are compacted away."""

    recall_seconds: Seconds = 120.0
    """Longest wait for the cluster to compact after a recall; then an alarm, and again."""

    timeout_seconds: Seconds = 30.0
    """Longest wait for the cluster to take messages."""

    registry: str | None = None
    """Address of the schema registry readers use; `connector check` looks whether it answers."""

    @model_validator(mode="after")
    def complete(self) -> Options:
        if self.security.startswith("sasl") and (self.user is None or self.password is None):
            raise ValueError("sasl needs user and password")
        if any("@" in one or ":" not in one for one in self.servers):
            raise ValueError("a server is host:port, without user and password")
        if self.mechanism == "PLAIN" and not self.encrypted:
            raise ValueError("mechanism PLAIN sends the password itself: only with sasl_ssl")
        return self

    @property
    def encrypted(self) -> bool:
        return self.security in ("ssl", "sasl_ssl")

    @property
    def local(self) -> bool:
        """Whether all servers are on this machine."""
        return all(is_here(one.rpartition(":")[0]) for one in self.servers)

    def kafka(self, place: Place) -> KafkaSettings:
        """How the client is set. SettingsError if the password's file cannot be read."""

        def path(one: Path | None) -> str | None:
            if one is not None and not place.file(one).is_file():
                raise SettingsError(f"sink.options: there is no file {place.file(one)}")
            return None if one is None else str(place.file(one))

        return KafkaSettings(
            servers=tuple(self.servers),
            timeout=self.timeout_seconds,
            security=self.security,
            ca=path(self.ca_file),
            cert=path(self.certificate_file),
            key=path(self.key_file),
            user=self.user,
            password=self.password.read(place.folder) if self.password else None,
            mechanism=self.mechanism,
        )
