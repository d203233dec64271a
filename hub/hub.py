"""One opened hub: its parts put together, and the loops that keep it going.

`Hub.open(home)` opens everything a home names; `step()` moves all of it once, in order, in the
caller's thread (scenario runs, tests); `start()` runs the same parts in threads until `stop()`.
A loop that fails because something outside is away waits and goes on; one that fails because an
operator has to act stops the hub, loudly, and nothing is acknowledged from then on.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import structlog

from consumers.checkpoints import Checkpoints
from consumers.own_desk import OwnDesk, own_identity
from consumers.receipts import Receipts
from consumers.timers import Timers
from consumers.work import WorkList
from hub.clock import Clock
from hub.crypto.pseudonyms import Pseudonyms
from hub.enrolment import RECEIPTS_TOPIC, REGISTRY_TOPIC, Enrolment
from hub.errors import RetryLater
from hub.exchange import Exchange
from hub.home import Home, HubKeys, Settings
from hub.ingest import INGEST_TOPIC, Ingest
from hub.publisher import Publisher
from hub.registry import RegistryPublisher
from hub.shredder import Shredder
from hub.store.keystore import KeyStore
from hub.store.log import HubLog
from hub.submission import Gate
from hub.tlog.note import NoteSigner, VerifierKey
from hub.topics import open_topics
from hub.topics.port import Topics, TopicStoppedError, TopicUnavailable, UnknownTopicError
from schemas.registry import Schemas

log = structlog.get_logger("hub")

PAUSE = 0.05  # seconds between two looks when there was nothing to do
ATTEND = 0.5  # seconds between two looks at what is due
RETRY = 1.0  # seconds after something outside was away


def profile_document(name: str) -> dict[str, Any]:
    """A policy profile shipped with the hub, by name, or a file's path."""
    if name.endswith(".json"):
        with open(name, encoding="utf-8") as file:
            document: dict[str, Any] = json.load(file)
            return document
    text = resources.files("hub.domain").joinpath("profiles", f"{name}.json").read_text("utf-8")
    shipped: dict[str, Any] = json.loads(text)
    return shipped


@dataclass
class Reading:
    """A home opened to be read only: audit and status, beside a running hub."""

    settings: Settings
    exchange: Exchange
    log_verifier: VerifierKey

    @classmethod
    def open(cls, home: Home) -> Reading:
        settings, keys = home.settings(), home.keys()
        exchange = Exchange(
            HubLog.open(settings.store_url),
            KeyStore.open(settings.keys_url),
            Pseudonyms(keys.pseudonym),
            Clock(),
        )
        return cls(settings, exchange, NoteSigner(settings.hub_id, keys.log).verifier)

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *failure: object) -> None:
        self.exchange.secrets.close()
        self.exchange.log.close()


