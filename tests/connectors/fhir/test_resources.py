"""Events as resources: every field arrives, each category for itself, in valid R4."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.fhir import coverage, stated
from connectors.fhir.coverage import NAMES, event, resources
from connectors.fhir.events import event_resource, provenance
from connectors.fhir.names import Resource
from connectors.fhir.ownership import first
from connectors.fhir.person import episode, patient
from connectors.remote.copies import Kept
from schemas.registry import Schemas

SCHEMAS = Schemas.load()
TYPES = SCHEMAS.types()


def whole(event_type: str) -> Kept:
    schema = SCHEMAS.by_type(event_type)
    return event(schema, schema.fields)


def everything(one: Kept) -> list[Resource]:
    return [*resources(one), provenance(one, NAMES, [{"reference": "Patient/x"}])]


def made(event_type: str, fields: dict[str, Any], category: str, sequence: int = 1) -> Kept:
    return replace(
        whole(event_type),
        event_ref=f"e-{sequence}",
        fields={category: fields},
        bases={category: "public_task"},
        sequence=sequence,
    )


@pytest.mark.parametrize("event_type", TYPES)
def test_every_field_arrives_and_can_be_read_back(event_type: str) -> None:
    one = whole(event_type)
    own = resources(one)[0]
    assert stated.fields(own) == one.fields


@pytest.mark.parametrize("event_type", TYPES)
def test_a_category_that_is_not_held_shows_nowhere(event_type: str) -> None:
    one = whole(event_type)
    for category in one.fields:
        rest = {name: part for name, part in one.fields.items() if name != category}
        shown = everything(replace(one, fields=rest, bases=dict.fromkeys(rest, "x")))
        told = json.dumps(shown)
        hidden = [value for value in one.fields[category].values() if event_type in str(value)]
        for value in hidden:
            text = next(iter(value)) if isinstance(value, list | dict) else value
            assert text not in told
        labels = [label["code"] for each in shown for label in each["meta"]["security"]]
        assert category not in labels


def ids(value: Any) -> list[str]:
    if isinstance(value, list):
        return [one for part in value for one in ids(part)]
    if isinstance(value, dict):
        own = [value["id"]] if "id" in value else []
        return own + [one for part in value.values() for one in ids(part)]
    return []


@pytest.mark.parametrize("event_type", TYPES)
def test_no_two_elements_of_a_resource_have_one_id(event_type: str) -> None:
    for resource in everything(whole(event_type)):
        found = ids(first(resource))
        assert len(found) == len(set(found))


@pytest.mark.parametrize("event_type", TYPES)
def test_the_resources_are_r4(event_type: str) -> None:
    """By the reading of another project, fhir.resources."""
    for resource in everything(whole(event_type)):
        kind = resource["resourceType"]
        module = importlib.import_module(f"fhir.resources.R4B.{kind.lower()}")
        getattr(module, kind).model_validate(first(resource))


def test_an_event_of_which_nothing_is_stated_is_valid_too() -> None:
    for event_type in TYPES:
        for resource in everything(event(SCHEMAS.by_type(event_type), ())):
            kind = resource["resourceType"]
            module = importlib.import_module(f"fhir.resources.R4B.{kind.lower()}")
            getattr(module, kind).model_validate(first(resource))


def test_the_page_of_fields_is_current() -> None:
    page = Path("docs/fhir-fields.md").read_text(encoding="utf-8")
    assert page == "\n".join(coverage.page(SCHEMAS)).rstrip("\n") + "\n"


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
VALUES = st.recursive(
    st.one_of(TEXTS, st.booleans(), st.integers(-(2**63), 2**63 - 1)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,10}", fullmatch=True), VALUES, max_size=4))
def test_whatever_a_field_says_comes_back_unchanged(fields: dict[str, Any]) -> None:
    told = {"extension": stated.extensions("Unknown", {"health": fields}, {"health": "consent"})}
    assert stated.fields(told) == {"health": fields}
    assert json.loads(json.dumps(told)) == told


def test_ids_are_fit_for_fhir_and_differ_by_hub_agency_and_kind() -> None:
    other = replace(NAMES, agency="POL-9")
    ids = {NAMES.id("Patient", "nc-1"), NAMES.id("Basic", "nc-1"), other.id("Patient", "nc-1")}
    assert len(ids) == 3
    assert all(len(one) <= 64 for one in ids)


def test_labels_tell_how_sensitive_it_is_and_what_it_rests_on() -> None:
    one = made("IdentityRecorded", {"given_name": "A"}, "identity")
    one = replace(one, bases={"identity": "consent"})
    labels = {label["code"] for label in event_resource(one, [one], NAMES)["meta"]["security"]}
    assert labels == {"V", "DEMO", "NORDSCLCD", "identity"}
    plain = made("CaseOpened", {"channel": "self"}, "case_management")
    labels = {label["code"] for label in event_resource(plain, [plain], NAMES)["meta"]["security"]}
    assert labels == {"R", "case_management"}


def test_a_later_statement_replaces_what_it_states_again_and_nothing_else() -> None:
    case = [
        made("IdentityRecorded", {"given_name": "Ana", "family_name": "Old"}, "identity", 1),
        made("IdentityRecorded", {"family_name": "New", "given_name": None}, "identity", 2),
    ]
    assert patient("nc-1", "ns-1", case, NAMES)["name"] == [
        {"id": "nrm-name-0", "use": "usual", "family": "New", "given": ["Ana"]}
    ]


@pytest.mark.parametrize(
    ("precision", "told"),
    [("day", "2001-02-03"), ("month", "2001-02"), ("year", "2001"), ("estimated", "2001"),
     (None, "2001-02-03")],
)  # fmt: skip
def test_a_date_of_birth_is_as_exact_as_it_is_known(precision: str | None, told: str) -> None:
    fields = {"date_of_birth": "2001-02-03", "dob_precision": precision}
    one = made("IdentityRecorded", fields, "identity")
    assert patient("nc-1", "ns-1", [one], NAMES)["birthDate"] == told


def test_a_way_of_contact_that_is_not_safe_does_not_stand_where_it_may_be_used() -> None:
    fields = {"phone": "+1 555 0100", "safe_to_call": False, "email": "a@example.org",
              "safe_to_email": True, "post_address": "1 Road", "safe_to_post": None}  # fmt: skip
    one = made("ContactPreferenceRecorded", fields, "contact")
    found = patient("nc-1", "ns-1", [one], NAMES)
    assert found["telecom"] == [
        {"id": "nrm-telecom-0", "system": "email", "value": "a@example.org"}
    ]
    assert "address" not in found
    assert stated.fields(event_resource(one, [one], NAMES))["contact"]["phone"] == "+1 555 0100"


def status_of(case: list[Kept]) -> str:
    return str(event_resource(case[0], case, NAMES)["status"])


def test_what_came_later_shows_in_the_status() -> None:
    referral = made("ReferralMade", {"referral_id": "r-1"}, "case_management", 1)
    declined = made("ReferralDeclined", {"referral_id": "r-1"}, "case_management", 2)
    other = made("ReferralDeclined", {"referral_id": "r-2"}, "case_management", 2)
    ended = {"referral_id": "r-1", "outcome": "done"}
    done = made("ReferralEnded", ended, "case_management", 3)
    assert status_of([referral]) == "active"
    assert status_of([referral, other]) == "active"
    assert status_of([referral, declined]) == "revoked"
    assert status_of([referral, done]) == "completed"


def test_a_consent_is_inactive_once_it_is_withdrawn_whole() -> None:
    given_ = made("ConsentGiven", {"consent_id": "c-1"}, "consent", 1)
    partly = {"consent_id": "c-1", "extent": "recipients"}
    assert status_of([given_]) == "active"
    assert status_of([given_, made("ConsentWithdrawn", partly, "consent", 2)]) == "active"
    wholly = {"consent_id": "c-1", "extent": "all"}
    assert status_of([given_, made("ConsentWithdrawn", wholly, "consent", 2)]) == "inactive"


def test_the_case_is_told_as_an_episode() -> None:
    opened = made("CaseOpened", {"channel": "self"}, "case_management", 1)
    closed = made("CaseClosed", {"reason": "returned"}, "case_management", 2)
    again = made("CaseReopened", {"reason": "new"}, "case_management", 3)
    assert episode("nc-1", [], NAMES) is None
    assert (episode("nc-1", [opened], NAMES) or {})["status"] == "active"
    assert (episode("nc-1", [opened, closed], NAMES) or {})["status"] == "finished"
    assert (episode("nc-1", [opened, closed, again], NAMES) or {})["status"] == "active"


def test_what_the_hub_itself_attests_is_by_the_hub() -> None:
    one = replace(whole("ReferralMade"), agency=None)
    told = provenance(one, NAMES, [])
    assert told["agent"][0]["who"]["type"] == "Device"
    assert event_resource(one, [one], NAMES)["requester"]["type"] == "Device"
