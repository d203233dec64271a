"""Which worker runs what, and in which order: a file to a worker, the long ones first.

What needs a server, a program or a browser comes first: those tests are long and wait. Then the
files that take many seconds without one; and short ones fill all workers to the end. A tutorial's
page is as long as many a file, so each is given out alone; whatever needs the FHIR server goes to
one worker, for it takes half a minute to start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer

PAGES: Final = "tests/tutorials/test_pages.py::test_the_page_as_written["
FHIR: Final = ("tests/connectors/fhir/test_fhir_server.py", f"{PAGES}connect-fhir]")
LONG: Final = {"browser", "fhir", "kafka", "mariadb", "oidc", "postgres", "sftp", "slow"}
HEAVY: Final = {
    f"tests/{name}.py"
    for name in (
        *("audit/test_audit", "audit/test_redecide", "connectors/conformance/test_sql_conformance"),
        *("console/test_held", "console/test_preview", "console/test_timeline"),
        *("console/test_verify", "exchange/test_exchange", "person/test_delivered"),
        *("policy/test_simulate", "questions/test_rapporteur", "release/test_second_reading"),
        *("scenarios/test_differences", "transparency/test_commands", "verify/test_privacy"),
        *("webverify/test_bundles", "work/test_list"),
    )
}
"""Files of some fifteen seconds or more, though nothing marks them: begun late, each is a tail."""


class LongFirst(LoadFileScheduling):
    """`--dist loadfile`, but for pages and for what needs the FHIR server."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by our order, not by the number of tests

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(FHIR):
            return "fhir"
        return nodeid if nodeid.startswith(PAGES) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LongFirst | None:
    return LongFirst(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)  # when every test has its markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def kinds(item: pytest.Item) -> set[str]:
        return {marker.name for marker in item.iter_markers()}

    long = {item.path for item in items if not LONG.isdisjoint(kinds(item))}
    items.sort(
        key=lambda item: (
            not item.nodeid.startswith(FHIR),
            not item.nodeid.startswith(PAGES),
            item.path not in long,
            item.nodeid.partition("::")[0] not in HEAVY,
        )
    )
