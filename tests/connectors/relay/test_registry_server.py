"""The schema registry at the partner's site: the hub's answers, bounded, read-only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from connectors.errors import SettingsError
from connectors.relay.registry import RegistryServer
from schemas.confluent import CONTENT_TYPE, LONGEST_BODY, ConfluentRegistry
from schemas.partner import PartnerSchemas
from schemas.registry import Schemas
from tests.cli.programs import nrm
from tests.patience import PATIENCE

SCHEMAS = PartnerSchemas(Schemas.load())
OPENED = SCHEMAS.current("CaseOpened")
PATHS = [
    "/",
    "/schemas/types",
    f"/schemas/ids/{OPENED.id}",
    "/schemas/ids/0",
    "/subjects",
    "/subjects/nrm.partner.CaseOpened/versions",
    "/subjects/nrm.partner.CaseOpened/versions/latest",
    "/subjects/other.case_opened-value/versions/1",
    "/subjects/none/versions",
    "/config",
    "/mode",
    "/a%2Fb",
]


@pytest.fixture(scope="module")
def server() -> Iterator[RegistryServer]:
    server = RegistryServer("127.0.0.1", 0, "nrm").start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(server: RegistryServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url) as client:
        yield client


@pytest.mark.parametrize("path", PATHS)
def test_it_answers_what_is_to_be_answered(client: httpx2.Client, path: str) -> None:
    answer = client.get(path)
    expected = ConfluentRegistry(SCHEMAS, "nrm").answer("GET", path.replace("%2F", "/"))
    assert (answer.status_code, answer.json()) == (expected.status, expected.document)
    assert answer.headers["content-type"] == CONTENT_TYPE


def test_asking_with_a_schema(client: httpx2.Client) -> None:
    found = client.post("/subjects/nrm.case_opened-value", json={"schema": OPENED.text})
    assert found.json()["id"] == OPENED.id
    path = "/compatibility/subjects/nrm.case_opened-value/versions?verbose=true"
    other = client.post(path, json={"schema": '"string"'})
    assert other.json()["is_compatible"] is False
    assert other.json()["messages"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(client: httpx2.Client, method: str) -> None:
    assert client.request(method, "/config").status_code == 405


def test_bodies_are_bounded(client: httpx2.Client) -> None:
    answer = client.post("/subjects/nrm.partner.CaseOpened", content=b"x" * (LONGEST_BODY + 1))
    assert answer.status_code == 413
    deep = json.dumps({"schema": "[" * 50_000 + "]" * 50_000})
    answer = client.post("/subjects/nrm.partner.CaseOpened", content=deep.encode())
    assert (answer.status_code, answer.json()["error_code"]) == (422, 42201)


def test_apicurios_way_to_ask_for_an_id(client: httpx2.Client) -> None:
    for kind in ("globalIds", "contentIds"):
        answer = client.get(f"/apis/registry/v2/ids/{kind}/{OPENED.id}")
        assert answer.text == OPENED.text
        assert answer.headers["x-registry-artifacttype"] == "AVRO"
        assert client.get(f"/apis/registry/v2/ids/{kind}/{OPENED.id}/references").json() == []
        assert client.get(f"/apis/registry/v2/ids/{kind}/7").status_code == 404


def test_an_address_that_is_taken(server: RegistryServer) -> None:
    with pytest.raises(SettingsError, match="choose another with --listen"):
        RegistryServer("127.0.0.1", int(server.url.rpartition(":")[2]))


def test_as_a_command(tmp_path: Path) -> None:
    file = tmp_path / "partner.toml"
    file.write_text('home = "a"\n[sink]\nkind = "relay"\n[sink.options]\nservers = ["h:1"]\n'
                    'security = "ssl"\nprefix = "ours"\n')  # fmt: skip
    command = [sys.executable, "-m", "hub.cli", "connector", "registry", str(file)]
    with subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("Schemas of ours.* at http://127.0.0.1:")
        subjects = httpx2.get(f"{said.split()[-1]}/subjects").json()
        assert "ours.case_opened-value" in subjects
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert nrm("connector", "registry", str(file), "--listen", "nowhere").code == 1
    file.write_text('home = "a"\n[sink]\nurl = "sqlite:///x.db"\n')
    assert "not relay" in nrm("connector", "registry", str(file)).err
