"""What holds for both systems: crashes, outages, lost answers, hostile answers, secrets."""

from __future__ import annotations

import socket

import pytest

from connectors.conformance import (
    CANARY,
    batch,
    claimed,
    dies_applying,
    identity,
    opened_case,
    poison,
    recalled,
    released,
)
from connectors.errors import SettingsError, SinkDownError
from connectors.kinds import KINDS
from tests.case_systems.conftest import Dhis2Bench, PrimeroBench

POINTS = ("before_sink_commit", "before_remote", "after_remote", "after_sink_commit")
Bench = Dhis2Bench | PrimeroBench
WRITES = {"dhis2": "import_tracker", "primero": "create"}


@pytest.fixture(params=["dhis2", "primero"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("point", POINTS)
def test_killed_between_any_two_steps(bench: Bench, point: str) -> None:
    what = batch(opened_case(1), identity(2), poison(3))
    dies_applying(bench, what, point)
    sink = claimed(bench)
    done = point == "after_sink_commit"
    assert sink.position().sequence == (3 if done else 0)
    assert (sink.owed(10) != []) == done
    sink.apply(what)
    assert (bench.shown("e-1") or {})["given_name"] == CANARY


@pytest.mark.parametrize("point", POINTS)
def test_killed_in_a_recall_no_receipt_comes_before_the_removal(bench: Bench, point: str) -> None:
    claimed(bench).apply(batch(opened_case(1), identity(2)))
    recall = batch(recalled(3, ("e-1", ["identity"])))
    dies_applying(bench, recall, point)
    sink = claimed(bench)
    if len(sink.owed(10)) > 1:
        assert bench.shown("e-1") is None
    sink.apply(recall)
    assert bench.shown("e-1") is None
    assert CANARY.encode() not in bench.stored()
    outcome = "deleted" if bench.kind == "dhis2" else "restricted"
    assert [e.outcome for e in sink.owed(10)[-1].exceptions] == [outcome]


def test_what_a_cut_off_attempt_left_goes_when_its_delivery_is_quarantined(bench: Bench) -> None:
    dies_applying(bench, batch(identity(1)), "after_remote")
    sink = claimed(bench)
    assert CANARY.encode() in bench.stored()
    sink.apply(batch(poison(1, "e-1")))
    assert bench.shown("e-1") is None
    assert CANARY.encode() not in bench.stored()


def test_what_landed_is_read_back(bench: Bench) -> None:
    sink = claimed(bench)
    assert sink.landed() == []  # type: ignore[attr-defined]
    sink.apply(batch(opened_case(1), identity(2)))
    assert CANARY in [
        value
        for one in sink.landed()  # type: ignore[attr-defined]
        for value in one.content.values()
    ]
    sink.apply(batch(recalled(3, ("e-1", ["identity"]), ("e-0", ["case_management"]))))
    left = sink.landed()  # type: ignore[attr-defined]
    assert [one.content for one in left if one.content] == []
    assert bool(left) == (bench.kind == "primero"), "which deletes no case"


def test_a_lost_answer_makes_nothing_twice(bench: Bench) -> None:
    sink = claimed(bench)
    lost = iter(["lost"])
    bench.server.described.disturb = lambda operation: (
        next(lost, None) if operation == WRITES[bench.kind] else None
    )
    what = batch(opened_case(1), identity(2))
    with pytest.raises(SinkDownError):
        sink.apply(what)
    assert sink.position().sequence == 0
    sink.apply(what)
    assert (bench.shown("e-1") or {})["given_name"] == CANARY
    with bench.server.db() as db:
        tables = ["event"] * 2 + ["entity"] if bench.kind == "dhis2" else ["cases"]
        counts = [db.execute(f"SELECT count(*) FROM {one}").fetchone()[0] for one in tables]
    assert counts == ([2, 2, 1] if bench.kind == "dhis2" else [1])


@pytest.mark.parametrize(
    "wrong",
    [
        "500",
        "503",
        "429",
        "401",
        "403",
        "302",
        "404",
        "<html>Sign in</html>",
        "[]",
        "{}",
        "[" * 5000,
    ],
    ids=lambda text: text[:8],
)
def test_an_outage_of_any_kind_is_waited_out(bench: Bench, wrong: str) -> None:
    """Whatever does not speak as the system does says nothing about the delivery."""
    sink = claimed(bench)
    operation = {"dhis2": "import_tracker", "primero": "create"}[bench.kind]
    if wrong in ("[]", "{}") and bench.kind == "primero":
        operation = "show"  # a 2xx to a change is taken for its success, whatever it says
    if wrong == "404" and bench.kind == "primero":
        operation = "create"
    bench.server.described.disturb = lambda one: wrong if one == operation else None
    with pytest.raises(SinkDownError) as down:
        sink.apply(batch(identity(1)))
    assert CANARY not in str(down.value)
    assert sink.position().sequence == 0
    assert sink.quarantine() == []
    bench.server.described.disturb = lambda operation: None
    sink.apply(batch(identity(1)))
    assert (bench.shown("e-1") or {})["given_name"] == CANARY


def test_nobody_there(bench: Bench) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        bench.options["url"] = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(SinkDownError, match="no connection"):
        bench.open()
    [finding] = bench.unprepared().check()
    assert finding.level == "wrong"
    assert "no connection" in finding.text


def test_a_wrong_credential_is_said_and_not_shown(bench: Bench) -> None:
    bench.options["token" if bench.kind == "dhis2" else "password"] = "not-this-one"
    with pytest.raises(SinkDownError, match="401") as down:
        bench.open()
    assert "not-this-one" not in str(down.value)
    assert "not-this-one" not in repr(bench.unprepared().__dict__)


def test_a_secret_may_be_in_a_file(bench: Bench) -> None:
    name = "token" if bench.kind == "dhis2" else "password"
    (bench.folder / "secret").write_text(str(bench.options[name]) + "\n")
    bench.options[name] = {"file": "secret"}
    claimed(bench).apply(batch(identity(1)))
    assert bench.shown("e-1") is not None


def test_the_files_are_for_their_owner_alone(bench: Bench) -> None:
    claimed(bench).apply(batch(identity(1)))
    files = list(bench.folder.glob(f"{bench.kind}.state.db*"))
    assert len(files) >= 2
    for path in files:
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_places_hold_no_content(bench: Bench) -> None:
    claimed(bench).apply(batch(identity(1)))
    [places] = bench.folder.glob("*.places.db")
    assert CANARY.encode() not in places.read_bytes()


def test_without_its_places_it_does_not_go_on(bench: Bench) -> None:
    """It would not know what a recall has to empty; without its books too, it begins again."""
    claimed(bench).apply(batch(identity(1)))
    [places] = bench.folder.glob("*.places.db")
    places.unlink()
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"places\.db is missing"):
            bench.open()
    for path in bench.folder.glob(f"{bench.kind}.state.db*"):
        path.unlink()
    sink = claimed(bench)
    sink.apply(batch(identity(1), recalled(2, ("e-1", ["identity"]))))
    assert bench.shown("e-1") is None
    sink.apply(batch(identity(3), opened_case(4)))
    sink.apply(batch(recalled(5, ("e-1", ["identity"]))))
    assert CANARY.encode() not in bench.stored()


def test_places_that_cannot_be_written_are_an_outage(bench: Bench) -> None:
    sink = claimed(bench)
    [places] = bench.folder.glob("*.places.db")
    whole = places.read_bytes()
    places.write_bytes(b"no database" * 1000)
    with pytest.raises(SinkDownError, match=r"places\.db cannot be used"):
        sink.apply(batch(identity(1)))
    places.write_bytes(whole)
    sink.apply(batch(identity(1)))
    assert bench.shown("e-1") is not None


def test_types_without_a_map_are_warned_of(bench: Bench) -> None:
    bench.without("*")
    assert any("shown nowhere" in found.text for found in bench.unprepared().check())
    sink = claimed(bench)
    closed = {"case_management": {"reason": "inclusion", "retention_until": "2030-01-01"}}
    sink.apply(batch(released(1, "e-x", "SupportPlanAgreed", {"protection": {"goals": ["g"]}})))
    sink.apply(batch(opened_case(2), released(3, "e-y", "CaseReopened", closed)))
    sink.apply(batch(recalled(4, ("e-x", ["protection"]))))
    assert [e.outcome for e in sink.owed(10)[-1].exceptions] == ["deleted"], "it was never there"


def test_a_mapping_that_cannot_be_read(bench: Bench) -> None:
    bench.mapping.unlink()
    with pytest.raises(SettingsError, match="cannot be read"):
        bench.unprepared()


def test_both_are_kinds() -> None:
    assert {"dhis2", "primero"} <= set(KINDS)
