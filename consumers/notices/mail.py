"""Notices by mail: a few lines with kinds and dates, in plain text, handed to one server over TLS.

The same notices tried again have the same Message-ID, by which mail programs drop what came twice.
"""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Final

from consumers.notices.notice import Notice, UndeliveredError
from consumers.notices.settings import MailServer, Receiver
from hub.clock import wall_clock

SECONDS: Final = 15.0


class Mails:
    """Sends to one receiver."""

    most = 50  # notices in one message

    def __init__(self, receiver: Receiver, server: MailServer, hub_id: str) -> None:
        self._receiver = receiver
        self._server = server
        self._hub_id = hub_id

    def send(self, notices: Sequence[Notice]) -> None:
        """Raises UndeliveredError, with a code, unless the server has taken it for everybody."""
        message = self._message(notices)
        server = self._server
        try:
            with self._connection() as connection:
                if server.tls == "starttls":
                    connection.starttls(context=self._context())
                if server.user:
                    connection.login(server.user, server.password)
                refused = connection.send_message(message)
        except (OSError, smtplib.SMTPException) as failure:
            raise UndeliveredError(type(failure).__name__) from None
        if refused:
            raise UndeliveredError("SMTPRecipientsRefused")

    def _connection(self) -> smtplib.SMTP:
        host, port = self._server.host, self._server.port
        if self._server.tls == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=self._context())
        return smtplib.SMTP(host, port, timeout=SECONDS)

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._server.ca or None)

    def _message(self, notices: Sequence[Notice]) -> EmailMessage:
        message = EmailMessage()
        count = "1 item" if len(notices) == 1 else f"{len(notices)} items"
        message["Subject"] = f"NRM Hub {self._hub_id}: {count} on the work list"
        message["From"] = self._server.sender
        message["To"] = ", ".join(self._receiver.mail)
        message["Date"] = wall_clock()
        ids = "\n".join(one.message_id for one in notices)
        digest = hashlib.sha256(ids.encode()).hexdigest()[:32]
        message["Message-ID"] = f"<{digest}@{self._server.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        lines = [one.line() for one in notices]
        lines += ["", "Look them up: nrm-hub work list, at an agency nrm-hub agency work."]
        message.set_content("\n".join(lines) + "\n")
        return message
