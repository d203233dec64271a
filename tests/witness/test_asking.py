"""The hub's side: it gets cosignatures, and whatever a witness does, the hub goes on."""

from __future__ import annotations

import re
import socket
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from consumers.witnesses import AGAIN, DISAGREES, asking
from consumers.witnesses.settings import read_log
from hub.crypto.signing import SigningKey
from hub.errors import NotReady
from hub.store.errors import StoreFailed
from hub.tlog.checkpoint import open_checkpoint
from hub.tlog.note import Cosigner, Note
from tests.patience import until
from tests.transparency.logs import ORIGIN, VKEY
from tests.witness.conftest import START, Asking, Served

Witness = Callable[..., Served]
Ask = Callable[..., Asking]
MALLORY = Cosigner("mallory.example", SigningKey.generate())


def test_two_witnesses_under_the_published_checkpoint(witness: Witness, asking: Ask) -> None:
    first, second = witness("one.example"), witness("two.example")
    hub = asking((first.serve(), first.key), (second.serve(), second.key))
    assert hub.step() == 0, "nothing is signed yet"
    for rows in (3, 300, 5):
        hub.made.grow(rows)
        assert hub.step() == 2
        opened = open_checkpoint(
            hub.made.newest, origin=ORIGIN, log_keys=[VKEY], witnesses=[first.key, second.key]
        )
        assert len(opened.cosignatures) == 2
    assert hub.step() == 0, "nothing new"
    assert [(one.size, one.behind) for one in hub.witnesses.health()] == [(308, 0)] * 2


def test_the_hub_remembers_what_a_witness_holds(witness: Witness, asking: Ask) -> None:
    served = witness()
    hub = asking((served.serve(), served.key))
    hub.made.grow(10)
    hub.step()
    hub.made.grow(10)
    [line] = hub.witnesses.lines
    again = asking((served.servers[0].url, served.key))
    assert again.step() == 1
    assert line._known == 10
    assert again.witnesses.lines[0]._known == 20
    assert hub.step() == 0, "the other process has asked already"
    hub.made.grow(1)
    assert hub.step() == 1, "409 told the size it holds"


def test_a_log_begun_anew_asks_before_it_complains(witness: Witness, asking: Ask) -> None:
    """After a loss the hub still knows how far the former log was cosigned, and has less."""
    served = witness()
    hub = asking((served.serve(), served.key))
    hub.made.grow(5)
    note = hub.made.newest.decode()
    assert hub.made.log.cosign(5, note, note, f"witness/{served.key.name}")
    with hub.made.log._tables.write() as c:
        c.execute("UPDATE followers SET position = 900")
    again = asking((served.servers[0].url, served.key))
    assert [(one.size, one.behind) for one in again.witnesses.health()] == [(0, 5)]
    assert again.step() == 1
    assert [(one.size, one.behind) for one in again.witnesses.health()] == [(5, 0)]


def test_the_same_checkpoint_again_after_ten_minutes(witness: Witness, asking: Ask) -> None:
    served = witness()
    hub = asking((served.serve(), served.key))
    hub.made.grow(3)
    hub.step()
    hub.time.at += timedelta(seconds=AGAIN - 1)
    served.time += AGAIN
    assert hub.step() == 0
    hub.time.at += timedelta(seconds=1)
    assert hub.step() == 1
    assert hub.cosigners() == [served.key.name], "in place of the older one"
    [health] = hub.witnesses.health()
    assert health.at is not None
    assert health.at.timestamp() == START + AGAIN


def test_a_rolled_back_log_is_told_by_its_witness(witness: Witness, asking: Ask) -> None:
    served = witness()
    hub = asking((served.serve(), served.key))
    hub.made.grow(20)
    hub.step()
    back = asking((served.servers[0].url, served.key), name="restored")
    back.made.grow(10)
    for _ in range(3):
        assert back.step() == 0
        assert back.troubles == ["ahead_of_log"]
    assert set(back.troubles) <= DISAGREES


