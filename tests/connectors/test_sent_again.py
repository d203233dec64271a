"""What lies in quarantine and is sent once more by the hub: applied in its place, once."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.errors import SinkDownError
from connectors.quarantine import Quarantine
from tests.connectors.builder import identity_recorded
from tests.connectors.site import TO, Flaky, Site


def set_aside(site: Site) -> list[dict[str, Any]]:
    """Three deliveries on the topic, of which the second cannot be opened; all three as meant."""
    good = [site.release(event) for event in site.events(3)]
    bad = {**good[1], "compartments": [{**good[1]["compartments"][0], "key": bytes(32)}]}
    site.deliver(good[0], bad, good[2])
    return good


def again(site: Site, sequence: int, delivery: dict[str, Any]) -> None:
    site.append("deliveries", site.hub.message(TO, [delivery], first=sequence))


def told(site: Site, after: int = 0) -> list[tuple[int, int, list[tuple[int, str]]]]:
    return [
        (
            one["first_sequence"],
            one["last_sequence"],
            [(line["sequence"], line["outcome"]) for line in one["exceptions"]],
        )
        for one in site.receipts()[after:]
    ]


def test_it_is_applied_in_its_place_and_told(site: Site) -> None:
    good = set_aside(site)
    runner = site.runner()
    runner.run_once()
    assert told(site) == [(1, 3, [(2, "quarantined")])]
    again(site, 2, good[1])
    progress = runner.run_once()
    assert (progress.applied, progress.quarantined) == (1, 0)
    assert site.sequences() == [1, 2, 3]
    assert site.rows("SELECT sequence, state FROM nrm_quarantine") == [(2, "redriven")]
    assert told(site, 1) == [(2, 2, [(2, "applied")])]
    assert "quarantined" not in runner.alarms
    site.deliver(site.release(site.events(1, 4)[0]))
    assert runner.run_once().applied == 1
    assert site.sequences() == [1, 2, 3, 4], "the sequence went on where it was"


def test_what_lies_in_quarantine_is_not_read_for_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarantine can be large: only the rows that are asked for, and nothing they hold."""
    good = set_aside(site)
    monkeypatch.setattr(Quarantine, "rows", None)
    runner = site.runner()
    runner.run_once()
    asked: list[Any] = []
    aside = Quarantine.aside

    def counted(self: Quarantine, db: Any, sequences: Any = None) -> Any:
        asked.append(sequences)
        return aside(self, db, sequences)

    monkeypatch.setattr(Quarantine, "aside", counted)
    again(site, 2, good[1])
    assert runner.run_once().applied == 1
    assert [set(one) for one in asked[:3]] == [{2}, {2}, {2}]
    assert asked[3:] == [None], "once, when nothing is known to wait: is the alarm over?"
    assert "quarantined" not in runner.alarms


@pytest.mark.parametrize("times", [2, 5])
def test_sent_more_often_it_is_applied_once(site: Site, times: int) -> None:
    good = set_aside(site)
    runner = site.runner()
    runner.run_once()
    for _ in range(times):
        again(site, 2, good[1])
    assert runner.run_once().applied == 1
    again(site, 2, good[1])
    runner.run_once()
    assert site.sequences() == [1, 2, 3]
    assert site.rows("SELECT count(*) FROM nrm_quarantine") == [(1,)]
    assert told(site)[-1] == (2, 2, [(2, "applied")])


def test_a_receipt_repeated_for_one_says_the_end_of_all_it_is_about(site: Site) -> None:
    """Two are set aside together and made good one by one; then the second is sent once more."""
    good = [site.release(event) for event in site.events(2)]
    bad = [{**one, "compartments": [{**one["compartments"][0], "key": bytes(32)}]} for one in good]
    site.deliver(*bad)
    runner = site.runner()
    runner.run_once()
    again(site, 1, good[0])
    again(site, 2, good[1])
    runner.run_once()
    before = len(told(site))
    again(site, 2, good[1])
    runner.run_once()
    assert told(site, before) == [
        (1, 2, [(1, "quarantined"), (2, "quarantined")]),
        (1, 1, [(1, "applied")]),
        (2, 2, [(2, "applied")]),
    ]


def test_what_still_cannot_be_opened_stays_and_is_told_again(site: Site) -> None:
    good = set_aside(site)
    runner = site.runner()
    runner.run_once()
    again(site, 2, {**good[1], "compartments": [{**good[1]["compartments"][0], "key": bytes(32)}]})
    assert runner.run_once().applied == 0
    assert site.sequences() == [1, 3]
    assert site.rows("SELECT sequence, state FROM nrm_quarantine") == [(2, "waiting")]
    assert told(site, 1) == [(1, 3, [(2, "quarantined")])]
    assert "quarantined" in runner.alarms


def test_sealed_together_with_what_is_new_it_is_no_less_sent_again(site: Site) -> None:
    """The hub lacks receipts, and has more to send by the time it sends their messages again."""
    good = set_aside(site)
    runner = site.runner()
    runner.run_once()
    new = site.release(site.events(1, 4)[0])
    site.append("deliveries", site.hub.message(TO, [*good, new], first=1))
    assert runner.run_once().applied == 2
    assert site.sequences() == [1, 2, 3, 4]
    assert "quarantined" not in runner.alarms
    assert sorted(told(site, 1)) == [
        (1, 3, [(2, "quarantined")]),
        (2, 2, [(2, "applied")]),
        (4, 4, []),
    ]


