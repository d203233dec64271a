"""What is the hub's and what the partner's: laws of merging."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.fhir import coverage, stated
from connectors.fhir.coverage import NAMES
from connectors.fhir.events import event_resource
from connectors.fhir.names import Resource
from connectors.fhir.ownership import HISTORY, emptied, first, merged, purged, shell
from connectors.fhir.person import patient
from connectors.remote.copies import Kept
from schemas.registry import Schemas

SCHEMAS = Schemas.load()


def whole(event_type: str) -> Kept:
    schema = SCHEMAS.by_type(event_type)
    return coverage.event(schema, schema.fields)


def without(one: Kept, *categories: str) -> Kept:
    fields = {name: part for name, part in one.fields.items() if name not in categories}
    return replace(one, fields=fields, bases=dict.fromkeys(fields, "consent"))


def resource(one: Kept) -> Resource:
    return event_resource(one, [one], NAMES)


def person(one: Kept) -> Resource:
    return patient("nc-1", "ns-1", [one], NAMES)


def at_server(written: Resource, version: str = "1") -> Resource:
    """As it is read back."""
    found = copy.deepcopy(written)
    found["meta"] |= {"versionId": version, "lastUpdated": "2026-03-02T09:00:00Z"}
    found["meta"]["source"] = f"{found['meta'].get('source', '')}#AbC"
    return found


@pytest.mark.parametrize("event_type", SCHEMAS.types())
def test_the_same_again_is_nothing_to_write(event_type: str) -> None:
    ours = resource(whole(event_type))
    again = merged(ours, at_server(first(ours)))
    assert (again.same, again.edited, again.lessened) == (True, (), False)


@pytest.mark.parametrize("event_type", SCHEMAS.types())
def test_every_category_taken_away_is_known_and_leaves_nothing(event_type: str) -> None:
    one = whole(event_type)
    current = at_server(first(resource(one)))
    for category in one.fields:
        left = without(one, category)
        result = merged(resource(left), current)
        assert result.lessened
        assert purged(result.resource)
        assert stated.fields(result.resource) == left.fields
        again = merged(resource(left), at_server(result.resource))
        assert (again.same, again.lessened) == (True, False)
        assert purged(again.resource), "and stays known, for a purge that was cut off"


THEIRS = st.fixed_dictionaries(
    {},
    optional={
        "maritalStatus": st.fixed_dictionaries({"text": st.text(min_size=1)}),
        "photo": st.lists(st.fixed_dictionaries({"title": st.text(min_size=1)}), min_size=1),
        "deceasedBoolean": st.booleans(),
        "text": st.just({"status": "generated", "div": "<div/>"}),
    },
)
ADDED = st.fixed_dictionaries(
    {},
    optional={
        "identifier": st.just({"system": "urn:theirs", "value": "1"}),
        "name": st.just({"text": "theirs"}),
        "telecom": st.just({"system": "phone", "value": "theirs"}),
        "extension": st.just({"url": "urn:theirs", "valueString": "theirs"}),
    },
)
IDENTITY = st.lists(st.sampled_from(["given_name", "family_name", "aliases", "birth_place"]))


def told(names: list[str]) -> Kept:
    schema = SCHEMAS.by_type("IdentityRecorded")
    return coverage.event(schema, [schema[name] for name in names])


@given(THEIRS, ADDED, IDENTITY, IDENTITY)
def test_what_the_partner_adds_is_carried_over_whatever_the_hub_states(
    own: dict[str, Any], added: dict[str, Any], before: list[str], after: list[str]
) -> None:
    current = at_server(first(person(told(before)))) | own
    for name, entry in added.items():
        current[name] = [*current.get(name, []), entry]
    current["meta"]["tag"].append({"system": "urn:theirs", "code": "x"})
    result = merged(person(told(after)), current)
    for name, value in own.items():
        if name != "text" or not result.lessened:  # a narrative may repeat what was taken
            assert result.resource[name] == value
    for name, entry in added.items():
        assert entry in result.resource[name]
    assert {"system": "urn:theirs", "code": "x"} in result.resource["meta"]["tag"]
    again = merged(person(told(after)), at_server(result.resource))
    assert again.same
    for name in set(before) - set(after):
        assert f"IdentityRecorded-{name}." not in json.dumps(result.resource)


def test_an_edit_stands_while_the_hub_states_it_and_falls_with_it() -> None:
    one = whole("ReferralMade")
    current = at_server(first(resource(one)))
    current["priority"] = "stat"
    current["status"] = "on-hold"
    again = merged(resource(one), current)
    assert again.same
    assert set(again.edited) == {"priority", "status"}
    less = merged(resource(without(one, "case_management")), current)
    assert "priority" not in less.resource
    assert less.resource["status"] == "on-hold", "that something is there at all is still told"


def test_an_edit_does_not_keep_what_one_of_two_statements_had_said() -> None:
    """The name of a recalled event does not live on in an edit beside another event's."""
    first_one, second = told(["given_name"]), told(["family_name"])
    current = at_server(first(patient("nc-1", "ns-1", [first_one, second], NAMES)))
    assert "IdentityRecorded-given_name." in json.dumps(current)
    current["name"][0]["prefix"] = ["Ms"]
    result = merged(person(second), current)
    assert (result.edited, result.replaced) == ((), ("name",))
    assert "IdentityRecorded-given_name." not in json.dumps(result.resource)
    assert result.lessened


