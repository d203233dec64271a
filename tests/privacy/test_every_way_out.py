"""Every route and every message, driven by every role with all it holds: nothing skips `decide`.

A whole scenario with a canary in every free-text field has been played; beside its agencies there
is one of every other role. Then each agency calls every route of both listeners, signed, unsigned
and signed as somebody else; sends every type of event into a case it knows the reference of, under
its own and under others' names for it; and puts every message that exists on every channel there
is. Whatever comes back, and everything on every topic, is opened with every key the agency holds.

What it can read must be what the recorded decisions say it holds: no more, and over HTTP no less.
A route or a message that is not driven here fails the test, and so does a publisher that lets out
one compartment too many.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Route

from connectors.agency.http_auth import request_claims, sign_claims
from connectors.submit import Event, Publisher
from hub.api.app import create_app, create_operator_app
from hub.api.limits import Limits, Rate
from hub.api.server import serve_api
from hub.domain.policy import default_profile
from hub.ingest import INGEST_TOPIC
from hub.membership.registry import TOPIC as REGISTRY_TOPIC
from hub.sending import parts
from hub.topics.port import Message
from schemas import wire
from schemas.registry import Schemas
from tests.played import event_id, play, scenario
from tests.privacy.callers import Caller, plausible
from tests.privacy.canaries import Canary, planted
from tests.road import Road

PROFILE = default_profile()
GENEROUS = Limits(
    requests=Rate(100_000, 100_000),
    unknown=Rate(100_000, 100_000),
    public=Rate(100_000, 100_000),
)
RECEIPTS_TOPIC = "nrm.receipts"


@dataclass
class World:
    """One hub after a story, its API, and everybody who may try."""

    road: Road
    document: dict[str, Any]
    canaries: list[Canary]
    callers: dict[str, Caller]
    case_ref: str
    base_url: str
    stop: threading.Event = field(default_factory=threading.Event)

    def held(self, agency: str) -> set[tuple[str, str]]:
        """(event, category) this agency holds now, by what was recorded."""
        exchange = self.road.hub.exchange
        names = {str(event_id(event["id"])): event["id"] for event in self.document["events"]}
        found = set()
        for ref in {event["case"] for event in self.document["events"]}:
            case = exchange.case(exchange.pseudonyms.canonical("case", ref))
            assert case is not None
            found |= {
                (names[event], category)
                for event, category in case.holdings.get(agency, {})
                if event in names
            }
        return found

    def allowed(self, caller: Caller) -> set[str]:
        """Words of canaries this caller may read: what it holds, and what it said itself."""
        holds = self.held(caller.agency)
        own = {e["id"] for e in self.document["events"] if e["agency"] == caller.agency}
        return {
            one.word
            for one in self.canaries
            if (one.event, one.category) in holds or one.event in own
        }

    def leaks(self) -> list[str]:
        """What a caller read and may not."""
        found = []
        for caller in self.callers.values():
            extra = caller.finds(c.word for c in self.canaries) - self.allowed(caller)
            found += [f"{caller.agency}: {word}" for word in sorted(extra)]
        return found

    def missing(self) -> list[str]:
        """What a caller holds by the record and did not get."""
        found = []
        for caller in self.callers.values():
            holds = self.held(caller.agency)
            due = {c.word for c in self.canaries if (c.event, c.category) in holds}
            found += [f"{caller.agency}: {w}" for w in sorted(due - caller.finds(due))]
        return found


def opened(folder: Path, name: str) -> Iterator[World]:
    document, canaries = planted(scenario(name))
    taking_part = dict(document["agencies"])
    road = play(folder, document)
    for role in sorted(set(PROFILE.matrix) - set(taking_part.values())):
        taking_part[f"X-{role}"] = role
        road.enrol(f"X-{role}", role)
    road.settle()
    server = serve_api(road.hub, port=0, limits=GENEROUS)
    stop = threading.Event()

    def commit() -> None:
        while not stop.is_set():
            road.hub.ingest.commit_waiting(0.02)

    committer = threading.Thread(target=commit)
    committer.start()
    with httpx2.Client(base_url=server.url, timeout=60) as client:
        callers = {
            agency: Caller(road.identities[agency], role, client)
            for agency, role in taking_part.items()
            if role != "hub"
        }
        yield World(
            road, document, canaries, callers, document["events"][0]["case"], server.url, stop
        )
    stop.set()
    committer.join()
    server.stop()
    road.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A disputed age, a disappearance, a break-glass, a birthday: most roles take part."""
    yield from opened(tmp_path, "S2")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from opened(tmp_path_factory.mktemp("small"), "S7")