@dataclass
class Hub:
    """Everything one hub process holds open."""

    settings: Settings
    keys: HubKeys
    exchange: Exchange
    topics: Topics
    ingest: Ingest
    publisher: Publisher
    receipts: Receipts
    checkpoints: Checkpoints
    registry: RegistryPublisher
    shredder: Shredder
    enrolment: Enrolment
    work: WorkList
    timers: Timers
    failure: BaseException | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    @classmethod
    def open(cls, home: Home, clock: Clock | None = None) -> Hub:
        """Open a home. Raises NotReady, or the store's and topics' own errors with what to do."""
        settings, keys = home.settings(), home.keys()
        clock = clock or Clock()
        schemas = Schemas.load()
        exchange = Exchange(
            HubLog.open(settings.store_url),
            KeyStore.open(settings.keys_url),
            Pseudonyms(keys.pseudonym),
            clock,
        )
        topics = open_topics(settings.topics_url)
        enrolment = Enrolment(exchange, settings, keys)
        enrolment.initialise(profile_document(settings.profile))
        ingest = Ingest(
            exchange,
            Gate(settings.hub_id, [keys.ingest], schemas),
            topics,
            settings.hub_id,
            keys,
        )
        work = WorkList(exchange)
        desk = OwnDesk(own_identity(home.path / "keys"), exchange, ingest, enrolment)
        hub = cls(
            settings=settings,
            keys=keys,
            exchange=exchange,
            topics=topics,
            ingest=ingest,
            publisher=Publisher(exchange, topics, settings.hub_id, keys.signing),
            receipts=Receipts(exchange, topics, settings.hub_id),
            checkpoints=Checkpoints(exchange.log, settings.hub_id, keys.log, clock),
            registry=RegistryPublisher(exchange, topics, settings.hub_id, keys.signing),
            shredder=Shredder(exchange),
            enrolment=enrolment,
            work=work,
            timers=Timers(exchange, work, desk),
        )
        hub.ensure_topics()
        return hub

    def ensure_topics(self) -> None:
        """Create the topics every enrolled agency needs."""
        names = self.exchange.pseudonyms
        self.topics.ensure([INGEST_TOPIC, RECEIPTS_TOPIC, REGISTRY_TOPIC])
        self.topics.ensure(
            [
                names.topic(prefix, agency.agency)
                for agency in self.exchange.agencies
                for prefix in ("nrm.o", "nrm.d")
            ]
        )

    def step(self) -> int:
        """Move everything once but what the hub does of itself; 0 when there was nothing to do."""
        done = self.registry.step()
        done += self.ingest.step()
        done += self.shredder.step()
        done += self.publisher.step()
        done += self.receipts.step()
        done += self.checkpoints.step()
        return done

    def start(self, parts: frozenset[str] = frozenset({"hub", "consumers"})) -> None:
        """Run the loops in threads. `parts`: hub, consumers, api, timers; what this process runs.

        timers: what the hub does of itself when time passes. Where the hub must state nothing of
        its own, as in a scenario whose file has the hub's events, this part is left out.

        Several processes may share a home: all take turns at the store, and where two do the same
        work the store lets one of them.
        """
        loops: list[tuple[str, Callable[[], int]]] = []
        if "hub" in parts:
            loops += [
                ("ingest", lambda: self.ingest.step(timeout=0.5)),
                ("publisher", self._publish),
            ]
        else:
            loops.append(("follower", self._follow))
        if parts & {"hub", "api"}:
            loops.append(("committer", self.ingest.commit_waiting))
        if "consumers" in parts:
            loops += [
                ("receipts", lambda: self.receipts.step(timeout=0.5)),
                ("checkpoints", self.checkpoints.step),
            ]
        if "timers" in parts:
            loops.append(("timers", self._attend))
        for name, step in loops:
            thread = threading.Thread(target=self._run, args=(name, step), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def attend(self) -> int:
        """What the hub does of itself: the work list and its timers. 0: nothing to do."""
        return self.timers.step()

    def _attend(self) -> int:
        if not self.attend():
            self._stop.wait(ATTEND)
        return 1

    def _follow(self) -> int:
        """Learn what other processes recorded: agencies, keys, withdrawals."""
        self.exchange.catch_up()
        return 0

    def _publish(self) -> int:
        done = self.shredder.step()  # first: an erasure waits for no broker
        done += self.registry.step() + self.publisher.step()
        if not done:
            with self.exchange.committed:
                self.exchange.committed.wait(PAUSE * 4)
            self.exchange.catch_up()
        return 1

    def _run(self, name: str, step: Callable[[], int]) -> None:
        while not self._stop.is_set():
            try:
                if step() == 0:
                    self._stop.wait(PAUSE)
            except UnknownTopicError:  # lost with all it held: what is missing is sent again
                log.warning("topics_lost", loop=name)
                with suppress(TopicUnavailable):
                    self.ensure_topics()
                self._stop.wait(PAUSE)
            except Exception as failure:
                away = isinstance(failure, TopicUnavailable)
                if away and not isinstance(failure, TopicStoppedError):
                    log.warning("topics_unavailable", loop=name, error=type(failure).__name__)
                    self._stop.wait(RETRY)
                    continue
                stop = not isinstance(failure, RetryLater)
                log.error("loop_failed", loop=name, error=type(failure).__name__, stopping=stop)
                if stop:
                    self.failure = failure
                    self._stop.set()
                    return
                self._stop.wait(RETRY)

    @property
    def running(self) -> bool:
        return bool(self._threads) and not self._stop.is_set()

    def stop(self) -> None:
        """Finish what is under way and close. Safe to call twice."""
        self._stop.set()
        with self.exchange.committed:
            self.exchange.committed.notify_all()
        for thread in self._threads:
            thread.join(timeout=10)
        self._threads.clear()
        self.topics.close()
        self.exchange.secrets.close()
        self.exchange.log.close()
