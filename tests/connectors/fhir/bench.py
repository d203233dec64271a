"""A FHIR server as the partner of a test: what it shows, and every byte it keeps."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connectors.fhir import FhirSink, Options, open_sink, stated
from connectors.fhir.names import Names, Resource
from connectors.kinds import Place
from connectors.sink import RecallPolicy
from fhir_server import FhirServer
from schemas.registry import Schemas
from tests.connectors.middle import Middle

NAMES = Names("test-hub", "POL-1")
JSON = {"content-type": "application/fhir+json"}


class FhirPartner:
    """One server, emptied at first."""

    def __init__(self, server: FhirServer) -> None:
        self.server = server
        server.empty()

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.server.url}/{path}"
        request = urllib.request.Request(url, data, JSON, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.loads(refused.read() or b"null")

    def get(self, kind: str, ref: str) -> Resource | None:
        """The resource of an event or a case."""
        status, found = self.call("GET", f"{kind}/{NAMES.id(kind, ref)}")
        return found if status == 200 else None

    def all(self) -> dict[str, Resource]:
        """Every resource as it is now, by `Type/id`."""
        _, found = self.call("GET", "_history?_count=1000")
        assert len(found.get("entry", [])) == found["total"], "all on one page"
        newest: dict[str, Resource] = {}
        for one in found.get("entry", []):
            if "resource" in one:
                resource = one["resource"]
                newest.setdefault(f"{resource['resourceType']}/{resource['id']}", resource)
        return newest

    def put(self, resource: Resource) -> Resource:
        """As the partner's own software writes."""
        path = f"{resource['resourceType']}/{resource['id']}"
        status, found = self.call("PUT", path, resource)
        assert status in (200, 201), found
        return found

    def event(self, event_ref: str) -> Resource | None:
        provenance = self.get("Provenance", event_ref)
        if provenance is None:
            return None
        status, found = self.call("GET", provenance["target"][0]["reference"])
        assert status == 200
        return found

    def stored(self) -> bytes:
        """Every cell of every table, packed resources unpacked."""
        with urllib.request.urlopen(f"{self.server.origin}/bench/stored", timeout=60) as answer:
            return answer.read()

    def file(self, folder: Path) -> bytes:
        """The database's file as it is on disk, from H2's own hot copy."""
        folder.mkdir()
        copied = folder / "copy.zip"
        self._told("copy", str(copied))
        with zipfile.ZipFile(copied) as found:
            found.extractall(folder)
        [database] = folder.rglob("*.mv.db")
        return database.read_bytes()

    def allow(self, what: str, value: str) -> None:
        self._told(what, value)

    def _told(self, what: str, value: str) -> None:
        request = urllib.request.Request(
            f"{self.server.origin}/bench/{what}", value.encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=60):
            pass


class Bench:
    """As `connectors/conformance/` asks for it."""

    atomic = False

    def __init__(self, folder: Path, server: FhirServer, **options: Any) -> None:
        self.folder = folder
        self.partner = FhirPartner(server)
        self.options = {"url": server.url, **options}
        self.schemas = Schemas(
            s.document for s in map(Schemas.load().by_type, Schemas.load().types())
        )
        self.between: Middle | None = None
        self._sinks: list[FhirSink] = []

    def made(self, recalls: RecallPolicy | None = None) -> FhirSink:
        place = Place("POL-1", "test-hub", self.folder, self.folder, recalls or RecallPolicy())
        sink = open_sink(Options.model_validate(self.options), place)
        self._sinks.append(sink)
        return sink

    def open(self, recalls: RecallPolicy | None = None) -> FhirSink:
        sink = self.made(recalls)
        sink.prepare()
        return sink

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()

    @contextmanager
    def outage(self) -> Iterator[None]:
        assert self.between is not None
        self.between.away = True
        yield
        self.between.away = False

    def shown(self, event_ref: str) -> dict[str, Any] | None:
        found = self.partner.event(event_ref)
        if found is None:
            return None
        provenance = self.partner.get("Provenance", event_ref)
        assert provenance is not None
        event_type = provenance["activity"]["coding"][0]["code"]
        shown: dict[str, Any] = {f.name: None for f in self.schemas.by_type(event_type).fields}
        for part in stated.fields(found).values():
            shown.update(part)
        return shown

    def stored(self) -> bytes:
        state = [path.read_bytes() for path in sorted(self.folder.glob("*.db*"))]
        return b"".join([self.partner.stored(), *state])
