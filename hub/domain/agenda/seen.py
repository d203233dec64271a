"""What the case holder is shown: parts withheld from others, and what it can contest.

Withheld: grouped per event, of low urgency. The holder is told only of categories it holds itself
and of agencies it knows to have a part in the case (whoever opened it, and its own referrals'
other side): a list must not tell what a release rule withheld. The rest goes to the auditor. The
agency something was withheld from is never told.

Contestable: a declared age dispute and a linked proceeding show to the case holder whatever was
released to it, because both change who may see what. Whoever made the statement is not the one
to judge it: then another agency with a part in the case is meant, and without one the auditor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hub.domain.agenda.look import Look
from hub.domain.settlement import Withheld
from hub.domain.work_kinds import HOLDER, owner_word

_Told = dict[str, dict[str, str]]  # agency → category → first reason


def withheld(look: Look) -> None:
    """After the other rules: one item for the holder, one with the rest for the auditor."""
    found: _Told = {}
    for agency in look.settlement.concerned:
        for category, outcome in look.settlement.decided.get(agency, {}).items():
            if isinstance(outcome, Withheld):
                found.setdefault(agency, {})[category] = outcome.reason
    if not found:
        return
    ref = look.event.event_id
    holder = look.holder(knowing=False)
    holder = holder if holder and look.knows(holder) else ""
    if owner_word("withheld", look.profile.work) == HOLDER and holder:
        told = _what_the_holder_knows(look, holder, found)
        rest: _Told = {
            agency: {c: why for c, why in reasons.items() if c not in told.get(agency, {})}
            for agency, reasons in found.items()
        }
        _open(look, ref, told, holder)
        _open(look, f"{ref}/rest", {agency: left for agency, left in rest.items() if left}, "")
    else:
        _open(look, ref, found, "")


def _open(look: Look, ref: str, found: _Told, holder: str) -> None:
    if found:
        detail = {"event_type": look.event.type, "withheld": found}
        look.open("withheld", ref, detail=detail, named={HOLDER: holder}, once=True)


def _what_the_holder_knows(look: Look, holder: str, found: _Told) -> _Told:
    if holder == look.event.emitter:
        categories = set(look.event.categories)
    else:
        released = look.settlement.decided.get(holder, {})
        categories = {c for c, outcome in released.items() if not isinstance(outcome, Withheld)}
    known = {look.case.involvement.opener}
    for referral in look.case.involvement.referrals.values():
        if holder in (referral.sender, referral.recipient):
            known |= {referral.sender, referral.recipient}
    told = {
        agency: {c: why for c, why in reasons.items() if c in categories}
        for agency, reasons in found.items()
        if agency in known and agency != holder
    }
    return {agency: reasons for agency, reasons in told.items() if reasons}


def age_disputed(look: Look) -> None:
    _contestable(look, "age_dispute_contestable")


def proceeding_linked(look: Look) -> None:
    _contestable(look, "proceeding_contestable")


def _contestable(look: Look, kind: str) -> None:
    holder = look.holder(but=look.event.emitter, knowing=False)
    knows = bool(holder) and look.knows(holder)
    look.open(
        kind,
        look.event.event_id,
        detail={"by_role": look.event.role} if knows else {},
        named={HOLDER: holder},
    )


RULES: Mapping[str, tuple[Callable[[Look], None], ...]] = {
    "AgeDisputed": (age_disputed,),
    "ProceedingLinked": (proceeding_linked,),
}
