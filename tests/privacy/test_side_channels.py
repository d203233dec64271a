"""What a partner can count is the same whether something withheld from it happened or not.

The same story is told twice to two copies of one hub, once with events in between that the partner
has no part in. Then everything the partner could ever look at is compared: its topic (messages,
sizes, headers, sequences), every opened delivery byte for byte, the registry, the answers to its
own events, its HTTP answers, and its own database.

Left out of the comparison is what is random by construction (the boxes' bytes, compared by size),
the partner's own clock, and one thing that differs by design: the log position in the signed
outcome of an event the partner itself published (docs/privacy.md).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from connectors.agency.http_auth import sign_request
from connectors.agency.identity import AgencyIdentity
from connectors.agency.registry_cache import RegistryCache
from connectors.opening.evidence import EVIDENCE
from connectors.opening.opener import Opener
from hub.api.limits import Limits, Rate
from hub.api.server import serve_api
from hub.topics.port import Message
from schemas import wire
from tests.privacy.told import Told, noted

AGENCIES = ("NGO-1", "SH-1", "POL-1", "CA-1", "CPS-1", "IMMENF-1", "EMB-1", "LEG-1")
OBSERVERS = ("POL-1", "SH-1", "CA-1", "IMMENF-1", "EMB-1")
OWN_CLOCK = {"received_at", "applied_at", "updated_at", "sent_at", "recalled_at", "cursor"}
GENEROUS = Limits(requests=Rate(10_000, 10_000), public=Rate(10_000, 10_000))

Hidden = Callable[[Told], None]


def nothing(_told: Told) -> None:
    """The story without anything withheld."""


# Each is withheld from every observer, for a reason of its own.


def another_case(told: Told) -> None:
    """not_involved: a whole other life goes by."""
    case = f"C{told.asides + 2}"
    told.aside("NGO-1", "CaseOpened", case, age_status="adult")
    told.aside("NGO-1", "IdentityRecorded", case, family_name="Somebody")
    told.aside("NGO-1", "NeedsAssessed", case, health_needs="insulin")


def help_began(told: Told) -> None:
    """never_rule, not_relevant and no_consent: help that none of them is told of."""
    told.aside("NGO-1", "ContactPreferenceRecorded", phone="+000")
    told.aside("NGO-1", "BestInterestsDetermined", refused=True)
    told.aside("NGO-1", "FeedbackRecorded", kind="feedback", about_agency="LEG-1")


def asked_again(told: Told) -> None:
    """not_party: a consent that names none of them is asked for and refused."""
    told.aside("NGO-1", "ConsentRequested", consent_id="c9")
    told.aside("NGO-1", "ConsentRefused", consent_id="c9")


def referred_elsewhere(told: Told) -> None:
    """not_party: a lawyer is asked, and declines."""
    told.aside(
        "NGO-1",
        "ReferralMade",
        referral_id="r-leg",
        to_agency="LEG-1",
        basis="c1",
        respond_by="2027-01-01T00:00:00Z",
    )
    told.aside("LEG-1", "ReferralDeclined", referral_id="r-leg", reason="no_capacity")


def refused_events(told: Told) -> None:
    """What is refused is recorded in the log too."""
    for number in range(3):
        told.aside("CPS-1", "NeedsAssessed", health_needs=f"need {number}", refused=True)


HIDDEN = (another_case, help_began, asked_again, referred_elsewhere, refused_events)


GUESSES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ReferralAccepted", {"referral_id": "r-leg"}),
    ("ReferralEnded", {"referral_id": "r-leg", "outcome": "revoked"}),
    ("ReferralDeclined", {"referral_id": "r-leg"}),
)


def story(told: Told, between: Hidden) -> list[Any]:
    """A case with all observers; what its outcomes told the observers that published."""
    answers = []
    told.says("NGO-1", "IdentityRecorded", family_name="Person", gender="F")
    between(told)
    told.says("NGO-1", "IndicatorsScreened", account="told", exploitation_types=["ForcedLabour"])
    between(told)
    answers.append(told.hears("POL-1", "ProceedingLinked", stage="reported"))
    told.says("SH-1", "AccommodationPlaced", address="street 1")
    for kind, data in GUESSES:  # an agency in the case tries ids of what it is no party of
        answers.append(told.hears("SH-1", kind, **data))
    answers.append(told.hears("SH-1", "NeedsAssessed", health_needs="rest"))
    between(told)
    told.says("CA-1", "RemovalHoldPlaced", hold_ref="h1")
    told.says(
        "NGO-1",
        "ConsentWithdrawn",
        consent_id="c1",
        extent="recipients",
        recipients=["POL-1"],
        leave_nrm=False,
    )
    between(told)
    told.says("NGO-1", "RiskAssessed", level="high")
    answers.append(told.hears("POL-1", "WitnessProtectionApplied", measure="companion"))
    joining = AgencyIdentity.load(told.folder / "LEG-2")
    told.road.hub.enrolment.approve(joining.enrolment_request(), by="operator")
    unanswered = {"referral_id": "again", "to_agency": "SH-1", "basis": "c1"}
    told.says("NGO-1", "ReferralMade", **unanswered, respond_by="2026-03-06T09:00:00Z")
    told.road.settle()
    answers.append(told.hears("IMMENF-1", "RiskAssessed", level="low"))  # refused: no part
    return answers


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub, its agencies, and a case that all observers but two have a part in."""
    folder = tmp_path_factory.mktemp("base") / "world"
    with Told(folder, *AGENCIES) as told:
        told.opened()
        parties = ("POL-1", "SH-1", "LEG-1", "EMB-1", "CA-1")
        told.consents({one: ["identity", "protection"] for one in parties})
        told.involves("NGO-1", "POL-1", "SH-1", "EMB-1", "CA-1")
        AgencyIdentity.create(folder / "LEG-2", "LEG-2", "a lawyer", "legal_rep")  # joins later
    return folder


