"""`make bench`: how fast deliveries become rows of PostgreSQL, verification and opening included.

    python -m tests.connectors.bench_sql [--rows 20000] [--database postgresql|mariadb|sqlite]

A row is one event of 20 fields in one default table, with its books: holding, evidence, timeline,
case, position and receipt. Once alone, and once as the connector comes: with a second process that
opens ahead, started when there is a backlog. JSON lines: rows per second from the first message
read to the last commit, processor time and memory (of both processes), and the ratio to a bare COPY
into a staging table and one upsert of the same 20 columns, in the same run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from connectors import collector
from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import TopicInbox
from connectors.agency.registry_cache import RegistryCache
from connectors.database.engines import open_engine
from connectors.opening.ahead import Ahead
from connectors.pace import Pace
from connectors.runner import Progress, Runner
from connectors.sql import SqlSink
from connectors.submit import Event
from hub.topics import Message, open_topics
from schemas.registry import Schemas
from tests.connectors.builder import NOW, MiniHub
from tests.mariadb import MariadbServer
from tests.servers import PostgresServer

TO = "POL-1"
PER_MESSAGE = 200
KINDS: tuple[Any, ...] = (
    ["null", "string"],
    ["null", "string"],
    ["null", "boolean"],
    ["null", "long"],
    ["null", {"type": "int", "logicalType": "date"}],
)
FIELDS = [
    {"name": f"field_{n:02}", "type": KINDS[n % 5], "default": None, "category": "case_management"}
    for n in range(20)
]


def wide(schemas: Schemas) -> Schemas:
    """The shipped schemas and one event of 20 fields."""
    document = {**schemas.by_type("CaseOpened").document, "name": "WideRecorded", "fields": FIELDS}
    known = Schemas(schemas.by_type(kind).document for kind in schemas.types())
    known.register(document)
    return known


def values(number: int) -> dict[str, Any]:
    made = (f"a value of {number}", "another, somewhat longer, value", True, number, "2001-02-03")
    return {one["name"]: made[n % 5] for n, one in enumerate(FIELDS)}


def fill(
    hub: MiniHub, shelter: AgencyIdentity, police: AgencyIdentity, url: str, rows: int
) -> None:
    """The partner's topic, as a hub would leave it."""
    topics = open_topics(url)
    topics.ensure(police.hub.topics.values())
    topics.append(police.hub.topics["registry"], [Message(hub.registry())])
    for start in range(0, rows, PER_MESSAGE):
        events = [
            Event("WideRecorded", f"C-{n // 4}", values(n), occurred_at=NOW)
            for n in range(start, min(start + PER_MESSAGE, rows))
        ]
        releases = [hub.release(TO, one) for one in hub.stated(shelter, *events)]
        topics.append(police.hub.topics["deliveries"], [Message(hub.message(TO, releases))])
    topics.close()


def connect(home: Path, topics_url: str, url: str, rows: int, ahead: bool, out: Any) -> None:
    """One connector, in a process of its own; tells seconds, processor seconds, MiB, processes."""
    schemas = wide(Schemas.load())
    identity = AgencyIdentity.load(home)
    topics = open_topics(topics_url)
    sink = SqlSink(url, TO, "test-hub", schemas=schemas)
    sink.prepare()
    registry = RegistryCache(identity)
    inbox: Any = TopicInbox(topics, identity)
    if ahead:
        inbox = Ahead(inbox, home, registry, [schemas.by_type("WideRecorded").document])
    stop = threading.Event()
    seen: dict[int, tuple[float, float]] = {}  # process → processor seconds, MiB at most

    def look(_did: Progress, position: int, _waiting: int) -> None:
        for process in (os.getpid(), inbox.process if ahead else None):
            if process is not None:
                seen[process] = _processor(process), _most(process)
        if position >= rows:
            stop.set()

    runner = Runner(inbox, sink, identity, registry, schemas=schemas, pace=Pace(), on_progress=look)
    collector.rest()
    before = _processor(os.getpid())
    start = time.perf_counter()
    runner.run(stop)
    seconds = time.perf_counter() - start
    sink.close()
    inbox.close()
    out.put(
        (
            seconds,
            sum(processor for processor, _ in seen.values()) - before,
            sum(memory for _, memory in seen.values()),
            len(seen),
        )
    )


