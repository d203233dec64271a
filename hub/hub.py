"""One opened hub: its parts put together, and the loops that keep it going.

`Hub.open(home)` opens everything a home names; `step()` moves all of it once, in order, in the
caller's thread (scenario runs, tests); `start()` runs the same parts in threads (`hub/loops.py`)
until `stop()`.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

from consumers.checkpoints import Checkpoints
from consumers.notices import Notices
from consumers.notices.settings import read_notices
from consumers.own_desk import OwnDesk, own_identity
from consumers.receipts import Receipts
from consumers.stalls import Stalls
from consumers.timers import Timers
from consumers.witnesses import Witnesses
from consumers.witnesses.settings import LogSettings, read_log
from consumers.work import WorkList
from hub.audit.evidence.bundle import Signing
from hub.authority import profiles
from hub.authority.publication import Publication
from hub.clock import Clock
from hub.crypto.pseudonyms import Pseudonyms
from hub.exchange import Exchange
from hub.home import Home, HubKeys, Settings
from hub.ingest import INGEST_TOPIC, Ingest
from hub.loops import Loops, Step
from hub.membership.enrolment import RECEIPTS_TOPIC, REGISTRY_TOPIC, Enrolment
from hub.membership.registry import RegistryPublisher
from hub.publisher import Publisher
from hub.shredder import Shredder
from hub.store.keystore import KeyStore
from hub.store.log import HubLog
from hub.submission import Gate
from hub.tlog.note import NoteSigner, VerifierKey
from hub.topics import open_topics
from hub.topics.port import Topics
from schemas.registry import Schemas

ATTEND = 0.5  # seconds between two looks at what is due


@dataclass
class Reading:
    """A home opened to be read only: audit and status, beside a running hub."""

    settings: Settings
    exchange: Exchange
    log_verifier: VerifierKey
    transparency: LogSettings

    @classmethod
    def open(cls, home: Home) -> Reading:
        settings, keys = home.settings(), home.keys()
        transparency = read_log(settings.log, settings.witnesses)
        exchange = Exchange(
            HubLog.open(settings.store_url),
            KeyStore.open(settings.keys_url),
            Pseudonyms(keys.pseudonym),
            Clock(),
        )
        verifier = NoteSigner(settings.hub_id, keys.log).verifier
        return cls(settings, exchange, verifier, transparency)

    def signing(self, keys: HubKeys) -> Signing:
        """As whom evidence of this hub is signed."""
        return Signing(
            self.settings.hub_id, self.log_verifier, keys.signing, self.transparency.keys
        )

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *failure: object) -> None:
        self.exchange.secrets.close()
        self.exchange.log.close()


@dataclass
class ReadingLog:
    """The log of a home as it is stored, and its key: nothing is replayed, so that a row which
    cannot be read stops nobody from telling which."""

    settings: Settings
    log: HubLog
    log_verifier: VerifierKey
    transparency: LogSettings

    @classmethod
    def open(cls, home: Home) -> ReadingLog:
        settings = home.settings()
        verifier = NoteSigner(settings.hub_id, home.keys().log).verifier
        transparency = read_log(settings.log, settings.witnesses)
        return cls(settings, HubLog.open(settings.store_url), verifier, transparency)

    def __enter__(self) -> ReadingLog:
        return self

    def __exit__(self, *failure: object) -> None:
        self.log.close()


@dataclass
class Deciding:
    """A home opened for what is decided at a desk: to revoke, to erase, to sign for a policy.

    Without the topics: a stolen key can be revoked while the broker is away.
    """

    reading: Reading
    enrolment: Enrolment
    shredder: Shredder
    publication: Publication
    signing: Signing

    @classmethod
    def open(cls, home: Home) -> Deciding:
        reading, keys = Reading.open(home), home.keys()
        enrolment = Enrolment(reading.exchange, reading.settings, keys)
        enrolment.initialise(profiles.named(reading.settings.profile))
        return cls(
            reading,
            enrolment,
            Shredder(reading.exchange),
            Publication(reading.exchange, reading.settings.hub_id),
            reading.signing(keys),
        )

    def __enter__(self) -> Deciding:
        return self

    def __exit__(self, *failure: object) -> None:
        self.reading.__exit__(*failure)


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
    stalls: Stalls
    notices: Notices
    witnesses: Witnesses
    loops: Loops = field(init=False)

    def __post_init__(self) -> None:
        self.loops = Loops(self.ensure_topics)

    @classmethod
    def open(cls, home: Home, clock: Clock | None = None) -> Hub:
        """Open a home. Raises NotReady, or the store's and topics' own errors with what to do;
        Inconsistent if the log was put back to an older state than its topics have seen."""
        settings, keys = home.settings(), home.keys()
        notices = read_notices(settings.notices, settings.mail)
        transparency = read_log(settings.log, settings.witnesses)
        clock = clock or Clock()
        schemas = Schemas.load()
        with ExitStack() as opened:
            log = HubLog.open(settings.store_url)
            opened.callback(log.close)
            secrets = KeyStore.open(settings.keys_url)
            opened.callback(secrets.close)
            exchange = Exchange(log, secrets, Pseudonyms(keys.pseudonym), clock)
            topics = open_topics(settings.topics_url)
            opened.callback(topics.close)
            enrolment = Enrolment(exchange, settings, keys)
            enrolment.initialise(profiles.named(settings.profile))
            ingest = Ingest(
                exchange,
                Gate(settings.hub_id, [keys.ingest], schemas),
                topics,
                settings.hub_id,
                keys,
            )
            work = WorkList(exchange)
            witnesses = Witnesses(log, transparency, clock)
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
                stalls=Stalls(exchange, witnesses=witnesses),
                notices=Notices(exchange, notices, settings.hub_id),
                witnesses=witnesses,
            )
            hub.ensure_topics()
            hub.receipts.check()
            hub.publisher.check()
            opened.pop_all()  # nothing went wrong: from here on `stop` closes them
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
        road: list[Step] = []
        if "hub" in parts:
            road += [Step("ingest", self.ingest.step), Step("publisher", self._publish)]
        if "consumers" in parts:
            road.append(Step("receipts", self.receipts.step))
            self.loops.start(Step("checkpoints", lambda _: self.checkpoints.step()))
            for line in self.witnesses.lines:  # each in its own thread: it may be slow or hostile
                self.loops.start(Step("witness", line.turn, pause=0.5))
        if "timers" in parts:
            if "hub" in parts:
                self.work.fresh = self.exchange.fresh
            self.loops.start(Step("timers", lambda _: self.attend(), pause=ATTEND))
            self.loops.start(Step("notices", lambda _: self.notices.step(), pause=ATTEND))
        if parts & {"hub", "api"}:
            self.loops.start(Step("committer", self._commit))
        if "hub" not in parts:
            road.append(Step("follower", self._follow))
        self.loops.start(*road)

    def attend(self) -> int:
        """What the hub does of itself: the work list, its timers and stalls. 0: nothing to do."""
        return self.timers.step() + self.stalls.step()

    def _follow(self, _: float) -> int:
        """Learn what other processes recorded: agencies, keys, withdrawals."""
        self.exchange.catch_up()
        return 0

    def _publish(self, _: float) -> int:
        done = self.shredder.step()  # first: an erasure waits for no broker
        done += self.registry.step() + self.publisher.step()
        if not done:
            self.exchange.catch_up()
        return done

    def _commit(self, wait: float) -> int:
        return self.ingest.commit_waiting(wait)

    @property
    def running(self) -> bool:
        return self.loops.running

    @property
    def failure(self) -> BaseException | None:
        """What stopped the loops, if anything did."""
        return self.loops.failure

    def stop(self) -> None:
        """Finish what is under way and close. Safe to call twice."""
        with self.exchange.committed:
            self.exchange.committed.notify_all()
        self.loops.stop()
        self.topics.close()
        self.exchange.secrets.close()
        self.exchange.log.close()
