"""Benches: a case system's sink, the described server it speaks to, and what that server holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from connectors.case_systems.sink import CaseSink
from connectors.kinds import Place, open_kind
from connectors.sink import RecallPolicy
from schemas.registry import Schemas
from tests.case_systems.dhis2_server import Dhis2Server
from tests.case_systems.primero_server import PrimeroServer

HERE = Path(__file__).parent


class SystemBench:
    """What the benches share. options: of the sink, changed by tests before open()."""

    kind: str
    mapping: Path
    server: Any
    options: dict[str, Any]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sinks: list[CaseSink] = []

    @cached_property
    def schemas(self) -> Schemas:
        """A registry of its own, which tests add to."""
        shipped = Schemas.load()
        return Schemas(shipped.by_type(name).document for name in shipped.types())

    def open(self, recalls: RecallPolicy | None = None) -> CaseSink:
        sink = self.unprepared(recalls)
        sink.prepare()
        return sink

    def unprepared(self, recalls: RecallPolicy | None = None) -> CaseSink:
        place = Place("SH-1", "test-hub", self.folder, self.folder, recalls or RecallPolicy())
        sink = open_kind(self.kind, self.options, place)
        assert isinstance(sink, CaseSink)
        self._sinks.append(sink)
        return sink

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()

    def stored(self) -> bytes:
        """Everything: the partner's database and the connector's own files."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("*.db*")))

    def without(self, *events: str, lines: str = "") -> None:
        """The mapping without the maps of these types, so that they go with every other, and
        without lines that begin with `lines`."""
        head, *maps = self.mapping.read_text("utf-8").split("[[map]]\n")
        kept = [one for one in maps if one.split('"')[1] not in events]
        text = "[[map]]\n".join([head, *kept])
        written = [one for one in text.splitlines() if not (lines and one.startswith(lines))]
        self.mapping.write_text("\n".join(written) + "\n", "utf-8")

    @contextmanager
    def outage(self) -> Iterator[None]:
        """The server answers nothing but 503."""
        self.server.described.disturb = lambda operation: "503"
        yield
        self.server.described.disturb = lambda operation: None

    def whole(self, event_type: str, held: dict[str, Any]) -> dict[str, Any]:
        known = self.__dict__.get("schemas") or Schemas.load()
        fields = known.by_type(event_type).fields
        return {**{field.name: None for field in fields}, **held}


class Dhis2Bench(SystemBench):
    kind = "dhis2"

    def __init__(self, folder: Path, url: str, server: Dhis2Server) -> None:
        super().__init__(folder)
        self.server = server
        self.mapping = folder / "mapping.toml"
        self.mapping.write_text((HERE / "dhis2_mapping.toml").read_text("utf-8"), "utf-8")
        self.options = {
            "url": url,
            "token": "connector-purging",
            "program": "prNrmCases1",
            "org_unit": "ouShelterN1",
            "mapping": "mapping.toml",
            "purge": "maintenance",
            "seconds": 5.0,
        }

    def event(self, event_ref: str) -> dict[str, Any] | None:
        """Data elements of the event that stands for this one now."""
        sink = self._sinks[-1]
        uid = sink._system._tracker.uid(event_ref)  # type: ignore[attr-defined]
        with self.server.db() as db:
            row = db.execute("SELECT * FROM event WHERE uid = ? AND NOT deleted", (uid,)).fetchone()
        if row is None:
            return None
        return {"stage": row["stage"], "status": row["status"], **json.loads(row["data"])}

    def attributes(self) -> dict[str, str]:
        """Of all tracked entities that are not deleted."""
        with self.server.db() as db:
            query = (
                "SELECT field, value FROM attribute_value "
                "WHERE entity IN (SELECT uid FROM entity WHERE NOT deleted)"
            )
            return dict(db.execute(query).fetchall())

    def count(self, table: str, *, deleted: bool = False) -> int:
        with self.server.db() as db:
            query = f"SELECT count(*) FROM {table} WHERE deleted = ?"
            return int(db.execute(query, (int(deleted),)).fetchone()[0])

    def shown(self, event_ref: str) -> dict[str, Any] | None:
        found = self.event(event_ref)
        if found is None:
            return None
        held = json.loads(found.get("deAllFields", "{}"))
        types = {"stOpened001": "CaseOpened", "stIdentity1": "IdentityRecorded"}
        event_type = types.get(found["stage"]) or found["deEventType"]
        if found["stage"] == "stIdentity1":
            # What the mapping names has to say the same.
            assert found.get("deBirthDate") == held.get("date_of_birth")
            assert found.get("deGender001") == held.get("gender")
        if found["stage"] == "stOpened001":
            assert found.get("deChannel01") == held.get("channel")
        return self.whole(event_type, held)


@pytest.fixture
def dhis2(tmp_path: Path) -> Iterator[Dhis2Bench]:
    server = Dhis2Server(tmp_path / "dhis2-server.db")
    with server.described.running() as url:
        bench = Dhis2Bench(tmp_path, url, server)
        yield bench
        bench.close()
    assert server.described.violations == []


class PrimeroBench(SystemBench):
    kind = "primero"

    def __init__(self, folder: Path, url: str, server: PrimeroServer) -> None:
        super().__init__(folder)
        self.server = server
        self.mapping = folder / "mapping.toml"
        self.mapping.write_text((HERE / "primero_mapping.toml").read_text("utf-8"), "utf-8")
        self.options = {
            "url": url,
            "username": "connector",
            "password": "connector-secret",
            "module": "made-up-module",
            "mapping": "mapping.toml",
            "seconds": 5.0,
        }

    def case(self, case_ref: str = "nc-1") -> dict[str, Any] | None:
        return self.server._case(self._desk.record(case_ref))

    def row(self, event_ref: str) -> dict[str, Any] | None:
        """The row that stands for an event, of whatever subform and case."""
        with self.server.db() as db:
            cases = [json.loads(data) for (data,) in db.execute("SELECT data FROM cases")]
        wanted = self._desk.uuid(event_ref)
        for case in cases:
            for value in case.values():
                for row in value if isinstance(value, list) else ():
                    if isinstance(row, dict) and row["unique_id"] == wanted:
                        return row
        return None

    def referrals(self, case_ref: str = "nc-1") -> list[dict[str, Any]]:
        return self.server.transitions(self._desk.record(case_ref))

    @property
    def _desk(self) -> Any:
        return self._sinks[-1]._system._desk  # type: ignore[attr-defined]

    def shown(self, event_ref: str) -> dict[str, Any] | None:
        row = self.row(event_ref)
        if row is None:
            return None
        held = json.loads(row.get("everything") or "{}")
        if row["what"] == "IdentityRecorded":
            assert row.get("born_on") == held.get("date_of_birth")
        return self.whole(row["what"], held)


@pytest.fixture
def primero(tmp_path: Path) -> Iterator[PrimeroBench]:
    server = PrimeroServer(tmp_path / "primero-server.db")
    with server.described.running() as url:
        bench = PrimeroBench(tmp_path, url, server)
        yield bench
        bench.close()
    assert server.described.violations == []
