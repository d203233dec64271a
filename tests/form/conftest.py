"""A hub with its API, and NGO-1's form in front of it, both served as they are in use."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
import uvicorn

from connectors.agency.identity import AgencyIdentity
from connectors.agency.outcomes import read_outcomes
from connectors.commands.agency import transport_of
from connectors.form.app import Desk, create_form, publish_with
from connectors.form.foretold import foretold
from connectors.submit import Event, Limits, Publisher
from hub.api.limits import Limits as ApiLimits
from hub.api.limits import Rate
from hub.api.server import serve_api
from hub.home import Home
from hub.hub import Hub
from hub.recalling.in_flight import MARKED
from hub.store import events as stored
from tests.patience import until

SECRET = "a-secret-of-this-run"
GENEROUS = ApiLimits(requests=Rate(10_000, 10_000), unknown=Rate(10_000, 10_000))


@dataclass
class Office:
    """NGO-1's machine. base: the form's address with its secret."""

    hub: Hub
    identity: AgencyIdentity
    port: int
    client: httpx2.Client

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base(self) -> str:
        return f"{self.origin}/{SECRET}"

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.client.get(self.base + path, headers=headers)

    def post(self, path: str, *pairs: tuple[str, str], **headers: str) -> httpx2.Response:
        sent = {"content-type": "application/x-www-form-urlencoded", "origin": self.origin}
        body = urlencode(pairs)
        return self.client.post(self.base + path, content=body, headers={**sent, **headers})

    def shelter_accepts(self, case: str) -> None:
        """SH-1 takes on the referral r1, and NGO-1 has been told so."""
        shelter = AgencyIdentity.load(self.identity.home.parent / "SH-1")
        event = Event("ReferralAccepted", case, {"referral_id": "r1"})
        answer = self.hub.ingest.submit(Publisher(shelter).prepare([event]))
        [outcome] = read_outcomes(answer.signed, shelter)
        assert outcome.accepted, outcome
        until(lambda: self.hub.exchange.log.tracking(MARKED) >= (outcome.position or 0))

    def recorded(self) -> list[stored.EventAccepted]:
        rows = self.hub.exchange.log.read(0, 100_000)
        return [one.event for one in rows if isinstance(one.event, stored.EventAccepted)]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder: Path = tmp_path_factory.mktemp("form")
    home = Home(folder / "hub")
    home.init()
    hub = Hub.open(home)
    server = serve_api(hub, port=0, limits=GENEROUS)
    try:
        people = {"NGO-1": "ngo_support", "SH-1": "shelter", "POL-1": "police"}
        for agency, role in people.items():
            made = AgencyIdentity.create(folder / agency, agency, f"{agency} office", role)
            made.install_approval(hub.enrolment.approve(made.enrolment_request(), by="operator"))
        hub.ensure_topics()
        hub.start()
        identity = AgencyIdentity.load(folder / "NGO-1")
        desk = Desk(
            identity,
            publish_with(identity, transport_of(identity, "http", server.url), Limits()),
            lambda event: foretold(identity, event, server.url),
        )
        with served(desk) as port, httpx2.Client(timeout=30) as client:
            yield Office(hub, identity, port, client)
        assert hub.failure is None
    finally:
        server.stop()
        hub.stop()


@contextmanager
def served(desk: Desk) -> Iterator[int]:
    """The form on a port of its own."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port: int = taken.getsockname()[1]
        app: Any = create_form(desk, SECRET, port)
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        program = uvicorn.Server(config)
        thread = threading.Thread(target=program.run, kwargs={"sockets": [taken]})
        thread.start()
        try:
            yield port
        finally:
            program.should_exit = True
            thread.join(20)
