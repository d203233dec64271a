"""Mail: one exchange with a mail server, which may be slow, broken or hostile.

Always encrypted, its certificate verified; nothing goes out before. The whole exchange ends after
`SECONDS`, and of what the server says no more than `MOST_BYTES` are kept. `MailError` says what to
look at. It names the server's number and never its text, which may hold anything.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Final, Literal

from connectors.tls import certificate_remedy

SECONDS: Final = 60.0
MOST_BYTES: Final = 65_536
_FOR_NOW: Final = range(400, 500)


class MailError(Exception):
    """The mail did not go out: mend what it says, or wait."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails are handed in. user: None where it asks for none."""

    host: str
    port: int
    encryption: Literal["starttls", "tls"]
    trust: ssl.SSLContext = field(repr=False)
    user: str | None = None
    password: str = field(default="", repr=False)
    seconds: float = SECONDS

    def greet(self) -> None:
        """Be let in, and say nothing. MailError if it does not let us in."""
        with self._let_in() as connection:
            connection.noop()

    def send(self, message: EmailMessage, to: Sequence[str]) -> tuple[list[str], list[str]]:
        """Hand the mail in. Returns the addresses that were refused for now, and those for good;
        the others have it, if there are any."""
        with self._let_in() as connection:
            try:
                refused: dict[str, Any] = connection.send_message(message, to_addrs=list(to))
            except smtplib.SMTPRecipientsRefused as all_of_them:
                refused = all_of_them.recipients
        for_now = [one for one, (code, _) in refused.items() if code in _FOR_NOW]
        return for_now, [one for one in refused if one not in for_now]

    @contextmanager
    def _let_in(self) -> Iterator[smtplib.SMTP]:
        until = time.monotonic() + self.seconds
        connection: smtplib.SMTP | None = None
        try:
            if self.encryption == "tls":
                connection = _Encrypted(self.host, self.port, until, self.trust)
            else:
                connection = _Bounded(self.host, self.port, until)
                connection.starttls(context=self.trust)
            if self.user is not None:
                connection.login(self.user, self.password)
            yield connection
            with contextlib.suppress(OSError, smtplib.SMTPException):
                connection.quit()  # what was taken is taken, however it says goodbye
        except (OSError, smtplib.SMTPException) as failure:
            late = time.monotonic() >= until
            what = f"no whole answer within {self.seconds:g} seconds" if late else _said(failure)
            raise MailError(f"the mail server {self.host}:{self.port}: {what}") from None
        finally:
            if connection is not None:
                connection.close()


class _Lines:
    """What a server says, line by line, until a moment and so many bytes."""

    def __init__(self, line: socket.socket, until: float) -> None:
        self._line = line
        self._until = until
        self._rest = b""
        self._heard = 0

    def readline(self, most: int) -> bytes:
        while b"\n" not in self._rest and len(self._rest) < most:
            left = self._until - time.monotonic()
            if left <= 0 or self._heard > MOST_BYTES:
                raise OSError("too slow, or too much")
            self._line.settimeout(left)
            piece = self._line.recv(4096)
            self._heard += len(piece)
            if not piece:
                break
            self._rest += piece
        end = min(self._rest.find(b"\n") + 1 or len(self._rest), most)
        line, self._rest = self._rest[:end], self._rest[end:]
        return line

    def close(self) -> None:
        """The socket is its owner's."""


class _Bounded(smtplib.SMTP):
    """A connection of which every reply is bounded."""

    def __init__(self, host: str, port: int, until: float) -> None:
        self._until = until
        super().__init__(host, port, timeout=max(until - time.monotonic(), 0.1))

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            assert self.sock is not None
            self.file = _Lines(self.sock, self._until)
        return super().getreply()


class _Encrypted(_Bounded, smtplib.SMTP_SSL):
    """The same, encrypted from its first byte."""

    def __init__(self, host: str, port: int, until: float, trust: ssl.SSLContext) -> None:
        self._until = until
        smtplib.SMTP_SSL.__init__(
            self, host, port, timeout=max(until - time.monotonic(), 0.1), context=trust
        )


def _said(failure: Exception) -> str:
    if refused := certificate_remedy(failure):
        return refused
    for kind, what in _CAUSES:
        if isinstance(failure, kind):
            number = getattr(failure, "smtp_code", None)
            if number == -1:
                return "what answers there is no mail server: check host and port"
            return what if number is None else f"{what} (it answered {number})"
    return f"no connection: check host and port, and the network ({type(failure).__name__})"


_CAUSES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ssl.SSLError, "no TLS with it: check tls and port"),
    (smtplib.SMTPAuthenticationError, "it does not accept user and password"),
    (smtplib.SMTPNotSupportedError, "it offers no STARTTLS, or no login: check tls and port"),
    (
        smtplib.SMTPSenderRefused,
        "it does not accept the sender: check sender and user",
    ),
    (smtplib.SMTPRecipientsRefused, "it does not accept the addresses: check to"),
    (smtplib.SMTPDataError, "it does not take the mail: ask its operator"),
    (smtplib.SMTPConnectError, "it lets nobody in: ask its operator, and check port"),
    (smtplib.SMTPHeloError, "it lets nobody in: ask its operator, and check port"),
    (smtplib.SMTPResponseException, "it does not begin TLS, or refuses: ask its operator"),
    (smtplib.SMTPServerDisconnected, "it hung up, or says what no mail server says: check port"),
    (smtplib.SMTPException, "it says what no mail server says: check host and port"),
    (socket.gaierror, "its name is not known: check host"),
    (TimeoutError, "no answer in time"),
    (ConnectionRefusedError, "no connection: check host and port"),
)