@pytest.fixture
def small(made_once: World) -> World:
    """A short story; nobody has read anything as yet."""
    for caller in made_once.callers.values():
        caller.read.clear()
    return made_once


# -- every route -----------------------------------------------------------------------------


def routes(app: FastAPI) -> set[tuple[str, str]]:
    found = set()
    for one in iter_route_contexts(app.routes):
        assert isinstance(one.route, APIRoute | Route), f"{one.path}: another kind of route"
        found |= {(method, one.path) for method in one.methods or ()}
    return {(method, path) for method, path in found if method != "HEAD"}


def _deliveries(world: World, caller: Caller) -> None:
    for query in ("", "?after=0", "?after=0&limit=500", "?after=1&limit=1", "?after=-1",
                  "?after=99999999", "?limit=0", "?after=1&again=0", "?again=9999999",
                  "?after=0&recipient=POL-1&agency=POL-1",
                  "?after=0&break_glass=true&basis=vital_interests"):  # fmt: skip
        caller.call("GET", f"/v1/deliveries{query}")


def _outcomes(world: World, caller: Caller) -> None:
    """Of its own events and of everybody's."""
    for event in world.document["events"][:8]:
        caller.call("GET", f"/v1/outcomes/{event_id(event['id'])}")
    caller.call("GET", "/v1/outcomes/not-a-uuid")


def _submissions(world: World, caller: Caller) -> None:
    for raw in bodies(world, caller).values():
        caller.call("POST", "/v1/submissions", raw)


def _preview(world: World, caller: Caller) -> None:
    """Of its own case, of it by another's name, and of what is no event of its own."""
    names = world.road.hub.exchange.pseudonyms
    case_id = names.canonical("case", world.case_ref)
    other = next(one for one in world.callers if one != caller.agency)
    for ref in (None, names.pseudonym(other, "case", case_id)):
        for kind in ("CaseOpened", "ReferralMade", "IdentityRecorded", "RecordCorrected"):
            sealed = Publisher(caller.identity).prepare([_event(world, caller, kind, ref)])
            caller.call("POST", "/v1/preview", sealed)
    for raw in bodies(world, caller).values():
        caller.call("POST", "/v1/preview", raw)


def _receipts(world: World, caller: Caller) -> None:
    for raw in bodies(world, caller).values():
        caller.call("POST", "/v1/receipts", raw)


def _work(world: World, caller: Caller) -> None:
    """Close and contest everybody's items, by one's own name for them and by another's."""
    hub, other = world.road.hub, next(one for one in world.callers if one != caller.agency)
    for one in hub.exchange.log.work.standing(limit=10):
        for agency in (caller.agency, other):
            name = hub.exchange.pseudonyms.pseudonym(agency, "work", one.item)
            caller.call("POST", f"/v1/work/{name}?because=break_glass&contested=true")
    caller.call("POST", "/v1/work/nw-0?because=done")


def _ask_registry(world: World, caller: Caller) -> None:
    """Whatever is sent, only what is published comes back."""
    name = "nrm.partner.IdentityRecorded"
    asked = (f"subjects/{name}", "subjects/any-value/versions")
    for path in (*asked, f"compatibility/subjects/{name}/versions/latest"):
        for body in (b"", b'{"schema": "{}"}', b"\x00" * 64, bodies(world, caller)["Submission"]):
            caller.call("POST", f"/schema-registry/{path}", body)


def _get(*paths: str) -> Callable[[World, Caller], None]:
    def drive(world: World, caller: Caller) -> None:
        for path in paths:
            caller.call("GET", path)
            caller.call("GET", path, headers={"if-none-match": '"1"'})

    return drive


