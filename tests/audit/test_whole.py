"""The whole hub rebuilt: the same bytes twice, on both databases, and whatever happened since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.audit.conservation import conservation
from hub.audit.output import Asked, Output
from hub.audit.redecide import Redecision
from hub.audit.whole import BEGIN, Whole
from hub.errors import Refused
from hub.exchange import Exchange
from hub.store.copying import copy_in, copy_out
from hub.store.log import HubLog
from tests.cli.programs import nrm
from tests.played import play, scenario
from tests.privacy.canaries import planted
from tests.road import Road
from tests.store import samples


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Everything there can be: several agencies, recalls, a work list, free texts with canaries."""
    document, _ = planted(scenario("S1"))
    road = play(tmp_path_factory.mktemp("whole"), document)
    road.hub.checkpoints.step(now=True)
    road.hub.work.catch_up()
    yield road
    road.close()


def rebuilt(exchange: Exchange, folder: Path, end: int = 0) -> bytes:
    folder.mkdir()
    out = folder / "whole.jsonl"
    with Output(out, exchange.log, Asked("whole", "hub", end)) as output:
        list(Whole(exchange, output).make(folder / "spool"))
        output.finish()
    return out.read_bytes()


def parts(whole: bytes) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for text in whole.splitlines():
        told = json.loads(text)
        found.setdefault(told["part"], []).append(told)
    return found


def test_twice_the_same_bytes_and_every_part_there(road: Road, tmp_path: Path) -> None:
    whole = rebuilt(road.hub.exchange, tmp_path / "a")
    assert rebuilt(road.hub.exchange, tmp_path / "b") == whole
    found, counts = parts(whole), road.hub.exchange.log.counts().by_topic
    assert set(found) == {"register", "case", "deliveries", "work", "looks", "hub"}
    events = [one for one in found["case"] if "digest" not in one]
    assert len(events) == counts["nrm.Case.EventAccepted"]
    sent = [one for one in found["deliveries"] if "digest" not in one]
    assert len(sent) == counts["nrm.DeliveryLog.Sending"]
    assert all(one["answered"] for one in sent)
    agencies = {one["agency"] for one in found["register"] if one.get("kind") == "agency"}
    assert agencies == set(road.identities) | {"HUB"} or agencies == set(road.identities)


def test_the_work_list_is_the_one_the_hub_keeps(road: Road, tmp_path: Path) -> None:
    whole = parts(rebuilt(road.hub.exchange, tmp_path / "a"))
    kept = {one.item.hex: one for one in road.hub.exchange.log.work.all()}
    told = {one["item"]: one for one in whole["work"] if "digest" not in one}
    assert kept.keys() == told.keys()
    assert len(kept) > 5
    for item, one in kept.items():
        assert (one.kind, one.state, one.role, one.agency, one.closed_because) == tuple(
            told[item][name] for name in ("kind", "state", "role", "agency", "closed_because")
        )


def test_digests_are_what_the_document_says(road: Road, tmp_path: Path) -> None:
    """Recomputed from the lines alone, as docs/replay.md tells it."""
    part, hub, checked = bytes.fromhex(BEGIN), bytes.fromhex(BEGIN), 0
    for text in rebuilt(road.hub.exchange, tmp_path / "a").splitlines(keepends=True):
        told = json.loads(text)
        if "digest" not in told:
            part = hashlib.sha256(part + text).digest()
        elif told["part"] == "hub":
            assert told["digest"] == hub.hex()
        else:
            assert told["digest"] == part.hex()
            hub, part = hashlib.sha256(hub + part).digest(), bytes.fromhex(BEGIN)
            checked += 1
    assert checked > 5


def test_no_content_is_in_it(tmp_path: Path) -> None:
    document, canaries = planted(scenario("S1"))
    road = play(tmp_path / "hub", document)
    try:
        whole = rebuilt(road.hub.exchange, tmp_path / "a")
        assert len(canaries) > 5
        assert not [one for one in canaries if any(shape in whole for shape in one.shapes())]
    finally:
        road.close()


@contextmanager
def looked_at(exchange: Exchange, folder: Path) -> Iterator[Exchange]:
    """A copy of a hub, with viewers, looks and a redrive after all else."""
    copy_out(exchange.log.url, folder / "copy.db")
    with HubLog.open(f"sqlite:///{folder / 'looked.db'}") as log:
        copy_in(folder / "copy.db", log)
        kinds = ("Viewer", "Looked", "Redrive")
        found = [e for e in samples.one_of_each() if any(k in type(e).__name__ for k in kinds)]
        added = [replace(event, originator_version=n) for n, event in enumerate(found, start=1)]
        log.append(added, expected_head=log.head)
        yield Exchange(log, exchange.secrets, exchange.pseudonyms, exchange.clock)


