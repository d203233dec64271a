"""A hub on which all that the operations pages tell has happened, with canaries in its content."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

from connectors.sink import RecallPolicy, Sink
from consumers.raising import raise_item
from hub.authority.officers import OfficerKey
from hub.clock import Clock, ScenarioTime
from hub.domain.policy import default_document
from hub.home import Home
from hub.hub import Deciding
from schemas.registry import Schemas
from tests.consent.stage import close, needs, partner, sink_of, withdraw
from tests.policy.officers import changed, founded, publication
from tests.work.office import ADULT, ROLES, Office, at, office

CANARY = "Kanarie Zjevnova"
FLOW = [0, 1, 2, 0, 0, 1, 3, 1, 0, 2] * 6  # events accepted by the minute, the last hour


END = at(2026, 3, 12, 9)
BASIS = RecallPolicy(own_basis={"health": "Legal Aid Act s. 4"})


class Story(Office):
    """What happened. aside: recipient and sequence of the delivery it could not read. signing: the
    hub's two officers."""

    aside: tuple[str, int]
    signing: tuple[OfficerKey, OfficerKey]


def story(folder: Path, **places: str) -> Story:
    """From 2 to 12 March 2026: withdrawals, recalls of every outcome, a dead letter, refusals, a
    proposal, break-glass. The usual one is copied, since living through it takes its time."""
    if places:
        return _lived(folder, **places)
    kept, signing = _kept()
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    made = Story.open(folder, ROLES)
    assert isinstance(made, Story)
    made.signing = signing
    made.time.at = END
    made.partner("CA-1")
    partner(made, "LEG-1", sink_of(made, "LEG-1", "sqlite", BASIS))
    _out_of_date(made)
    return made