DRIVEN: dict[tuple[str, str], Callable[[World, Caller], None]] = {
    ("POST", "/v1/submissions"): _submissions,
    ("POST", "/v1/preview"): _preview,
    ("GET", "/v1/outcomes/{event_id}"): _outcomes,
    ("GET", "/v1/deliveries"): _deliveries,
    ("POST", "/v1/receipts"): _receipts,
    ("GET", "/v1/work"): _get(
        "/v1/work",
        "/v1/work?limit=500",
        "/v1/work?kind=referral_unanswered",
        "/v1/work?limit=0",
        "/v1/work?agency=POL-1&role=hub",
    ),
    ("POST", "/v1/work/{item}"): _work,
    ("GET", "/v1/registry"): _get("/v1/registry", "/v1/registry?agency=POL-1"),
    ("GET", "/v1/hub"): _get("/v1/hub"),
    ("GET", "/v1/schemas"): _get("/v1/schemas"),
    ("GET", "/v1/schemas/{schema_id}"): _get("/v1/schemas/0", f"/v1/schemas/{'0' * 64}"),
    ("GET", "/schema-registry/{path:path}"): _get(
        "/schema-registry/subjects",
        "/schema-registry/schemas/ids/0",
        "/schema-registry/subjects/nrm.partner.IdentityRecorded/versions/latest",
    ),
    ("POST", "/schema-registry/{path:path}"): _ask_registry,
    ("GET", "/log/checkpoint"): _get("/log/checkpoint"),
    ("GET", "/log/tile/{path:path}"): _get(
        "/log/tile/0/000", "/log/tile/entries/000", "/log/tile/0/000.p/1", "/log/tile/x"
    ),
    ("GET", "/healthz"): _get("/healthz"),
    ("GET", "/readyz"): _get("/readyz"),
    ("GET", "/metrics"): _get("/metrics"),
    ("GET", "/openapi.json"): _get("/openapi.json"),
    ("GET", "/docs"): _get("/docs"),
}


def all_routes(world: World) -> set[tuple[str, str]]:
    served = create_app(world.road.hub)
    return routes(served) | routes(create_operator_app(world.road.hub, served))


SIGNED = ("/v1/submissions", "/v1/preview", "/v1/outcomes/{event_id}", "/v1/deliveries",
          "/v1/receipts",
          "/v1/registry", "/v1/work", "/v1/work/{item}")  # fmt: skip


def drive_routes(world: World) -> None:
    """Every caller, every route that asks who calls; two of them also as nobody, as somebody else,
    and what answers everybody alike."""
    victim = next(one for one in world.callers.values() if world.held(one.agency))
    thorough = {"IMMENF", next(one for one in world.callers if one.startswith("X-"))}
    for caller in world.callers.values():
        for (method, path), drive in DRIVEN.items():
            if path not in SIGNED and caller.agency not in thorough:
                continue
            drive(world, caller)
            if caller.agency not in thorough:
                continue
            target = path.replace("{path:path}", "0/000").format(
                event_id=event_id("e1"), schema_id="0" * 64, item="0" * 32
            )
            body = b"x" if method == "POST" else b""
            for headers in (
                {},
                {"authorization": "Bearer nobody"},
                {"authorization": _as(caller, victim.agency, method, target, body)},
                {"x-agency": victim.agency, "x-break-glass": "true", "x-role": "hub"},
            ):
                caller.call(method, target, body, headers=headers)


def _as(caller: Caller, victim: str, method: str, target: str, body: bytes) -> str:
    """A token in the victim's name, signed with the caller's own key."""
    identity = caller.identity
    now = datetime.now().astimezone()
    claims = request_claims(victim, identity.hub.hub, method, target, body, now=now)
    return f"Bearer {sign_claims(identity.signing, claims)}"


# -- every message ---------------------------------------------------------------------------


def bodies(world: World, caller: Caller) -> dict[str, bytes]:
    """One message of every kind that exists, as far as this caller can have or make it."""
    if not hasattr(world, "_seen"):
        world._seen = _seen_messages(world)  # type: ignore[attr-defined]
    seen: dict[str, bytes] = world._seen  # type: ignore[attr-defined]
    made = Publisher(caller.identity).prepare([_event(world, caller, "FeedbackRecorded")])
    own = {"SealedSubmission": made, "Submission": made[10:], "": b""}
    if caller.agency != "IMMENF":
        return {name: seen[name] for name in ("SealedDeliveries", "SignedReceipt")} | own
    return {**seen, **own}


