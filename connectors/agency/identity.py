"""Who this agency is: a directory with its keys and the hub it trusts.

    HOME/
      agency.toml        identifier, name, role
      signing.key        Ed25519, signs events and receipts            } 0600,
      sealing.key        opens what the hub sends                      } back them up
      salt.key           salts of disclosure trees, see below          } apart
      pending/           the next two keys while a rotation waits for the hub's approval
      retired/           earlier sealing keys: messages sealed to them may still be under way
      hub.toml           the pinned hub: id, signing keys, ingest key, topics (by `install`)

Promises: private keys never leave the directory and are never printed; every file is written
whole (to a temporary name, fsync, rename), so a crash leaves the old or the new one; the hub's
keys change only by a document that a pinned key has signed.

Salts come from `salt.key` and the event itself, not from a random source: the same event made
again, even after a crash, has the same bytes and so the same digest, and the hub answers as it
did before. Whoever does not hold `salt.key` cannot tell them from random.
"""

from __future__ import annotations

import base64
import os
import secrets
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from connectors.agency import enrolment
from connectors.agency.enrolment import Approval, HubKey
from connectors.errors import IdentityError, UntrustedError
from hub.crypto.sealing import SealingKey
from hub.crypto.signing import SigningKey


@dataclass(frozen=True)
class PinnedHub:
    """The hub as installed: what is verified against it, and where it is reached."""

    hub: str
    recipient: str
    ingest_key: bytes
    keys: Mapping[bytes, HubKey] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=dict)
    topics_url: str | None = None
    http_url: str | None = None
    position: int = 0  # of the approval it is from: how often the hub's register had changed