def test_a_forked_log_is_told_by_its_witness(witness: Witness, asking: Ask) -> None:
    served = witness()
    hub = asking((served.serve(), served.key))
    hub.made.grow(20)
    hub.step()
    other = asking((served.servers[0].url, served.key), name="fork")
    for rows in (20, 5):
        other.made.grow(rows, "another history")
        assert other.step() == 0
        assert other.troubles == ["not_consistent"]
    assert [one.name.split("-")[0] for one in served.home.evidence()] == ["fork", "unproven"]
    hub.made.grow(1)
    assert hub.step() == 1


def test_a_log_or_key_the_witness_does_not_know(witness: Witness, asking: Ask) -> None:
    served = witness()
    url = served.serve()
    stranger = asking((url, served.key), name="other", origin="other.example")
    stranger.made.grow(1)
    stranger.step()
    assert stranger.troubles == ["log_not_known"]
    thief = asking((url, served.key), name="thief", key=SigningKey.generate())
    thief.made.grow(1)
    thief.step()
    assert thief.troubles == ["key_not_trusted"]


# -- witnesses that are away, slow or hostile -----------------------------------------------------


@contextmanager
def answering(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does whatever it likes with each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(10)
                try:
                    serve(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        thread.join()
        listener.close()


def saying(status: str, body: bytes, *headers: str) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 20)
        head = "".join(f"{one}\r\n" for one in (f"HTTP/1.1 {status}", *headers))
        length = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + length.encode() + body)

    return serve


def line_of(hub: Asking, cosigner: Cosigner = MALLORY, time: int = START) -> bytes:
    return str(cosigner.line(Note.parse(hub.made.newest).text, time)).encode()


SIZE = "Content-Type: text/x.tlog.size"


@pytest.mark.parametrize(
    ("status", "headers", "body", "trouble"),
    [
        ("200 OK", (), b"", "the answer is not a valid cosignature"),
        ("200 OK", (), b"\xff\xfe\n", "the answer is not a valid cosignature"),
        ("200 OK", (), b"stranger", "the answer has no cosignature of the witness"),
        ("200 OK", (), b"forged", "the answer is not a valid cosignature"),
        ("200 OK", (), b"future", "clock_ahead"),
        ("200 OK", (), b"timeless", "the cosignature says no time"),
        ("200 OK", (), b"x" * 100_000, "too_long"),
        ("409 Conflict", (SIZE,), b"0\n", "conflict_without_cause"),
        ("409 Conflict", (SIZE,), b"-1\n", "the size in the answer is not a number"),
        ("409 Conflict", (SIZE,), b"9" * 5_000, "the size in the answer is not a number"),
        ("409 Conflict", (SIZE,), b"99\n", "ahead_of_log"),
        ("409 Conflict", (), b"3\n", "conflict_without_size"),
        ("404 Not Found", (), b"", "log_not_known"),
        ("403 Forbidden", (), b"", "key_not_trusted"),
        ("422 Unprocessable", (), b"", "not_consistent"),
        ("302 Found", ("Location: http://127.0.0.1:1/",), b"", "status_302"),
        ("500 Oh", (), b"", "status_500"),
        ("200 OK", ("Content-Encoding: gzip",), b"\x1f\x8b", "the answer is not a valid"),
        ("nonsense", (), b"", "RemoteProtocolError"),
    ],
)
def test_whatever_it_answers(
    asking: Ask, status: str, headers: tuple[str, ...], body: bytes, trouble: str
) -> None:
    prepared: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        saying(status, prepared[0], *headers)(connection)

    with answering(serve) as url:
        hub = asking((url, MALLORY.verifier))
        hub.made.grow(5)
        stranger = Cosigner("stranger.example", SigningKey.generate())
        forged = Cosigner("mallory.example", SigningKey.generate()).line("other\n", START)
        forged = type(forged)(forged.name, MALLORY.verifier.id, forged.signature)
        prepared.append(
            {
                b"stranger": line_of(hub, stranger),
                b"forged": str(forged).encode(),
                b"future": line_of(hub, time=START + 301),
                b"timeless": line_of(hub, time=0),
            }.get(body, body)
        )
        before = hub.made.newest
        assert hub.step() == 0
        assert hub.troubles[0].startswith(trouble)
        assert hub.made.newest == before
        hub.made.grow(5)
        assert hub.made.checkpoints.size == 10, "the hub signs on"


