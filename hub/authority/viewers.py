"""Viewers: who may open the console, as what, how they sign in, and what officers sign for it.

A grant counts only when two officers signed it (docs/console.md). It names one person, one role
and one way to sign in: an account at an OpenID provider, by issuer and subject, or a passkey that
the person registers with a one-time code. Each officer makes one half of that code and the log
keeps their hashes, so neither officer, and no operator, can register a passkey in the person's
place. Any one officer revokes.

Statements are documents of `hub/crypto/envelope.py` and stay in the log as signed. `base` is the
position of the person's last grant or revocation, so that no signature can be used a second time.

    proposal    format, hub, viewer, role, agency, how, issuer, subject, code, base, by
    approval    the same, with the second half of the code (code_2), proposed_by, by
    revocation  format, hub, viewer, granted, reason, by

Pure: recorded events in, values out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from hub.authority.officers import NAME, OfficerKey
from hub.crypto import envelope
from hub.errors import Refused
from hub.store import events as stored
from hub.store.events import StoreEvent

Role = Literal["auditor", "operator", "agency_officer", "rapporteur"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
OIDC, PASSKEY = "oidc", "passkey"

PROPOSAL: Final = "application/vnd.nrm.viewer-proposal.v1+json"
APPROVAL: Final = "application/vnd.nrm.viewer-approval.v1+json"
REVOCATION: Final = "application/vnd.nrm.viewer-revocation.v1+json"

CODE_LIFE: Final = timedelta(days=7)
"""From the approval on: a code not used by then is worth nothing."""
ALPHABET: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # no 0 and O, 1, I and L
HALF: Final = 16  # letters of half a code: 79 bits, beyond guessing from the hash
OPEN, STANDING, REVOKED, STALE = "open", "stands", "revoked", "stale"

TOPICS: Final = frozenset(
    one.TOPIC
    for one in (
        stored.ViewerProposed,
        stored.ViewerGranted,
        stored.ViewerRevoked,
        stored.ViewerPasskeyAdded,
    )
)


@dataclass(frozen=True, slots=True)
class Grant:
    """Who, as what, and how they sign in. issuer and subject for oidc only."""

    viewer: str
    role: Role
    agency: str
    how: str
    issuer: str = ""
    subject: str = ""

    def check(self) -> None:
        """Raises Refused, with what to change."""
        if not NAME.fullmatch(self.viewer) or unicodedata.normalize("NFKC", self.viewer) != (
            self.viewer
        ):
            raise Refused(0, "bad_viewer_name", "use 1 to 64 letters, digits, spaces and .@'-_")
        if self.role not in ROLES:
            raise Refused(0, "bad_role", f"a role is one of {', '.join(ROLES)}")
        if (self.role == "agency_officer") != bool(self.agency):
            raise Refused(
                0, "agency_needed", "an agency officer needs --agency, and nobody else has one"
            )
        if self.how not in (OIDC, PASSKEY):
            raise Refused(0, "bad_sign_in", "give --issuer and --subject, or --passkey")
        told = (bool(self.issuer), bool(self.subject))
        if told != ((True, True) if self.how == OIDC else (False, False)):
            raise Refused(0, "bad_sign_in", "give both --issuer and --subject, or --passkey alone")
        if self.how == OIDC:
            parts = urlsplit(self.issuer)
            if parts.scheme not in ("https", "http") or not parts.netloc or parts.query:
                raise Refused(0, "bad_sign_in", "--issuer is the provider's URL, https://…")
            if len(self.issuer) > 300 or len(self.subject) > 255 or not self.subject.isprintable():
                raise Refused(0, "bad_sign_in", "issuer or subject is too long, or not printable")


@dataclass(frozen=True, slots=True)
class Proposed:
    """A grant that one officer signed."""

    position: int
    at: datetime
    grant: Grant
    code: bytes
    base: int
    by: str
    by_key: bytes


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant that stands from `position` on."""

    position: int
    at: datetime
    grant: Grant
    proposal: Proposed
    codes: tuple[bytes, bytes]
    by: str

    def opened_by(self, code: str) -> bool:
        """Whether this is the one-time code of this grant; its life is asked elsewhere."""
        if self.grant.how != PASSKEY:
            return False
        return hashes(code) == self.codes

    def code_lives(self, now: datetime) -> bool:
        return now - self.at <= CODE_LIFE


@dataclass(frozen=True, slots=True)
class Passkey:
    """A registered passkey: its public half."""

    credential: bytes
    public: bytes
    counter: int
    granted: int


