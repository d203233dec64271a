"""Notices: a mail that something has arrived, so that somebody looks. Beside any sink.

    [notice]
    to = ["desk@shelter.example"]
    sender = "nrm@shelter.example"
    host = "mail.shelter.example"
    look = "the case system, under NRM"

A mail says how many deliveries arrived since when, and where to look: no case, no event, no type,
for a type can tell what happened to somebody. It goes out at the turn of an interval, so that
its time does not tell when something was released. It acknowledges nothing and holds nothing, so a
recall has nothing to do here; there is no sink that only sends mail, because its receipts would
say that content arrived where it did not.

A mail server that is away never keeps a delivery: the mail is tried again, and the alarm
`notice_unsent` stands meanwhile. What was told is kept in a file; after a crash between sending
and noting it, the same mail with the same Message-ID goes out once more.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import smtplib
import ssl
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connectors.agency.identity import write_whole
from connectors.errors import SettingsError
from connectors.findings import Finding
from connectors.given import beside
from connectors.secret import Secret

SECONDS: Final = 15.0  # for connecting, and between two bytes
_PAUSE_FIRST: Final = 60.0
_PAUSE_MOST: Final = 3600.0
_ADDRESS: Final = re.compile(r"[^\s@,;<>\"]{1,64}@[^\s@,;<>\"]{1,255}")


class NoticeSettings(BaseModel):
    """Whom to tell that something arrived."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    to: tuple[str, ...] = Field(min_length=1, max_length=20)
    """Addresses of those who look."""

    sender: str
    """The address mails come from."""

    host: str
    """The mail server."""

    port: int = Field(default=587, ge=1, le=65535)
    """Its port."""

    tls: Literal["starttls", "tls"] = "starttls"
    """How the connection is encrypted; it always is, and the certificate is verified."""

    ca_file: Path | None = None
    """The authority of its certificate, where it is not a public one."""

    user: str | None = None
    """Whom to log in as, if the server asks."""

    password: Secret | None = None
    """With which password."""

    look: str = Field(default="", max_length=200)
    """Where to look, in your words; stands in the mail."""

    every_minutes: int = Field(default=15, ge=5, le=10_080)
    """Mails go out at the turn of this interval, one at most."""

    count: bool = True
    """Whether a mail says how many; left out, only that there are some."""

    state: Path = Path("notice.state.json")
    """What was told already."""

    @field_validator("to", "sender")
    @classmethod
    def addressed(cls, given: tuple[str, ...] | str) -> tuple[str, ...] | str:
        for one in (given,) if isinstance(given, str) else given:
            if not _ADDRESS.fullmatch(one):
                raise ValueError("give plain addresses: name@host")
        return given

    @field_validator("look")
    @classmethod
    def one_line(cls, look: str) -> str:
        if not look.isprintable():
            raise ValueError("give one line")
        return look

    @model_validator(mode="after")
    def both(self) -> NoticeSettings:
        if (self.user is None) != (self.password is None):
            raise ValueError("give user and password, or neither")
        return self


@dataclass(frozen=True, slots=True)
class Told:
    """What the file keeps. told: last sequence that a mail has told; since: when that was.

    slot: the interval in which something new was first seen, while a mail is still to come.
    upto: the last sequence told by the mail that is being sent, until it is.
    """

    told: int
    since: str
    slot: int | None = None
    upto: int | None = None


