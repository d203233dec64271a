"""The audit log over HTTP: as the specification has it, where the operator opened it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from hub.api.limits import Limits, Rate
from hub.api.server import serve_api
from hub.home import Home
from hub.hub import Hub
from hub.tlog.checkpoint import open_checkpoint
from hub.tlog.tiles import tiles_of
from tests.api.conftest import GENEROUS, Api
from tests.patience import until
from tests.store.samples import sending
from tests.transparency.judge import Judge


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, httpx2.Client]]:
    home = Home(tmp_path_factory.mktemp("public") / "hub")
    home.init()
    with (home.path / "hub.toml").open("a", encoding="utf-8") as file:
        file.write("\n[log]\npublic = true\n")
    hub = Hub.open(home)
    server = serve_api(hub, port=0, limits=GENEROUS)
    with httpx2.Client(base_url=server.url) as client:
        assert client.get("/log/checkpoint").status_code == 404, "nothing is signed yet"
        head = hub.exchange.log.head
        rows = [sending(("api", n), 1) for n in range(600 - head)]
        hub.exchange.log.append(rows, expected_head=head)
        hub.exchange.catch_up()
        hub.checkpoints.step(now=True)
        yield hub, client
    server.stop()
    hub.stop()


def served(hub: Hub, client: httpx2.Client) -> int:
    """The size of the checkpoint that is served: the newest, or that of a second ago."""
    verifier = hub.checkpoints.verifier
    note = client.get("/log/checkpoint").content
    return open_checkpoint(note, origin=verifier.name, log_keys=[verifier]).checkpoint.size


def test_the_checkpoint(public: tuple[Hub, httpx2.Client]) -> None:
    hub, client = public
    until(lambda: client.get("/log/checkpoint").status_code == 200)
    until(lambda: served(hub, client) == hub.exchange.log.head)
    answer = client.get("/log/checkpoint")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=1"


def test_every_tile(public: tuple[Hub, httpx2.Client]) -> None:
    hub, client = public
    for tile in tiles_of(600):
        answer = client.get(f"/log/{tile.path}")
        assert answer.status_code == 200, tile.path
        assert answer.headers["content-type"] == "application/octet-stream"
        full = tile.width == 256
        assert ("immutable" in answer.headers["cache-control"]) is full
        assert answer.content == hub.exchange.log.read_tile(tile.path)
    cut = client.get("/log/tile/0/000.p/7")
    assert cut.content == client.get("/log/tile/0/000").content[: 7 * 32]
    cut = client.get("/log/tile/entries/000.p/7")
    assert cut.content == client.get("/log/tile/entries/000").content[: 7 * 35]


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/009",
        "tile/0/002.p/89",
        "tile/0/000.p/256",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/0/x000/000",
        "tile/0/%2e%2e/%2e%2e/checkpoint",
        "tile/entries/000/",
        "tile/-1/000",
        "tile/",
        "",
    ],
)
def test_what_is_not_there_in_that_spelling(public: tuple[Hub, httpx2.Client], path: str) -> None:
    _, client = public
    answer = client.get(f"/log/{path}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
    assert answer.headers["cache-control"] == "no-store"


def test_it_is_closed_unless_the_operator_says_otherwise(api: Api) -> None:
    """The size of the log tells how much the hub records (docs/privacy.md)."""
    api.world.hub.checkpoints.step(now=True)
    for path in ("/log/checkpoint", "/log/tile/0/000.p/1", "/log/tile/entries/000.p/1"):
        answer = api.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_one_address_has_an_allowance(public: tuple[Hub, httpx2.Client]) -> None:
    hub, _ = public
    server = serve_api(hub, port=0, limits=Limits(public=Rate(0.001, 5)))
    with httpx2.Client(base_url=server.url) as client:
        told = [client.get("/log/tile/0/000").status_code for _ in range(7)]
    server.stop()
    assert told == [200] * 5 + [429] * 2


@pytest.mark.slow
def test_judged_over_http(public: tuple[Hub, httpx2.Client], tmp_path: Path) -> None:
    hub, client = public
    judge, source = Judge.build(tmp_path), f"{client.base_url}/log/"
    kept = tmp_path / "kept"
    kept.write_bytes(client.get("/log/checkpoint").content)
    hub.exchange.log.append(
        [sending(("more", n), 1) for n in range(100)], expected_head=hub.exchange.log.head
    )
    hub.checkpoints.step(now=True)
    until(lambda: served(hub, client) == hub.exchange.log.head)
    done = judge.log(source, hub.checkpoints.verifier, kept)
    assert done.stands, done.why
    assert (done.said["entries"], done.said["earlier"]) == (hub.exchange.log.head, 1)
    assert judge.fsck(source, hub.checkpoints.verifier).stands
