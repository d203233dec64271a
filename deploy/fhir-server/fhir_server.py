"""A real FHIR R4 server on this machine: HAPI FHIR's JPA server over an H2 file.

    python deploy/fhir-server/fhir_server.py --home DIR [--port 8080]      runs until interrupted

For tests, tutorials and trying things out: it listens on 127.0.0.1 only and asks nobody who they
are. Needs Java 17 or newer with its compiler; the jars (jars.txt, 200 MB, hashes checked) are
fetched once, by Maven.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from hub.topics import jars
from hub.topics.broker import BrokerError, java

HERE = Path(__file__).resolve().parent
START_SECONDS = 240.0  # 11 on a quiet machine
JVM = ("-Xmx700m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


class FhirServerError(Exception):
    """The server could not be started; the message holds its last words."""


def fetch() -> list[Path]:
    lock = jars.read((HERE / "jars.txt").read_text("ascii"))
    return jars.fetch(jars.cache_folder().parents[1] / "fhir", lock)


class FhirServer:
    """A server in `home`, which keeps its database there. bench: with what only tests may do."""

    def __init__(self, home: Path, port: int = 0, *, bench: bool = False) -> None:
        self.home = home.absolute()
        self._port = port
        self._bench = bench
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/fhir"

    def start(self) -> FhirServer:
        """Returns when it answers."""
        self.home.mkdir(parents=True, exist_ok=True)
        told = self.home / "port"
        told.unlink(missing_ok=True)
        try:
            command = [str(java()), *JVM, f"-Dbench={str(self._bench).lower()}",
                       f"-Dlogback.configurationFile={HERE / 'logback.xml'}",
                       "-cp", os.pathsep.join(map(str, fetch())), str(HERE / "FhirServer.java"),
                       str(self.home), str(self._port)]  # fmt: skip
        except (BrokerError, jars.JarsError) as error:
            raise FhirServerError(str(error)) from None
        log = self.home / "server.log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + START_SECONDS
        while not told.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise FhirServerError(f"it does not start: {log.read_text('utf-8')[-2000:]}")
            time.sleep(0.1)
        self._port = int(told.read_text("ascii"))
        with urllib.request.urlopen(f"{self.url}/metadata", timeout=60) as answer:
            answer.read()
        return self

    def empty(self) -> None:
        """Remove everything that is there, versions included."""
        everything = {"name": "expungeEverything", "valueBoolean": True}
        asked = {"resourceType": "Parameters", "parameter": [everything]}
        request = urllib.request.Request(
            f"{self.url}/$expunge",
            json.dumps(asked).encode(),
            {"content-type": "application/fhir+json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def compact(self) -> None:
        """Write the stopped server's file anew without what was deleted, as its operator can."""
        command = [str(java()), "-cp", os.pathsep.join(map(str, fetch())), "org.h2.tools.Shell",
                   "-url", f"jdbc:h2:file:{self.home / 'fhir'}", "-user", "sa", "-password", "",
                   "-sql", "SHUTDOWN COMPACT"]  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        """As a crash would: at once and untidily."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def wait(self) -> int:
        return self._process.wait() if self._process else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="A FHIR R4 server on this machine.")
    parser.add_argument(
        "--home", type=Path, default=Path("fhir-home"), help="folder of its database"
    )
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--fetch", action="store_true", help="fetch its jars and do no more")
    asked = parser.parse_args()
    server = FhirServer(asked.home, asked.port)
    try:
        if asked.fetch:
            fetch()
            return 0
        server.start()
        print(f"FHIR R4 at {server.url}", flush=True)
        return server.wait()
    except (FhirServerError, jars.JarsError) as error:
        print(f"The FHIR server cannot be started: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