class Notices:
    """Tells by mail what arrived. look() is cheap and never waits."""

    def __init__(
        self,
        settings: NoticeSettings,
        agency: str,
        hub: str,
        folder: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """folder: what paths are relative to. SettingsError if a file is unusable."""
        self._settings = settings
        self._whose = f"{agency}\n{hub}"
        self._clock = clock
        self._path = beside(folder, settings.state)
        self._password = settings.password.read(folder) if settings.password else ""
        ca = None if settings.ca_file is None else beside(folder, settings.ca_file)
        try:
            self._tls = ssl.create_default_context(cafile=None if ca is None else str(ca))
        except (OSError, ssl.SSLError):
            raise SettingsError(f"notice.ca_file: {ca} is no certificate file") from None
        self._known: Told | None = None
        self._thread: threading.Thread | None = None
        self._outcome: str | None = None  # of the thread: "" for sent, else what is wrong
        self._pause = _PAUSE_FIRST
        self._not_before: datetime | None = None
        self.trouble = ""

    def look(self, sequence: int) -> None:
        """sequence: of the last delivery applied. Starts a mail if one is due; `trouble` says what
        keeps it from going out."""
        now = self._clock()
        try:
            self._look(sequence, now)
        except OSError as wrong:
            self.trouble = f"{self._path} cannot be written ({wrong.strerror})"

    def close(self) -> None:
        """Before the process ends: what is being sent is sent or not, and noted."""
        if self._thread is not None:
            self._thread.join(2 * SECONDS)
            with contextlib.suppress(OSError):
                self._collect(self._clock())

    def _look(self, sequence: int, now: datetime) -> None:
        self._collect(now)
        known = self._known or self._read()
        if known is None:  # from here on: what arrived before was not asked for
            known = self._keep(Told(sequence, now.isoformat(timespec="minutes")))
        self._known = known
        if self._thread is not None or (self._not_before and now < self._not_before):
            return
        slot = int(now.timestamp() // (60 * self._settings.every_minutes))
        if known.upto is None:
            if sequence <= known.told:
                return
            if known.slot is None:
                known = self._keep(replace(known, slot=slot))
            if slot <= (known.slot or 0):
                return
            known = self._keep(replace(known, upto=sequence))
        message = self._message(known)
        self._thread = threading.Thread(target=self._send, args=(message,), daemon=True)
        self._thread.start()

    def _collect(self, now: datetime) -> None:
        """What became of the mail that was being sent."""
        if self._thread is None or self._thread.is_alive():
            return
        self._thread = None
        if self._outcome == "":
            assert self._known is not None
            assert self._known.upto is not None
            since = now.isoformat(timespec="minutes")
            self._keep(Told(self._known.upto, since))
            self.trouble, self._not_before, self._pause = "", None, _PAUSE_FIRST
            return
        self.trouble = self._outcome or "the mail was not sent"
        self._not_before = datetime.fromtimestamp(now.timestamp() + self._pause, UTC)
        self._pause = min(self._pause * 2, _PAUSE_MOST)

    def _send(self, message: EmailMessage) -> None:
        """In a thread: a mail server may take its time."""
        self._outcome = None
        try:
            with self._connected() as connection:
                refused = connection.send_message(message)
            self._outcome = "some of the addresses were refused" if refused else ""
        except (OSError, smtplib.SMTPException) as failure:
            self._outcome = self._said(failure)

    def check(self) -> list[Finding]:
        """Whether the mail server lets us in; no mail is sent."""
        try:
            with self._connected() as connection:
                connection.noop()
        except (OSError, smtplib.SMTPException) as failure:
            text = self._said(failure)
            return [Finding("wrong", "notice", text, "see docs/connect-email.md")]
        return [Finding("ok", "notice", f"the mail server {self._where} lets us in")]

    # -- mail ------------------------------------------------------------------------------

    @property
    def _where(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        if settings.tls == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=SECONDS, context=self._tls
            )
        else:
            connection = smtplib.SMTP(settings.host, settings.port, timeout=SECONDS)
        try:
            if settings.tls == "starttls":
                connection.starttls(context=self._tls)
            if settings.user is not None:
                connection.login(settings.user, self._password)
        except BaseException:
            connection.close()
            raise
        return connection

    def _said(self, failure: Exception) -> str:
        """What to look at; a server's own text may say anything."""
        for kind, what in _CAUSES:
            if isinstance(failure, kind):
                return f"the mail server {self._where}: {what}"
        return f"the mail server {self._where}: {type(failure).__name__}"

    def _message(self, known: Told) -> EmailMessage:
        """The same for the same deliveries, whenever it is made."""
        assert known.upto is not None
        number, what = known.upto - known.told, "New deliveries have"
        if self._settings.count:
            what = f"{number} new deliveries have" if number > 1 else "1 new delivery has"
        since = known.since.replace("T", " ").replace("+00:00", " UTC")
        lines = [f"{what} arrived since {since}."]
        if self._settings.look:
            lines.append(f"Look here: {self._settings.look}")
        lines += ["", "This mail says nothing of what they are about, on purpose."]
        message = EmailMessage()
        message["Subject"] = "New deliveries"
        message["From"] = self._settings.sender
        message["To"] = ", ".join(self._settings.to)
        message["Date"] = self._clock()
        told = f"{self._whose}\n{known.told}\n{known.upto}"
        digest = hashlib.sha256(told.encode()).hexdigest()[:32]
        message["Message-ID"] = f"<{digest}@{self._settings.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content("\n".join(lines) + "\n")
        return message

    # -- what was told ---------------------------------------------------------------------

    def _read(self) -> Told | None:
        try:
            return _told(json.loads(self._path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, RecursionError):
            raise SettingsError(
                f"{self._path} is damaged: remove it; mails then begin with what comes next"
            ) from None

    def _keep(self, told: Told) -> Told:
        write_whole(self._path, json.dumps(asdict(told)).encode())
        self._known = told
        return told


def _told(kept: Any) -> Told:
    """TypeError if the file says something else."""
    found = Told(**kept)
    numbers = (found.told, *(one for one in (found.slot, found.upto) if one is not None))
    if not isinstance(found.since, str) or any(type(one) is not int for one in numbers):
        raise TypeError
    return found


_CAUSES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ssl.SSLCertVerificationError, "its certificate is refused: set ca_file to its authority"),
    (ssl.SSLError, "no TLS with it: check tls and port"),
    (smtplib.SMTPAuthenticationError, "it does not accept user and password"),
    (smtplib.SMTPNotSupportedError, "it offers no STARTTLS, or no login: check tls and port"),
    (smtplib.SMTPSenderRefused, "it does not accept the sender"),
    (smtplib.SMTPRecipientsRefused, "it does not accept the addresses"),
    (TimeoutError, "no answer in time"),
    (ConnectionRefusedError, "no connection: check host and port"),
)