def test_looks_viewers_and_redrives_are_told_and_change_nothing_else(
    road: Road, tmp_path: Path
) -> None:
    exchange = road.hub.exchange
    before = rebuilt(exchange, tmp_path / "before")
    with looked_at(exchange, tmp_path) as later:
        then, now = parts(before), parts(rebuilt(later, tmp_path / "after"))
        assert rebuilt(later, tmp_path / "then", exchange.log.head) == before
        even = conservation(exchange.log)
        assert conservation(later.log) == replace(even, head=later.log.head)
        again = Redecision(later.log, later.secrets, later.log.head)
        assert [one for page in again.run() for one in page] == []
        assert again.counts.decisions > 100
    assert [one["kind"] for one in now["looks"][:-1]] == ["signed_in", "looked"]
    new = [one["kind"] for one in now["register"][:-1] if one not in then["register"]]
    assert sorted(new) == ["redrive", "viewer", "viewer_revoked"]
    for part in ("case", "deliveries", "work"):
        assert now[part] == then[part]


@pytest.mark.postgres
def test_on_the_other_database_the_same_bytes(
    road: Road, tmp_path: Path, new_postgres_database: Callable[[], str]
) -> None:
    with (
        looked_at(road.hub.exchange, tmp_path) as ours,
        HubLog.open(new_postgres_database()) as log,
    ):
        copy_out(ours.log.url, tmp_path / "again.db")
        copy_in(tmp_path / "again.db", log)
        other = Exchange(log, ours.secrets, ours.pseudonyms, ours.clock)
        assert rebuilt(other, tmp_path / "b") == rebuilt(ours, tmp_path / "a")
        assert conservation(log) == conservation(ours.log)


def test_what_happens_later_changes_nothing(tmp_path: Path) -> None:
    """I8, also after everybody's erasure: what is told is metadata, erased or not as of then."""
    road = play(tmp_path / "hub", scenario("S1"))
    try:
        exchange = road.hub.exchange
        end = exchange.log.head
        before = rebuilt(exchange, tmp_path / "before")
        road.enrol("NGO-9", "ngo_support")
        opened = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
        road.publish("NGO-9", "CaseOpened", "C9", **opened)
        road.settle()
        assert rebuilt(exchange, tmp_path / "later", end) == before
        assert road.hub.shredder.shred(exchange.pseudonyms.canonical("subject", "C1"))
        now = parts(rebuilt(exchange, tmp_path / "now"))
        assert {one["erased"] for one in now["case"] if one.get("agency") == "NGO-1"} == {True}
        erased = parts(rebuilt(exchange, tmp_path / "erased", end))
        then = parts(before)
        for part in ("register", "case", "deliveries"):
            assert erased[part] == then[part]
    finally:
        road.close()


def test_begun_again_after_every_mark_it_is_the_same(
    road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rebuilt(road.hub.exchange, tmp_path / "whole")
    for name, size in (("hub.audit.whole.PAGE", 3), ("hub.audit.whole.EVERY", 1)):
        monkeypatch.setattr(name, size)
    monkeypatch.setattr("hub.audit.walk.PAGE", 20)
    log, out, begun = road.hub.exchange.log, tmp_path / "pieces.jsonl", 0

    class Killed(Exception):
        pass

    mark = Output.mark

    def once(self: Output, *given: Any) -> None:
        mark(self, *given)
        if self.position or self.resumed or given[0]:
            self.write({"half": "a line that was on its way"})
            raise Killed

    while True:
        begun += 1
        assert begun < 500
        with monkeypatch.context() as patch:
            patch.setattr(Output, "mark", once)
            with Output(out, log, Asked("whole", "hub", 0)) as output:
                try:
                    list(Whole(road.hub.exchange, output).make(tmp_path / "spool"))
                except Killed:
                    continue
                output.finish()
                break
    assert begun > 20
    assert not (tmp_path / "pieces.jsonl.mark").exists()
    assert out.read_bytes() == whole


def test_as_a_command(road: Road, tmp_path: Path) -> None:
    home, out = road.folder / "hub", tmp_path / "whole.jsonl"
    done = nrm("audit", "replay", "--home", home, "--all", "--out", out)
    assert done.code == 0, done.err
    assert hashlib.sha256(out.read_bytes()).hexdigest() in done.out
    assert sorted(one.name for one in tmp_path.iterdir()) == ["whole.jsonl"]
    assert "output_exists" in nrm("audit", "replay", "--home", home, "--all", "--out", out).err
    assert nrm("audit", "replay", "--home", home, "--all").code == 2
    assert nrm("audit", "replay", "--home", home, "--all", "--case", "C1").code == 2


def test_a_spool_that_was_cut_short_is_refused(road: Road, tmp_path: Path) -> None:
    exchange, out = road.hub.exchange, tmp_path / "whole.jsonl"
    for spoiled in (b"no database", b"SQLite format 3\0" + bytes(200)):
        (tmp_path / "spool").write_bytes(spoiled)
        with (
            Output(out, exchange.log, Asked("whole", "hub", 0)) as output,
            pytest.raises(Refused, match="spool_unreadable"),
        ):
            list(Whole(exchange, output).make(tmp_path / "spool"))
    assert not out.exists()
