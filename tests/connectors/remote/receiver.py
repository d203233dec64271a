"""The receiver of docs/connect-webhook.md, started as the page says, with its database."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.topics.local_ports import free_port
from tests.cli.programs import ROOT

PAGE = ROOT / "docs" / "connect-webhook.md"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def program() -> str:
    """receiver.py as the page has its reader write it."""
    [text] = re.findall(r"<<'END'\n(import json, sqlite3.*?)^END$", PAGE.read_text(), re.S | re.M)
    return str(text)


class Receiver:
    """A running receiver: `home` holds its files, `url` is its address, `ca` its authority."""

    def __init__(self, home: Path, secret: str = SECRET) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"https://localhost:{self.port}/nrm"
        self.ca = home / "receiver.pem"
        self._process: subprocess.Popen[str] | None = None
        (home / "webhook.key").write_text(secret)
        (home / "receiver.py").write_text(program())
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost", "-keyout", str(home / "receiver.key"), "-out",
             str(self.ca)],
            check=True, capture_output=True,
        )  # fmt: skip

    def start(self) -> None:
        with (self.home / "errors").open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "receiver.py", str(self.port)],
                cwd=self.home, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said == "The receiver waits.\n", (self.home / "errors").read_text()

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.communicate(timeout=10)

    def empty(self) -> None:
        for path in self.home.glob("cases.db*"):
            path.unlink()

    def held(self, event_ref: str) -> dict[str, tuple[str, dict[str, Any]]]:
        """category → event type and content."""
        with self._database() as db:
            rows = db.execute(
                "SELECT category, event_type, content FROM held WHERE event_ref = ?", (event_ref,)
            ).fetchall()
        return {category: (kind, json.loads(content)) for category, kind, content in rows}

    def seen(self) -> int:
        """How many messages were taken, each once."""
        with self._database() as db:
            return int(db.execute("SELECT count(*) FROM seen").fetchone()[0])

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        """A request by somebody else."""
        request = urllib.request.Request(self.url, body, headers)
        trust = ssl.create_default_context(cafile=self.ca)
        try:
            with urllib.request.urlopen(request, context=trust) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            with refused:
                return int(refused.code)

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.home / "cases.db")
        try:
            db.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY)")
            db.execute(
                "CREATE TABLE IF NOT EXISTS held (event_ref TEXT, category TEXT, event_type TEXT,"
                " case_ref TEXT, sequence INT, content TEXT, PRIMARY KEY (event_ref, category))"
            )
            yield db
        finally:
            db.close()