class AgencyIdentity:
    """One agency's keys and its pinned hub, read once from its directory."""

    def __init__(self, home: Path) -> None:
        """Read the directory. IdentityError names what is missing or damaged."""
        self.home = home.expanduser().resolve()
        document = _read_toml(self.home / "agency.toml", "make one with: nrm-hub agency init")
        try:
            self.agency = str(document["agency"])
            self.name = str(document["name"])
            self.role = str(document["role"])
        except KeyError as missing:
            raise IdentityError(f"{self.home / 'agency.toml'}: {missing} is missing") from None
        self.signing = SigningKey.from_private(self._secret("signing.key", 32))
        self.sealing = SealingKey.from_private(self._secret("sealing.key", 96))
        self.salt_secret = self._secret("salt.key", 32)
        self._hub = self._pinned() if (self.home / "hub.toml").exists() else None

    @classmethod
    def create(
        cls,
        home: Path,
        agency: str,
        name: str,
        role: str,
        *,
        randomness: Callable[[int], bytes] = secrets.token_bytes,
    ) -> AgencyIdentity:
        """Make the directory with fresh keys.

        IdentityError if it holds an identity already, or if no hub could take this one.
        """
        if not enrolment.AGENCY_ID.fullmatch(agency):
            raise IdentityError(
                f"{agency!r} is no id for an agency: use letters, digits, '.', '_' and '-', at "
                "most 64, a letter or digit first"
            )
        if not all(text and text.isprintable() and len(text) <= 500 for text in (name, role)):
            raise IdentityError("give name and role as one line each, of at most 500 characters")
        home = home.expanduser().resolve()
        if (home / "agency.toml").exists():
            raise IdentityError(
                f"{home} already holds an identity: choose another directory, or "
                "remove this one if no hub has approved it"
            )
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(home / "signing.key", SigningKey.generate(randomness).private)
        write_whole(home / "sealing.key", SealingKey.generate(randomness).private)
        write_whole(home / "salt.key", randomness(32))
        # Last: a directory without agency.toml is no identity, so a crash before leaves none.
        text = "".join(
            f"{key} = {_quoted(value)}\n"
            for key, value in (("agency", agency), ("name", name), ("role", role))
        )
        write_whole(home / "agency.toml", text.encode(), mode=0o644)
        return cls(home)

    @classmethod
    def load(cls, home: Path | str) -> AgencyIdentity:
        return cls(Path(home))

    @property
    def enrolled(self) -> bool:
        return self._hub is not None

    @property
    def hub(self) -> PinnedHub:
        """The pinned hub; IdentityError while there is none."""
        if self._hub is None:
            raise IdentityError(
                f"{self.home} is not enrolled: send the output of `nrm-hub agency request` to the "
                "hub's operator, then `nrm-hub agency install` the answer"
            )
        return self._hub

    @property
    def sealing_keys(self) -> dict[bytes, SealingKey]:
        """Every key a message may be sealed to, by key id: current, pending and retired."""
        keys = {self.sealing.key_id: self.sealing}
        for path in (self.home / "pending" / "sealing.key", *self.home.glob("retired/*.key")):
            if path.exists():
                key = SealingKey.from_private(path.read_bytes())
                keys[key.key_id] = key
        return keys

    def enrolment_request(self) -> bytes:
        """What to hand to the hub's operator: public keys only, proven to be ours."""
        return enrolment.request_for(
            self.agency,
            self.name,
            self.role,
            signing_key=self.signing,
            sealing_public=self.sealing.public,
        )

    def rotate(self, *, randomness: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
        """A request for two new keys, signed by the old and the new signing key.

        The new ones wait in pending/ until an approval that names them is installed. Called
        again before that, it gives the same request: a lost one can be sent again.
        """
        pending = self.home / "pending"
        if not (pending / "sealing.key").exists():
            pending.mkdir(exist_ok=True, mode=0o700)
            write_whole(pending / "signing.key", SigningKey.generate(randomness).private)
            write_whole(pending / "sealing.key", SealingKey.generate(randomness).private)
        signing = SigningKey.from_private((pending / "signing.key").read_bytes())
        sealing = SealingKey.from_private((pending / "sealing.key").read_bytes())
        return enrolment.request_for(
            self.agency,
            self.name,
            self.role,
            signing_key=signing,
            sealing_public=sealing.public,
            replaces=self.signing,
        )

    def install_approval(self, document: bytes, *, fingerprint: str | None = None) -> Approval:
        """Pin the hub, or renew what is pinned; finishes a rotation that the approval names.

        An approval older than what is installed is refused: it would put back keys and addresses.
        fingerprint: of the hub's signing key as its operator told it; checked on first install.
        """
        pinned = [key.public for key in self._hub.keys.values()] if self._hub else []
        approval = enrolment.verify_approval(document, pinned)
        if approval.agency != self.agency:
            raise UntrustedError(f"the approval is for {approval.agency}, this is {self.agency}")
        if self._hub is not None and approval.hub != self._hub.hub:
            raise UntrustedError(f"the approval is of another hub than {self._hub.hub}")
        if self._hub is not None and approval.position < self._hub.position:
            raise UntrustedError(
                f"the approval is older than what is installed (as of change {approval.position} "
                f"of the hub's register, not {self._hub.position}) and would undo it: ask the "
                "hub's operator for the newest. Was the hub put back to an older state, and its "
                f"operator says so, take the line `position` out of {self.home / 'hub.toml'} first"
            )
        told = (fingerprint or "").replace(" ", "").lower()
        if told and told != approval.fingerprint.replace(" ", ""):
            raise UntrustedError(
                f"the hub's key has fingerprint {approval.fingerprint}, not the one you were told: "
                "do not go on, ask the hub's operator"
            )
        self._adopt(approval)
        write_whole(self.home / "hub.toml", _hub_toml(approval).encode(), mode=0o644)
        self._hub = self._pinned()
        return approval

    def _adopt(self, approval: Approval) -> None:
        """Make the keys the approval names the current ones."""
        if approval.signing_key_id == self.signing.key_id:
            if approval.sealing_key_id == self.sealing.key_id:
                return
            raise UntrustedError("the approval names another sealing key than this directory holds")
        pending = self.home / "pending"
        try:
            signing = SigningKey.from_private((pending / "signing.key").read_bytes())
            sealing = SealingKey.from_private((pending / "sealing.key").read_bytes())
        except FileNotFoundError:
            raise UntrustedError("the approval names keys this directory does not hold") from None
        if (signing.key_id, sealing.key_id) != (approval.signing_key_id, approval.sealing_key_id):
            raise UntrustedError("the approval names keys this directory does not hold")
        retired = self.home / "retired"
        retired.mkdir(exist_ok=True, mode=0o700)
        write_whole(retired / f"sealing-{self.sealing.key_id.hex()}.key", self.sealing.private)
        # A crash between these leaves old signing with new sealing key, or pending files beside
        # the same current ones; installing the approval again finishes either.
        write_whole(self.home / "sealing.key", sealing.private)
        write_whole(self.home / "signing.key", signing.private)
        (pending / "sealing.key").unlink()  # first: rotate() looks for this one
        (pending / "signing.key").unlink()
        self.signing, self.sealing = signing, sealing

    def _secret(self, name: str, size: int) -> bytes:
        path = self.home / name
        try:
            secret = path.read_bytes()
        except FileNotFoundError:
            raise IdentityError(f"{path} is missing: restore it from your backup") from None
        if len(secret) != size:
            raise IdentityError(f"{path} is damaged ({len(secret)} bytes, not {size})")
        if path.stat().st_mode & 0o077:
            raise IdentityError(f"{path} can be read by others: chmod 600 {path}")
        return secret

    def _pinned(self) -> PinnedHub:
        path = self.home / "hub.toml"
        document = _read_toml(path, "install the hub's approval again")
        try:
            keys = [
                HubKey(
                    bytes.fromhex(entry["key_id"]),
                    base64.b64decode(entry["public"], validate=True),
                    entry["valid_from"],
                    entry.get("valid_to"),
                )
                for entry in document["hub_keys"]
            ]
            return PinnedHub(
                hub=document["hub"],
                recipient=document["recipient"],
                ingest_key=base64.b64decode(document["ingest_key"], validate=True),
                keys={key.key_id: key for key in keys},
                topics={name: document["topics"][name] for name in enrolment.TOPIC_NAMES},
                topics_url=document["topics"].get("url"),
                http_url=document.get("http"),
                position=int(document.get("position", 0)),  # not there in older files
            )
        except (KeyError, TypeError, ValueError) as wrong:
            raise IdentityError(
                f"{path} is damaged ({wrong}): install the approval again"
            ) from None

    def __repr__(self) -> str:
        return f"AgencyIdentity({self.agency}, {self.home})"


def _hub_toml(approval: Approval) -> str:
    lines = [
        "# The hub this agency trusts. Written by `nrm-hub agency install`; do not edit keys.",
        f"hub = {_quoted(approval.hub)}",
        f"recipient = {_quoted(approval.recipient)}",
        f"ingest_key = {_quoted(base64.b64encode(approval.ingest_key).decode())}",
        *([f"http = {_quoted(approval.http_url)}"] if approval.http_url else []),
        f"position = {approval.position}",
        "",
        "[topics]",
        *([f"url = {_quoted(approval.topics_url)}"] if approval.topics_url else []),
        *(f"{name} = {_quoted(approval.topics[name])}" for name in enrolment.TOPIC_NAMES),
    ]
    for key in approval.hub_keys:
        lines += [
            "",
            "[[hub_keys]]",
            f"key_id = {_quoted(key.key_id.hex())}",
            f"public = {_quoted(base64.b64encode(key.public).decode())}",
            f"valid_from = {key.valid_from}",
            *([f"valid_to = {key.valid_to}"] if key.valid_to is not None else []),
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped) + '"'
    )


def _read_toml(path: Path, remedy: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise IdentityError(f"{path} does not exist: {remedy}") from None
    except (ValueError, RecursionError) as wrong:  # not TOML, or not text at all
        raise IdentityError(f"{path} is damaged ({wrong}): {remedy}") from None


def for_its_owner(path: Path) -> None:
    """A file of ours that holds content is for its owner alone, also if it came back from a backup
    with another mode."""
    if path.exists() and path.stat().st_mode & 0o077:
        path.chmod(0o600)


def made_anew(path: Path, mode: int = 0o600) -> BinaryIO:
    """A new file of this name, to be written. Whatever lay there goes first: where others may write
    too, it may be a link of theirs to a file of ours, or a file that they read along in."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    return os.fdopen(handle, "wb")


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Whole or not at all, and on the disk when this returns."""
    temporary = path.with_name(path.name + ".new")
    with made_anew(temporary, mode) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