@lru_cache(maxsize=1)
def _kept() -> tuple[Path, tuple[OfficerKey, OfficerKey]]:
    folder = Path(tempfile.mkdtemp(prefix="nrm-story-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    lived = _lived(folder)
    close(lived)
    return folder, lived.signing


def _lived(folder: Path, **places: str) -> Story:
    office(folder, **places).close()
    made = Story.open(folder, ROLES, **places)
    assert isinstance(made, Story)
    for agency in ("CA-1", "POL-1", "LEG-1"):
        made.partner(agency)
    partner(made, "SH-1", sink_of(made, "SH-1", "sqlite", RecallPolicy("restrict")))
    _withdrawn(made)
    _set_aside(made)
    _glass(made)
    _refused(made)
    _proposed(made)
    _busy(made)
    made.until(END)
    return made


def open_case(made: Story, case: str, scope: dict[str, list[str]]) -> None:
    """A case with consent c1 of this scope; everyone named has accepted a referral."""
    made.say("NGO-1", "CaseOpened", case, **ADULT)
    made.consent(case, scope)
    answer = (made.time.at + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for agency in scope:
        made.refer(case, agency, f"{case}-{agency}", respond_by=answer)
        made.say(agency, "ReferralAccepted", case, referral_id=f"{case}-{agency}")


def _withdrawn(made: Story) -> None:
    """C1 comes back from SH-1 and CA-1; C2 is kept in part; C3's recall is never answered."""
    open_case(made, "C1", {"SH-1": ["protection", "health"], "CA-1": ["protection"]})
    made.say("NGO-1", "IdentityRecorded", "C1", given_name=CANARY, family_name="Kanarie-family")
    needs(made, "C1")
    made.settle()
    made.until(at(2026, 3, 3, 9))
    withdraw(made, "C1")
    made.hub.step()
    made.time.at += timedelta(minutes=47)
    made.settle()
    open_case(made, "C2", {"LEG-1": ["protection", "health"]})
    needs(made, "C2")
    made.settle()
    _with_basis(made, "LEG-1")
    made.until(at(2026, 3, 3, 12))
    withdraw(made, "C2")
    made.time.at += timedelta(hours=3)
    made.settle()
    open_case(made, "C3", {"POL-1": ["protection"]})
    needs(made, "C3")
    made.settle()
    silent = made.partners.pop("POL-1")
    made.until(at(2026, 3, 4, 9))
    withdraw(made, "C3")
    made.settle()
    silent._inbox.close()
    open_case(made, "C4", {"SH-1": ["health"]})
    withdraw(made, "C4")
    made.settle()


def _with_basis(made: Story, agency: str) -> None:
    """The agency's connector keeps health on a law of its own from here on."""
    made.partners.pop(agency)._inbox.close()
    for sink in made.sinks:
        sink.close()
    partner(made, agency, sink_of(made, agency, "sqlite", BASIS))


def _set_aside(made: Story) -> None:
    made.partners.pop("SH-1")._inbox.close()
    sink = sink_of(made, "SH-1", "sqlite")
    partner(made, "SH-1", sink, older())
    open_case(made, "C5", {"SH-1": ["protection", "health"]})
    needs(made, "C5")
    made.settle()
    _aside(made, sink)


def _out_of_date(made: Story) -> None:
    """SH-1's connector is older than the type of an event it is sent."""
    sink = sink_of(made, "SH-1", "sqlite")
    partner(made, "SH-1", sink, older())
    _aside(made, sink)


def older() -> Schemas:
    known = Schemas.load()
    return Schemas(known.by_type(one).document for one in known.types() if one != "NeedsAssessed")


def _aside(made: Story, sink: Sink) -> None:
    [row] = sink.quarantine()
    assert row.sequence is not None
    made.aside = ("SH-1", row.sequence)


def _glass(made: Story) -> None:
    """Broken twice in C5: reviewed as justified, and not reviewed in time."""
    made.say("NGO-1", "IdentityRecorded", "C5", given_name=CANARY, family_name="Kanarie-family")
    for reviewed in (True, False):
        invocation = uuid4()
        event = made.event(
            "BreakGlassInvoked",
            "C5",
            invocation,
            reason="threat_to_life",
            requested_categories=["identity", "health"],
            two_person_ref="second officer 17",
            expires_at=(made.time.at + timedelta(hours=6)).isoformat(),
        )
        [outcome] = made.publish_all("POL-1", [event])
        assert outcome.accepted, outcome
        made.settle()
        if reviewed:
            made.time.at += timedelta(hours=20)
            made.say(
                "AUD-1",
                "BreakGlassReviewed",
                "C5",
                invocation_event_id=str(invocation),
                outcome="justified",
                person_informed=True,
            )


def _refused(made: Story) -> None:
    for referral in ("a", "b"):
        assert not made.publish("SH-1", "ReferralAccepted", "C1", referral_id=referral).accepted
    made.hub.exchange.record([made.hub.ingest.admit(b"noise")])
    raise_item(made.hub.exchange, "recipient_silent", "POL-1/9", agency="POL-1")


def _proposed(made: Story) -> None:
    """A second version is in force; a third waits for a second officer."""
    document = changed(default_document(), "coe-2", police__identity="N")
    document["timers"]["T08_subject_request_days"] = 20
    made.signing = first, second = founded(made.hub, "Ana Officer", "Ben Officer")
    votes = publication(made.hub)
    proposal = votes.propose(document, first, "order 12")
    votes.approve(proposal.digest.hex(), second)
    other = changed(document, "coe-3", police__identity="A", shelter__health="C")
    other["matrix"]["immigration_enforcement"]["identity"] = "C"
    other["evidence"] = {**other["evidence"], "shelter": "hub"}
    other["timers"]["T11_recall_answer_days"] = 5
    votes.propose(other, first, "order 13")


def _busy(made: Story) -> None:
    """Cases opened in the last hour of the story, two in some minutes: `FLOW`."""
    for minute, count in enumerate(FLOW):
        made.time.at = at(2026, 3, 12, 8) + timedelta(minutes=minute, seconds=30)
        for number in range(count):
            made.say("NGO-1", "CaseOpened", f"F{minute}-{number}", **ADULT)
    made.settle()


def reading(made: Office) -> Deciding:
    """The console's own view of the hub's home, on the story's clock."""
    deciding = Deciding.open(Home(made.folder / "hub"))
    time: ScenarioTime = made.time
    deciding.reading.exchange.clock = Clock(time, steady=None)
    return deciding
