"""Notices: a person is told that something arrived, and nothing of what; over real SMTP."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from pydantic import ValidationError

from connectors.agency.inbox import TopicInbox
from connectors.checks import look
from connectors.errors import SettingsError
from connectors.pace import Pace
from connectors.runner import Runner
from connectors.settings import load_settings, open_notices
from connectors.telling.mail import MailError, MailServer
from connectors.telling.notice import Notices, NoticeSettings
from hub.topics.local_ports import free_port
from tests.connectors.builder import identity_recorded
from tests.connectors.remote.receiver import Receiver
from tests.connectors.site import Site

START = datetime(2026, 11, 24, 9, 1, tzinfo=UTC)
PERSON = "Amina-Canary"


class Mails:
    """A mail server with STARTTLS that asks for a password."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.certificate = certificate
        self._key = key
        self.got: list[EmailMessage] = []
        self.to: list[list[str]] = []
        self.refuse = False
        self.refused: dict[str, str] = {}
        self._controller: Controller | None = None
        self.port = free_port()

    def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self._key)
        mails = self

        class Handler:
            async def handle_RCPT(
                self, server: Any, session: Any, envelope: Any, address: str, options: Any
            ) -> str:
                if address not in mails.refused:
                    envelope.rcpt_tos.append(address)
                return mails.refused.get(address, "250 OK")

            async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
                if mails.refuse:
                    return "451 try later"
                parsed = message_from_bytes(envelope.content, policy=policy.default)
                assert isinstance(parsed, EmailMessage)
                mails.got.append(parsed)
                mails.to.append(envelope.rcpt_tos)
                return "250 OK"

        def known(
            server: Any, session: Any, envelope: Any, mechanism: str, data: Any
        ) -> AuthResult:
            assert isinstance(data, LoginPassword)
            good = (data.login, data.password) == (b"nrm", b"s3cret")
            return AuthResult(success=good, handled=False)

        self._controller = Controller(
            Handler(),
            hostname="localhost",
            port=self.port,
            tls_context=context,
            require_starttls=True,
            authenticator=known,
            auth_required=True,
        )
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Receiver:
    """Only for its certificate of `localhost`."""
    return Receiver(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def mails(certificate: Receiver) -> Iterator[Mails]:
    made = Mails(certificate.ca, certificate.home / "receiver.key")
    made.start()
    yield made
    made.stop()


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_minutes(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def settings(mails: Mails, **more: Any) -> NoticeSettings:
    return NoticeSettings.model_validate(
        {
            "to": ["desk@shelter.example"],
            "sender": "nrm@shelter.example",
            "host": "localhost",
            "port": mails.port,
            "ca_file": mails.certificate,
            "user": "nrm",
            "password": "s3cret",
            "look": "the case system, under NRM",
            **more,
        }
    )


def notices(mails: Mails, home: Path, clock: Clock, **more: Any) -> Notices:
    return Notices(settings(mails, **more), "SH-1", "test-hub", home, clock=clock)


def looked(one: Notices, sequence: int) -> None:
    """A look, and what it started is over and noted."""
    one.look(sequence)
    one.close()


def text(message: EmailMessage) -> str:
    return str(message.get_content()).replace("\r\n", "\n")


def test_a_mail_at_the_turn_of_the_interval(mails: Mails, tmp_path: Path, clock: Clock) -> None:
    one = notices(mails, tmp_path, clock)
    looked(one, 40)
    clock.pass_minutes(30)
    looked(one, 40)
    assert mails.got == [], "what was there before was not asked for"
    looked(one, 43)
    looked(one, 43)
    assert mails.got == [], "the interval has not turned"
    clock.pass_minutes(15)
    looked(one, 44)
    [mail] = mails.got
    assert mail["To"] == "desk@shelter.example"
    assert mail["Subject"] == "New deliveries"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert text(mail) == (
        "4 new deliveries have arrived since 2026-11-24 09:01 UTC.\n"
        "Look here: the case system, under NRM\n\n"
        "This mail says nothing of what they are about, on purpose.\n"
    )
    clock.pass_minutes(60)
    looked(one, 44)
    assert len(mails.got) == 1, "nothing new, no mail"


def test_at_most_one_in_an_interval(mails: Mails, tmp_path: Path, clock: Clock) -> None:
    one = notices(mails, tmp_path, clock)
    looked(one, 0)
    for minute in range(60):
        looked(one, minute)
        clock.pass_minutes(1)
    assert len(mails.got) == 4
    assert "1 new delivery has" not in "".join(map(text, mails.got))


def test_without_a_count(mails: Mails, tmp_path: Path, clock: Clock) -> None:
    one = notices(mails, tmp_path, clock, count=False, look="")
    looked(one, 0)
    looked(one, 7)
    clock.pass_minutes(15)
    looked(one, 7)
    assert text(mails.got[0]).startswith("New deliveries have arrived since")
    assert "7" not in text(mails.got[0]).replace("2026-11-24 09:01", "")


def test_what_was_told_is_kept_over_a_restart(mails: Mails, tmp_path: Path, clock: Clock) -> None:
    looked(notices(mails, tmp_path, clock), 10)
    looked(notices(mails, tmp_path, clock), 12)
    clock.pass_minutes(16)
    looked(notices(mails, tmp_path, clock), 12)
    looked(notices(mails, tmp_path, clock), 12)
    clock.pass_minutes(16)
    looked(notices(mails, tmp_path, clock), 12)
    assert len(mails.got) == 1
    assert "2 new deliveries" in text(mails.got[0])


def test_one_that_may_be_sent_already_is_the_same_mail(
    mails: Mails, tmp_path: Path, clock: Clock
) -> None:
    """Killed after sending, before noting it: a mail program sees one message."""
    looked(notices(mails, tmp_path, clock), 0)
    looked(notices(mails, tmp_path, clock), 3)
    clock.pass_minutes(15)
    killed = notices(mails, tmp_path, clock)
    killed.look(3)
    assert killed._thread is not None
    killed._thread.join(10)
    clock.pass_minutes(40)
    looked(notices(mails, tmp_path, clock), 9)
    first, second = mails.got
    assert first["Message-ID"] == second["Message-ID"]
    assert text(first) == text(second)
    looked(notices(mails, tmp_path, clock), 9)
    clock.pass_minutes(15)
    looked(notices(mails, tmp_path, clock), 9)
    assert "6 new deliveries" in text(mails.got[2])


def test_a_server_that_is_away_is_tried_again(mails: Mails, tmp_path: Path, clock: Clock) -> None:
    one = notices(mails, tmp_path, clock)
    looked(one, 0)
    looked(one, 1)
    mails.stop()
    clock.pass_minutes(15)
    looked(one, 1)
    assert "no connection" in one.trouble
    looked(one, 1)
    mails.start()
    looked(one, 1)
    assert mails.got == [], "a pause comes first"
    clock.pass_minutes(2)
    mails.refuse = True
    looked(one, 1)
    assert "does not take the mail: ask its operator (it answered 451)" in one.trouble
    mails.refuse = False
    clock.pass_minutes(3)
    looked(one, 1)
    assert len(mails.got) == 1
    assert one.trouble == ""


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ca_file": None}, "certificate is refused"),
        ({"password": "other"}, "does not accept user and password"),
        ({"tls": "tls"}, "no TLS with it"),
        ({"host": "127.0.0.1"}, "certificate is refused"),
    ],
)
def test_what_is_wrong_is_said(
    mails: Mails, tmp_path: Path, clock: Clock, wrong: dict[str, Any], words: str
) -> None:
    one = notices(mails, tmp_path, clock, **wrong)
    [finding] = one.check()
    assert finding.level == "wrong"
    assert words in finding.text
    assert "s3cret" not in finding.text
    assert mails.got == []


