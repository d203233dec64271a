"""Every basis and reason code of the release decision and the guards, with a sentence each.

Codes are stable: they are recorded, sent to agencies and counted in metrics. The sentence is for
the operator or caseworker who reads one; it says what to do where something can be done.
"""

from __future__ import annotations

from collections.abc import Mapping

BASES: Mapping[str, str] = {
    "vital_interests": "A break-glass window was open for this agency and category.",
    "legal_obligation": "A duty notification goes to those the law requires to be told.",
    "statutory_minimum": "This minimal category always goes to this role.",
    "public_task": "The agency is concerned and receives this category by default.",
    "safeguarding": "The person is a child, or is treated as one.",
    "consent": "The person's consent named after the colon covers it.",
}

WITHHELD: Mapping[str, str] = {
    "asylum_embassy": "Nothing reaches an embassy while an asylum claim is open, nor any claim.",
    "never_rule": "The profile never gives this category to this role.",
    "not_involved": "The agency has no part in this case; a referral it accepts would give it one.",
    "not_party": "This message is for the parties of its referral or consent only.",
    "not_relevant": "This kind of event is outside what the role needs to know of a case.",
    "no_consent": "No consent covers it; ask the person whether to name agency and category.",
    "expired": "The consent that covered it has lapsed; ask the person whether to renew it.",
    "withdrawn": "The person withdrew it; do not ask again on the agency's behalf.",
    "age_rule": "This category is released for children only.",
    "no_agreement": "The agency has no active data-sharing agreement; sign one first.",
    "rule_failed": "A rule could not be evaluated, so nothing was released; report it.",
}

REFUSED: Mapping[str, str] = {
    "unknown_agency": "The event names or comes from an agency that is not registered here.",
    "role_may_not_emit": "The agency's role may not publish this type of event.",
    "unknown_case": "There is no such case; publish CaseOpened first or check the reference.",
    "not_involved_emitter": "Only agencies with a part in the case may publish this into it.",
    "group_case_refused": "A case holds one person and is opened once; open another case.",
    "unknown_referral": "Your agency has made or got no referral or transfer with this id here.",
    "referral_exists": "A referral or transfer with this id is still open; use another id.",
    "not_the_recipient": "Only the agency it was made to may answer a referral or transfer.",
    "referral_not_pending": "It was answered or ended before; nothing is left to answer.",
    "referral_not_open": "It was declined or ended before; nothing is left to end.",
    "not_lapsed": "A referral lapses only after its respond_by; end it with another outcome.",
    "unknown_consent": "The case has no consent record with this id.",
    "consent_state": "The record is not in a state that allows this; see docs/release.md 8.",
    "empty_withdrawal": "The withdrawal lists nothing; name recipients or categories, or use all.",
    "validity_past": "The last day of the consent lies before the day it was given; correct it.",
    "deadline_past": "A deadline in it was over before the event happened; correct the deadline, "
    "or say in occurred_at when it happened.",
    "interpreter_lapsed": "The interpreter's accreditation had ended on the day the consent was "
    "given; explain it again with another interpreter and record that.",
    "unknown_event": "The case has no event with this id.",
    "unknown_field": "The corrected event's type has no such field.",
    "wrong_category": "The correction must carry the category of the field it corrects.",
    "wrong_state": "The case is not in a state in which this can happen.",
    "consent_required": "An adult's own active consent naming the recipient is needed first.",
    "identity_in_notification": "A duty notification carries neither name nor contact.",
    "child_must_be_referred": "A child is referred, not notified; use ReferralMade.",
    "too_early": "The recovery minimum has not passed yet.",
    "hold_stays": "Recovery, an appeal or a missing best-interests decision keeps the hold.",
    "no_disqualification": "Withholding protection needs an individual decision first.",
    "adult_only": "A child's recovery period does not end by withdrawal.",
    "return_blocked": "Return must be voluntary, assessed as not high risk, and in a child's best "
    "interests; a transfer needs consent naming the partner.",
    "break_glass_refused": "Break-glass needs two persons and an end in the future.",
    "small_cell": "The table shows a count below its own suppression limit.",
}