def _seen_messages(world: World) -> dict[str, bytes]:
    """Real messages of the story, taken from topics and from inside of one another."""
    hub = world.road.hub
    topics, names = hub.topics, hub.exchange.pseudonyms
    for agency, holder in world.callers.items():
        for sealed in hub.publisher.sealed_after(agency, 0, 100):
            batch = holder.unsealed(sealed)
            for delivery in wire.DELIVERY_BATCH.unsingle(batch)["deliveries"]:
                about = wire.DELIVERY.unsingle(delivery)
                if about["evidence"] and about["compartments"]:
                    break
            else:
                continue
            break
        else:
            continue
        break
    outcomes = topics.read(names.topic("nrm.o", world.document["events"][0]["agency"]), 0, 1, 0.0)
    registry = topics.read(REGISTRY_TOPIC, None, 1, 0.0)[0].value
    evidence = about["evidence"]
    given = wire.AGENCY_EVIDENCE.unsingle(evidence)
    receipt = wire.RECEIPT.single(
        {
            "hub": holder.identity.hub.hub,
            "agency": agency,
            "key_id": holder.identity.signing.key_id,
            "first_sequence": 1,
            "last_sequence": 999,
            "applied_at": world.road.time.at,
            "exceptions": [],
        }
    )
    return {
        "SealedDeliveries": sealed,
        "DeliveryBatch": batch,
        "Delivery": delivery,
        "DeliveredCompartment": about["compartments"][0],
        "AgencyEvidence": evidence,
        "Header": given["header"],
        "BatchHead": given["head"],
        "InFlight": wire.IN_FLIGHT.single(
            {
                "agency": agency,
                "event_id": bytes(16),
                "position": 1,
                "items": [{"recipient": agency, "event_ref": "e1", "categories": ["identity"]}],
                "more": 0,
            }
        ),
        "OutcomeBatch": outcomes[0].value,
        "Outcome": wire.OUTCOME_BATCH.unsingle(outcomes[0].value)["outcomes"][0],
        "SignedRegistry": registry,
        "Registry": wire.SIGNED_REGISTRY.unsingle(registry)["registry"],
        "Receipt": receipt,
        "SignedReceipt": wire.SIGNED_RECEIPT.single({"receipt": receipt, "signature": bytes(64)}),
    }


def _event(world: World, caller: Caller, kind: str, case: str | None = None) -> Event:
    schema = Schemas.load().by_type(kind)
    first = world.document["events"][0]
    known = {
        "ref:agency": caller.agency,
        "ref:event": str(event_id(first["id"])),
        "basis": "break_glass",
        "consent_id": "c1",
        "referral_id": "r1",
        "corrects_event": str(event_id(first["id"])),
        "field": next(iter(first["data"])),
    }
    known = {name: value for name, value in known.items() if _fits(schema, name)}
    data = plausible(schema, world.road.time.at, {"ref:agency": caller.agency, **known})
    data = {name: value for name, value in data.items() if not name.startswith("ref:")}
    subject = world.case_ref if case is not None else None
    return Event(
        kind, case or world.case_ref, data, subject=subject,
        corrects_type=first["type"] if kind == "RecordCorrected" else None,
    )  # fmt: skip


def _fits(schema: Any, name: str) -> bool:
    if name.startswith("ref:"):
        return True
    if name == "field" and schema.type != "RecordCorrected":
        return False
    return any(one.name == name and "string" in str(one.avro) for one in schema.fields)


def send_every_type(world: World) -> int:
    """Every agency, every type, into the case under its own and others' names; how many went."""
    names = world.road.hub.exchange.pseudonyms
    case_id = names.canonical("case", world.case_ref)
    sent = 0
    for caller in world.callers.values():
        others = [one for one in world.callers if one != caller.agency][:1]
        refs = [world.case_ref, *(names.pseudonym(one, "case", case_id) for one in others)]
        for ref in refs:
            made = [
                _event(world, caller, kind, None if ref == world.case_ref else ref)
                for kind in Schemas.load().types()
            ]
            raw = Publisher(caller.identity).prepare(made)
            sent += len(made)
            if ref == world.case_ref:
                caller.call("POST", "/v1/submissions", raw)
                world.road.hub.topics.append(INGEST_TOPIC, [Message(raw)])  # and replayed
            else:
                world.road.hub.topics.append(INGEST_TOPIC, [Message(raw)])
        for raw in bodies(world, caller).values():
            world.road.hub.topics.append(INGEST_TOPIC, [Message(raw)])
            world.road.hub.topics.append(RECEIPTS_TOPIC, [Message(raw)])
        while world.road.hub.step():
            pass
    return sent


def read_every_topic(world: World) -> None:
    """Embedded topics have no rights of access: everybody may read everything, with its keys."""
    names = world.road.hub.exchange.pseudonyms
    every = [INGEST_TOPIC, RECEIPTS_TOPIC, REGISTRY_TOPIC]
    every += [names.topic(kind, one) for kind in ("nrm.d", "nrm.o") for one in world.callers]
    for topic in every:
        for message in world.road.hub.topics.read(topic, None, 10_000, 0.0):
            for caller in world.callers.values():
                caller.collect(message.value)


