"""An officer's key file: made once, readable by its owner alone, never sent anywhere.

    {"format": "nrm.officer-key.1", "name": "...", "private": base64}

What is sent is the request beside it. Whoever loses the file is revoked by another officer and
asks again with a new one.
"""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

from hub.authority.officers import NAME, OfficerKey, request
from hub.crypto.envelope import text
from hub.crypto.signing import SigningKey
from hub.errors import Refused

FORMAT = "nrm.officer-key.1"
MOST_BYTES = 4096


def create(name: str, path: Path) -> bytes:
    """Make the key file; returns the request to send. Raises Refused if there is a file already."""
    if not NAME.fullmatch(name):
        raise Refused(0, "bad_officer_name", "use 1 to 64 letters, digits, spaces and .@'-_")
    officer = OfficerKey(name, SigningKey.generate())
    body = json.dumps({"format": FORMAT, "name": name, "private": text(officer.key.private)})
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Refused(
            0, "key_file_exists", f"{path} is there already; a key is never overwritten"
        ) from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(body + "\n")
        file.flush()
        os.fsync(file.fileno())
    return request(officer)


def load(path: Path) -> OfficerKey:
    """The officer's key. Raises Refused with what to do; OSError if there is no such file."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refused(0, "bad_key_file", f"others may read {path}; run: chmod 600 {path}")
    wrong = Refused(0, "bad_key_file", f"{path} is not an officer's key file; see: officer create")
    content = path.read_bytes()
    if len(content) > MOST_BYTES:
        raise wrong
    try:
        document = json.loads(content)
        if document["format"] != FORMAT or not NAME.fullmatch(document["name"]):
            raise wrong
        private = base64.b64decode(document["private"], validate=True)
        return OfficerKey(document["name"], SigningKey.from_private(private))
    except (KeyError, TypeError, ValueError, RecursionError):
        raise wrong from None