class Seen:
    """Everything one partner can look at."""

    def __init__(self, told: Told, agency: str, sent: Sequence[tuple[str, Message]]) -> None:
        hub, identity = told.road.hub, told.road.identities[agency]
        topic = hub.exchange.pseudonyms.topic("nrm.d", agency)
        own = [message for name, message in sent if name == topic]
        opener = Opener(identity, RegistryCache(identity))
        self.messages = [(len(one.value), dict(one.headers)) for one in own]
        self.heads = [
            {k: v for k, v in wire.SEALED_DELIVERIES.unsingle(one.value).items() if k in PLAIN}
            for one in own
        ]
        opened = [opener.open(one.value) for one in own]
        self.deliveries = [[unsalted(item) for item in one.items] for one in opened]  # type: ignore[union-attr]
        self.registry = [
            wire.SIGNED_REGISTRY.unsingle(message.value)["registry"]
            for name, message in sent
            if name == "nrm.registry"
        ]
        self.outcomes = [
            len(message.value)
            for name, message in sent
            if name == hub.exchange.pseudonyms.topic("nrm.o", agency)
        ]
        self.http: list[Any] = []
        self.tables = own_tables(told, agency)


PLAIN = ("hub", "recipient", "first_sequence", "last_sequence", "sealing_key_id", "signing_key_id")


def unsalted(item: Any) -> Any:
    """An opened delivery; hub-attested content is sealed afresh, so its bytes differ by design."""
    if item.evidence is None and item.kind == "release":
        return replace(item, raw=b"%d" % len(item.raw))
    return item


PATHS = (
    "/v1/deliveries?after=0",
    "/v1/deliveries?after=3",
    "/v1/deliveries?after=100000",
    "/v1/deliveries?after=3&again=0",
    "/v1/registry",
    "/v1/hub",
    "/v1/schemas",
    "/v1/work",
    f"/v1/outcomes/{UUID(int=7)}",
    "/healthz",
)


def work_list(answer: httpx2.Response) -> list[dict[str, Any]]:
    """The items but for their names, which are opaque: one block under a key of the recipient."""
    return [{**item, "item": len(item["item"])} for item in answer.json()["items"]]


def ask_over_http(told: Told, seen: dict[str, Seen]) -> None:
    """What every observer is answered: status, headers but for the random ones, size."""
    server = serve_api(told.road.hub, port=0, limits=GENEROUS)
    try:
        with httpx2.Client(base_url=server.url, timeout=30) as client:
            for agency, one in seen.items():
                for path in PATHS:
                    signed = sign_request(told.road.identities[agency], "GET", path, b"")
                    answer = client.get(path, headers=signed)
                    headers = dict(answer.headers)
                    for random in ("date", "x-request-id"):
                        headers.pop(random, None)
                    said = work_list(answer) if path == "/v1/work" else len(answer.content)
                    one.http.append((path, answer.status_code, headers, said))
    finally:
        server.stop()


