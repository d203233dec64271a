"""Into DHIS2: what becomes of a case, what stays the partner's, what is refused and how."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.case_systems.dhis2_objects import moment, troubles, uid
from connectors.case_systems.dhis2_program import shown_as
from connectors.conformance import (
    CANARY,
    NOW,
    batch,
    claimed,
    corrected,
    demographics,
    identity,
    opened_case,
    recalled,
    released,
)
from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from tests.case_systems.conftest import Dhis2Bench

UIDS = st.text(min_size=1, max_size=30)


@given(UIDS, UIDS, UIDS, st.integers(0, 50))
def test_a_uid_is_one_for_dhis2_and_always_the_same(
    hub: str, agency: str, record: str, generation: int
) -> None:
    one = uid(hub, agency, record, generation)
    assert len(one) == 11
    assert one.isascii()
    assert one.isalnum()
    assert one[0].isalpha()
    assert one == uid(hub, agency, record, generation)
    assert one != uid(hub, agency, record, generation + 1)
    assert one != uid(hub + "x", agency, record, generation)


def test_a_case_is_one_enrolled_entity_with_an_event_per_event(dhis2: Dhis2Bench) -> None:
    claimed(dhis2).apply(batch(opened_case(1), identity(2), demographics(3)))
    assert dhis2.attributes() == {
        "atAgeGroup1": "AGE_ADULT",
        "atGivenName": CANARY,
        "atBirthDate": "2001-02-03",
    }
    assert [dhis2.count(t) for t in ("entity", "enrollment", "event")] == [1, 1, 2]
    event = dhis2.event("e-1") or {}
    assert (event["stage"], event["deBirthDate"], event["deGender001"]) == (
        "stIdentity1",
        "2001-02-03",
        "f",
    )


def test_many_cases_go_in_parts_and_none_is_cut_in_two(
    dhis2: Dhis2Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.case_systems.dhis2.MOST_EVENTS", 3)
    sent: list[str] = []
    dhis2.server.described.disturb = lambda operation: sent.append(operation)
    many = [
        released(n, f"e-{n}", "IdentityRecorded", {"identity": {"given_name": f"N{n}"}},
                 case_ref=f"nc-{n // 2}")
        for n in range(1, 10)
    ]  # fmt: skip
    claimed(dhis2).apply(batch(*many))
    assert sent.count("import_tracker") == 4
    assert [dhis2.count(t) for t in ("entity", "event")] == [5, 9]


def test_two_cases_are_two_entities(dhis2: Dhis2Bench) -> None:
    other = released(
        2,
        "e-8",
        "IdentityRecorded",
        {"identity": {"given_name": "Other"}},
        case_ref="nc-2",
    )
    claimed(dhis2).apply(batch(identity(1), other))
    assert [dhis2.count(t) for t in ("entity", "enrollment", "event")] == [2, 2, 2]


def test_what_is_stated_last_stands_and_its_recall_brings_back_what_was(dhis2: Dhis2Bench) -> None:
    sink = claimed(dhis2)
    later = identity(2, "e-2", given_name="Later", date_of_birth=None)
    sink.apply(batch(identity(1), later))
    assert dhis2.attributes() == {"atGivenName": "Later", "atBirthDate": "2001-02-03"}
    sink.apply(batch(recalled(3, ("e-2", ["identity"]))))
    assert dhis2.attributes()["atGivenName"] == CANARY


def test_what_the_partner_added_stays(dhis2: Dhis2Bench) -> None:
    sink = claimed(dhis2)
    sink.apply(batch(opened_case(1), identity(2)))
    with dhis2.server.db() as db:
        entity = db.execute("SELECT uid FROM entity").fetchone()[0]
        values = (entity, "atFamilyNam", "Typed there")
        db.execute("INSERT INTO attribute_value VALUES (?, ?, ?)", values)
        db.execute("UPDATE enrollment SET status = 'COMPLETED'")
        for row in db.execute("SELECT uid, data FROM event").fetchall():
            data = json.loads(row["data"]) | {"deFollowUp1": "their note"}
            db.execute(
                "UPDATE event SET data = ?, status = 'COMPLETED' WHERE uid = ?",
                (json.dumps(data), row["uid"]),
            )
    sink.apply(batch(demographics(3), identity(4, "e-4", given_name="More")))
    assert dhis2.attributes()["atFamilyNam"] == "Typed there"
    event = dhis2.event("e-1") or {}
    assert (event["deFollowUp1"], event["status"]) == ("their note", "COMPLETED")
    with dhis2.server.db() as db:
        assert db.execute("SELECT status FROM enrollment").fetchone()[0] == "COMPLETED"
    gone = [("e-1", ["identity", "demographics"]), ("e-4", ["identity"])]
    sink.apply(batch(recalled(5, *gone, ("e-0", ["case_management"]))))
    assert dhis2.attributes() == {"atFamilyNam": "Typed there"}
    left = dhis2.event("e-1")
    assert left == {"stage": "stIdentity1", "status": "COMPLETED", "deFollowUp1": "their note"}
    assert dhis2.event("e-4") is None
    assert CANARY.encode() not in dhis2.stored()


def test_a_field_of_the_partner_is_filled_once_and_emptied_on_recall(dhis2: Dhis2Bench) -> None:
    sink = claimed(dhis2)
    sink.apply(batch(identity(1, birth_place="Here")))
    assert dhis2.attributes()["atOwnRemark"] == "Here"
    with dhis2.server.db() as db:
        db.execute("UPDATE attribute_value SET value = 'Theirs' WHERE field = 'atOwnRemark'")
    sink.apply(batch(demographics(2), identity(3, "e-3", birth_place="There")))
    assert dhis2.attributes()["atOwnRemark"] == "Theirs"
    sink.apply(batch(recalled(4, ("e-1", ["identity"]))))
    assert dhis2.attributes()["atOwnRemark"] == "There", "what filled it is recalled"
    sink.apply(batch(recalled(5, ("e-3", ["identity"]))))
    assert "atOwnRemark" not in dhis2.attributes()


def test_a_field_the_partner_filled_first_is_never_touched(dhis2: Dhis2Bench) -> None:
    sink = claimed(dhis2)
    sink.apply(batch(opened_case(1)))
    with dhis2.server.db() as db:
        entity = db.execute("SELECT uid FROM entity").fetchone()[0]
        values = (entity, "atOwnRemark", "Theirs")
        db.execute("INSERT INTO attribute_value VALUES (?, ?, ?)", values)
    sink.apply(batch(identity(2, birth_place="Here")))
    sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    assert dhis2.attributes()["atOwnRemark"] == "Theirs"


def test_a_case_with_nothing_left_goes(dhis2: Dhis2Bench) -> None:
    sink = claimed(dhis2)
    sink.apply(batch(identity(1), recalled(2, ("e-9", ["identity"]))))
    sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    tables = ("entity", "enrollment", "event")
    assert [dhis2.count(t) for t in tables] == [0, 0, 0]
    assert [dhis2.count(t, deleted=True) for t in tables] == [0, 0, 0], "maintenance ran"


def test_without_maintenance_a_recall_is_restricted_and_a_uid_is_never_used_again(
    dhis2: Dhis2Bench,
) -> None:
    dhis2.options |= {"purge": "server", "token": "connector"}
    sink = claimed(dhis2)
    sink.apply(batch(identity(1)))
    sink.apply(batch(recalled(2, ("e-1", ["identity"]))))
    assert [e.outcome for e in sink.owed(10)[-1].exceptions] == ["restricted"]
    tables = ("entity", "enrollment", "event")
    assert [dhis2.count(t) for t in tables] == [0, 0, 0]
    assert [dhis2.count(t, deleted=True) for t in tables] == [1, 1, 1]
    assert CANARY.encode() in dhis2.server.path.read_bytes(), "marked rows are still rows"
    sink.apply(batch(identity(3, given_name="Again")))
    assert (dhis2.shown("e-1") or {})["given_name"] == "Again"
    assert [dhis2.count(t) for t in tables] == [1, 1, 1]
    sink.apply(batch(recalled(4, ("e-1", ["identity"]))))
    sink.apply(batch(identity(5, given_name="And again")))
    assert (dhis2.shown("e-1") or {})["given_name"] == "And again"


def test_a_case_the_partner_deleted_is_made_again_whole_when_something_comes(
    dhis2: Dhis2Bench,
) -> None:
    sink = claimed(dhis2)
    sink.apply(batch(opened_case(1)))
    with dhis2.server.db() as db:
        for table in ("event", "enrollment", "entity"):
            db.execute(f"UPDATE {table} SET deleted = 1")
    sink.apply(batch(identity(2)))
    assert dhis2.shown("e-0") is not None
    assert (dhis2.shown("e-1") or {})["given_name"] == CANARY


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (opened_case(2, channel="unheard-of-CANARY"), "E1125 about deChannel01"),
        (opened_case(2, local_case_ref="CANARY-1"), "E1064 about atFileNumbr"),
    ],
    ids=["option", "unique"],
)
def test_a_refusal_names_code_and_field_never_the_value(
    dhis2: Dhis2Bench, item: object, told: str
) -> None:
    sink = claimed(dhis2)
    other = released(
        1,
        "e-7",
        "CaseOpened",
        {"case_management": {"jurisdiction": "XX", "channel": "self", "age_status": "child",
                             "local_case_ref": "CANARY-1"}},
        case_ref="nc-2",
    )  # fmt: skip
    sink.apply(batch(other))
    with pytest.raises(SinkRefusedError) as refused:
        sink.apply(batch(item, demographics(3, "e-3")))  # type: ignore[arg-type]
    assert refused.value.reason == "sink_refused"
    assert refused.value.detail.startswith(told)
    assert "CANARY" not in str(refused.value)
    assert refused.value.sequence == 2
    assert [dhis2.count(t) for t in ("entity", "event")] == [1, 1], "all or nothing"


def test_a_value_that_does_not_fit_is_refused_before_it_is_sent(dhis2: Dhis2Bench) -> None:
    sink = claimed(dhis2)
    sink.apply(batch(identity(1)))
    with pytest.raises(SinkRefusedError) as refused:
        sink.apply(batch(corrected(2, "e-1", "date_of_birth", "CANARY no day")))
    assert refused.value.reason == "value_unsuitable"
    assert "CANARY" not in str(refused.value)


def test_a_text_that_is_too_long_is_refused_before_it_is_sent(dhis2: Dhis2Bench) -> None:
    sink = claimed(dhis2)
    with pytest.raises(SinkRefusedError, match="more than 1200 letters") as refused:
        sink.apply(batch(identity(1, given_name="CANARY" * 300)))
    assert "CANARY" not in str(refused.value)
    assert refused.value.sequence == 1


def test_the_one_at_fault_is_not_guessed(dhis2: Dhis2Bench) -> None:
    """A server that refuses the entity and names no field: either of two events may be meant."""
    sink = claimed(dhis2)
    dhis2.server._put_entity = lambda db, one: [("E1300", "Generated by ProgramRule.")]  # type: ignore[method-assign]
    with pytest.raises(SinkRefusedError) as refused:
        sink.apply(batch(identity(1), identity(2, "e-2")))
    assert refused.value.sequence is None
    with pytest.raises(SinkRefusedError) as refused:
        sink.apply(batch(identity(1)))
    assert refused.value.sequence == 1


def test_an_account_without_the_right_is_an_outage(dhis2: Dhis2Bench) -> None:
    dhis2.options |= {"purge": "server", "token": "reader"}
    sink = claimed(dhis2)
    with pytest.raises(SinkDownError, match="E1091"):
        sink.apply(batch(identity(1)))
    assert sink.quarantine() == []


def test_no_right_to_delete_what_hangs_on_something_is_needed(dhis2: Dhis2Bench) -> None:
    """The account has no F_TEI_CASCADE_DELETE nor F_ENROLLMENT_CASCADE_DELETE."""
    dhis2.options |= {"purge": "server", "token": "connector"}
    sink = claimed(dhis2)
    sink.apply(batch(opened_case(1), identity(2)))
    sink.apply(batch(recalled(3, ("e-1", ["identity"]), ("e-0", ["case_management"]))))
    assert [dhis2.count(t) for t in ("entity", "enrollment", "event")] == [0, 0, 0]


def test_username_and_password(dhis2: Dhis2Bench) -> None:
    del dhis2.options["token"]
    dhis2.options |= {"username": "connector-purging", "password": "connector-purging-secret"}
    claimed(dhis2).apply(batch(identity(1)))
    assert dhis2.shown("e-1") is not None


def test_two_credentials_are_one_too_many(dhis2: Dhis2Bench) -> None:
    dhis2.options["username"] = "connector"
    dhis2.options["password"] = "x"
    dhis2.options["token"] = None
    dhis2.unprepared()
    del dhis2.options["password"]
    with pytest.raises(SettingsError, match="token, or username and password"):
        dhis2.unprepared()


# -- check -------------------------------------------------------------------------------------


def findings(bench: Dhis2Bench) -> list[tuple[str, str, str, str]]:
    return [(f.level, f.subject, f.text, f.fix) for f in bench.unprepared().check()]


def test_a_good_setting_is_said_to_be_good(dhis2: Dhis2Bench) -> None:
    assert {level for level, *_ in findings(dhis2)} == {"ok"}


def test_an_account_that_may_do_everything_is_warned_of(dhis2: Dhis2Bench) -> None:
    dhis2.options["token"] = "superuser"
    assert ("warning", "account") in {(level, subject) for level, subject, *_ in findings(dhis2)}


def test_purging_needs_its_right_and_no_change_log(dhis2: Dhis2Bench) -> None:
    dhis2.options["token"] = "connector"
    assert any("may not run it" in text for _, _, text, _ in findings(dhis2))
    dhis2.options["token"] = "connector-purging"
    dhis2.server.metadata["program"]["enableChangeLog"] = True
    with pytest.raises(SettingsError, match="change log is on"):
        dhis2.open()
    dhis2.options["purge"] = "server"
    assert ("warning", "program") in {(level, subject) for level, subject, *_ in findings(dhis2)}
    sink = claimed(dhis2)
    sink.apply(batch(identity(1), opened_case(2)))
    sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    assert [e.outcome for e in sink.owed(10)[-1].exceptions] == ["restricted"]


def test_an_org_unit_without_the_program(dhis2: Dhis2Bench) -> None:
    dhis2.options["org_unit"] = "ouElsewhere"
    assert any("does not offer the program" in text for _, _, text, _ in findings(dhis2))


def test_a_program_that_is_not_there(dhis2: Dhis2Bench) -> None:
    dhis2.options["program"] = "prElsewhere"
    [(level, _, text, _)] = findings(dhis2)
    assert level == "wrong"
    assert "no such program prElsewhere" in text


WRONG = """version = 1
[[map]]
event = "CaseOpened"
stage = "stOnlyOnce1"
[map.attributes]
atNowhere00 = "channel"
atAgeGroup1 = "age_status"
atBirthDate = "channel"
atFamilyNam = { from = "fields" }
[map.data]
deWholeNumb = "channel"
deImage0001 = "channel"
deChannel01 = "channel"
[[map]]
event = "IdentityRecorded"
stage = "stNowhere00"
[map.data]
deGender001 = "gender"
[[map]]
event = "CaseClosed"
[map.data]
deGender001 = "reason"
"""


def test_every_mismatch_is_named_with_its_line_and_what_to_do(dhis2: Dhis2Bench) -> None:
    dhis2.mapping.write_text(WRONG)
    found = {
        int(subject.rpartition(":")[2]): text
        for level, subject, text, fix in findings(dhis2)
        if level == "wrong" and fix and ":" in subject
    }
    assert found[6] == "the program has no attribute atNowhere00 (for CaseOpened)"
    assert found[7] == "the option set of atAgeGroup1 lacks adult, age_disputed, child, unknown"
    assert found[8] == "atBirthDate is DATE, the value a text"
    assert found[9] == "attribute atFamilyNam is too short for all fields of CaseOpened"
    assert found[11] == "deWholeNumb is INTEGER_POSITIVE, the value a text"
    assert found[12] == "deImage0001 is IMAGE, which this connector does not fill"
    assert found[13] == "stage stOnlyOnce1 has no data element deChannel01 (for CaseOpened)"
    assert found[14] == "the program has no stage stNowhere00 (for IdentityRecorded)"
    assert found[19] == "CaseClosed fills data elements of no stage"
    texts = [text for _, _, text, _ in findings(dhis2)]
    assert any("is not repeatable" in text for text in texts)
    assert any("deWholeNumb is compulsory" in text for text in texts)
    with pytest.raises(SettingsError, match="do not agree"):
        dhis2.open()


# -- pure --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "value_type", "shown"),
    [
        (True, "BOOLEAN", "true"),
        (False, "BOOLEAN", "false"),
        (True, "TRUE_ONLY", "true"),
        (False, "TRUE_ONLY", None),
        ("2026-03-02", "DATE", "2026-03-02"),
        ("2026-03-02T23:30:00-01:00", "DATETIME", "2026-03-03T00:30:00.000Z"),
        (7, "INTEGER", "7"),
        (7.5, "NUMBER", "7.5"),
        (["a", "b"], "MULTI_TEXT", "a,b"),
        (["a", "b"], "TEXT", "a, b"),
        ("", "TEXT", None),
    ],
)
def test_how_a_value_is_shown(value: object, value_type: str, shown: str | None) -> None:
    assert shown_as(value, value_type) == shown


@pytest.mark.parametrize(
    ("value", "value_type"),
    [("soon", "DATE"), ("soon", "BOOLEAN"), (7.5, "INTEGER"), (["a,b"], "MULTI_TEXT")],
)
def test_what_does_not_fit(value: object, value_type: str) -> None:
    with pytest.raises(ValueError):
        shown_as(value, value_type)


def test_a_moment_is_in_utc_to_the_millisecond() -> None:
    assert moment(NOW) == "2026-11-24T09:00:00.000Z"
    assert moment(datetime(2026, 1, 1, 0, 0, 0, 987654, UTC)) == "2026-01-01T00:00:00.987Z"


def test_of_an_error_only_what_we_know_is_kept() -> None:
    report = {
        "validationReport": {
            "errorReports": [
                {
                    "errorCode": "E1007",
                    "uid": "abcdefghijk",
                    "message": "Error validating attribute value type: `at1`; Error: `Secret`.",
                }
            ]
        }
    }
    [one] = troubles(report, {"at1": ("at1",), "other": ("other",)})
    assert one.told() == "E1007 about at1"
    [one] = troubles(report, {"at2": ("at2",)})
    assert one.told() == "E1007"
