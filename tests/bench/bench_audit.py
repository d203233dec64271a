"""What an auditor waits for, as JSON lines: decisions made again, exports, replay of everything.

    python -m tests.bench.bench_audit [--events 4000] [--only sqlite|postgres] [--quick]

One thread. Every event has 17 decisions (three categories, six agencies less the one that says it)
and goes to five recipients, whose deliveries are looked at again too. Counted: `rows` of the log
read through; `decisions` made again, one (event, agency, category) each, at recording and at
sending; `events`, accepted ones with all of that. By processor time of this process, so that other
work on the machine counts less; what PostgreSQL does in its own processes is not in it.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hub.audit.delivered import Delivered
from hub.audit.export.decided import Decided, Wanted
from hub.audit.export.decisions import line as decision_line
from hub.audit.export.fhir_audit import AuditEvents
from hub.audit.output import Asked, Output
from hub.audit.output import line as written
from hub.audit.partner_tables import PartnerTables
from hub.audit.redecide import Redecision
from hub.audit.whole import Whole
from hub.scenario.places import Servers
from tests.bench.measured import Measuring, line
from tests.bench.town import PARTNERS, Town, until


def history(folder: Path, servers: Servers, count: int) -> Town:
    """A town in which this many events were told to all five, and answered."""
    town = Town.build(folder, servers.places(folder, tuple(PARTNERS)))
    for sealed in town.sealed(count):
        town.hub.exchange.record([town.hub.ingest.admit(sealed)])
    with town.connectors():
        town.hub.start(frozenset({"hub", "consumers"}))
        until(town.answered)
    town.hub.loops.stop()
    return town


def timed(work: Callable[[], object]) -> float:
    """Processor time of this process: one thread, so one core."""
    start = time.process_time()
    work()
    return time.process_time() - start


def redecided(town: Town, where: str) -> None:
    log, secrets = town.hub.exchange.log, town.hub.exchange.secrets
    walk = Redecision(log, secrets, log.head)
    seconds = timed(lambda: [found for page in walk.run() for found in page])
    assert not walk.counts.divergences
    line("redecide_rows", where, log.head / seconds, "rows/s")
    line("redecide_decisions", where, walk.counts.decisions / seconds, "decisions/s")
    line("redecide_events", where, walk.counts.events / seconds, "events/s")


def exported(town: Town, where: str) -> None:
    log, hub = town.hub.exchange.log, town.hub.settings.hub_id
    with (
        tempfile.TemporaryDirectory() as folder,
        Delivered(Path(folder) / "d", log, log.head) as delivered,
    ):
        seconds = timed(lambda: list(delivered.read()))
        line("deliveries_folded", where, log.head / seconds, "rows/s")
        decided = Decided(log, delivered, log.head, Wanted())
        counts = [0, 0]

        def decisions() -> None:
            for group in decided.groups():
                counts[0] += len([written(decision_line(one)) for one in group])

        seconds = timed(decisions)
        line("export_decisions", where, counts[0] / seconds, "lines/s")

        def audit_events() -> None:
            writer = AuditEvents(hub)
            for group in decided.groups():
                counts[1] += len([written(one) for one in writer.of(group)])

        seconds = timed(audit_events)
        line("export_fhir_audit", where, counts[1] / seconds, "resources/s")


def replayed(town: Town, where: str) -> None:
    exchange, hub = town.hub.exchange, town.hub.settings.hub_id
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with Delivered(place / "sh", exchange.log, exchange.log.head, "SH-1") as delivered:
            list(delivered.read())
            tables = PartnerTables(exchange, hub, "SH-1", delivered)
            seconds = timed(lambda: list(tables.make()))
            rows = len(list(tables.lines()))
        line("replay_partner_tables", where, rows / seconds, "rows/s")
        with Output(place / "all", exchange.log, Asked("whole", hub, 0)) as output:
            seconds = timed(lambda: list(Whole(exchange, output).make(place / "spool")))
            output.finish()
        line("replay_whole_hub", where, exchange.log.head / seconds, "rows/s")


def measure(where: str, servers: Servers, count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="nrm-bench-") as folder:
        town = history(Path(folder), servers, count)
        try:
            redecided(town, where)
            exported(town, where)
            replayed(town, where)
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            line("audit_memory_peak", where, used, "MiB")
        finally:
            town.hub.stop()


def main() -> None:
    Measuring.of_arguments(__doc__).run(measure)


if __name__ == "__main__":
    sys.exit(main())
