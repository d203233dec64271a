"""The FHIR sink: what is released stands in a FHIR R4 server, as resources other software reads.

    [sink]
    kind = "fhir"
    [sink.options]
    url = "https://fhir.example.org/fhir"
    token = { file = "/run/secrets/fhir-token" }

`docs/connect-fhir.md` is the tutorial and the table of every field. The road of one batch:
`cases.py` (what is wanted) → `events.py`, `person.py` (as resources) → `ownership.py` (merged with
what is there) → `server.py` (one transaction), then what was taken away is purged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.errors import SettingsError, SinkDownError
from connectors.fhir import checking, stated
from connectors.fhir.access import Access, Fixed, Smart, read_key
from connectors.fhir.cases import FhirCases
from connectors.fhir.names import Names, Resource
from connectors.fhir.server import FhirServer
from connectors.findings import Finding
from connectors.kinds import Place
from connectors.landed import Landed, flat
from connectors.remote.copies import Copies
from connectors.remote.outbound import MOST_BYTES, SECONDS, Answer, Outbound, basic
from connectors.remote.sink import RemoteSink
from connectors.secret import Secret


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class SmartOptions(_Part):
    """SMART backend services: a token of short life for a signed assertion."""

    token_url: str
    """The token endpoint; also what the assertion is for (aud)."""

    client_id: str
    """What the authorization server knows the connector as."""

    key: Secret
    """Private key: EC on P-384 or RSA, as JWK or PEM."""

    key_id: str = ""
    """kid of the key; if left out, the JWK's own or its thumbprint."""

    scope: str = "system/*.crud"
    """What is asked for."""


class Options(_Part):
    """Settings under [sink.options]."""

    url: str
    """FHIR base of an R4 server; https, or http on this machine."""

    state: Path = Path("fhir.state.db")
    """The connector's books, and a copy of what is held."""

    token: Secret | None = None
    """A bearer token."""

    user: str = ""
    """User for HTTP Basic, with `password`."""

    password: Secret | None = None
    """Its password."""

    smart: SmartOptions | None = None
    """SMART backend services."""

    ca_file: Path | None = None
    """CA that signed the server's certificate, if the system does not know it."""

    certificate: Path | None = None
    """The client's certificate, with `key`."""

    key: Path | None = None
    """The client certificate's key."""

    purge: Literal["expunge", "redact"] = "expunge"
    """How recalled content leaves the history: the server's $expunge; or emptied, then deleted."""

    purged_by: str = ""
    """With "redact": what removes earlier versions there, and when."""

    most: int = Field(default=100, ge=10, le=1000)
    """Resources in one transaction."""

    seconds: float = Field(default=SECONDS, gt=0, le=600)
    """Longest wait for an answer."""

    @model_validator(mode="after")
    def complete(self) -> Options:
        ways = [self.token is not None, bool(self.user or self.password), self.smart is not None]
        if sum(ways) > 1:
            raise ValueError("choose one of token, user with password, smart")
        if bool(self.user) != (self.password is not None):
            raise ValueError("user and password belong together")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        if self.purge == "redact" and not self.purged_by.strip():
            raise ValueError(
                'purge = "redact" leaves earlier versions in the server\'s history: say in '
                "purged_by what removes them, or allow $expunge there"
            )
        return self


class FhirSink(RemoteSink):
    """Sink into a FHIR server, which can be looked at before anything flows."""

    _check: checking.Check
    _server: FhirServer
    _names: Names
    _seen: set[str]
    leaves: str
    """What a recall leaves behind; "" if nothing."""

    def check(self) -> list[Finding]:
        return self._check()

    def landed(self) -> list[Landed]:
        """Resources of all events the books know, and their persons, read back."""
        try:
            return self._landed()
        except (KeyError, TypeError, AttributeError, ValueError, IndexError, StopIteration):
            raise SinkDownError(
                "the FHIR server shows resources of the hub's that are not as they were written"
            ) from None

    def _landed(self) -> list[Landed]:
        known = self.known_events()
        provenances = [f"Provenance/{self._names.id('Provenance', ref)}" for ref in known]
        for at in range(0, len(provenances), _READ_AT_ONCE):
            for found in self._server.read(provenances[at : at + _READ_AT_ONCE]).values():
                if found.resource is not None:
                    self._seen.update(one["reference"] for one in found.resource["target"])
        keys, there = sorted(self._seen), []
        for at in range(0, len(keys), _READ_AT_ONCE):
            for key, found in self._server.read(keys[at : at + _READ_AT_ONCE]).items():
                if found.resource is not None:
                    there.append(Landed(key, key.partition("/")[0], _said(found.resource)))
        return there


def _said(resource: Resource) -> dict[str, Any]:
    told = flat(stated.fields(resource))
    if resource["resourceType"] == "Patient":
        told |= {name: resource[name] for name in _PERSONAL if name in resource}
    return told


_READ_AT_ONCE: Final = 50
_PERSONAL: Final = ("name", "gender", "birthDate", "telecom", "address", "contact")


class _Guarded(Outbound):
    """After a failure a token is asked for anew: it may have been what was not taken."""

    access: Access = Fixed()

    def request(self, *asked: object, **more: object) -> Answer:
        try:
            return super().request(*asked, **more)  # type: ignore[arg-type]
        except SinkDownError:
            self.access.forget()
            raise

    def close(self) -> None:
        self.access.close()
        super().close()


def open_sink(options: Options, place: Place) -> FhirSink:
    tls = {
        "ca_file": None if options.ca_file is None else place.file(options.ca_file),
        "certificate": None
        if options.certificate is None or options.key is None
        else (place.file(options.certificate), place.file(options.key)),
    }
    access = _access(options, place)
    outbound = _Guarded(
        options.url,
        headers=access.headers,
        seconds=options.seconds,
        most_bytes=_MOST_BYTES,
        **tls,  # type: ignore[arg-type]
    )
    outbound.access = access
    server = FhirServer(outbound)
    purges = options.purge == "expunge"

    def check() -> list[Finding]:
        return checking.check(server, purges=purges, purged_by=options.purged_by)

    def prepare() -> None:
        found = checking.look(server, purges=purges, purged_by=options.purged_by)
        wrong = checking.unfit(found)
        if wrong:
            raise SettingsError(f"the FHIR server cannot be used: {wrong}")

    metadata = sa.MetaData()
    names = Names(place.hub, place.agency)
    cases = FhirCases(server, names, most=options.most, purges=purges, prepare=prepare)
    sink = FhirSink(
        place.file(options.state),
        place.agency,
        place.hub,
        Copies(cases, metadata),
        metadata,
        place.recalls,
    )
    sink._check, sink._server, sink._names, sink._seen = check, server, names, set()
    sink.leaves = "" if purges else "earlier versions of resources, and emptied ones"
    return sink


_MOST_BYTES: Final = 4 * MOST_BYTES  # an answer to a batch of reads is as long as what is there


def _access(options: Options, place: Place) -> Access:
    if options.token is not None:
        return Fixed(f"Bearer {options.token.read(place.folder).strip()}")
    if options.password is not None:
        return Fixed(basic(options.user, options.password.read(place.folder)))
    if options.smart is not None:
        smart = options.smart
        ca_file = None if options.ca_file is None else place.file(options.ca_file)
        endpoint = Outbound(smart.token_url, ca_file=ca_file, seconds=options.seconds)
        key = read_key(smart.key.read(place.folder))
        return Smart(endpoint, smart.client_id, key, key_id=smart.key_id, scope=smart.scope)
    return Fixed()