def _processor(process: int) -> float:
    """Seconds of processor time a process has had."""
    told = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def _most(process: int) -> float:
    """The most memory a process has had, in MiB."""
    told = Path(f"/proc/{process}/status").read_text()
    return int(told.partition("VmHWM:")[2].split()[0]) / 1024


def bare(url: str, rows: Sequence[Sequence[Any]]) -> float:
    """Rows per second of COPY into a staging table and one upsert, in batches of 2,000."""
    names = ", ".join(one["name"] for one in FIELDS)
    types = ("text", "text", "boolean", "bigint", "date")
    columns = ", ".join(f"{one['name']} {types[n % 5]}" for n, one in enumerate(FIELDS))
    sets = ", ".join(f"{one['name']} = excluded.{one['name']}" for one in FIELDS)
    with psycopg.connect(url) as db:
        db.execute(f"CREATE TABLE bare (event_ref text PRIMARY KEY, {columns})".encode())
        db.execute(f"CREATE TEMP TABLE staged (event_ref text, {columns})".encode())
        db.commit()
        start = time.perf_counter()
        for at in range(0, len(rows), 2_000):
            with db.cursor() as cursor:
                copying = f"COPY staged (event_ref, {names}) FROM STDIN".encode()
                with cursor.copy(copying) as copy:
                    for row in rows[at : at + 2_000]:
                        copy.write_row(row)
                cursor.execute(
                    f"INSERT INTO bare SELECT * FROM staged ON CONFLICT (event_ref) DO UPDATE SET "
                    f"{sets}".encode()
                )
                cursor.execute("TRUNCATE staged")
            db.commit()
        return len(rows) / (time.perf_counter() - start)


def line(name: str, where: str, value: float, unit: str, **more: Any) -> None:
    print(
        json.dumps({"name": name, "where": where, "value": round(value, 2), "unit": unit, **more})
    )


def measure(folder: Path, where: str, urls: Sequence[str], rows: int) -> None:
    url = urls[0]
    hub = MiniHub()
    hub.schemas = wide(Schemas.load())
    shelter, police = hub.enrol(folder, "SH-1", "shelter"), hub.enrol(folder, TO)
    topics_url = f"embedded:///{folder}/topics.db"
    fill(hub, shelter, police, topics_url, rows)
    known: dict[str, Any] = {}
    if where == "postgresql":
        flat = [(f"e-{n}", *values(n).values()) for n in range(rows)]
        speed = bare(url, flat)
        line("bare_copy_upsert", where, speed, "rows/s")
        known["bare"] = speed
    context = multiprocessing.get_context("spawn")
    for ahead, address in zip((False, True), urls, strict=True):
        out = context.Queue()
        asked = (police.home, topics_url, address, rows, ahead, out)
        process = context.Process(target=connect, args=asked)
        process.start()
        seconds, processor, memory, processes = out.get(timeout=600)
        process.join()
        name = "sql_sink_ahead" if ahead else "sql_sink"
        told: dict[str, Any] = {}
        if known:
            ratio = round(rows / seconds / known["bare"], 3)
            told = {"ratio": ratio, "ratio_to": "bare_copy_upsert"}
        line(name, where, rows / seconds, "rows/s", **told)
        line(f"{name}_processor", where, processor / rows * 1e6, "us/row")
        line(f"{name}_memory", where, memory, "MiB", processes=processes)
        engine = open_engine(address)
        with engine.connect() as db:
            stands = db.execute(sa.text("SELECT count(*) FROM wide_recorded")).scalar()
        engine.dispose()
        if stands != rows:
            sys.exit(f"{stands} rows of {rows}")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=20_000)
    asked.add_argument("--database", choices=["postgresql", "mariadb", "sqlite"])
    given = asked.parse_args()
    wanted = [given.database] if given.database else ["postgresql", "mariadb", "sqlite"]
    for where in wanted:
        with tempfile.TemporaryDirectory(prefix="nrm-bench-") as home:
            folder = Path(home)
            (folder / "server").mkdir()
            if where == "sqlite":
                measure(folder, where, [f"sqlite:///{folder}/{n}.db" for n in (1, 2)], given.rows)
                continue
            server: Any = (PostgresServer if where == "postgresql" else MariadbServer)(
                folder / "server"
            )
            folder.chmod(0o755)  # the server runs as another user
            try:
                server.start()
                urls = [server.new_database(), server.new_database()]
                measure(folder, where, urls, given.rows)
            finally:
                server.stop()


if __name__ == "__main__":
    main()
