"""Deliveries, recalls, somebody's hand and repairs at once: what was recalled never comes back."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from connectors.agency.inbox import TopicInbox
from connectors.errors import RetryError
from connectors.reconciliation.repair import Repair
from connectors.runner import Runner
from connectors.sql import SqlSink
from tests.connectors.builder import case_opened, identity_recorded
from tests.connectors.reconciliation.test_reconcile import SHARED, TO, Place, new_place, url  # noqa: F401

CASES = 5
TABLES = ("client", "identity_recorded", "nrm_holding", "nrm_timeline")


def test_repairs_beside_a_running_connector_bring_nothing_back(
    new_place: Callable[..., Place],  # noqa: F811
    url: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    text = SHARED.replace('"unmapped"', '"all"')
    (tmp_path / "mapping.toml").write_text(text)
    place = new_place(url)
    place.change(
        "CREATE TABLE client (nrm_case VARCHAR(100) PRIMARY KEY, channel VARCHAR(20), "
        "first_name VARCHAR(40))"
    )
    people = []
    for number in range(CASES):
        opened, person = place.hub.stated(
            place.shelter,
            case_opened(f"C-{number}"),
            identity_recorded(f"C-{number}", given_name=f"Canary{number}"),
        )
        place.deliver(place.hub.release(TO, opened), place.hub.release(TO, person))
        people.append(person)
    place.run()
    stop = threading.Event()
    wrong: list[BaseException] = []

    def connector() -> None:
        """The connector as it runs beside a reconciliation: a session of its own."""
        sink = SqlSink(url, TO, place.hub.hub_id, mapping=place.mapping)
        runner = Runner(TopicInbox(place.topics, place.police), sink, place.police)
        try:
            while not stop.is_set():
                runner.run_once()
                stop.wait(0.01)
        except BaseException as error:
            wrong.append(error)
        finally:
            sink.close()

    beside = threading.Thread(target=connector)
    beside.start()
    chance = random.Random(7)
    try:
        for number in chance.sample(range(CASES), CASES - 2):
            gone = chance.choice(TABLES)
            place.change(f"DELETE FROM {gone}", "UPDATE client SET channel = 'x'")
            found = place.reconciliation()
            try:
                compared = found.compare()
                place.deliver(place.hub.recall(TO, [(people[number], ["identity"])]))
                stop.wait(chance.random() * 0.3)  # applied before, during or after the repair
                Repair(found).run(datetime.now(UTC), compared.rows)
            except RetryError:
                pass
            finally:
                found.close()
            wait_until_applied(place)
            assert f"Canary{number}" not in shown(place), f"case {number} came back ({gone})"
    finally:
        stop.set()
        beside.join(30)
    assert not wrong
    place.repaired()
    assert place.compared()[1] == []
    assert sum(f"Canary{number}" in shown(place) for number in range(CASES)) == 2


def wait_until_applied(place: Place) -> None:
    for _ in range(400):
        if place.sink.position().sequence == place.hub.sequences[TO]:
            return
        threading.Event().wait(0.02)
    raise AssertionError("the recall was not applied within 8 seconds")


def shown(place: Place) -> str:
    return str([place.rows(f"SELECT * FROM {one}") for one in ("client", "identity_recorded")])
