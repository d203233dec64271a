"""Why there is no TLS with a broker: the client says only that nobody answers, whatever the cause.

A certificate of another name, or one that nobody vouches for, is what somebody in between would
show: an operator has to read that, and not "is the broker running?".
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import Final

from hub.topics.kafka_settings import KafkaSettings

_SECONDS: Final = 3.0  # for a connection and its handshake


def certificate_refused(settings: KafkaSettings) -> str:
    """Why the certificate of one of the brokers named is refused; "" if none is, or none shown."""
    if not settings.security.endswith("ssl"):
        return ""
    for server in settings.servers:
        host, _, port = server.rpartition(":")
        host = host.strip("[]")
        with suppress(OSError, ValueError):
            try:
                context = ssl.create_default_context(cafile=settings.ca)
                with (
                    socket.create_connection((host, int(port)), _SECONDS) as plain,
                    context.wrap_socket(plain, server_hostname=host),
                ):
                    pass
            except ssl.SSLCertVerificationError as wrong:
                return f"{server}: {wrong.verify_message}"
    return ""
