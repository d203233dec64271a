"""What `[console]` of hub.toml says, checked when it is read. docs/console.md explains each.

Messages name the setting that is wrong and never its value.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from hub.api.listening import loopback
from hub.console.browsing import BrowsingLimits
from hub.errors import NotReady

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "RS384", "PS384", "ES384", "RS512", "PS512",
                     "ES512", "Ed25519")  # fmt: skip
"""Signatures a provider may use: public keys only, so never HS256 and never none."""


class OidcSettings(BaseModel):
    """`[console.oidc]`: the OpenID provider people sign in at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str
    client_id: str = Field(min_length=1, max_length=300)
    client_secret: str = Field(default="", repr=False)
    client_secret_file: str = ""
    name: str = Field(default="", max_length=60)
    """What the button says: "Sign in with …"."""
    claim: str = Field(default="sub", pattern=r"[A-Za-z][A-Za-z0-9_]{0,63}")
    """The claim that names the person; must never be given to somebody else later."""
    scopes: tuple[str, ...] = ("openid",)
    acr: tuple[str, ...] = ()
    """One of these authentication contexts is needed, and asked for."""
    amr: tuple[str, ...] = ()
    """One of these methods is needed, e.g. "mfa"."""
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "Ed25519")
    audience: str = ""
    """Audience of access tokens by which programs ask; without it none is taken."""
    ca: str = ""
    """Certificates to trust instead of the system's (PEM)."""
    leeway_seconds: int = Field(default=60, ge=0, le=300)

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        if not safe_url(value):
            raise ValueError("an https:// URL (http:// to this machine only), nothing after a ?")
        return value

    @field_validator("scopes")
    @classmethod
    def _openid(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in value:
            raise ValueError('"openid" has to be among them')
        return value

    @field_validator("algorithms")
    @classmethod
    def _algorithms(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or set(value) - set(ALGORITHMS):
            raise ValueError(f"some of {', '.join(ALGORITHMS)}")
        return value

    @model_validator(mode="after")
    def _secret(self) -> Self:
        if self.client_secret and self.client_secret_file:
            raise ValueError("give client_secret or client_secret_file, not both")
        if "${" in self.client_secret:
            raise ValueError("client_secret: the environment variable it names is not set")
        for path in (self.client_secret_file, self.ca):
            if path and not Path(path).is_file():
                raise ValueError("client_secret_file or ca names no file")
        return self

    @property
    def secret(self) -> str:
        """The client's secret; empty for a public client."""
        if self.client_secret_file:
            return Path(self.client_secret_file).read_text("utf-8").strip()
        return self.client_secret


class ConsoleSettings(BaseModel):
    """`[console]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8443, ge=0, le=65_535)
    url: str = ""
    """Where browsers find the console; passkeys and the provider's answer are bound to it."""
    certificate: str = ""
    private_key: str = ""
    behind_tls_proxy: bool = False
    trusted_proxies: str = ""
    passkeys: bool = True
    idle_minutes: int = Field(default=15, ge=1, le=240)
    longest_hours: int = Field(default=8, ge=1, le=24)
    fresh_minutes: int = Field(default=5, ge=1, le=60)
    """How young a sign-in must be for what changes something."""
    oidc: OidcSettings | None = None
    browsing: BrowsingLimits = BrowsingLimits()

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if value and (not safe_url(value) or urlsplit(value).path not in ("", "/")):
            raise ValueError("https://host or https://host:port (http:// to this machine only)")
        return value.rstrip("/")

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, value: str) -> str:
        for one in filter(None, (part.strip() for part in value.split(","))):
            ipaddress.ip_network(one)  # ValueError says what is wrong
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        if bool(self.certificate) != bool(self.private_key):
            raise ValueError("give both certificate and private_key, or neither")
        for path in (self.certificate, self.private_key):
            if path and not Path(path).is_file():
                raise ValueError("certificate or private_key names no file")
        return self

    @property
    def tls(self) -> bool:
        return bool(self.certificate)

    @property
    def secure(self) -> bool:
        """Whether browsers reach the console by TLS only."""
        return self.tls or self.behind_tls_proxy

    def check_reach(self) -> None:
        """Raises NotReady if strangers could read along: plain HTTP on more than this machine."""
        if not self.secure and not loopback(self.host):
            raise NotReady(
                "the console is not served without TLS to other machines: give certificate and "
                "private_key in [console], or behind_tls_proxy = true if a proxy does TLS"
            )
        if self.behind_tls_proxy and not self.tls and not self.url.startswith("https://"):
            raise NotReady("[console] behind_tls_proxy needs url, the https:// address of browsers")

    def base(self, port: int) -> str:
        """The URL of browsers. Without `url` the console is for this machine: localhost, which
        unlike 127.0.0.1 can have passkeys."""
        if self.url:
            return self.url
        host = "localhost" if loopback(self.host) else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{port}"


def read_console(told: Mapping[str, Any]) -> ConsoleSettings:
    """Check what hub.toml says. Raises NotReady, naming what to change."""
    try:
        return ConsoleSettings.model_validate(told)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(one) for one in first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        raise NotReady(f"[console] {place}: {text} (docs/console.md)".replace(" : ", " ")) from None


def safe_url(text: str) -> bool:
    """https, or http to this machine; no user, query or fragment."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.username or parts.password or parts.query or parts.fragment:
        return False
    if not text.isprintable() or " " in text:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and loopback(host))