def test_what_was_applied_is_never_applied_again(site: Site) -> None:
    """A message of another content under a sequence that was applied changes nothing."""
    set_aside(site)
    runner = site.runner()
    runner.run_once()
    again(site, 3, site.release(site.events(1, 9)[0]))
    assert runner.run_once().applied == 0
    assert site.sequences() == [1, 3]
    assert "C-9" not in str(site.rows("SELECT * FROM case_opened"))


def test_beside_a_recall_of_the_same_event_nothing_comes_back(site: Site) -> None:
    [event] = site.events(1)
    whole = site.release(event)
    bad = {**whole, "compartments": [{**whole["compartments"][0], "key": bytes(32)}]}
    site.deliver(bad)
    runner = site.runner()
    runner.run_once()
    again(site, 1, whole)
    site.deliver(site.hub.recall(TO, [(event, event.categories)]))
    runner.run_once()
    assert site.sequences() == []


def test_what_was_recalled_meanwhile_stays_away_and_its_receipt_is_sent_again(site: Site) -> None:
    other, event = site.events(2)
    whole = site.release(event)
    bad = {**whole, "compartments": [{**whole["compartments"][0], "key": bytes(32)}]}
    site.deliver(site.release(other), bad)
    runner = site.runner()
    runner.run_once()
    site.deliver(site.hub.recall(TO, [(event, event.categories)]))
    runner.run_once()
    before = len(told(site))
    again(site, 2, whole)
    assert runner.run_once().applied == 0
    assert site.sequences() == [1]
    assert [first <= 2 <= last for first, last, _ in told(site, before)] == [True]


def test_what_a_recall_left_of_it_is_applied(site: Site) -> None:
    [event] = site.hub.stated(site.shelter, identity_recorded())
    whole = site.release(event)
    gone, *rest = event.categories
    assert rest
    bad = {**whole, "compartments": [{**whole["compartments"][0], "key": bytes(32)}]}
    site.deliver(bad)
    runner = site.runner()
    runner.run_once()
    site.deliver(site.hub.recall(TO, [(event, [gone])]))
    runner.run_once()
    again(site, 1, whole)
    runner.run_once()
    assert site.rows("SELECT sequence FROM identity_recorded") == [(1,)]
    assert gone not in {row[0] for row in site.rows("SELECT category FROM nrm_holding")}


def test_the_partner_fails_in_between_and_it_is_done_after_all(site: Site) -> None:
    good = set_aside(site)
    sink = Flaky(site.new_sink(), lambda: SinkDownError("gone"))
    runner = site.runner(sink=sink)
    runner.run_once()
    again(site, 2, good[1])
    sink.failing["redrive"] = 1
    with pytest.raises(SinkDownError):
        runner.run_once()
    assert site.sequences() == [1, 3]
    assert runner.run_once().applied == 1
    assert site.sequences() == [1, 2, 3]


def test_another_runner_goes_on_after_the_first_died_behind_the_redrive(site: Site) -> None:
    good = set_aside(site)
    sink = Flaky(site.new_sink(), lambda: SinkDownError("gone"))
    runner = site.runner(sink=sink)
    runner.run_once()
    again(site, 2, good[1])
    sink.failing["apply"] = 1  # the redrive is committed, the cursor is not
    with pytest.raises(SinkDownError):
        runner.run_once()
    assert site.sequences() == [1, 2, 3]
    assert site.runner().run_once().applied == 0
    assert site.sequences() == [1, 2, 3]
    assert told(site)[-1] == (2, 2, [(2, "applied")])


def test_a_whole_box_that_did_not_open_is_made_good_one_by_one(site: Site) -> None:
    from hub.crypto.sealing import SealingKey

    role, keys, current = site.hub.agencies[TO]
    site.hub.agencies[TO] = (role, keys, SealingKey.generate().public)
    meant = [site.release(event) for event in site.events(3)]
    site.deliver(*meant)
    site.hub.agencies[TO] = (role, keys, current)
    runner = site.runner()
    assert runner.run_once().quarantined == 3
    again(site, 2, meant[1])
    assert runner.run_once().applied == 1
    again(site, 1, meant[0])
    again(site, 3, meant[2])
    assert runner.run_once().applied == 2
    assert site.sequences() == [1, 2, 3]
    assert "quarantined" not in runner.alarms


def test_read_together_with_what_it_replaces_it_is_never_set_aside(site: Site) -> None:
    """The connector was down when the bad one came and when it was sent again."""
    good = set_aside(site)
    again(site, 2, good[1])
    progress = site.runner().run_once()
    assert (progress.applied, progress.quarantined) == (3, 0)
    assert site.sequences() == [1, 2, 3]
    assert site.rows("SELECT * FROM nrm_quarantine") == []
    assert told(site) == [(1, 3, [])]
