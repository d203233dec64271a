"""A town: one hub, its agencies, each partner's own database, and their processes.

The hub and every connector run in processes of their own, which tests kill. The agencies' desks
are threads of the test; what they were told is in the ledger. `drained` tells what has not arrived
yet; it looks at the hub's log and the partners' databases as anybody may who can read them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from connectors.agency.http_auth import signed_requests
from connectors.agency.identity import AgencyIdentity
from connectors.agency.transport import HttpTransport, TopicTransport, Transport
from connectors.sql import open_engine
from connectors.submit import Publisher
from hub.clock import Clock
from hub.crypto.pseudonyms import Pseudonyms
from hub.exchange import Exchange
from hub.home import Home
from hub.hub import Hub
from hub.publisher import delivery_stream
from hub.store import events as stored
from hub.store.log import HubLog
from hub.topics import Topics, open_topics
from tests.chaos import connector_process, hub_process
from tests.chaos.desks import LIMITS, Desks
from tests.chaos.ledger import Ledger
from tests.chaos.processes import Child
from tests.patience import PATIENCE

AGENCIES = {"NGO-1": "ngo_support", "SH-1": "shelter"}
SETTLED = frozenset({stored.Settled.TOPIC})


class _NoSecrets:
    """Whoever judges the hub by its log needs no secret, and must not heal its key store."""


class Town:
    """Close it."""

    def __init__(self, folder: Path, *, databases: Mapping[str, str] | None = None, **home: Any):
        """home: `store`, `keys`, `topics` and `port` as Home.init takes them; all embedded without.

        databases: partners' databases by agency, SQLite files without. port: of the API, which
        one desk and one connector then use.
        """
        self.folder = folder
        self.home = Home(folder / "hub")
        self.port: int = home.get("port", 0)
        self.home.init("chaos", **home)
        self.identities: dict[str, AgencyIdentity] = {}
        hub = Hub.open(self.home)
        try:
            for agency, role in AGENCIES.items():
                identity = AgencyIdentity.create(folder / agency, agency, f"{agency} office", role)
                request = identity.enrolment_request()
                identity.install_approval(hub.enrolment.approve(request, by="chaos"))
                self.identities[agency] = identity
            hub.ensure_topics()
        finally:
            hub.stop()
        self.settings = self.home.settings()
        self.databases = {
            agency: (databases or {}).get(agency) or f"sqlite:///{folder / agency}.db"
            for agency in AGENCIES
        }
        self._engines = {agency: open_engine(url) for agency, url in self.databases.items()}
        self.exchange = self._reading()
        self.topics: Topics = open_topics(self.settings.topics_url)
        self.ledger = Ledger()
        self.hub: Child | None = None
        self.connectors: dict[str, Child] = {}
        self.children: list[Child] = []
        self.desks: Desks | None = None
        self.checkpoints: dict[int, str] = {}  # every one ever seen, by size
        self.problems: list[str] = []  # seen while it happened
        self._clients: list[httpx2.Client] = []

    def _reading(self) -> Exchange:
        keys: Any = _NoSecrets()
        log = HubLog.open(self.settings.store_url)
        return Exchange(log, keys, Pseudonyms(self.home.keys().pseudonym), Clock())

    # -- processes ---------------------------------------------------------------------------

    def start_hub(
        self, point: str = "", planted: Sequence[str] = (), *, ready: bool = True
    ) -> Child:
        """The hub's process; `ready`: wait until it works."""
        log = self.folder / "hub.log"
        home = str(self.home.path)
        child = Child("hub", log, hub_process.main, home, point, planted, self.port)
        self.children.append(child)
        self.hub = child
        return child.ready() if ready else child

    def start_connector(self, agency: str, point: str = "", planted: Sequence[str] = ()) -> Child:
        log = self.folder / f"{agency}.log"
        http = f"http://127.0.0.1:{self.port}" if self.port and agency == "NGO-1" else ""
        place, database = str(self.folder / agency), self.databases[agency]
        arguments = (place, database, point, planted, http)
        child = Child(f"connector {agency}", log, connector_process.main, *arguments)
        self.children.append(child)
        self.connectors[agency] = child
        return child.ready()

    def start(self, planted: Sequence[str] = (), **desks: Any) -> None:
        """Everything, and the desks begin."""
        self.start_hub(planted=planted)
        for agency in AGENCIES:
            self.start_connector(agency, planted=planted)
        self.open_desks(**desks)

    def open_desks(self, seed: int = 1, **desks: Any) -> None:
        self.desks = Desks(self.ledger, self._publisher, seed, **desks)
        self.desks.work()

    def _publisher(self, desk: int, agency: str) -> Publisher:
        return Publisher(self.identities[agency], self._transport(desk, agency), limits=LIMITS)

    def _transport(self, desk: int, agency: str) -> Transport:
        identity = self.identities[agency]
        if self.port and desk == 0:
            url = f"http://127.0.0.1:{self.port}"
            client = httpx2.Client(timeout=5.0)
            self._clients.append(client)
            return HttpTransport(url, signed_requests(identity), client=client)
        return TopicTransport(self.topics, identity)

    def close(self) -> None:
        if self.desks is not None:
            self.desks.close()
        for child in self.children:
            child.thaw()
            child.stop()
        for engine in self._engines.values():
            engine.dispose()
        for client in self._clients:
            client.close()
        self.topics.close()
        self.exchange.log.close()

    # -- looking -----------------------------------------------------------------------------

    def look(self) -> None:
        """Remember the newest checkpoint, and hold that no receipt is ahead of its commit."""
        latest = self.exchange.log.latest_checkpoint()
        if latest is not None:
            size, note = latest
            if self.checkpoints.setdefault(size, note) != note:
                self.problems.append(f"I5: two checkpoints of size {size}")
        followers = self.exchange.log.counts().followers
        for agency in AGENCIES:
            acknowledged = followers.get(f"acknowledged/{agency}", 0)
            applied = self.applied(agency)
            if acknowledged > applied:
                self.problems.append(
                    f"I12: {agency} has a receipt up to {acknowledged} and applied {applied}"
                )

    def applied(self, agency: str) -> int:
        """The last sequence the partner's own database holds."""
        engine = self._engines[agency]
        if engine.dialect.name == "sqlite" and not (self.folder / f"{agency}.db").exists():
            return 0
        try:
            with engine.connect().execution_options(nrm_reading=True) as db:
                row = db.execute(sa.text("SELECT last_sequence FROM nrm_connector_state")).first()
        except sa.exc.DBAPIError:
            return 0
        return int(row[0]) if row else 0

    def undrained(self, *, covered: bool = False) -> list[str]:
        """What is still under way. covered: also whether a checkpoint covers everything."""
        log, missing = self.exchange.log, []
        followers = log.counts().followers
        settled = log.rows(followers.get("publisher", 0), 1, SETTLED)
        if settled:
            missing.append(f"the publisher has not followed position {settled[0].id}")
        for agency in AGENCIES:
            marked = log.last_version(delivery_stream(agency))
            applied, told = self.applied(agency), followers.get(f"acknowledged/{agency}", 0)
            if not marked == applied == told:
                missing.append(f"{agency}: {marked} marked, {applied} applied, {told} receipted")
        latest = log.latest_checkpoint()
        if covered and (latest is None or latest[0] < log.head):
            missing.append(f"head {log.head}, checkpoint {latest and latest[0]}")
        return missing

    def drain(self, timeout: float = PATIENCE, *, covered: bool = False) -> None:
        """Wait until nothing is under way; what never arrives is a problem."""
        deadline = time.monotonic() + timeout
        while missing := self.undrained(covered=covered):
            if time.monotonic() > deadline:
                self.problems.append(f"not drained after {timeout:.0f} s: {'; '.join(missing)}")
                return
            time.sleep(0.03)

    def settle(self, *, covered: bool = False) -> None:
        """The desks rest, everything arrives."""
        if self.desks is not None:
            self.desks.rest()
        self.drain(covered=covered)
        self.look()
