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
`notice_unsent` stands meanwhile. An address that is refused for now is tried again alone; one that
is refused for good is told by the alarm, and keeps nobody else's mails. What was told is kept in a
file; after a crash between sending and noting it, the same mail with the same Message-ID goes out
once more.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
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
from connectors.telling.mail import MailError, MailServer

_LAST: Final = 30.0  # seconds for a mail that is under way when the process ends
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
        password = settings.password.read(folder) if settings.password else ""
        ca = None if settings.ca_file is None else beside(folder, settings.ca_file)
        try:
            trust = ssl.create_default_context(cafile=None if ca is None else str(ca))
        except (OSError, ssl.SSLError):
            raise SettingsError(f"notice.ca_file: {ca} is no certificate file") from None
        self._server = MailServer(
            settings.host, settings.port, settings.tls, trust, settings.user, password
        )
        self._known: Told | None = None
        self._to = settings.to  # of the mail that is being sent: who does not have it yet
        self._thread: threading.Thread | None = None
        self._sent = False  # of the thread: whether everybody has it who ever will
        self._outcome = ""  # of the thread: what is wrong; "" for nothing
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
            self._thread.join(_LAST)
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
        self.trouble = self._outcome
        if self._sent:
            assert self._known is not None
            assert self._known.upto is not None
            since = now.isoformat(timespec="minutes")
            self._keep(Told(self._known.upto, since))
            self._not_before, self._pause, self._to = None, _PAUSE_FIRST, self._settings.to
            return
        self._not_before = datetime.fromtimestamp(now.timestamp() + self._pause, UTC)
        self._pause = min(self._pause * 2, _PAUSE_MOST)

    def _send(self, message: EmailMessage) -> None:
        """In a thread: a mail server may take its time."""
        self._sent, self._outcome = False, "the mail was not sent"
        try:
            for_now, for_good = self._server.send(message, self._to)
        except MailError as wrong:
            self._outcome = str(wrong)
            return
        refused = len(for_now) + len(for_good)
        self._outcome = ""
        if refused:
            where = f"{self._server.host}:{self._server.port}"
            again = ", for now: they are tried again" if for_now else ": correct to"
            self._outcome = f"the mail server {where} refuses {refused} of the addresses{again}"
        if refused < len(self._to) or self._to != self._settings.to:
            # Somebody has it, and does not get it again because somebody else has not.
            self._sent, self._to = not for_now, tuple(for_now)

    def check(self) -> list[Finding]:
        """Whether the mail server lets us in; no mail is sent."""
        try:
            self._server.greet()
        except MailError as wrong:
            return [Finding("wrong", "notice", str(wrong), "see docs/connect-email.md")]
        where = f"{self._server.host}:{self._server.port}"
        return [Finding("ok", "notice", f"the mail server {where} lets us in")]

    # -- mail ------------------------------------------------------------------------------

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
