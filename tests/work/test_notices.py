"""Notices: signed webhooks and mail to real receivers; at least once, and nothing personal."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from consumers.notices import Notices
from consumers.notices.settings import NoticeSettings, read_notices
from hub.errors import NotReady
from hub.home import Home
from hub.topics.local_ports import free_port
from tests.answering import Answer, Answering, Asked
from tests.work.office import ADULT, CHILD, Office, at

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw8UrCzdrhVYE="


class Desk:
    """A receiver of webhooks that answers as told."""

    def __init__(self) -> None:
        self.status = 204
        self._server = Answering(self._answer)
        self.url = self._server.url
        self.got = self._server.asked
        self.close = self._server.close

    def _answer(self, _asked: Asked) -> Answer:
        away = {"location": f"{self.url}/elsewhere"} if 300 <= self.status < 400 else {}
        return Answer(self.status, headers=away)

    def opened(self) -> list[dict[str, Any]]:
        """What came, each checked with the receiver's own library."""
        return [Webhook(SECRET).verify(asked.body, dict(asked.headers)) for asked in self.got]


@pytest.fixture
def receiver() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.close()


class Steady:
    """A steady clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def notices(desk: Office, settings: NoticeSettings, steady: Steady | None = None) -> Notices:
    return Notices(desk.hub.exchange, settings, "hub-1", steady or Steady())


def to(receiver: Desk, **who: Any) -> NoticeSettings:
    told = {"name": "desk", "webhook": f"{receiver.url}/nrm", "secret": SECRET, **who}
    return read_notices([told], {})


def offered(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"SH-1": ["health"]})
    desk.refer("C1", "SH-1", "r1", respond_by="2026-03-04T15:00:00Z")
    desk.attend()


# -- webhooks --------------------------------------------------------------------------------


def test_an_agency_is_sent_its_items_once_and_can_verify_them(desk: Office, receiver: Desk) -> None:
    offered(desk)
    sending = notices(desk, to(receiver, agency="SH-1"))
    assert sending.send() == 1
    assert sending.send() == 0
    [told] = receiver.opened()
    item = desk.item("referral_unanswered")
    assert told == {
        "type": "work.opened",
        "timestamp": "2026-03-02T09:00:00+00:00",
        "data": {
            "item": desk.hub.exchange.pseudonyms.pseudonym("SH-1", "work", item.item),
            "kind": "referral_unanswered",
            "urgency": "high",
            "due": "2026-03-04T15:00+00:00",
        },
    }
    [asked] = receiver.got
    assert asked.path == "/nrm"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(asked.body.replace(b"high", b"none"), dict(asked.headers))


def test_nothing_in_a_notice_names_case_person_or_agency(desk: Office, receiver: Desk) -> None:
    desk.identified("C1")
    desk.say("NGO-1", "CaseOpened", "C2", **CHILD)
    desk.say("NGO-1", "IdentityRecorded", "C2", given_name="Jane", date_of_birth="2008-05-20")
    desk.decided("C1", "negative")
    desk.until(at(2026, 3, 20))
    for agency in ("NGO-1", "CA-1"):
        notices(desk, to(receiver, name=agency, agency=agency, low=True)).send()
    notices(desk, to(receiver, name="aud", role="auditor", low=True)).send()
    assert len(receiver.got) >= 3
    names = desk.hub.exchange.pseudonyms
    text = repr(receiver.got)
    cases = [names.canonical("case", case) for case in ("C1", "C2")]
    for case in cases:
        assert case.hex not in text
        assert str(case) not in text
        assert names.pseudonym("NGO-1", "case", case) not in text
    for word in ("Jane", "2008-05", "NGO-1", "CA-1", "SH-1", '"C1"'):
        assert word not in text, word


def test_an_agency_is_sent_nothing_its_list_would_not_show(desk: Office, receiver: Desk) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"CA-1": ["identity"]})
    desk.refer("C1", "CA-1", "r-ca", respond_by="2026-03-05T09:00:00Z")
    desk.say("CA-1", "ReferralAccepted", "C1", referral_id="r-ca")
    desk.attend()
    sending = notices(desk, to(receiver, agency="NGO-1", low=True))
    sending.send()
    before = len(receiver.got)
    desk.decided("C1", "negative")
    desk.attend()
    assert sending.send() == 0
    assert len(receiver.got) == before
    assert notices(desk, to(receiver, name="x", agency="nobody")).send() == 0


def test_overdue_items_are_said_again_to_whom_they_escalate(desk: Office, receiver: Desk) -> None:
    desk.identified("C1")
    desk.attend()
    sending = notices(desk, to(receiver, role="auditor", kinds=["reasonable_grounds_due"]))
    assert sending.send() == 0
    desk.until(at(2026, 3, 10))
    assert sending.send() == 1
    [told] = receiver.opened()
    assert (told["type"], told["data"]["kind"]) == ("work.overdue", "reasonable_grounds_due")
    assert sending.send() == 0


def test_what_was_not_taken_is_sent_again_under_the_same_id(desk: Office, receiver: Desk) -> None:
    offered(desk)
    steady = Steady()
    sending = notices(desk, to(receiver, agency="SH-1"), steady)
    receiver.status = 503
    assert sending.send() == 0
    assert sending.send() == 0
    assert len(receiver.got) == 1, "not before its turn"
    steady.at = 5.0
    receiver.status = 200
    assert sending.send() == 1
    ids = {asked.headers["webhook-id"] for asked in receiver.got}
    assert len(ids) == 1
    desk.reopen()
    assert notices(desk, to(receiver, agency="SH-1")).send() == 0, "remembered"


def test_a_redirect_is_not_followed(desk: Office, receiver: Desk) -> None:
    offered(desk)
    receiver.status = 307
    assert notices(desk, to(receiver, agency="SH-1")).send() == 0
    assert [asked.path for asked in receiver.got] == ["/nrm"]


def test_an_unreachable_receiver_is_itself_on_the_list_and_keeps_nobody_waiting(
    desk: Office, receiver: Desk
) -> None:
    offered(desk)
    away = {"name": "away", "agency": "SH-1", "secret": SECRET}
    away["webhook"] = f"http://127.0.0.1:{free_port()}/"
    there = {"name": "there", "role": "operator", "secret": SECRET, "webhook": receiver.url}
    steady = Steady()
    sending = notices(desk, read_notices([away, there], {}), steady)
    for minute in range(16):
        steady.at = minute * 60.0
        sending.send()
        desk.attend()
    item = desk.item("notices_undelivered")
    assert (item.role, item.ref.partition("/")[0]) == ("operator", "away")
    steady.at = 16 * 60.0
    assert sending.send() >= 1
    assert [one["data"]["kind"] for one in receiver.opened()] == ["notices_undelivered"]


def test_a_receiver_that_is_back_is_off_the_list(desk: Office, receiver: Desk) -> None:
    offered(desk)
    receiver.status = 500
    steady = Steady()
    sending = notices(desk, to(receiver, agency="SH-1"), steady)
    for minute in range(20):
        steady.at = minute * 60.0
        sending.send()
        desk.attend()
    assert len(desk.items("notices_undelivered")) == 1
    tried = len(receiver.got)
    assert tried < 12, "ever more rarely"
    receiver.status = 200
    steady.at += 3_600
    assert sending.send() == 1
    desk.attend()
    assert not desk.items("notices_undelivered")


# -- mail ------------------------------------------------------------------------------------


class Mailbox:
    """What a mail server took."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.refuse = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse:
            return "451 later"
        self.taken.append(
            (envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default))
        )
        return "250 taken"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, and its key beside it."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem"


