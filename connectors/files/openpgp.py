"""Files encrypted with OpenPGP (RFC 9580, RFC 4880), by Sequoia; needs the extra `openpgp`.

For offices that have GnuPG and nothing else. Messages are as GnuPG 2.2 reads them: to every
certificate's encryption keys, binary, neither signed nor compressed: the manifest is signed.

The library encrypts to a key that has expired where a certificate has no better one, and to a
certificate that was revoked. So each is looked at before every file, and read anew, for it may be
replaced while the connector runs. Errors of the library are not repeated: they say what they were
given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from connectors.errors import SettingsError, SinkDownError
from connectors.files.seal import damaged, own_key, unopened
from connectors.findings import Finding

SOON: Final = timedelta(days=30)
_NEW: Final = "ask its owner for a new one (gpg --armor --export FINGERPRINT) and replace the file"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Somebody's public key. until: when the first of its encryption keys, or the whole, expires.

    unfit: why nothing may be encrypted to it, and what to do; empty if it may.
    """

    cert: Any
    fingerprint: str
    until: datetime | None = None
    unfit: str = ""


class OpenPgp:
    """Encrypts files to certificates, and opens them with a key of its own."""

    suffix = ".pgp"

    def __init__(self, certificates: Sequence[Path], own_key: Path) -> None:
        """certificates: files with one certificate each, armored or binary. SettingsError names
        one that is none, or says that the library is not installed."""
        try:
            import pysequoia
            import pysequoia.packet
        except ImportError:
            raise SettingsError(
                'openpgp_certificates needs pysequoia: pip install "nrm-hub[openpgp]", or take '
                "encrypt_to"
            ) from None
        self._pgp = pysequoia
        self._files = certificates
        self._path = own_key
        self._own: Any = None
        for path in certificates:
            self._read(path, datetime.now(UTC))

    def prepare(self) -> None:
        held = own_key(self._path, lambda: bytes(self._pgp.Tsk.generate(validity_seconds=None)))
        try:
            self._own = self._pgp.Tsk.from_bytes(held)
            self._own.decryptor()
        except RuntimeError:
            raise damaged(self._path) from None

    def seal(self, data: bytes) -> bytes:
        recipients = [self._own.extract_certificate()]
        for path in self._files:
            try:
                one = self._read(path, datetime.now(UTC))
            except SettingsError as gone:
                raise SinkDownError(str(gone)) from None
            if one.unfit:
                raise SinkDownError(f"{path} {one.unfit}")
            recipients.append(one.cert)
        return bytes(self._pgp.encrypt(data, recipients, armor=False))

    def open(self, name: str, data: bytes) -> bytes:
        try:
            return self._pgp.decrypt(data, self._own.decryptor()).bytes or b""
        except RuntimeError:
            raise unopened(name, self._path) from None

    def check(self) -> list[Finding]:
        return [self._finding(path, datetime.now(UTC)) for path in self._files]

    def _finding(self, path: Path, now: datetime) -> Finding:
        try:
            one = self._read(path, now)
        except SettingsError as gone:
            return Finding("wrong", "openpgp", str(gone), "put the certificate back")
        if one.unfit:
            what, _, fix = one.unfit.partition(": ")
            return Finding("wrong", "openpgp", f"{path} {what}", fix)
        if one.until is not None and one.until < now + SOON:
            text = f"{path} expires on {one.until:%Y-%m-%d}: nothing flows from then on"
            return Finding("warning", "openpgp", text, _NEW)
        text = f"{path}: fingerprint {one.fingerprint}"
        return Finding("ok", "openpgp", text, "hear its owner say the fingerprint, once")

    def _read(self, path: Path, now: datetime) -> Certificate:
        """SettingsError unless the file holds one certificate, and no secret."""
        where = f"sink.options.openpgp_certificates: {path}"
        try:
            data = path.read_bytes()
            found = self._pgp.Cert.split_bytes(data)
            packets = list(self._pgp.packet.PacketPile.from_bytes(data))
        except OSError as wrong:
            raise SettingsError(f"{where} cannot be read ({wrong.strerror})") from None
        except RuntimeError:
            found = []
        if len(found) != 1:
            raise SettingsError(
                f"{where} holds {len(found) or 'no'} OpenPGP certificates, and should hold one: "
                "gpg --armor --export FINGERPRINT makes such a file"
            )
        if any(packet.tag == self._pgp.packet.Tag.SecretKey for packet in packets):
            raise SettingsError(
                f"{where} holds a secret key: destroy it here, and ask for the certificate alone "
                "(gpg --armor --export FINGERPRINT)"
            )
        return self._judged(found[0], now)

    def _judged(self, cert: Any, now: datetime) -> Certificate:
        name = str(cert.fingerprint).upper()
        try:
            if cert.is_revoked:
                return Certificate(cert, name, unfit=f"was revoked by its owner: {_NEW}")
            ends = [cert.expiration, *self._ends(cert)]
        except RuntimeError:
            return Certificate(
                cert,
                name,
                unfit="has no key to encrypt to that is safe and known here (SHA-1, RSA below 2048 "
                "bits, ElGamal and Brainpool curves are not): ask its owner for a certificate with "
                "a key for encrypting, of Curve25519, a NIST curve or RSA",
            )
        until = min((one for one in ends if one is not None), default=None)
        if until is not None and until <= now:
            return Certificate(cert, name, until, f"has expired on {until:%Y-%m-%d}: {_NEW}")
        return Certificate(cert, name, until)

    def _ends(self, cert: Any) -> list[datetime | None]:
        """When each subkey expires that the library would encrypt to, as its newest binding says.

        RuntimeError if it would encrypt to none."""
        packet = self._pgp.packet
        trial = packet.PacketPile.from_bytes(self._pgp.encrypt(b"", [cert], armor=False))
        chosen = [bytes(one.body) for one in trial if one.tag == packet.Tag.PKESK]
        ends: dict[str, tuple[datetime, datetime | None]] = {}
        subkey: Any = None
        for one in packet.PacketPile.from_bytes(bytes(cert)):
            if one.tag == packet.Tag.PublicSubkey:
                # A message addresses keys by their id or, of version 6, their fingerprint.
                ids = bytes.fromhex(one.key_id), bytes.fromhex(one.fingerprint)
                addressed = any(id_ in body for id_ in ids for body in chosen)
                subkey = one if addressed else None
            elif subkey is not None and one.signature_type == packet.SignatureType.SubkeyBinding:
                made, lasts = one.signature_created, one.key_validity_period
                if subkey.fingerprint not in ends or made > ends[subkey.fingerprint][0]:
                    end = None if lasts is None else subkey.key_created + lasts
                    ends[subkey.fingerprint] = made, end
        return [end for _, end in ends.values()]
