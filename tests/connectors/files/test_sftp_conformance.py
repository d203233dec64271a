"""The sink over SFTP passes the conformance suite, on a real OpenSSH server, as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from connectors.conformance import OutageConformance, SinkConformance
from connectors.files.formats import Forms
from connectors.files.manifest import Signer
from connectors.files.sftp import Options, SftpDrop
from connectors.files.sink import FilesSink
from connectors.sink import RecallPolicy
from schemas.registry import Schemas
from tests.connectors.files.file_bench import KEY, FileBench
from tests.connectors.files.sshd import SshServer, ssh_server

pytestmark = pytest.mark.sftp
_names = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    with ssh_server() as made:
        yield made


def options(server: SshServer, path: Path, **more: Any) -> Options:
    return Options.model_validate(
        {
            "host": "127.0.0.1",
            "port": server.port,
            "user": server.user,
            "key_file": server.key,
            "host_keys": [server.host_key],
            "path": str(path),
            "seconds": 20,
            **more,
        }
    )


def sftp_bench(server: SshServer, home: Path) -> FileBench:
    folder, state = server.folder(f"drop-{next(_names)}"), home / "files.state.db"

    def opening(recalls: RecallPolicy | None, known: Schemas) -> FilesSink:
        drop = SftpDrop(options(server, folder), home)
        signer = Signer("POL-1", "test-hub", KEY)
        return FilesSink(state, drop, Forms("csv", known), signer, recalls=recalls)

    return FileBench(folder, state, opening)


class TestSftp(SinkConformance):
    @pytest.fixture
    def bench(self, server: SshServer, tmp_path: Path) -> Iterator[FileBench]:
        bench = sftp_bench(server, tmp_path)
        yield bench
        bench.close()


class TestSftpOutages(OutageConformance):
    @pytest.fixture
    def bench(self, server: SshServer, tmp_path: Path) -> Iterator[FileBench]:
        bench = sftp_bench(server, tmp_path)
        bench.switch = lambda there: server.start() if there else server.stop()
        yield bench
        bench.close()