# -- the tests -------------------------------------------------------------------------------


def test_nothing_comes_out_but_what_was_decided(world: World) -> None:
    drive_routes(world)
    read_every_topic(world)
    assert world.leaks() == []
    assert world.missing() == []
    assert any(caller.opened for caller in world.callers.values())
    assert {200, 204, 401, 404} <= {s for one in world.callers.values() for s in one.statuses}
    # The hub's loops are moved by hand here, which is all /readyz has to say.
    assert not [s for one in world.callers.values() for s in one.statuses if s >= 500 and s != 503]

    # Then everything anybody can say is said.
    assert send_every_type(world) == len(world.callers) * 2 * len(Schemas.load().types())
    read_every_topic(world)
    # What was held before may have been recalled by now: what was read then is read.
    later = {
        name: Caller(one.identity, one.role, one.client) for name, one in world.callers.items()
    }
    world.callers = later
    drive_routes(world)
    assert world.leaks() == []

    # Windows were opened by invocations and by nothing else that called itself so.
    exchange = world.road.hub.exchange
    case = exchange.case(exchange.pseudonyms.canonical("case", world.case_ref))
    assert case is not None and case.windows
    for window in case.windows:
        invocation = case.find(window.event_id)
        assert invocation is not None
        assert invocation.type == "BreakGlassInvoked"
        assert invocation.role in Schemas.load().by_type("BreakGlassInvoked").emitters

    # Asked without the rules: what the profile never gives a role came out to nobody of it.
    for caller in world.callers.values():
        never = {
            one.word
            for one in world.canaries
            if PROFILE.mode(caller.role, one.category) == "N"
            and one.category not in PROFILE.opens(caller.role)
            and not any(
                event["id"] == one.event
                and (
                    event["agency"] == caller.agency or event["type"] == "DutyNotificationSubmitted"
                )
                for event in world.document["events"]
            )
        }
        assert caller.finds(never) == set(), caller.agency


def test_every_route_is_driven(small: World) -> None:
    assert set(DRIVEN) == all_routes(small)
    added = create_app(small.road.hub)

    @added.get("/v1/shortcut")
    def shortcut() -> str:
        return "everything"

    assert routes(added) - set(DRIVEN) == {("GET", "/v1/shortcut")}


def test_every_message_is_driven(small: World) -> None:
    folder = resources.files("schemas") / "wire"
    exist = {one.name.removesuffix(".avsc") for one in folder.iterdir() if ".avsc" in one.name}
    caller = small.callers["IMMENF"]
    assert exist - set(bodies(small, caller)) == set()


def test_a_publisher_that_lets_out_one_compartment_too_many_is_caught(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for caller in small.callers.values():
        _deliveries(small, caller)
    assert small.leaks() == []

    careful = parts.released

    def careless(name: str, bases: Any, agency: str) -> bool:
        return name == "protection" or careful(name, bases, agency)

    monkeypatch.setattr(parts, "released", careless)
    for caller in small.callers.values():
        _deliveries(small, caller)
    assert small.leaks() != []


def test_nobody_gets_what_is_addressed_to_another(small: World) -> None:
    """T8, the confused deputy: the recipient is who signed the request, whatever it says."""
    names = small.road.hub.exchange.pseudonyms
    for caller in small.callers.values():
        _deliveries(small, caller)
        mine = names.recipient_ref(caller.agency)
        for raw in caller.read:
            if raw.startswith(wire.SEALED_DELIVERIES.prefix):
                assert wire.SEALED_DELIVERIES.unsingle(raw)["recipient"] == mine


def test_what_was_recalled_is_not_served_again_to_who_asks_from_the_start(
    tmp_path: Path,
) -> None:
    """S1: the person withdraws from the police; asking `after=0` brings none of it back."""
    for world in opened(tmp_path, "S1"):
        police = world.callers["POL-1"]
        _deliveries(world, police)
        exchange = world.road.hub.exchange
        case = exchange.case(exchange.pseudonyms.canonical("case", world.case_ref))
        assert case is not None
        ever = set(case.holdings.ever["POL-1"])
        now = {category for _, category in case.holdings["POL-1"]}
        assert ever - now, "something was recalled from the police"
        assert world.leaks() == []
        assert police.opened