def test_who_has_a_mail_does_not_get_it_again_for_others(
    mails: Mails, tmp_path: Path, clock: Clock
) -> None:
    """One address is tried again alone, one is given up; later mails go to everybody."""
    one = notices(mails, tmp_path, clock, to=["desk@s.example", "late@s.example", "left@s.example"])
    mails.refused = {"late@s.example": "450 later", "left@s.example": "550 no such user"}
    looked(one, 0)
    looked(one, 1)
    clock.pass_minutes(15)
    looked(one, 1)
    assert "refuses 2 of the addresses, for now" in one.trouble
    del mails.refused["late@s.example"]
    clock.pass_minutes(2)
    looked(one, 1)
    assert one.trouble == ""
    looked(one, 2)
    clock.pass_minutes(15)
    looked(one, 2)
    assert mails.to == [
        ["desk@s.example"],
        ["late@s.example"],
        ["desk@s.example", "late@s.example"],
    ]
    assert "refuses 1 of the addresses: correct to" in one.trouble


def endless(line: socket.socket) -> None:
    for _ in range(1000):
        line.sendall(b"220-" + b"x" * 8000 + b"\r\n")


def drop_by_drop(line: socket.socket) -> None:
    for _ in range(1000):
        line.sendall(b"2")
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (endless, "says what no mail server says"),
        (drop_by_drop, r"no whole answer within 0\.5 seconds"),
        (lambda line: line.sendall(b"421 Jane Doe\r\n"), r"lets nobody in.*\(it answered 421\)"),
        (lambda line: line.sendall(b"\x16\x03\x01what\r\n"), "no mail server: check host and port"),
    ],
    ids=["endless", "drop by drop", "busy", "something else"],
)
def test_a_server_that_misbehaves(said: Callable[[socket.socket], None], words: str) -> None:
    """It is given up, little of it is kept and nothing repeated."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with listener.accept()[0] as line, contextlib.suppress(OSError):
            said(line)

    thread = threading.Thread(target=answer)
    thread.start()
    trust = ssl.create_default_context()
    seconds = 0.5 if said is drop_by_drop else 60.0
    port = listener.getsockname()[1]
    server = MailServer("127.0.0.1", port, "starttls", trust, seconds=seconds)
    with pytest.raises(MailError, match=words) as wrong:
        server.greet()
    assert "Jane" not in str(wrong.value)
    thread.join(30)
    listener.close()


def test_check_sends_nothing(mails: Mails, tmp_path: Path, clock: Clock) -> None:
    assert [f.level for f in notices(mails, tmp_path, clock).check()] == ["ok"]
    assert mails.got == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": []},
        {"to": ["desk"]},
        {"to": ["a@b\nBcc: c@d"]},
        {"sender": "x"},
        {"look": "a\nb"},
        {"every_minutes": 1},
        {"password": None},
        {"tls": "none"},
    ],
)
def test_settings_that_are_none(wrong: dict[str, Any]) -> None:
    given = {"to": ["a@b.c"], "sender": "d@e.f", "host": "h", "user": "u", "password": "p"}
    with pytest.raises(ValidationError):
        NoticeSettings.model_validate({**given, **wrong})


def test_a_state_file_that_is_damaged(mails: Mails, tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "notice.state.json").write_text("{")
    with pytest.raises(SettingsError, match="remove it"):
        notices(mails, tmp_path, clock).look(1)


# -- beside a sink -------------------------------------------------------------------------


def running(site: Site, told: Notices) -> Runner:
    return Runner(
        TopicInbox(site.new_topics(), site.identity),
        site.new_sink(),
        site.identity,
        pace=Pace(poll=0.01),
        on_alarm=lambda alarm, raised: site.alarms.append((alarm.reason, raised)),
        notices=told,
    )


def test_the_first_deliveries_are_told_and_nothing_of_them(
    site: Site, mails: Mails, tmp_path: Path, clock: Clock
) -> None:
    [event] = site.hub.stated(site.shelter, identity_recorded(given_name=PERSON))
    site.deliver(site.hub.release("POL-1", event, {"identity": "consent:c1"}))
    told = notices(mails, tmp_path, clock)
    runner = running(site, told)
    runner.run_once()
    runner.run_once()
    clock.pass_minutes(15)
    runner.run_once()
    told.close()
    [mail] = mails.got
    assert text(mail).startswith("1 new delivery has arrived")
    for word in (PERSON, "identity", "IdentityRecorded", "nc-", "ns-", "SH-1", "consent"):
        assert word.encode() not in mail.as_bytes()
        assert word not in (tmp_path / "notice.state.json").read_text()


def test_no_mail_server_holds_up_no_delivery(
    site: Site, mails: Mails, tmp_path: Path, clock: Clock
) -> None:
    mails.stop()
    told = notices(mails, tmp_path, clock)
    runner = running(site, told)
    for count, event in enumerate(site.events(3), 1):
        site.deliver(site.release(event))
        assert runner.run_once().applied == 1
        runner.run_once()
        told.close()
        clock.pass_minutes(16)
        assert site.sequences() == list(range(1, count + 1))
    assert ("notice_unsent", True) in site.alarms
    assert len(site.receipts()) == 3
    mails.start()
    clock.pass_minutes(120)
    for _ in range(3):
        runner.run_once()
        told.close()
    assert ("notice_unsent", False) in site.alarms
    assert len(mails.got) >= 1


def test_from_settings(site: Site, tmp_path: Path) -> None:
    text = f'home = "{site.identity.home}"\n[sink]\nurl = "sqlite:///p.db"\n'
    path = tmp_path / "partner.toml"
    path.write_text(text)
    assert open_notices(load_settings(path), site.identity) is None
    path.write_text(text + '[notice]\nto = ["a@b.c"]\nsender = "d@e.f"\nhost = "h"\n')
    made = open_notices(load_settings(path), site.identity)
    assert made is not None
    made.look(0)
    assert json.loads((tmp_path / "notice.state.json").read_text())["told"] == 0


def test_connector_check_asks_the_mail_server(site: Site, mails: Mails, tmp_path: Path) -> None:
    """Without it deliveries flow: what is wrong with it is a warning."""
    path = tmp_path / "partner.toml"
    path.write_text(
        f'home = "{site.identity.home}"\n[sink]\nurl = "sqlite:///p.db"\n'
        f'[notice]\nto = ["a@b.c"]\nsender = "d@e.f"\nhost = "localhost"\nport = {mails.port}\n'
        f'ca_file = "{mails.certificate}"\nuser = "nrm"\npassword = "s3cret"\n'
    )

    def asked() -> list[str]:
        return [one.level for one in look(path, datetime.now(UTC)) if one.subject == "notice"]

    assert asked() == ["ok"]
    mails.stop()
    assert asked() == ["warning"]
    path.write_text(path.read_text().replace(str(mails.certificate), "none.pem"))
    assert asked() == ["wrong"], "a connector would not start with it"
    assert mails.got == []
