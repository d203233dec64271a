"""Events as resources: one for what was stated, one Provenance for who stated it. Pure.

What later events say about an earlier one shows in its status: a referral that was declined is
`revoked`, a consent that was withdrawn `inactive`. The fields of the earlier one stay as stated.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from connectors.fhir import labels, stated
from connectors.fhir.names import EVENT_TYPE, OURS, Names, Resource, concept
from connectors.fhir.shapes import LAYOUTS, LISTS, TERMINOLOGY, Layout, said, shape_of
from connectors.remote.copies import Kept

Later = tuple[str, str, str, Mapping[str, str]]
"""(type of the later event, field both share or "", its field that decides or "", value → status).
The value "" stands for any other."""

LATER: Final[Mapping[str, Sequence[Later]]] = {
    "ReferralMade": (
        ("ReferralDeclined", "referral_id", "", {"": "revoked"}),
        ("ReferralEnded", "referral_id", "outcome", {"done": "completed", "": "revoked"}),
    ),
    "TransferOffered": (
        ("TransferAnswered", "transfer_id", "outcome", {"accepted": "completed", "": "revoked"}),
    ),
    "ServiceEpisodeStarted": (("ServiceEpisodeEnded", "episode_id", "", {"": "finished"}),),
    "AccommodationPlaced": (("AccommodationEnded", "placement_id", "", {"": "finished"}),),
    "RemovalHoldPlaced": (("RemovalHoldLifted", "hold_ref", "", {"": "inactive"}),),
    "RiskAssessed": (("RiskAssessed", "scope", "", {"": "inactive"}),),
    "SupportPlanAgreed": (("SupportPlanAgreed", "", "", {"": "completed"}),),
    "SubjectRequestReceived": (
        (
            "SubjectRequestDecided",
            "request_id",
            "outcome",
            {"refused": "rejected", "": "completed"},
        ),
    ),
    "ConsentRequested": (
        ("ConsentGiven", "consent_id", "", {"": "inactive"}),
        ("ConsentRefused", "consent_id", "", {"": "inactive"}),
    ),
    **dict.fromkeys(
        ("ConsentGiven", "ConsentAmended"),
        (
            ("ConsentAmended", "consent_id", "", {"": "inactive"}),
            ("ConsentExpired", "consent_id", "", {"": "inactive"}),
            ("ConsentWithdrawn", "consent_id", "extent", {"all": "inactive"}),
        ),
    ),
}


def told_by_later(event_types: frozenset[str]) -> frozenset[str]:
    """Types whose status an event of one of these types may change; "" is any type."""
    if "" in event_types:
        return frozenset(LATER)
    return frozenset(
        earlier for earlier, rules in LATER.items() if event_types & {rule[0] for rule in rules}
    )


def moment(when: datetime) -> str:
    """To the second, in UTC: what every server gives back as it got it."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def event_resource(event: Kept, case: Sequence[Kept], names: Names) -> Resource:
    """The resource of one event. case: all that is held of its case, in order."""
    shape = shape_of(event.event_type)
    layout = LAYOUTS[shape.resource]
    found: Resource = {
        "resourceType": shape.resource,
        "id": names.id(shape.resource, event.event_ref),
        "meta": meta(names, [event]),
        "extension": stated.extensions(event.event_type, event.fields, event.bases),
        **copy.deepcopy(dict(shape.fixed)),
    }
    identifier = names.identifier("event", event.event_ref)
    found["identifier"] = identifier if shape.resource == "QuestionnaireResponse" else [identifier]
    _frame(found, event, layout, names)
    values = event.values
    for name, native in shape.native.items():
        if values.get(name) is not None and not stated.blank(values[name]):
            native(found, values[name], partial(said, event.event_type, name))
    if layout.rest:
        rest = {n: v for n, v in values.items() if v is not None and n not in shape.native}
        _rest(found, layout.rest, event.event_type, rest)
    if found.get("effectivePeriod"):
        del found["effectiveDateTime"]
    if event.event_type in LATER:
        found["status"] = _status(event, case, found["status"])
    return found


