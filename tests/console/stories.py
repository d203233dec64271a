"""Scenarios as the console shows them: played once, with a canary in every free text.

A story is a hub on which something happened, and a browser of nobody's: what a page shows is
asked with `get`, signed in as whoever is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import UUID

from starlette.testclient import TestClient

from hub.console.app import create_console
from hub.console.desk import COOKIE, Console, LooksUnrecorded
from hub.console.viewer import Viewer
from hub.exchange import Exchange
from hub.home import Home
from hub.hub import Deciding
from tests.played import play, scenario
from tests.privacy.canaries import COMMON, planted

AUDITOR = Viewer("Ana Auditor", "auditor")
OPERATOR = Viewer("Omar Operator", "operator")
RAPPORTEUR = Viewer("Rita Rapporteur", "rapporteur")


def officer(agency: str) -> Viewer:
    return Viewer(f"Officer of {agency}", "agency_officer", agency)


@dataclass
class Story:
    """One hub with its console."""

    console: Console
    case: str = "C1"
    secret: str = COMMON  # a word that no page may show
    _clients: dict[Viewer, TestClient] = field(default_factory=dict)

    @property
    def exchange(self) -> Exchange:
        return self.console.exchange

    @property
    def case_id(self) -> UUID:
        return self.exchange.pseudonyms.canonical("case", self.case)

    @property
    def looks(self) -> LooksUnrecorded:
        assert isinstance(self.console.looks, LooksUnrecorded)
        return self.console.looks

    def client(self, viewer: Viewer = AUDITOR) -> TestClient:
        if viewer not in self._clients:
            client = TestClient(create_console(self.console), follow_redirects=False)
            client.cookies.set(COOKIE, self.console.sessions.begin(viewer))
            self._clients[viewer] = client
        return self._clients[viewer]

    def get(self, path: str, viewer: Viewer = AUDITOR, status: int = 200) -> str:
        answer = self.client(viewer).get(path.replace("CASE", self.case_id.hex))
        assert answer.status_code == status, answer.text
        assert self.secret not in answer.text
        assert "style=" not in answer.text  # the policy of every page forbids it
        return answer.text

    def token(self, viewer: Viewer = AUDITOR) -> str:
        session = self.console.sessions.find(self.client(viewer).cookies.get(COOKIE))
        assert session is not None
        return session.token

    def post(self, path: str, viewer: Viewer = AUDITOR, status: int = 200, **form: Any) -> str:
        answer = self.client(viewer).post(path, data={"token": self.token(viewer), **form})
        assert answer.status_code == status, answer.text
        assert self.secret not in answer.text
        return answer.text

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self.console.deciding.__exit__(None, None, None)


@contextmanager
def told_by(folder: Path, case: str = "C1", secret: str = COMMON) -> Iterator[Story]:
    """The console over the hub in a folder."""
    story = Story(Console(Deciding.open(Home(folder / "hub")), LooksUnrecorded()), case, secret)
    try:
        yield story
    finally:
        story.close()


@cache
def _document(name: str) -> dict[str, Any]:
    return planted(scenario(name))[0]


@contextmanager
def played(folder: Path, name: str) -> Iterator[Story]:
    """A shipped scenario, with canaries, played through a whole hub with its partners."""
    document = _document(name)
    play(folder, document).close()
    with told_by(folder, document["events"][0]["case"]) as story:
        yield story


# -- reading a page ------------------------------------------------------------------------------


@dataclass
class Element:
    """One element of a page. above: classes of everything it stands in."""

    tag: str
    attributes: dict[str, str]
    above: frozenset[str]
    inside: dict[str, str]  # data-… attributes of what it stands in, the nearest
    text: str = ""

    @property
    def classes(self) -> frozenset[str]:
        return frozenset(self.attributes.get("class", "").split())

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]


class _Reader(HTMLParser):
    VOID = frozenset({"meta", "link", "input", "br", "hr", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Element] = []
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        above = (
            frozenset().union(*(one.classes for one in self._open)) if self._open else frozenset()
        )
        inside: dict[str, str] = {}
        for one in self._open:
            inside |= {k: v for k, v in one.attributes.items() if k.startswith("data-")}
        element = Element(tag, attributes, above, inside)
        self.found.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for one in self._open:
            one.text += data


def elements(page: str) -> list[Element]:
    """Every element; a page whose elements do not close properly fails."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert not reader._open
    return reader.found


def of_class(found: list[Element], *classes: str) -> list[Element]:
    return [one for one in found if one.classes >= set(classes)]
