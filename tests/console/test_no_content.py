"""Nothing of what was told is on any page: every page that can be reached, for every role.

Pages are found by following links from wherever the menu leads, over scenarios with a canary word
in every free-text field; so a page that comes later is looked at without a line here.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from fastapi.routing import iter_route_contexts
from starlette.testclient import TestClient

from hub.console.app import create_console
from hub.console.desk import COOKIE, Console, LooksUnrecorded
from hub.console.viewer import ROLES, Role, Viewer
from hub.home import Home
from hub.hub import Deciding
from tests.played import play, scenario
from tests.privacy.canaries import Canary, planted

MOST = 1_500  # pages of one role; a page that links to itself anew for ever is a defect too
ALIKE = 40  # pages of one kind that are looked at: of a case, of a cell, of a question
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f-]{36}|=[^&]*")


def crawled(client: TestClient, starts: list[str]) -> dict[str, str]:
    """Every page reached, by address."""
    pages: dict[str, str] = {}
    waiting, known = deque(starts), set(starts)
    kinds: Counter[str] = Counter()
    while waiting and len(pages) < MOST:
        where = waiting.popleft()
        answer = client.get(where)
        assert answer.status_code < 500, where
        pages[where] = str(answer.headers) + answer.text
        for link in re.findall(r'(?:href|src|action)="([^"]*)"', answer.text):
            parts = urlsplit(urljoin(f"http://testserver{where}", unescape(link)))
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            kind = _ID.sub("·", path)
            if parts.netloc == "testserver" and path not in known and kinds[kind] < ALIKE:
                known.add(path)
                kinds[kind] += 1
                waiting.append(path)
    return pages


def starts(client: TestClient, cases: list[str], agencies: list[str]) -> list[str]:
    """Addresses of every route, with a case, an agency or a number where one belongs."""
    found = []
    for route in iter_route_contexts(client.app.routes):  # type: ignore[attr-defined]
        if "GET" not in (route.methods or ()):
            continue
        for case in cases:
            for agency in agencies:
                found.append(
                    re.sub(
                        r"\{(\w+)(?::\w+)?\}",
                        lambda name, case=case, agency=agency: (
                            case if "case" in name[1] else agency if "agency" in name[1] else "1"
                        ),
                        str(route.path),
                    )
                )
    assert len(set(found)) >= 15, "routes that nobody finds are routes that nobody looks at"
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("name", [pytest.param("S1", marks=pytest.mark.deep), "S5"])
@pytest.mark.parametrize("role", ROLES)
def test_no_page_shows_what_was_told(tmp_path: Path, name: str, role: Role) -> None:
    document, canaries = planted(scenario(name))
    road = play(tmp_path, document)
    try:
        agencies = sorted(document["agencies"])
        of = next(one for one in agencies if one != "HUB")
        viewer = Viewer("viewer-1", role, of if role == "agency_officer" else None)
        cases = sorted({event["case"] for event in document["events"]})
        cases += [road.hub.exchange.pseudonyms.canonical("case", one).hex for one in cases]
        with Deciding.open(Home(tmp_path / "hub")) as deciding:
            console = Console(deciding, LooksUnrecorded())
            client = TestClient(create_console(console), follow_redirects=False)
            client.cookies.set(COOKIE, console.sessions.begin(viewer))
            with client:
                pages = crawled(client, ["/", *starts(client, cases, agencies)])
        assert len(pages) < MOST
        leaks = [
            (where, canary)
            for where, text in pages.items()
            for canary in canaries
            if any(shape in text.encode() for shape in canary.shapes())
        ]
        assert leaks == []
    finally:
        road.close()


def test_a_leak_would_be_noticed() -> None:
    """The crawler finds linked pages, and a canary on one of them."""
    from fastapi import FastAPI
    from starlette.responses import HTMLResponse

    app = FastAPI()
    word = Canary("KanarieS1x0001Zz", "e1", "health")

    @app.get("/")
    def first() -> HTMLResponse:
        return HTMLResponse('<a href="/second?a=1&amp;b=2">on</a>')

    @app.get("/second")
    def second() -> HTMLResponse:
        return HTMLResponse(f"<p>{word.word}</p>")

    with TestClient(app) as client:
        pages = crawled(client, ["/"])
    assert list(pages) == ["/", "/second?a=1&b=2"]
    assert word.word in pages["/second?a=1&b=2"]
