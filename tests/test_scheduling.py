"""Which files are begun first."""

from __future__ import annotations

from tests.cli.programs import ROOT
from tests.scheduling import FHIR, HEAVY, PAGES


def test_every_file_named_is_there() -> None:
    named = {*HEAVY, *(one.partition("::")[0] for one in (PAGES, *FHIR))}
    assert {one for one in named if not (ROOT / one).is_file()} == set()