def provenance(event: Kept, names: Names, targets: Sequence[Mapping[str, str]]) -> Resource:
    """Who stated this event. targets: references to the resources that tell it."""
    kind = concept(f"{TERMINOLOGY}/provenance-participant-type", "author")
    found: Resource = {
        "resourceType": "Provenance",
        "id": names.id("Provenance", event.event_ref),
        "meta": meta(names, [event]),
        "target": [dict(one) for one in targets],
        "recorded": moment(event.received_at),
        "activity": concept(EVENT_TYPE, event.event_type),
        "agent": [{"id": f"{OURS}agent-0", "type": kind, "who": names.organization(event.agency)}],
    }
    if event.occurred_at is not None:
        found["occurredDateTime"] = moment(event.occurred_at)
    return found


def meta(names: Names, events: Sequence[Kept]) -> dict[str, Any]:
    """Where it is from, as of which delivery, and how sensitive it is."""
    return {
        "source": names.system("deliveries"),
        "tag": [
            {"system": "urn:nrm:hub", "code": names.hub},
            {"system": "urn:nrm:sequence", "code": str(max(one.sequence for one in events))},
        ],
        "security": labels.security(one.bases for one in events),
    }


def event_code(event_type: str) -> dict[str, Any]:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", event_type)
    return concept(EVENT_TYPE, event_type, words[:1] + words[1:].lower())


def _frame(found: Resource, event: Kept, layout: Layout, names: Names) -> None:
    """Whom it is about, what it is, when and by whom it was said."""
    found[layout.subject] = names.patient(event.case_ref)
    if layout.code:
        code = event_code(event.event_type)
        found[layout.code] = [code] if (found["resourceType"], layout.code) in LISTS else code
    if layout.when:
        when = moment(event.occurred_at or event.received_at)
        element, _, part = layout.when.partition(".")
        if found["resourceType"] == "Basic":
            when = when[:10]  # a date there
        found[element] = {part: when} if part else when
    if layout.author and (event.agency is not None or layout.device):
        author = names.organization(event.agency)
        found[layout.author] = [author] if layout.many else author


def _rest(found: Resource, element: str, event_type: str, values: Mapping[str, Any]) -> None:
    """Fields without an element of their own, as components, answers or inputs."""
    entries = []
    for name, value in values.items():
        about = stated.field_of(event_type, name)
        entry: dict[str, Any] = {"id": f"{OURS}{name}"}
        if element == "item":
            entry |= {"linkId": name, "text": about.doc if about else name}
            told = value if isinstance(value, list) else [value]
            answers = [_answer(event_type, name, one) for one in told]
            entry["answer"] = [one for one in answers if one]
            if not entry["answer"]:
                continue
        else:
            kind = {"coding": [{"system": f"{EVENT_TYPE}:{event_type}", "code": name}]}
            text = _shown(value)
            if not text:
                continue
            entry["code" if element == "component" else "type"] = kind
            entry["valueString"] = text
        entries.append(entry)
    if entries:
        found[element] = entries


def _answer(event_type: str, name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"valueBoolean": value}
    coding = said(event_type, name, value).get("coding")
    if coding:
        return {"valueCoding": coding[0]}
    text = _shown(value)
    return {"valueString": text} if text else {}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(filter(None, map(_shown, value)))
    if isinstance(value, Mapping):
        if set(value) == {"amount", "currency"}:
            return f"{value['amount']} {value['currency']}"
        return "; ".join(f"{name}: {_shown(one)}" for name, one in value.items())
    return str(value).strip()


def _status(event: Kept, case: Sequence[Kept], status: str) -> str:
    """As the newest event says that has a say."""
    values, own = event.values, False
    for later in case:
        if later.event_ref == event.event_ref:
            own = True
            continue
        for kind, shared, deciding, becomes in LATER[event.event_type]:
            if later.event_type != kind or not own:
                continue
            said_there = later.values
            if shared and (not values.get(shared) or said_there.get(shared) != values[shared]):
                continue
            found = becomes.get(str(said_there.get(deciding, "")), becomes.get(""))
            status = found or status
    return status
