"""Referrals, transfers and consents on the work list (T05, T06)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from hub.domain.agenda.look import Look
from hub.domain.consent import GIVEN
from hub.domain.referral import REFERRAL
from hub.domain.timers import answer_hours, end_of, start_of
from hub.domain.work_kinds import HOLDER, RECIPIENT, SENDER

UNANSWERED = {"referral": "referral_unanswered", "transfer": "transfer_unanswered"}


def offered(look: Look) -> None:
    """T06: due when the message says, else by its urgency."""
    referral = look.case.involvement.referral_of(look.event)
    assert referral is not None
    hours = answer_hours(
        look.profile.timers,
        str(look.fact("urgency") or "routine"),
        look.case.jurisdiction,
        look.day,
    )
    look.open(
        UNANSWERED[referral.kind],
        referral.referral_id,
        # It lapses after respond_by, not at it (2.3).
        due=(referral.respond_by or look.event.at + timedelta(hours=hours))
        + timedelta(microseconds=1),
        named={RECIPIENT: referral.recipient, SENDER: referral.sender},
    )
    if referral.kind == REFERRAL:
        for item in look.standing("referral_lapsed"):
            if item.agency == look.event.emitter:
                look.settle("referral_lapsed", item.ref)


def answered(look: Look) -> None:
    """Whatever ended an offer, leaving included, ends the waiting for its answer."""
    referral = look.case.involvement.referral_of(look.event)
    for (kind, name), offer in look.case.involvement.referrals.items():
        if not offer.pending:
            look.settle(UNANSWERED[kind], name)
    if (
        referral is not None
        and look.event.type == "ReferralEnded"
        and look.fact("outcome") == "expired"
    ):
        look.open("referral_lapsed", referral.referral_id, named={SENDER: referral.sender})


def consent(look: Look) -> None:
    """T05: the owner is an agency the consent names, for only these are told what becomes of it."""
    record = look.case.consent_of(look.event)
    if record is None:
        return
    if record.state != GIVEN or not record.named:
        look.settle("consent_expiring", record.consent_id)
        return
    ends = end_of(record.valid_until)
    notice = look.days("T05_consent_notice_days")
    look.open(
        "consent_expiring",
        record.consent_id,
        opens=start_of(record.valid_until - timedelta(days=notice)),
        due=ends,
        named=_named(look, record.named),
    )


def _named(look: Look, names: frozenset[str]) -> dict[str, str]:
    """Whoever asked the person, if the record names it; else the holder, else another it names.

    Where it names none that is told of consents, whoever knows of the message.
    """
    for agency in (look.event.emitter, look.holder(), *sorted(names)):
        if agency in names and look.knows(agency):
            return {HOLDER: agency}
    return {}


def expired(look: Look) -> None:
    record = look.case.consent_of(look.event)
    if record is not None:
        look.settle("consent_expiring", record.consent_id)
        look.open("consent_expired", record.consent_id, named=_named(look, record.named))


def asked(look: Look) -> None:
    look.settle("consent_expired")


RULES: Mapping[str, tuple[Callable[[Look], None], ...]] = {
    "ReferralMade": (offered,),
    "TransferOffered": (offered,),
    "ReferralAccepted": (answered,),
    "ReferralDeclined": (answered,),
    "ReferralEnded": (answered,),
    "TransferAnswered": (answered,),
    "ConsentRequested": (asked,),
    "ConsentGiven": (asked, consent),
    "ConsentAmended": (asked, consent),
    "ConsentWithdrawn": (consent, answered),
    "ConsentExpired": (expired,),
}
