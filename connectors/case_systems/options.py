"""What the settings of every case system have, the sink they open, and what its mapping lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from connectors.case_systems.mapping import (
    EVERY_OTHER,
    CaseMapping,
    Form,
    Mismatch,
    load_case_mapping,
)
from connectors.case_systems.places import Places
from connectors.case_systems.sink import CaseSink, RecordSystem
from connectors.findings import Finding
from connectors.kinds import Place
from connectors.remote.outbound import Outbound


class CaseOptions(BaseModel):
    """[sink.options] of a case system."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    url: str
    """Address of the instance."""

    mapping: Path
    """The mapping file."""

    state: Path
    """The connector's books."""

    ca_file: Path | None = None
    """CA certificates, if not the system's."""

    seconds: float = Field(default=60.0, gt=0, le=600)
    """Longest wait for an answer."""


def opened(
    options: CaseOptions,
    place: Place,
    form: Form,
    credential: Callable[[], str],
    system: Callable[[Outbound, CaseMapping, Places], RecordSystem],
) -> CaseSink:
    """credential: what stands in the header "authorization", asked for each request."""
    state = place.file(options.state)
    places = Places(state.with_name(state.name + ".places.db"))
    mapping = load_case_mapping(place.file(options.mapping), form)
    http = Outbound(
        options.url,
        headers=lambda: {"authorization": credential()},
        ca_file=None if options.ca_file is None else place.file(options.ca_file),
        seconds=options.seconds,
    )
    return CaseSink(state, system(http, mapping, places), places, place)


def fits(mapping: CaseMapping, wrong: Sequence[Mismatch], what: str) -> list[Finding]:
    """Whether the mapping fits, and a warning if events of some types go nowhere."""
    if wrong:
        return [Finding("wrong", f"{mapping.path}:{w.line}", w.text, w.fix) for w in wrong]
    found = [Finding("ok", "mapping", f"{mapping.path} fits the {what}")]
    if not any(one.event == EVERY_OTHER for one in mapping.maps):
        text = (
            "types of events without a map are kept in the connector's own file and shown nowhere"
        )
        fix = 'map event = "*", or leave it if that is meant'
        found.append(Finding("warning", str(mapping.path), text, fix))
    return found