def own_tables(told: Told, agency: str) -> dict[str, Any]:
    """The partner's database, but for what its own clock wrote."""
    found = {}
    for table, rows in told.tables(agency).items():
        columns = [row[1] for row in told.rows(agency, f"PRAGMA table_info('{table}')")]
        kept = [i for i, name in enumerate(columns) if name not in OWN_CLOCK]
        found[table] = sorted([tuple(row[i] for i in kept) for row in rows], key=repr)
    return found


def told_with(base: Path, folder: Path, between: Hidden) -> tuple[dict[str, Seen], list[Any], int]:
    """Tell the story to a copy of the hub; what each observer saw, and the log's length."""
    shutil.copytree(base, folder)
    with Told(folder, *AGENCIES) as told:
        told.count = 1_000
        sent = noted(told)
        answers = story(told, between)
        told.attend()
        told.road.time.at += timedelta(days=3)  # what was asked and not answered is due
        told.attend()
        seen = {agency: Seen(told, agency, sent) for agency in OBSERVERS}
        ask_over_http(told, seen)
        return seen, answers, told.road.hub.exchange.position


@pytest.fixture(scope="module")
def plain(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return told_with(base, tmp_path_factory.mktemp("plain") / "world", nothing)


def same(one: Seen, other: Seen, agency: str) -> None:
    for name, value in vars(one).items():
        theirs = getattr(other, name)
        if isinstance(value, list):  # the first that differs is told, not all of it
            for mine, its in zip(value, theirs, strict=True):
                assert (agency, name, mine) == (agency, name, its)
        assert (agency, name, value) == (agency, name, theirs)


def test_a_story_told_twice_without_a_difference_looks_the_same(
    base: Path, plain: Any, tmp_path: Path
) -> None:
    """The comparison itself: nothing in it differs by chance, and there is something to compare."""
    seen, _, _ = told_with(base, tmp_path / "again", nothing)
    for agency in OBSERVERS:
        same(seen[agency], plain[0][agency], agency)
    police = seen["POL-1"]
    assert len(police.messages) >= 4
    assert sum(len(one) for one in police.deliveries) >= 4
    listed = {agency: one.http[PATHS.index("/v1/work")] for agency, one in seen.items()}
    assert any(one[3] for one in listed.values()), listed
    assert any(item.kind == "recall" for one in police.deliveries for item in one)
    assert len(police.registry) == 1
    assert len(police.outcomes) == 2


def test_with_something_withheld_in_between_everything_looks_the_same(
    base: Path, plain: Any, tmp_path: Path
) -> None:
    def between(told: Told) -> None:
        for hidden in HIDDEN:
            hidden(told)

    seen, answers, length = told_with(base, tmp_path / "world", between)
    without, answers_without, length_without = plain
    assert length > length_without + 100, "much was recorded in between"
    for agency in OBSERVERS:
        same(seen[agency], without[agency], agency)
    for one, other in zip(answers, answers_without, strict=True):
        position = {"position": None}
        assert replace(one, **position, signed=b"") == replace(other, **position, signed=b"")


def test_a_withheld_part_of_an_event_leaves_no_trace_in_what_is_released_of_it(
    base: Path, tmp_path: Path
) -> None:
    """Two events that differ only in what is withheld: the same sizes, paths and depths."""
    shapes = []
    for number, withheld in enumerate(({}, {"health_needs": "y" * 400, "dependants": 3})):
        folder = tmp_path / str(number)
        shutil.copytree(base, folder)
        with Told(folder, *AGENCIES) as told:
            told.count = 1_000
            sent = noted(told)
            told.says("NGO-1", "NeedsAssessed", domains=["medical"], **withheld)
            topic = told.road.hub.exchange.pseudonyms.topic("nrm.d", "SH-1")
            [message] = [one for name, one in sent if name == topic]
            identity = told.road.identities["SH-1"]
            opened: Any = Opener(identity, RegistryCache(identity)).open(message.value)
            [item] = opened.items
            assert item.categories == ("protection",)
            kept = EVIDENCE.decode(item.evidence)
            paths = [(part["name"], len(part["path"])) for part in kept["disclosed"]]
            shapes.append((len(message.value), len(item.raw), paths, len(kept["path"])))
    assert shapes[0] == shapes[1]
