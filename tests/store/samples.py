"""Events to store: small, made from a number, the same each time."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hub.store import events as stored
from hub.store.events import SealedCompartment, StoreEvent

START = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def octets(size: int, *parts: object) -> bytes:
    """Bytes that look random and depend on the parts only."""
    seed = repr(parts).encode()
    return b"".join(hashlib.sha256(seed + bytes((n,))).digest() for n in range(8))[:size]


def stream(name: object) -> UUID:
    return UUID(bytes=octets(16, "stream", name))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sending(case: object, version: int, seconds: float = 0) -> stored.Sending:
    return stored.Sending(
        originator_id=stream(case),
        originator_version=version,
        timestamp=at(seconds),
        agency="shelter-1",
        kind="release",
        case_id=octets(16, case),
        subject_id=octets(16, "subject", case),
        decision=version,
        items=b"{}",
        event_position=version,
    )


def accepted(case: object, version: int, seconds: float = 0) -> stored.EventAccepted:
    return stored.EventAccepted(
        originator_id=stream(case),
        originator_version=version,
        timestamp=at(seconds),
        event_id=octets(16, "event", case, version),
        event_type="ReferralMade",
        emitter="police-1",
        role="police",
        schema_id=octets(32, "schema"),
        header=octets(120, "header", case, version),
        head=octets(90, "head"),
        signature=octets(64, "signature"),
        index=0,
        path=(octets(32, 1), octets(32, 2)),
        leaves=tuple(octets(32, "leaf", n) for n in range(8)),
        compartments=(
            SealedCompartment("routing", 3, octets(80, "routing", case)),
            SealedCompartment("consent/shelter-1", 0, octets(40, "consent", case)),
        ),
        categories=("consent", "identity"),
        facts=b'{"to":"shelter-1"}',
        personal=b"",
        subject_id=octets(16, "subject", case),
        secret_id=octets(16, "secret", case),
        occurred_at=at(seconds - 3600.000001),
        digest=octets(32, "digest", case, version),
    )


def one_of_each() -> list[StoreEvent]:
    """An event of every class, with every optional value once absent and once present."""
    agency = {
        "agency": "police-1",
        "name": "Polícia Žltá",
        "role": "police",
        "request": b"request",
        "public": octets(32, "public"),
        "key_id": octets(16, "key"),
        "sealing_public": octets(1216, "sealing"),
    }
    shared = {"originator_id": stream("all"), "timestamp": at(1)}
    refused = {
        "agency": "police-1",
        "digest": octets(32, "refused"),
        "step": 7,
        "reason": "guard",
        "detail": "ask for consent first",
    }
    statement = {"by": "justice-1", "by_key": octets(16, 1), "statement": b"statement"}
    made: list[StoreEvent] = [
        accepted("all", 1),
        stored.Settled(
            **shared,
            originator_version=2,
            event_version=1,
            position=1,
            settlement=b'{"decided":{}}',
            policy="coe-1",
            parties=4,
        ),
        stored.HeldBack(
            **shared, originator_version=3, agency="shelter-1", items=b"{}", rebased=b"{}"
        ),
        stored.Refused(**shared, **refused, originator_version=4, event_id=None, guard=None),
        stored.Refused(
            **shared, **refused, originator_version=5, event_id=octets(16, "id"), guard="G01"
        ),
        sending("all", 6),
        stored.Received(
            **shared,
            originator_version=7,
            agency="shelter-1",
            first_sequence=1,
            last_sequence=2**40,
            receipt=b"receipt",
            signature=octets(64, "receipt"),
        ),
        stored.AgencyRequested(**shared, **agency, originator_version=8),
        stored.AgencyEnrolled(**shared, **agency, originator_version=9, by="operator"),
        stored.AgencyKeyAdded(
            **shared,
            originator_version=10,
            agency="police-1",
            public=octets(32, 1),
            key_id=octets(16, 1),
            request=b"request",
        ),
        stored.AgencyKeyRevoked(
            **shared, originator_version=11, agency="police-1", key_id=octets(16, 1), reason="lost"
        ),
        stored.AgencySealingKeyChanged(
            **shared, originator_version=12, agency="police-1", sealing_public=b"public"
        ),
        stored.AgreementSigned(**shared, originator_version=13, agency="police-1", agreement="A-1"),
        stored.AgreementEnded(**shared, originator_version=14, agency="police-1", agreement="A-1"),
        stored.PolicyPublished(**shared, originator_version=15, version="coe-1", document=b"{}"),
        stored.PolicyProposed(
            **shared,
            **statement,
            originator_version=18,
            version="strict-1",
            digest=octets(32, "d"),
            document=b"{}",
            base=octets(32, "b"),
            base_position=2,
            reason="order 12",
        ),
        stored.PolicyApproved(
            **shared,
            **statement,
            originator_version=19,
            version="strict-1",
            digest=octets(32, "d"),
            proposal=7,
        ),
        stored.OfficerVouched(
            **shared,
            **statement,
            originator_version=20,
            officer="justice-2",
            key_id=octets(16, 2),
            request=b"request",
        ),
        stored.OfficerAdmitted(
            **shared,
            originator_version=21,
            officer="justice-2",
            public=octets(32, 2),
            key_id=octets(16, 2),
            request=b"request",
        ),
        stored.OfficerRevoked(
            **shared,
            **statement,
            originator_version=22,
            officer="justice-2",
            key_id=octets(16, 2),
            reason="left",
        ),
        stored.SubjectShredded(**shared, originator_version=16, subject_id=octets(16, "s")),
        stored.HubInitialised(**shared, originator_version=17, hub="hub-1", public=b"public"),
        stored.InFlight(**shared, originator_version=23, position=2**40, items=b"[]", told=b"[]"),
        stored.WorkRaised(
            **shared,
            originator_version=18,
            item=octets(16, "item"),
            kind="recipient_silent",
            ref="7",
            agency="police-1",
        ),
        stored.WorkRaised(
            **shared,
            originator_version=19,
            item=octets(16, "item"),
            kind="statistics_due",
            ref="2026-Q1",
            agency="",
            due=at(9),
        ),
        stored.WorkFired(
            **shared, originator_version=20, item=octets(16, "item"), phase="due", at=at(2)
        ),
        stored.WorkFired(
            **shared,
            originator_version=21,
            item=octets(16, "item"),
            phase="opens",
            at=at(2),
            due=at(3),
            refused="not_lapsed",
        ),
        stored.WorkClosed(
            **shared,
            originator_version=22,
            item=octets(16, "item"),
            by="A. Operator",
            because="done",
            contested=False,
        ),
        stored.TablePublished(
            **shared,
            originator_version=24,
            table="funnel",
            period="2026-Q1",
            as_of=at(1),
            position=7,
            suppression="lt5",
            epsilon="",
            figures=b"{}",
        ),
        stored.SubjectExported(
            **shared,
            originator_version=25,
            subject_id=octets(16, "s"),
            case_id=octets(16, "c"),
            request="q1",
            digest=octets(32, "export"),
            left_out=("family", "health"),
        ),
        stored.RedriveOrdered(
            **shared, originator_version=26, agency="SH-1", sequence=7, by="A. Operator"
        ),
        stored.HubRestored(
            **shared,
            originator_version=25,
            hub="hub-1",
            backup="0a" * 32,
            head=17,
            after_loss=True,
            seen=b"{}",
            former_verifier="hub-1+0+A",
            log_verifier="hub-1+1+B",
            by="operator",
        ),
        stored.ViewerProposed(
            **shared,
            **statement,
            originator_version=26,
            viewer="audit-1",
            role="agency_officer",
            agency="police-1",
            how="oidc",
            issuer="https://id.example.org",
            subject="5f2c",
            code=b"",
            base=0,
        ),
        stored.ViewerGranted(
            **shared,
            **statement,
            originator_version=27,
            viewer="audit-1",
            proposal=26,
            code=octets(32, "code"),
        ),
        stored.ViewerRevoked(
            **shared,
            **statement,
            originator_version=28,
            viewer="audit-1",
            granted=27,
            reason="left",
        ),
        stored.ViewerPasskeyAdded(
            **shared,
            originator_version=29,
            viewer="audit-1",
            granted=27,
            credential=octets(32, "credential"),
            public=b"cose",
            counter=2**31,
            aaguid="00000000-0000-0000-0000-000000000000",
            code=b"ABCD EFGH",
        ),
        stored.ViewerSignedIn(
            **shared,
            originator_version=30,
            viewer="audit-1",
            granted=27,
            how="passkey",
            credential=octets(32, "credential"),
            counter=2**31,
        ),
        stored.ConsoleLooked(
            **shared,
            originator_version=31,
            viewer="audit-1",
            granted=27,
            role="auditor",
            agency="",
            page="case",
            about="0c4b7a52-6d0f-5e44-9f0e-5b7c2a7d9f31",
            seen=2**40,
            refused="",
        ),
    ]
    # One stream: numbered here, so that whoever adds a class need not look for a free number.
    return [replace(event, originator_version=n) for n, event in enumerate(made, start=1)]
