"""A real hub, embedded, its loops running, its API on a port of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from connectors.agency.http_auth import RequestSignature, sign_request
from connectors.agency.identity import AgencyIdentity
from connectors.submit import Event, Publisher
from hub.api.limits import Limits, Rate
from hub.api.server import ApiServer, serve_api
from hub.home import Home
from hub.hub import Hub

ROLES = {"NGO-1": "ngo_support", "SH-1": "shelter", "POL-1": "police"}
GENEROUS = Limits(
    requests=Rate(10_000, 10_000), unknown=Rate(10_000, 10_000), public=Rate(10_000, 10_000)
)
MESSAGE = "application/vnd.nrm.message.v1"


@dataclass
class World:
    """One hub and who talks to it."""

    hub: Hub
    folder: Path
    identities: dict[str, AgencyIdentity] = field(default_factory=dict)

    def enrol(self, agency: str, role: str) -> AgencyIdentity:
        identity = AgencyIdentity.create(self.folder / agency, agency, f"{agency} office", role)
        identity.install_approval(
            self.hub.enrolment.approve(identity.enrolment_request(), by="operator")
        )
        self.hub.ensure_topics()
        self.identities[agency] = identity
        return identity

    def sealed(self, agency: str, type_: str, case: str, **data: Any) -> bytes:
        return Publisher(self.identities[agency]).prepare([Event(type_, case, data)])

    def opening(self, case: str) -> bytes:
        """A batch of NGO-1 that is accepted."""
        return self.sealed(
            "NGO-1", "CaseOpened", case, jurisdiction="XX", channel="outreach", age_status="adult"
        )


@dataclass
class Api:
    """A served API, and requests to it."""

    world: World
    server: ApiServer
    client: httpx2.Client

    def call(
        self,
        method: str,
        path: str,
        agency: str = "NGO-1",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Signed by the agency."""
        signed = sign_request(self.world.identities[agency], method, path, body)
        return self.client.request(
            method,
            path,
            content=body or None,
            headers={"content-type": MESSAGE, **signed, **(headers or {})},
        )

    def signature(self, agency: str) -> RequestSignature:
        return RequestSignature(self.world.identities[agency])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("api")
    home = Home(folder / "hub")
    home.init()
    hub = Hub.open(home)
    try:
        world = World(hub, folder)
        for agency, role in ROLES.items():
            world.enrol(agency, role)
        hub.start()
        yield world
        assert hub.failure is None
    finally:
        hub.stop()


@pytest.fixture
def serve(world: World) -> Iterator[Any]:
    """Serve the world's hub under given limits."""
    served: list[Api] = []

    def start(limits: Limits = GENEROUS, **options: Any) -> Api:
        server = serve_api(world.hub, port=0, limits=limits, **options)
        served.append(Api(world, server, httpx2.Client(base_url=server.url, timeout=30)))
        return served[-1]

    yield start
    for api in served:
        api.client.close()
        api.server.stop()


@pytest.fixture(scope="module")
def api(world: World) -> Iterator[Api]:
    """The world's hub, served once for all tests of a module."""
    server = serve_api(world.hub, port=0, limits=GENEROUS)
    with httpx2.Client(base_url=server.url, timeout=30) as client:
        yield Api(world, server, client)
    server.stop()