def test_cosignatures_of_others_in_the_answer_are_left_out(asking: Ask) -> None:
    stranger = Cosigner("stranger.example", SigningKey.generate())
    prepared: list[bytes] = []
    with answering(lambda one: saying("200 OK", prepared[0])(one)) as url:
        hub = asking((url, MALLORY.verifier))
        hub.made.grow(5)
        prepared.append(line_of(hub, stranger) + line_of(hub))
        assert hub.step() == 1
        assert hub.cosigners() == ["mallory.example"]


def test_sizes_that_change_with_every_answer_end_after_three(asking: Ask) -> None:
    asked = []

    def serve(connection: socket.socket) -> None:
        asked.append(1)
        saying("409 Conflict", b"%d\n" % (len(asked) % 4 + 1), SIZE)(connection)

    with answering(serve) as url:
        hub = asking((url, MALLORY.verifier))
        hub.made.grow(9)
        assert hub.step() == 0
        assert (hub.troubles, len(asked)) == (["conflicts"], 3)


def drip(connection: socket.socket) -> None:
    """A byte now and then, for ever: no timeout between bytes would notice."""
    connection.recv(1 << 20)
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: a\r\n" * 1_000:
        connection.sendall(bytes((byte,)))
        time.sleep(0.05)


def silence(connection: socket.socket) -> None:
    connection.recv(1 << 20)
    time.sleep(1.5)


@pytest.mark.parametrize("serve", [drip, silence])
def test_slowness_ends(
    asking: Ask, monkeypatch: pytest.MonkeyPatch, serve: Callable[[socket.socket], None]
) -> None:
    monkeypatch.setattr("consumers.witnesses.ask", lambda url, body: asking_within(url, body))
    with answering(serve) as url:
        hub = asking((url, MALLORY.verifier))
        hub.made.grow(1)
        began = time.monotonic()
        assert hub.step() == 0
        assert time.monotonic() - began < 40
        assert hub.troubles == ["timeout"]


def asking_within(url: str, body: bytes) -> asking.Answer:
    return asking.ask(url, body, seconds=0.5)