def test_a_status_of_theirs_stands_also_when_the_hub_says_another() -> None:
    ours = resource(whole("ReferralMade"))
    current = {**at_server(first(ours)), "status": "on-hold"}
    result = merged({**ours, "status": "completed"}, current)
    assert (result.resource["status"], result.edited) == ("on-hold", ("status",))


def test_a_value_of_theirs_that_was_there_before_stays() -> None:
    nothing = at_server(first(person(told([]))))
    current = {**nothing, "gender": "other"}
    stating = replace(told([]), fields={"demographics": {"gender": "F"}})
    result = merged(person(stating), current)
    assert result.resource["gender"] == "other"
    gone = merged(person(told([])), at_server(result.resource))
    assert gone.resource["gender"] == "other"


def test_whose_statement_it_is_cannot_be_edited() -> None:
    ours = resource(whole("ReferralMade"))
    current = at_server(first(ours))
    current["identifier"][0]["value"] = "another"
    current["extension"][0]["extension"][1]["valueString"] = "no basis"
    result = merged(ours, current)
    assert result.resource["identifier"] == ours["identifier"]
    assert stated.fields(result.resource) == stated.fields(ours)


FRAME = {"resourceType": "ServiceRequest", "id": "x", "status": "entered-in-error",
         "intent": "order", "subject": {"reference": "Patient/p"}}  # fmt: skip


def test_nothing_of_theirs_leaves_no_shell() -> None:
    assert shell(at_server(first(resource(whole("ReferralMade")))), FRAME) is None


def test_a_shell_holds_what_is_theirs_and_can_be_filled_again() -> None:
    ours = resource(whole("ReferralMade"))
    current = at_server(first(ours))
    current["patientInstruction"] = "theirs"
    left = shell(current, FRAME)
    assert left is not None
    assert (left["patientInstruction"], left["status"]) == ("theirs", "entered-in-error")
    assert "ReferralMade-" not in json.dumps(left)
    assert HISTORY in left["meta"]["tag"]
    again = merged(ours, at_server(left))
    assert (again.resource["status"], again.resource["patientInstruction"]) == ("active", "theirs")
    assert again.edited == ()


def test_an_emptied_resource_is_the_frame_alone() -> None:
    current = at_server(first(resource(whole("ReferralMade")))) | {"patientInstruction": "theirs"}
    left = emptied(current, FRAME)
    assert set(left) == {*FRAME, "meta", "extension"}
    assert shell(at_server(left), FRAME) is None
