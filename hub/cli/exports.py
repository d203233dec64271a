"""`nrm-hub audit export`: decisions in standard forms, to a file or to standard output."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO
from uuid import UUID

import typer

from hub.cli.options import HUB_HOME, AsOf, HubHome
from hub.cli.printed import progress
from hub.errors import Refused

if TYPE_CHECKING:
    from hub.audit.export.decided import Decision
    from hub.hub import Reading

export = typer.Typer(
    help="Decisions and deliveries in forms that others read. No content, as of any position.",
    no_args_is_help=True,
)

Case = Annotated[str | None, typer.Option("--case", help="Only of this case.")]
Agency = Annotated[
    str | None, typer.Option("--agency", help="Only for this agency, concerned or not.")
]
Everybody = Annotated[
    bool,
    typer.Option("--everybody", help="Also agencies that are not concerned, decided by role."),
]
Out = Annotated[Path | None, typer.Option("--out", help="File; standard output if left out.")]


def mount(app: typer.Typer) -> None:
    app.add_typer(export, name="export")


@dataclass
class _Walk:
    reading: Reading
    groups: Iterator[list[Decision]]
    write: Callable[[bytes], object]

    @property
    def hub(self) -> str:
        return self.reading.settings.hub_id


@export.command()
def decisions(
    home: HubHome = HUB_HOME,
    case: Case = None,
    agency: Agency = None,
    everybody: Everybody = False,
    as_of: AsOf = None,
    out: Out = None,
) -> None:
    """The decision log: one JSON object a line, one line a decision (docs/decision-log.md).

    Example: nrm-hub audit export decisions --home hub-home --agency POL-1 --as-of 2026-03-16
    """
    from hub.audit.export.decisions import line
    from hub.audit.output import line as written

    with _walk(home, case, agency, everybody, as_of, out) as walk:
        for group in walk.groups:
            for one in group:
                walk.write(written(line(one)))


@export.command()
def fhir_audit(
    home: HubHome = HUB_HOME,
    case: Case = None,
    agency: Agency = None,
    everybody: Everybody = False,
    as_of: AsOf = None,
    out: Out = None,
    bundle: Annotated[
        bool, typer.Option("--bundle", help="One Bundle instead of one resource a line.")
    ] = False,
) -> None:
    """FHIR R4 AuditEvents after IHE BALP: permits, denials and disclosures, one a line.

    Example: nrm-hub audit export fhir-audit --home hub-home --case C1 --out audit.ndjson
    """
    from hub.audit.export.fhir_audit import AuditEvents, bundled
    from hub.audit.output import line as written

    with _walk(home, case, agency, everybody, as_of, out) as walk:
        writer = AuditEvents(walk.hub)
        events = (event for group in walk.groups for event in writer.of(group))
        texts = bundled(events, written) if bundle else map(written, events)
        for text in texts:
            walk.write(text)


@export.command()
def prov(
    home: HubHome = HUB_HOME,
    case: Case = None,
    agency: Agency = None,
    everybody: Everybody = False,
    as_of: AsOf = None,
    out: Out = None,
) -> None:
    """Provenance for researchers: PROV-O as JSON-LD, a document a line, with names of its own.

    Example: nrm-hub audit export prov --home hub-home --out provenance.jsonl
    """
    from hub.audit.export.prov import Provenance
    from hub.audit.output import line as written

    with _walk(home, case, agency, everybody, as_of, out) as walk:
        name = partial(_own_name, walk.reading)
        provenance = Provenance(walk.hub, name)
        for group in walk.groups:
            walk.write(written(provenance.document(group)))


PROV = "\0audit export prov"  # no agency has such an id: its pseudonyms are this export's alone


def _own_name(reading: Reading, kind: Any, id_: UUID) -> str:
    return reading.exchange.pseudonyms.pseudonym(PROV, kind, id_)


@contextmanager
def _walk(
    home: Path,
    case: str | None,
    agency: str | None,
    everybody: bool,
    as_of: str | None,
    out: Path | None,
) -> Iterator[_Walk]:
    """The decisions asked for, and where they go. What is read of deliveries waits in a temporary
    file, so that memory stays flat."""
    from hub.audit.delivered import Delivered
    from hub.audit.export.decided import Decided, Wanted
    from hub.audit.replay import case_named, position_of
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading, tempfile.TemporaryDirectory() as folder:
        exchange = reading.exchange
        if agency is not None and agency not in exchange.agencies:
            raise Refused(0, "unknown_agency", f"{agency} is not enrolled here; see the registry")
        end = position_of(exchange.log, as_of)
        wanted_case = case_named(exchange, case) if case is not None else None
        if wanted_case is not None and not exchange.log.stream(wanted_case, limit=1):
            raise Refused(0, "unknown_case", "no such case; check the reference")
        with Delivered(Path(folder) / "delivered.db", exchange.log, end, agency) as delivered:
            with progress() as bar:
                task = bar.add_task("reading deliveries", total=max(end, 1))
                for reached in delivered.read():
                    bar.update(task, completed=reached)
            wanted = Wanted(wanted_case, agency, everybody)
            groups = Decided(exchange.log, delivered, end, wanted).groups()
            with _opened(out) as file:
                yield _Walk(reading, groups, file.write)


@contextmanager
def _opened(out: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that gets its name once it is whole."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if out.exists() and not out.is_file():  # a pipe, a terminal
        with out.open("wb") as file:
            yield file
        return
    if out.exists():
        raise Refused(0, "output_exists", f"{out} is there already: choose another file")
    part = out.with_name(out.name + ".part")
    try:
        with part.open("wb") as file:
            os.chmod(part, 0o600)
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