def test_no_witness_stops_the_hubs_loops(asking: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it provokes in us; only the store's own failures do."""

    def fail(failure: Exception) -> Callable[..., None]:
        def ask(url: str, body: bytes) -> None:
            raise failure

        return ask

    hub = asking(("http://127.0.0.1:1", MALLORY.verifier))
    hub.made.grow(1)
    [line] = hub.witnesses.lines
    monkeypatch.setattr("consumers.witnesses.ask", fail(RuntimeError("unforeseen")))
    assert line.turn(0.0) == 0
    assert (line.trouble, line._try_at > hub.steady[0]) == ("failed", True)
    hub.steady[0] += 120
    monkeypatch.setattr("consumers.witnesses.ask", fail(StoreFailed("disk")))
    with pytest.raises(StoreFailed):
        line.turn(0.0)


def test_one_that_is_away_is_asked_ever_more_rarely(asking: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    hub = asking((f"http://127.0.0.1:{port}", MALLORY.verifier))
    hub.made.grow(1)
    tried = 0
    for _ in range(300):
        hub.steady[0] += 1
        before = hub.witnesses.lines[0]._try_at
        hub.witnesses.step()
        tried += hub.witnesses.lines[0]._try_at != before
    assert hub.troubles == ["ConnectError"]
    assert 8 <= tried <= 12


def test_two_hubs_at_once_on_one_origin_and_store(witness: Witness, asking: Ask) -> None:
    """Two processes of one hub ask the same witness: one history, no cosignature lost."""
    first, second = witness("one.example"), witness("two.example")
    told = ((first.serve(), first.key), (second.serve(), second.key))
    hubs = [asking(*told), asking(*told)]
    failures: list[BaseException] = []
    stop = threading.Event()

    def run(hub: Asking) -> None:
        try:
            while not stop.is_set():
                hub.step()
        except BaseException as wrong:
            failures.append(wrong)

    threads = [threading.Thread(target=run, args=(hub,)) for hub in hubs]
    for thread in threads:
        thread.start()
    for _ in range(20):
        hubs[0].made.grow(7)
        time.sleep(0.05)
    until(lambda: len(hubs[0].cosigners()) == 2 or failures)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(hubs[0].cosigners()) == ["one.example", "two.example"]
    assert not first.home.evidence()
    assert not second.home.evidence()


def test_two_hubs_with_one_key_and_two_histories(witness: Witness, asking: Ask) -> None:
    """Whichever comes first is cosigned for ever after, the other never."""
    served = witness()
    told = (served.serve(), served.key)
    hubs = [asking(told, name="a"), asking(told, name="b")]
    for number, hub in enumerate(hubs):
        hub.made.grow(10, number)
    barrier = threading.Barrier(2)

    def run(hub: Asking) -> None:
        barrier.wait()
        hub.step()

    threads = [threading.Thread(target=run, args=(hub,)) for hub in hubs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, hub in enumerate(hubs):
        hub.made.grow(10, number)
        hub.step()
    cosigned = [bool(hub.cosigners()) for hub in hubs]
    assert sorted(cosigned) == [False, True]
    loser = hubs[cosigned.index(False)]
    assert set(loser.troubles) <= DISAGREES
    assert any(one.name.startswith("fork") for one in served.home.evidence())


# -- settings -------------------------------------------------------------------------------------

GOOD = {"name": "Ministry", "url": "https://w.example/nrm/", "vkey": str(MALLORY.verifier)}


def test_settings() -> None:
    read = read_log({"public": True}, [GOOD])
    assert read.public
    [one] = read.witnesses
    assert (one.name, one.url, one.key) == ("Ministry", "https://w.example/nrm", MALLORY.verifier)
    assert read_log({}, []) == type(read)()


@pytest.mark.parametrize(
    ("log", "witnesses", "says"),
    [
        ({"publick": True}, [], r"\[log\]: the settings are public"),
        ({"public": "yes"}, [], "true or false"),
        ({}, ["text"], "number 1"),
        ({}, [{**GOOD, "quorum": 2}], "all three"),
        ({}, [{"name": "Ministry"}], "all three"),
        ({}, [{**GOOD, "name": "\n"}], "name has letters"),
        ({}, [{**GOOD, "url": "ftp://w.example"}], "url is the address"),
        ({}, [{**GOOD, "url": "https://w.example:port"}], "url is the address"),
        ({}, [{**GOOD, "url": 7}], "every setting is a text"),
        ({}, [{**GOOD, "vkey": "w+1+A"}], "vkey"),
        ({}, [{**GOOD, "vkey": str(VKEY)}], "not a witness's but a log's"),
        ({}, [GOOD, {**GOOD, "name": "Other", "url": "https://other.example"}], "vkey of its own"),
    ],
)
def test_wrong_settings_say_what_to_change(log: object, witnesses: list[object], says: str) -> None:
    with pytest.raises(NotReady, match=says):
        read_log(log, witnesses)  # type: ignore[arg-type]


def test_the_settings_on_the_page_are_valid() -> None:
    text = (Path(__file__).parents[2] / "docs" / "transparency.md").read_text("utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    document = tomllib.loads(example)
    read = read_log(document["log"], document["witnesses"])
    assert (read.public, len(read.witnesses)) == (True, 1)
