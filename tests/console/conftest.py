"""A console over a real hub on which a short case was played, and viewers who are signed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from hub.console.app import create_console
from hub.console.desk import COOKIE, Console, LooksUnrecorded
from hub.console.viewer import Viewer
from hub.home import Home
from hub.hub import Deciding, Hub
from tests.consent.stage import close
from tests.console.story import Story, reading, story

SignIn = Callable[[Viewer], TestClient]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    place = Home(tmp_path / "hub")
    place.init()
    Hub.open(place).stop()
    return place


@pytest.fixture
def console(home: Home) -> Iterator[Console]:
    with Deciding.open(home) as deciding:
        yield Console(deciding, LooksUnrecorded())


@pytest.fixture
def signed_in(console: Console) -> Iterator[SignIn]:
    """A client that has signed in as this viewer, with a session begun as sign-in begins it."""
    clients: list[TestClient] = []

    def sign_in(viewer: Viewer) -> TestClient:
        client = TestClient(create_console(console), follow_redirects=False)
        client.cookies.set(COOKIE, console.sessions.begin(viewer))
        clients.append(client)
        return client

    yield sign_in
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The story; for tests that change nothing of it."""
    made = story(tmp_path_factory.mktemp("told"))
    yield made
    close(made)


@pytest.fixture(scope="module")
def told_console(told: Story) -> Iterator[Console]:
    with reading(told) as deciding:
        yield Console(deciding, LooksUnrecorded())


@pytest.fixture
def lived(tmp_path: Path) -> Iterator[Story]:
    """The story, to go on with."""
    made = story(tmp_path)
    yield made
    close(made)


@contextmanager
def looking(made: Story, viewer: Viewer) -> Iterator[TestClient]:
    """Somebody at a console of their own over the story."""
    with reading(made) as deciding:
        console = Console(deciding, LooksUnrecorded())
        with TestClient(create_console(console), follow_redirects=False) as client:
            client.cookies.set(COOKIE, console.sessions.begin(viewer))
            yield client


def signed_in_at(console: Console, viewer: Viewer) -> TestClient:
    client = TestClient(create_console(console), follow_redirects=False)
    client.cookies.set(COOKIE, console.sessions.begin(viewer))
    return client