@dataclass
class Viewers:
    """All viewers. `apply` folds one recorded event; the rest only reads."""

    proposals: dict[int, Proposed] = field(default_factory=dict)
    standing: dict[str, Granted] = field(default_factory=dict)  # by name
    revoked: dict[int, int] = field(default_factory=dict)  # grant or proposal → position
    history: list[Granted] = field(default_factory=list)
    passkeys: dict[bytes, Passkey] = field(default_factory=dict)
    _base: dict[str, int] = field(default_factory=dict)
    _with_passkey: set[int] = field(default_factory=set)

    def __iter__(self) -> Iterator[Granted]:
        return iter(self.standing.values())

    def apply(self, position: int, event: StoreEvent) -> None:
        match event:
            case stored.ViewerProposed():
                self.proposals[position] = Proposed(
                    position,
                    event.timestamp,
                    grant_of(event),
                    event.code,
                    event.base,
                    event.by,
                    event.by_key,
                )
            case stored.ViewerGranted():
                proposal = self.proposals.get(event.proposal)
                if proposal is not None:
                    granted = Granted(
                        position,
                        event.timestamp,
                        proposal.grant,
                        proposal,
                        (proposal.code, event.code),
                        event.by,
                    )
                    self.history.append(granted)
                    self.standing[event.viewer] = granted
                    self._base[event.viewer] = position
            case stored.ViewerRevoked():
                self.revoked[event.granted] = position
                self._base[event.viewer] = position
                stands = self.standing.get(event.viewer)
                if stands is not None and stands.position == event.granted:
                    del self.standing[event.viewer]
            case stored.ViewerPasskeyAdded():
                self._with_passkey.add(event.granted)
                self.passkeys[event.credential] = Passkey(
                    event.credential, event.public, event.counter, event.granted
                )
            case _:
                pass

    def base(self, viewer: str) -> int:
        """Position of the person's last grant or revocation; 0 for none."""
        return self._base.get(viewer, 0)

    def state(self, proposal: Proposed) -> str:
        """open, stands, revoked, or stale: overtaken by another grant or revocation."""
        for granted in self.history:
            if granted.proposal is proposal:
                return REVOKED if granted.position in self.revoked else STANDING
        if proposal.position in self.revoked:
            return REVOKED
        return OPEN if proposal.base == self.base(proposal.grant.viewer) else STALE

    def stands(self, name: str, position: int) -> Granted | None:
        """The grant at this position if it is that viewer's and was not revoked."""
        granted = self.standing.get(name)
        return granted if granted is not None and granted.position == position else None

    def by_account(self, issuer: str, subject: str) -> Granted | None:
        """Whose account at an OpenID provider this is. Both must be the very same."""
        for granted in self.standing.values():
            grant = granted.grant
            if grant.how == OIDC and (grant.issuer, grant.subject) == (issuer, subject):
                return granted
        return None

    def by_credential(self, credential: bytes) -> tuple[Granted, Passkey] | None:
        """Whose passkey this is."""
        passkey = self.passkeys.get(credential)
        if passkey is None:
            return None
        for granted in self.standing.values():
            if granted.position == passkey.granted:
                return granted, passkey
        return None

    def by_code(self, code: str, now: datetime) -> Granted | None:
        """Whose unused, living one-time code this is."""
        for granted in self.standing.values():
            if granted.position not in self._with_passkey and granted.opened_by(code):
                return granted if granted.code_lives(now) else None
        return None

    def enrolled(self, granted: Granted) -> bool:
        """Whether the person has registered a passkey."""
        return granted.position in self._with_passkey


def grant_of(event: stored.ViewerProposed) -> Grant:
    role: Any = event.role
    return Grant(event.viewer, role, event.agency, event.how, event.issuer, event.subject)


# -- the one-time code -----------------------------------------------------------------------


def plain(code: str) -> str:
    """A code as typed, without what people put between letters."""
    return re.sub(r"[\s-]", "", code).upper()


def hashes(code: str) -> tuple[bytes, bytes]:
    """The hashes of both halves of a code."""
    letters = plain(code)
    return hashed(letters[:HALF]), hashed(letters[HALF:])


def hashed(half: str) -> bytes:
    return sha256(b"nrm viewer code\0" + half.encode()).digest()


def spelt(half: str) -> str:
    """As people read it out: ABCD-EFGH-…"""
    return "-".join(half[at : at + 4] for at in range(0, len(half), 4))


# -- what is signed --------------------------------------------------------------------------


def proposal(hub: str, grant: Grant, code: bytes, base: int, by: str) -> dict[str, Any]:
    return {"format": "nrm.viewer-proposal.1", **_common(hub, grant, code, base), "by": by}


def approval(hub: str, proposed: Proposed, code: bytes, by: str) -> dict[str, Any]:
    return {
        "format": "nrm.viewer-approval.1",
        **_common(hub, proposed.grant, proposed.code, proposed.base),
        "code_2": code.hex(),
        "proposed_by": proposed.by,
        "by": by,
    }


def revocation(hub: str, viewer: str, granted: int, reason: str, by: str) -> dict[str, Any]:
    return {
        "format": "nrm.viewer-revocation.1",
        "hub": hub,
        "viewer": viewer,
        "granted": granted,
        "reason": reason,
        "by": by,
    }


def signed(payload_type: str, payload: dict[str, Any], by: OfficerKey) -> bytes:
    return envelope.written(payload_type, payload, [by.key])


def _common(hub: str, grant: Grant, code: bytes, base: int) -> dict[str, Any]:
    return {
        "hub": hub,
        "viewer": grant.viewer,
        "role": grant.role,
        "agency": grant.agency,
        "how": grant.how,
        "issuer": grant.issuer,
        "subject": grant.subject,
        "code": code.hex(),
        "base": base,
    }
