"""Hubs on which something happened that no shipped scenario has."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from hub.recording.draft import stream_id
from hub.store import events as stored
from schemas import wire
from tests.questions.asked import Told
from tests.road import CONSENT, Road


def erased_person(folder: Path) -> Road:
    """A person with a shelter who knows them was erased; the key store was copied before."""
    road = Road.open(
        folder, {"NGO-1": "ngo_support", "SH-1": "shelter", "CA-1": "competent_authority"}
    )
    road.partner("SH-1")
    scope = {"SH-1": ["case_management", "identity"], "CA-1": ["case_management"]}
    opened = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
    for case in ("C1", "C2"):
        road.publish("NGO-1", "CaseOpened", case, **opened)
        road.publish("NGO-1", "ConsentGiven", case, consent_id="c1", scope=scope, **CONSENT)
        road.publish("NGO-1", "IdentityRecorded", case, given_name="Kanarie")
        road.publish(
            "NGO-1",
            "ReferralMade",
            case,
            referral_id="r1",
            to_agency="SH-1",
            services=["accommodation"],
            urgency="routine",
            respond_by="2026-04-02T15:00:00Z",
            basis="c1",
        )
        road.publish("SH-1", "ReferralAccepted", case, referral_id="r1")
    road.settle()
    for name in ("secrets.db", "epoch.key"):
        with sqlite3.connect(folder / "hub" / "secrets.db") as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(folder / "hub" / name, folder / f"before-{name}")
    asked = {"request_id": "q1", "right": "erasure", "due_on": "2026-07-01"}
    road.publish("NGO-1", "SubjectRequestReceived", "C1", **asked)
    granted = {"outcome": "granted", "exemption": "none", "action": "key_destroyed"}
    assert road.publish("NGO-1", "SubjectRequestDecided", "C1", request_id="q1", **granted).accepted
    road.settle()
    road.hub.checkpoints.step(now=True)
    return road


def silent_shelter(folder: Path) -> Road:
    """Five deliveries to a shelter whose connector is not running."""
    road = Road.open(folder, {"NGO-1": "ngo_support", "SH-1": "shelter"})
    scope = {"SH-1": ["case_management", "identity"]}
    opened = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
    road.publish("NGO-1", "CaseOpened", "C1", **opened)
    road.publish(
        "NGO-1",
        "ConsentGiven",
        "C1",
        consent_id="c1",
        scope=scope,
        given_by="self",
        purposes=["assistance"],
        covers_history=True,
        valid_until="2027-03-01",
        method="written",
        notice_version="n1",
        withdrawal_channel="any",
    )
    for name in ("Kanarie", "Zjevnova", "Another"):
        road.publish("NGO-1", "IdentityRecorded", "C1", given_name=name)
    road.publish(
        "NGO-1",
        "ReferralMade",
        "C1",
        referral_id="r1",
        to_agency="SH-1",
        services=["accommodation"],
        urgency="routine",
        respond_by="2026-04-02T15:00:00Z",
        basis="c1",
    )
    road.publish("SH-1", "ReferralAccepted", "C1", referral_id="r1")
    road.settle()
    return road


def receipt(
    told: Told, agency: str, first: int, last: int, *said: tuple[int, str, str | None]
) -> stored.Received:
    """A receipt as a connector states it; its signature is not what these questions check."""
    stream, log = stream_id("receipts", agency), told.hub.exchange.log
    now = told.hub.exchange.clock.now()
    body = wire.RECEIPT.single(
        {
            "agency": agency,
            "hub": told.hub.hub_id,
            "key_id": bytes(16),
            "first_sequence": first,
            "last_sequence": last,
            "applied_at": now,
            "exceptions": [
                {"sequence": sequence, "outcome": outcome, "recall_ref": None, "detail": detail}
                for sequence, outcome, detail in said
            ],
        }
    )
    return stored.Received(
        originator_id=stream,
        originator_version=log.last_version(stream) + 1,
        timestamp=now,
        agency=agency,
        first_sequence=first,
        last_sequence=last,
        receipt=body,
        signature=bytes(64),
    )