def login(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"hub", b"pw")
    return AuthResult(success=right)


@pytest.fixture
def mail_server(certificate: Path) -> Iterator[tuple[Mailbox, int]]:
    """A real SMTP server that takes nothing without TLS and a login."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    box = Mailbox()
    port = free_port()
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        authenticator=login,
        auth_required=True,
    )
    controller.start()
    yield box, port
    controller.stop()


def by_mail(port: int, certificate: Path, **changes: Any) -> NoticeSettings:
    server = {
        "host": "127.0.0.1",
        "port": port,
        "sender": "nrm@example.org",
        "user": "hub",
        "password": "pw",
        "ca": str(certificate),
        **changes,
    }
    receiver = {"name": "duty", "agency": "SH-1", "mail": ["duty@example.org", "b@example.org"]}
    return read_notices([receiver], server)


def test_mail_goes_out_over_tls_with_kinds_and_dates_only(
    desk: Office, mail_server: tuple[Mailbox, int], certificate: Path
) -> None:
    box, port = mail_server
    offered(desk)
    sending = notices(desk, by_mail(port, certificate))
    assert sending.send() == 1
    assert sending.send() == 0
    [(recipients, message)] = box.taken
    assert recipients == ["duty@example.org", "b@example.org"]
    assert message["subject"] == "NRM Hub hub-1: 1 item on the work list"
    text = message.get_content()
    assert "referral_unanswered" in text
    assert "due 2026-03-04T15:00+00:00" in text
    for word in ("C1", "NGO-1", "nc-", "r1"):
        assert word not in text


def test_mail_that_was_not_taken_is_sent_again_with_the_same_message_id(
    desk: Office, mail_server: tuple[Mailbox, int], certificate: Path
) -> None:
    box, port = mail_server
    offered(desk)
    box.refuse = True
    steady = Steady()
    sending = notices(desk, by_mail(port, certificate), steady)
    assert sending.send() == 0
    box.refuse = False
    steady.at = 5.0
    assert sending.send() == 1
    first = box.taken[0][1]["message-id"]
    other = notices(desk, read_notices([], {}))
    assert other.send() == 0
    assert first.endswith("@example.org>")


@pytest.mark.parametrize(
    "wrong", [{"password": "guess"}, {"ca": ""}, {"tls": "tls"}], ids=["login", "unknown CA", "tls"]
)
def test_mail_is_not_handed_to_a_server_that_cannot_be_trusted(
    desk: Office,
    mail_server: tuple[Mailbox, int],
    certificate: Path,
    wrong: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    box, port = mail_server
    monkeypatch.setattr("consumers.notices.mail.SECONDS", 1.0)  # this server hangs up late
    offered(desk)
    assert notices(desk, by_mail(port, certificate, **wrong)).send() == 0
    assert box.taken == []


# -- settings --------------------------------------------------------------------------------

GOOD = {"name": "desk", "role": "auditor", "webhook": "https://desk.example/", "secret": SECRET}
MAIL = {"host": "mail.example", "sender": "nrm@example.org"}


@pytest.mark.parametrize(
    ("receiver", "mail", "says"),
    [
        ({**GOOD, "name": ""}, {}, "name"),
        ({**GOOD, "agency": "SH-1"}, {}, "either role or agency"),
        ({**GOOD, "mail": ["a@b.example"]}, MAIL, "either webhook or mail"),
        ({**GOOD, "webhook": "http://desk.example/"}, {}, "https"),
        ({**GOOD, "webhook": "https://user@desk.example/"}, {}, "https"),
        ({**GOOD, "webhook": "https://[desk"}, {}, "address"),
        ({**GOOD, "webhook": "ftp://desk.example/"}, {}, "https"),
        ({**GOOD, "secret": "guess"}, {}, "secret"),
        ({**GOOD, "secret": "whsec_c2hvcnQ="}, {}, "24"),
        ({**GOOD, "low": "yes"}, {}, "low"),
        ({**GOOD, "kinds": ["no such kind"]}, {}, "docs/work.md"),
        ({**GOOD, "kinds": "recall_open"}, {}, "list"),
        ({**GOOD, "url": "https://desk.example/"}, {}, "no others"),
        ({"name": "d", "role": "auditor", "mail": ["a@b.example"]}, {}, r"\[mail\] is missing"),
        ({"name": "d", "role": "auditor", "mail": ["a b"]}, MAIL, "plain addresses"),
        (GOOD, {**MAIL, "tls": "no"}, "tls"),
        (GOOD, {**MAIL, "tls": "none"}, "only to this machine"),
        (GOOD, {**MAIL, "port": "25"}, "port"),
        (GOOD, {**MAIL, "user": "hub"}, "both user and password"),
        (GOOD, {**MAIL, "ca": "/no/such/file"}, "ca names no file"),
        (GOOD, {"host": "mail.example"}, "sender"),
        (GOOD, {"sender": "nrm@example.org"}, "host"),
        (GOOD, {**MAIL, "hostname": "x"}, "no others"),
    ],
)
def test_wrong_settings_say_what_to_change_and_no_secret(
    receiver: dict[str, Any], mail: dict[str, Any], says: str
) -> None:
    with pytest.raises(NotReady, match=says) as wrong:
        read_notices([receiver], mail)
    assert SECRET not in str(wrong.value)


def test_two_receivers_of_one_name_are_refused() -> None:
    with pytest.raises(NotReady, match="name of its own"):
        read_notices([GOOD, GOOD], {})


def test_settings_come_from_hub_toml_and_secrets_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    home.init()
    with (tmp_path / "hub.toml").open("a") as file:
        file.write(
            '\n[[notices]]\nname = "desk"\nrole = "auditor"\n'
            'webhook = "https://desk.example/"\nsecret = "${DESK_SECRET}"\n'
        )
    monkeypatch.setenv("DESK_SECRET", SECRET)
    settings = home.settings()
    [receiver] = read_notices(settings.notices, settings.mail).receivers
    assert receiver.secret == SECRET
    assert SECRET not in repr(receiver)
    assert json.dumps(receiver.name) == '"desk"'
