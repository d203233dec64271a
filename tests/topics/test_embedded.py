"""The embedded log: what a crash, a full disk, a deleted file or another process may do to it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.topics import Message, TopicError, TopicStoppedError, UnknownTopicError
from hub.topics.embedded import EmbeddedTopics


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "topics.db"


@pytest.fixture
def topics(path: Path) -> Iterator[EmbeddedTopics]:
    opened = EmbeddedTopics(path)
    opened.ensure(["t"])
    yield opened
    opened.close()


def run(script: str, *arguments: object) -> subprocess.Popen[bytes]:
    head = "import sys; from hub.topics.embedded import EmbeddedTopics; from hub.topics import *\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + script, *map(str, arguments)], stdout=subprocess.PIPE
    )


def test_only_its_owner_may_read_the_file(path: Path, topics: EmbeddedTopics) -> None:
    topics.append("t", [Message(b"x")])
    modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    assert modes == {"topics.db": 0o600, "topics.db-wal": 0o600, "topics.db-shm": 0o600}


def test_what_was_acknowledged_survives_kill_9(path: Path, topics: EmbeddedTopics) -> None:
    script = (
        "topics = EmbeddedTopics(sys.argv[1])\n"
        "n = 0\n"
        "while True:\n"
        "    topics.append('t', [Message(b'%d' % (n + i)) for i in range(7)])\n"
        "    n += 7\n"
        "    print(n, flush=True)\n"
    )
    for _ in range(3):
        before = topics.end("t")
        with run(script, path) as writer:
            assert writer.stdout is not None
            for _ in range(20):
                acknowledged = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().split()
        acknowledged = int(rest[-1]) if rest else acknowledged
        stored = topics.end("t") - before
        assert stored >= acknowledged
        assert stored % 7 == 0, "a batch is stored whole or not at all"
        received = topics.read("t", before, 100_000, 0)
        assert [one.value for one in received] == [b"%d" % n for n in range(stored)]


def test_processes_append_at_once_without_losing_a_message(
    path: Path, topics: EmbeddedTopics
) -> None:
    script = (
        "topics = EmbeddedTopics(sys.argv[1])\n"
        "topics.ensure(['t', 'u'])\n"
        "for n in range(50):\n"
        "    topics.append('t', [Message(f'{sys.argv[2]}.{n}'.encode())])\n"
    )
    writers = [run(script, path, name) for name in "abcd"]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    received = topics.read("t", 0, 1000, 0)
    assert [one.offset for one in received] == list(range(200))
    for name in "abcd":
        own = [one.value for one in received if one.value.startswith(name.encode())]
        assert own == [f"{name}.{n}".encode() for n in range(50)]


def test_processes_may_create_the_file_at_once(tmp_path: Path) -> None:
    script = "topics = EmbeddedTopics(sys.argv[1]); topics.ensure([sys.argv[2]])\n"
    openers = [run(script, tmp_path / "new.db", f"t{n}") for n in range(6)]
    for opener in openers:
        opener.communicate()
    assert [opener.returncode for opener in openers] == [0] * 6


def test_a_reader_in_this_process_is_woken_within_the_promise(topics: EmbeddedTopics) -> None:
    other = EmbeddedTopics(topics._file.path)
    try:
        late = []
        for n in range(20):
            topics.append("t", [Message(repr(time.monotonic()).encode())])
            received = other.read("t", n, 1, 5)
            late.append(time.monotonic() - float(received[0].value))
        assert sorted(late)[10] < 0.02
    finally:
        other.close()


def test_trimmed_bytes_are_nowhere_on_the_disk(path: Path, topics: EmbeddedTopics) -> None:
    small, large = b"CANARY-SMALL", b"CANARY-LARGE" * 10_000
    topics.append("t", [Message(small), Message(large, {"h": b"CANARY-HEADER"})])
    topics.append("t", [Message(b"kept")])
    assert any(b"CANARY" in each.read_bytes() for each in path.parent.iterdir())

    topics.trim("t", 2)

    assert not any(b"CANARY" in each.read_bytes() for each in path.parent.iterdir())
    assert [one.value for one in topics.read("t", 0, 10, 0)] == [b"kept"]


def test_a_deleted_file_is_noticed_and_not_written_on(path: Path, topics: EmbeddedTopics) -> None:
    topics.append("t", [Message(b"x")] * 5)
    life = topics.identity("t")
    for each in list(path.parent.iterdir()):
        each.unlink()

    with pytest.raises(UnknownTopicError):
        topics.append("t", [Message(b"y")])

    topics.ensure(["t"])
    assert topics.end("t") == 0, "smaller than the reader's offset of 5: it can tell"
    assert topics.identity("t") != life


def test_a_file_made_again_while_the_old_one_is_being_removed(
    path: Path, topics: EmbeddedTopics
) -> None:
    """`rm topics.db*` is three steps: what is made between two of them loses its own log."""
    topics.append("t", [Message(b"x")] * 5)
    path.unlink()
    topics.ensure(["t"])
    for left in path.parent.glob("*-*"):
        left.unlink()

    topics.ensure(["t"])
    topics.append("t", [Message(b"z")])
    other = EmbeddedTopics(path)
    try:
        assert [one.value for one in other.read("t", None, 10, 0)] == [b"z"]
    finally:
        other.close()


def test_a_disk_error_stops_the_log_until_it_is_opened_again(path: Path) -> None:
    script = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "topics = EmbeddedTopics(sys.argv[1]); topics.ensure(['t'])\n"
        "topics.append('t', [Message(b'acknowledged')])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))\n"
        "for message in (Message(bytes(500_000)), Message(b'small')):\n"
        "    try:\n"
        "        topics.append('t', [message])\n"
        "    except TopicStoppedError as error:\n"
        "        print('stopped')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "topics.close()\n"
    )
    with run(script, path) as process:
        out, _ = process.communicate()
    assert out.split() == [b"stopped", b"stopped"]
    again = EmbeddedTopics(path)
    try:
        assert [one.value for one in again.read("t", 0, 10, 0)] == [b"acknowledged"]
        again.append("t", [Message(b"after")])
    finally:
        again.close()


def test_a_disk_error_is_a_reason_to_restart_not_to_retry() -> None:
    assert "restart" in str(TopicStoppedError.__doc__)


def test_another_program_s_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(TopicError, match="not a topic log"):
        EmbeddedTopics(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("a letter to the ministry " * 100)
    with pytest.raises(TopicError, match="not a database"):
        EmbeddedTopics(path)
    assert path.read_text().startswith("a letter")


def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TopicError):
        EmbeddedTopics(tmp_path / "file" / "topics.db")


def test_processes_that_come_and_go_take_no_lock_away(path: Path, topics: EmbeddedTopics) -> None:
    """Several connections here, and other processes that open, append and leave: what they
    appended is read here, and what is appended here is counted there."""
    with topics._file.connection(), topics._file.connection(), topics._file.connection():
        pass  # as threads do: each opened beside the one before
    visit = (
        "topics = EmbeddedTopics(sys.argv[1]); topics.append('t', [Message(b'theirs')])\n"
        "print(topics.end('t')); topics.close()"
    )
    for number in range(3):
        told, _ = run(visit, path).communicate(timeout=60)
        assert int(told) == topics.end("t") == 2 * number + 1
        topics.append("t", [Message(b"ours")])
    assert [m.value for m in topics.read("t", None, 10, 0.0)] == [b"theirs", b"ours"] * 3
