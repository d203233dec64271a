"""Into Primero: what becomes of a case, what stays the partner's, what is refused and how."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.case_systems.primero_case import unkept
from connectors.case_systems.primero_forms import FormField, shown_as
from connectors.conformance import (
    CANARY,
    batch,
    claimed,
    corrected,
    demographics,
    identity,
    opened_case,
    recalled,
    released,
)
from connectors.delivery import Arrived
from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from tests.case_systems.conftest import PrimeroBench


def service(sequence: int, event_ref: str = "e-s", code: str = "legal_aid") -> Arrived:
    return released(
        sequence,
        event_ref,
        "ServiceEpisodeStarted",
        {"case_management": {"episode_id": "ep-1", "service": code}},
    )


def referral(sequence: int, to: str = "LEG-1", event_ref: str = "e-r") -> Arrived:
    said = {"referral_id": "r-1", "to_agency": to, "services": ["legal_aid"], "urgency": "soon"}
    return released(sequence, event_ref, "ReferralMade", {"case_management": said})


def edit(bench: PrimeroBench, **changes: Any) -> None:
    """As somebody at the partner would, in Primero itself."""
    data = bench.case()
    assert data is not None
    with bench.server.db() as db:
        db.execute("UPDATE cases SET data = ?", (json.dumps(data | changes),))


def test_a_case_is_one_case_with_fields_and_rows(primero: PrimeroBench) -> None:
    nations = released(3, "e-1", "IdentityRecorded", {"demographics": {"citizenships": ["XX"]}})
    claimed(primero).apply(batch(opened_case(1), identity(2), nations, service(4)))
    case = primero.case() or {}
    assert case["module_id"] == "made-up-module"
    assert case["age_group"] == "grown"
    assert (case["first_names"], case["born_on"]) == (CANARY, "2001-02-03")
    assert case["nationalities"] == ["XX"]
    [row] = case["services_section"]
    assert row["kind_of_service"] == "legal_help"
    assert row["began"] == "2026-11-24T09:04:00.000Z"
    assert len(case["nrm_events"]) == 2


def test_the_id_is_ours_so_that_a_lost_case_is_found_again(primero: PrimeroBench) -> None:
    claimed(primero).apply(batch(opened_case(1)))
    for path in primero.folder.glob("primero.state.db*"):
        path.unlink()
    claimed(primero).apply(batch(opened_case(1), identity(2)))
    with primero.server.db() as db:
        assert db.execute("SELECT count(*) FROM cases").fetchone()[0] == 1
    assert (primero.case() or {})["first_names"] == CANARY


def test_what_the_partner_added_stays(primero: PrimeroBench) -> None:
    sink = claimed(primero)
    sink.apply(batch(opened_case(1), identity(2), service(3)))
    case = primero.case() or {}
    [row] = case["services_section"]
    theirs = {"unique_id": "00000000-0000-0000-0000-000000000001", "worker_note": "all theirs"}
    edit(
        primero,
        last_names="Typed there",
        visits=3,
        services_section=[{**row, "worker_note": "their note"}, theirs],
    )
    sink.apply(batch(demographics(4)))
    gone = [("e-1", ["identity", "demographics"]), ("e-s", ["case_management"])]
    sink.apply(batch(recalled(5, *gone)))
    case = primero.case() or {}
    assert (case["last_names"], case["visits"], case["first_names"]) == ("Typed there", 3, None)
    ours, other = case["services_section"]
    assert other == theirs
    assert (ours["kind_of_service"], ours["worker_note"]) == (None, "their note")
    assert len(case["nrm_events"]) == 1, "a row with nothing of theirs goes"
    assert CANARY.encode() not in primero.stored()


def test_a_field_of_the_partner_is_filled_once_and_emptied_on_recall(primero: PrimeroBench) -> None:
    sink = claimed(primero)
    sink.apply(batch(identity(1, birth_place="Here")))
    edit(primero, own_remark="Theirs")
    sink.apply(batch(identity(2, "e-2", birth_place="There")))
    assert (primero.case() or {})["own_remark"] == "Theirs"
    sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    assert (primero.case() or {})["own_remark"] == "There", "what filled it is recalled"
    sink.apply(batch(recalled(4, ("e-2", ["identity"]))))
    assert (primero.case() or {})["own_remark"] is None


def test_a_correction_changes_field_and_row(primero: PrimeroBench) -> None:
    sink = claimed(primero)
    sink.apply(batch(identity(1), corrected(2, "e-1", "date_of_birth", "1999-09-09")))
    assert (primero.case() or {})["born_on"] == "1999-09-09"
    assert (primero.row("e-1") or {})["born_on"] == "1999-09-09"


def test_a_closed_case_is_open_again_when_its_closure_is_recalled(primero: PrimeroBench) -> None:
    closed = released(2, "e-c", "CaseClosed", {"case_management": {"reason": "inclusion"}})
    sink = claimed(primero)
    sink.apply(batch(opened_case(1), closed))
    assert (primero.case() or {})["status"] == "closed"
    sink.apply(batch(recalled(3, ("e-c", ["case_management"]))))
    assert (primero.case() or {})["status"] == "open"


def test_a_case_with_nothing_left_stays_or_is_disabled(primero: PrimeroBench) -> None:
    sink = claimed(primero)
    sink.apply(batch(identity(1)))
    sink.apply(batch(recalled(2, ("e-1", ["identity"]))))
    case = primero.case() or {}
    assert (case["record_state"], case["nrm_events"]) == (True, [])
    primero.options["when_empty"] = "disable"
    sink = claimed(primero)
    sink.apply(batch(identity(3, "e-3")))
    sink.apply(batch(recalled(4, ("e-3", ["identity"]))))
    assert (primero.case() or {})["record_state"] is False
    sink.apply(batch(identity(5, "e-5", given_name="Again")))
    case = primero.case() or {}
    assert (case["record_state"], case["first_names"]) == (True, "Again")


# -- referrals ---------------------------------------------------------------------------------


def test_a_referral_is_made_once_and_belongs_to_its_row(primero: PrimeroBench) -> None:
    sink = claimed(primero)
    sink.apply(batch(opened_case(1), referral(2)))
    [made] = primero.referrals()
    assert (made["transitioned_to"], made["service"]) == ("legal_north", "legal_help")
    assert made["service_record_id"] == (primero.row("e-r") or {})["unique_id"]
    assert made["notes"] == f"NRM {made['service_record_id']}"
    sink.apply(batch(referral(3)))
    assert len(primero.referrals()) == 1


def test_a_referral_whose_answer_was_lost_is_not_made_twice(primero: PrimeroBench) -> None:
    sink = claimed(primero)
    lost = iter(["lost"])
    primero.server.described.disturb = lambda operation: (
        next(lost, None) if operation == "refer" else None
    )
    with pytest.raises(SinkDownError):
        sink.apply(batch(referral(1)))
    sink.apply(batch(referral(1)))
    assert len(primero.referrals()) == 1


def test_a_recalled_referral_is_revoked_and_a_corrected_one_goes_elsewhere(
    primero: PrimeroBench,
) -> None:
    sink = claimed(primero)
    sink.apply(batch(referral(1)))
    told = {"corrects_event": "e-r", "field": "to_agency", "new_value": "MED-1"}
    sink.apply(batch(released(2, "e-9", "RecordCorrected", {"case_management": told})))
    states = {one["transitioned_to"]: one["status"] for one in primero.referrals()}
    assert states == {"legal_north": "revoked", "clinic_south": "in_progress"}
    sink.apply(batch(recalled(3, ("e-r", ["case_management"]))))
    assert {one["status"] for one in primero.referrals()} == {"revoked"}
    assert [e.outcome for e in sink.owed(10)[-1].exceptions] == ["restricted"]


def test_a_referral_to_an_agency_elsewhere(primero: PrimeroBench) -> None:
    text = primero.mapping.read_text().replace(
        'transitioned_to = { field = "to_agency", codes = "user" }',
        'remote = { constant = true }\ntransitioned_to_agency = "to_agency"',
    )
    primero.mapping.write_text(text)
    sink = claimed(primero)
    sink.apply(batch(referral(1, to="FAR-1")))
    sink.apply(batch(referral(2, to="FAR-1")))
    [made] = primero.referrals()
    assert (made["remote"], made["transitioned_to_agency"]) == (True, "FAR-1")
    sink.apply(batch(recalled(3, ("e-r", ["case_management"]))))
    assert [one["status"] for one in primero.referrals()] == ["revoked"]


def test_a_referral_that_was_answered_is_left_alone(primero: PrimeroBench) -> None:
    sink = claimed(primero)
    sink.apply(batch(referral(1)))
    [made] = primero.referrals()
    row = {name: value for name, value in made.items() if name != "id"} | {"status": "rejected"}
    with primero.server.db() as db:
        db.execute("UPDATE transitions SET data = ?", (json.dumps(row),))
    sink.apply(batch(referral(2)))
    assert [one["status"] for one in primero.referrals()] == ["rejected"]


def test_a_referral_without_consent_there_is_refused_by_name(primero: PrimeroBench) -> None:
    text = primero.mapping.read_text().replace("consent_overridden = { constant = true }\n", "")
    primero.mapping.write_text(text)
    with pytest.raises(SinkRefusedError, match="422 about consent, as a referral") as refused:
        claimed(primero).apply(batch(opened_case(1), referral(2)))
    assert refused.value.sequence == 2


# -- refusals ----------------------------------------------------------------------------------


def test_a_refusal_names_the_field_never_the_value(primero: PrimeroBench) -> None:
    with pytest.raises(SinkRefusedError) as refused:
        claimed(primero).apply(
            batch(identity(1), opened_case(2, channel="unheard-of-CANARY"), demographics(3, "e-3"))
        )
    assert refused.value.detail == "Primero answered 422 about came_through"
    assert refused.value.sequence == 2
    assert "CANARY" not in str(refused.value)


def test_a_refused_row_names_its_event(primero: PrimeroBench) -> None:
    sink = claimed(primero)
    primero.server.configuration["lookups"][1]["values"] = []
    with pytest.raises(SinkRefusedError, match="kind_of_service") as refused:
        sink.apply(batch(opened_case(1), service(2)))
    assert refused.value.sequence == 2


def test_a_value_that_does_not_fit_is_refused_before_it_is_sent(primero: PrimeroBench) -> None:
    sink = claimed(primero)
    sink.apply(batch(identity(1)))
    with pytest.raises(SinkRefusedError) as refused:
        sink.apply(batch(corrected(2, "e-1", "date_of_birth", "CANARY no day")))
    assert refused.value.reason == "value_unsuitable"
    assert "CANARY" not in str(refused.value)


def test_a_code_without_translation(primero: PrimeroBench) -> None:
    with pytest.raises(SinkRefusedError) as refused:
        claimed(primero).apply(batch(opened_case(1), referral(2, to="OTHER-9")))
    assert (refused.value.reason, refused.value.sequence) == ("code_not_translated", 2)


def test_an_account_without_the_right_is_an_outage(primero: PrimeroBench) -> None:
    text = primero.mapping.read_text()
    cut = text.index('[[map]]\nevent = "ReferralMade"'), text.index('[[map]]\nevent = "CaseClosed"')
    primero.mapping.write_text(text[: cut[0]] + text[cut[1] :])
    primero.options |= {"username": "reader", "password": "reader-secret"}
    sink = claimed(primero)
    with pytest.raises(SinkDownError, match="403"):
        sink.apply(batch(identity(1)))
    assert sink.quarantine() == []


def test_a_field_the_role_may_not_write_is_not_taken_for_written(primero: PrimeroBench) -> None:
    """Primero drops it and answers as if nothing were amiss."""
    primero.options |= {"username": "narrow", "password": "narrow-secret"}
    sink = claimed(primero)
    sink.apply(batch(identity(1)))
    with pytest.raises(SinkDownError, match="does not keep last_names"):
        sink.apply(batch(identity(2, "e-2", family_name="Somebody")))
    assert sink.position().sequence == 1
    assert sink.quarantine() == []


ROW = "00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("sent", "there", "lost"),
    [
        ({"a": "x", "id": "1", "module_id": "m"}, {"a": "x"}, []),
        ({"a": "x"}, {}, ["a"]),
        ({"a": None}, {"a": "x"}, ["a"]),
        ({"a": False, "b": None}, {}, []),
        ({"s": [{"unique_id": ROW, "a": "x"}]}, {}, ["s"]),
        ({"s": [{"unique_id": ROW, "a": "x"}]}, {"s": [{"unique_id": ROW}]}, ["a"]),
        ({"s": [{"unique_id": ROW, "_destroy": True}]}, {"s": [{"unique_id": ROW}]}, ["s"]),
        ({"s": [{"unique_id": ROW, "_destroy": True}]}, {"s": None}, []),
    ],
)
def test_what_was_not_kept(sent: dict[str, Any], there: dict[str, Any], lost: list[str]) -> None:
    assert unkept(sent, there) == lost


def test_a_case_the_account_may_not_see(primero: PrimeroBench) -> None:
    claimed(primero).apply(batch(identity(1)))
    primero.server.described.disturb = lambda one: "404" if one == "show" else None
    with pytest.raises(SinkDownError, match="does not show it"):
        claimed(primero).apply(batch(opened_case(2)))


# -- check -------------------------------------------------------------------------------------


def findings(bench: PrimeroBench) -> list[tuple[str, str, str, str]]:
    return [(f.level, f.subject, f.text, f.fix) for f in bench.unprepared().check()]


def test_a_good_setting_warns_of_the_history_alone(primero: PrimeroBench) -> None:
    assert [(level, subject) for level, subject, *_ in findings(primero)] == [
        ("ok", "primero"),
        ("warning", "recalls"),
        ("ok", "mapping"),
    ]


def test_a_lookup_on_a_later_page_is_found(primero: PrimeroBench) -> None:
    more = [{"id": n, "unique_id": f"lookup-{n}", "values": []} for n in range(1000, 2000)]
    primero.server.configuration["lookups"][:0] = more
    asked: list[str] = []
    primero.server.described.disturb = lambda operation: asked.append(operation)
    assert not [found for found in findings(primero) if found[0] == "wrong"]
    assert asked.count("lookups") == 2


def test_warnings(primero: PrimeroBench) -> None:
    primero.mapping.write_text(
        primero.mapping.read_text()
        .replace('status = { constant = "closed" }', "urgent = { constant = true }")
        .replace('"legal_north"', '"nobody"')
    )
    warned = [text for level, _, text, _ in findings(primero) if level == "warning"]
    assert any("urgent is a tick box" in text for text in warned)
    assert any("no referral can go to nobody" in text for text in warned)


WRONG = """version = 1
[[map]]
event = "CaseOpened"
rows = "nowhere"
[map.case]
nothing = "channel"
age_group = "age_status"
visits = "channel"
portrait = "channel"
own_remark = { from = "fields" }
[map.row]
what = "channel"
[[map]]
event = "IdentityRecorded"
rows = "nrm_events"
[map.case]
age_group = "citizenships"
[map.row]
nothing = "gender"
[map.refer]
summary = "given_name"
[[map]]
event = "CaseClosed"
[map.row]
what = "reason"
"""


def test_every_mismatch_is_named_with_its_line_and_what_to_do(primero: PrimeroBench) -> None:
    primero.mapping.write_text(WRONG)
    found: dict[int, list[str]] = {}
    for level, subject, text, fix in findings(primero):
        if level == "wrong":
            assert fix
            found.setdefault(int(subject.rpartition(":")[2]), []).append(text)
    assert found == {
        2: ["the forms have no subform nowhere (for CaseOpened)"],
        6: ["the forms have no field nothing"],
        7: ["the options of age_group lack adult, age_disputed, child, unknown"],
        8: ["visits is a numeric_field, the value a text"],
        9: ["portrait is a photo_upload_box, which this connector does not fill"],
        10: ["own_remark is too short for all fields of an event"],
        13: ["a referral goes to nobody"],
        17: ["age_group is a select_box, the value several values"],
        19: ["nrm_events has no field nothing"],
        21: ["a referral has no summary that can be filled"],
        22: ["CaseClosed fills rows of no subform"],
    }
    with pytest.raises(SettingsError, match="do not agree"):
        primero.open()


# -- pure --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "field", "shown"),
    [
        (True, FormField("f", "tick_box"), True),
        ("7", FormField("f", "numeric_field"), 7),
        ("2026-03-02", FormField("f", "date_field"), "2026-03-02"),
        (
            "2026-03-02T23:30:00-01:00",
            FormField("f", "date_field", timed=True),
            "2026-03-03T00:30:00.000Z",
        ),
        (["a", "b"], FormField("f", "select_box", multi=True), ["a", "b"]),
        ("a", FormField("f", "select_box", multi=True), ["a"]),
        (["a", "b"], FormField("f", "text_field"), "a, b"),
    ],
)
def test_how_a_value_is_shown(value: object, field: FormField, shown: object) -> None:
    assert shown_as(value, field) == shown
