"""Step 1, form: a ZIP of stored members in its one canonical form (docs/evidence.md 3).

Read from the front, one pass; nothing is ever decompressed, so a file holds no more than its size.
Every header field has one right value, so a changed byte outside the members is seen as such.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Final

from nrm_verify.failure import Failure

LARGEST_FILE: Final = 256 * 1024 * 1024
LARGEST_MEMBER: Final = 64 * 1024 * 1024
LARGEST_MANIFEST: Final = 16 * 1024 * 1024
MOST_MEMBERS: Final = 60_000
LONGEST_NAME: Final = 100
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_LOCAL_SIGN, _CENTRAL_SIGN, _END_SIGN = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_NEEDED, _DATE = 10, 0x21
_NAME: Final = re.compile(rb"[a-z0-9._-]+(?:/[a-z0-9._-]+)*")


def read(data: bytes) -> Mapping[str, memoryview]:
    """Members by name, in the file's order. Raises Failure of step 1."""
    if len(data) > LARGEST_FILE:
        raise Failure(1, "too_large", f"a bundle has at most {LARGEST_FILE} bytes")
    if data[:4] not in (_LOCAL_SIGN, _LOCAL_SIGN[: len(data)]):
        raise Failure(1, "not_a_bundle", "it does not begin as a bundle does")
    view = memoryview(data)
    members: dict[str, memoryview] = {}
    directory: list[bytes] = []
    at, before = 0, b""
    while True:
        sign = data[at : at + 4]
        if sign == _CENTRAL_SIGN and members:
            break
        if sign != _LOCAL_SIGN:
            if _LOCAL_SIGN.startswith(sign) or _CENTRAL_SIGN.startswith(sign):
                raise _truncated()
            raise Failure(1, "not_canonical", f"at byte {at} neither member nor directory begins")
        if len(members) == MOST_MEMBERS:
            raise Failure(1, "too_many_members", f"a bundle has at most {MOST_MEMBERS} members")
        name, checksum, start, end = _member(data, at)
        _in_order(before, name, len(members))
        if end > len(data):
            raise _truncated()
        if zlib.crc32(view[start:end]) != checksum:
            raise Failure(1, "bad_checksum", f"{name.decode()} is damaged")
        directory.append(_entry(name, checksum, end - start, at))
        members[name.decode()] = view[start:end]
        before, at = name, end
    _compare(view[at:], _closing(directory, at), at)
    return members


def _member(data: bytes, at: int) -> tuple[bytes, int, int, int]:
    """Name, checksum and place of the member whose local header begins here."""
    if len(data) < at + _LOCAL.size:
        raise _truncated()
    (_, needed, flags, method, time, date, checksum, packed, length, named, extra) = (
        _LOCAL.unpack_from(data, at)
    )
    start = at + _LOCAL.size
    name = data[start : start + named]
    if len(name) < named:
        raise _truncated()
    if not 0 < named <= LONGEST_NAME or not _NAME.fullmatch(name):
        raise Failure(1, "bad_name", f"at byte {at} a member has a name that no bundle has")
    if any(part in (b".", b"..") for part in name.split(b"/")):
        raise Failure(1, "bad_name", f"at byte {at} a member's name leads elsewhere")
    shown = name.decode()
    if flags or method or packed != length:
        raise Failure(1, "not_stored", f"{shown} is not stored as it is")
    if (needed, time, date, extra) != (_NEEDED, 0, _DATE, 0):
        raise Failure(1, "not_canonical", f"the header of {shown} is not what it must be")
    if length > (LARGEST_MANIFEST if shown == MANIFEST else LARGEST_MEMBER):
        raise Failure(1, "too_large", f"{shown} is larger than it may be")
    return name, checksum, start + named, start + named + length


def _in_order(before: bytes, name: bytes, index: int) -> None:
    first = (MANIFEST.encode(), SIGNATURE.encode())
    if index < len(first):
        good = name == first[index]
    else:
        good = name not in first and (index == len(first) or name > before)
    if not good:
        raise Failure(1, "bad_order", f"{name.decode()} does not come here, or comes twice")


def _entry(name: bytes, checksum: int, length: int, offset: int) -> bytes:
    return (
        _CENTRAL.pack(
            _CENTRAL_SIGN, _NEEDED, _NEEDED, 0, 0, 0, _DATE, checksum, length, length,
            len(name), 0, 0, 0, 0, 0, offset,
        )
        + name
    )  # fmt: skip


def _closing(directory: list[bytes], offset: int) -> Iterator[bytes]:
    """What must follow the members, in pieces."""
    yield from directory
    count, length = len(directory), sum(map(len, directory))
    yield _END.pack(_END_SIGN, 0, 0, count, count, length, offset, 0)


def _compare(rest: memoryview, expected: Iterator[bytes], offset: int) -> None:
    at = 0
    for piece in expected:
        there = bytes(rest[at : at + len(piece)])
        if there != piece:
            if piece.startswith(there):
                raise _truncated()
            raise Failure(1, "not_canonical", f"the directory differs near byte {offset + at}")
        at += len(piece)
    if at != len(rest):
        raise Failure(1, "not_canonical", f"{len(rest) - at} bytes are left over at the end")


def _truncated() -> Failure:
    return Failure(1, "truncated", "the file ends too early")
