"""DHIS2 tracker objects: what a case becomes, and what an import report means.

    case → one tracked entity, enrolled in the program     event → one event of its map's stage

Pure. Uids are derived from our references, so that the same event is the same object however often
it is sent. DHIS2 never lets a uid live again whose object was deleted: then the next *generation*
of the uid is taken.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

_FIRST: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ALL: Final = _FIRST + "0123456789"

DELETED: Final = frozenset({"E1082", "E1113", "E1114"})
"""The uid is spent: its object is deleted."""

ABSENT: Final = frozenset({"E1032", "E1063", "E1081"})
"""There is no such object."""

RIGHTS: Final = frozenset(
    f"E{number}"
    for number in (
        *(1000, 1001, 1083, 1091, 1095, 1096, 1097, 1098, 1099, 1100, 1102, 1103, 1104, 1105),
        *(1131, 1323, 1324, 1325),
    )
)
"""The account may not do this."""

PROGRAM: Final = frozenset(
    f"E{number}"
    for number in (
        *(1005, 1006, 1008, 1010, 1011, 1013, 1022, 1029, 1041, 1049, 1069, 1070, 1089),
        *(1304, 1305),
    )
)
"""What the settings or the mapping name is not there (any more)."""


def uid(hub: str, agency: str, record: str, generation: int) -> str:
    """11 characters, the first a letter: some 65 bits of a keyed hash."""
    key = hashlib.sha256(f"nrm-dhis2\0{hub}\0{agency}".encode()).digest()
    number = int.from_bytes(
        hmac.digest(key, f"{record}\0{generation}".encode(), "sha256")[:16], "big"
    )
    number, at = divmod(number, len(_FIRST))
    letters = [_FIRST[at]]
    for _ in range(10):
        number, at = divmod(number, len(_ALL))
        letters.append(_ALL[at])
    return "".join(letters)


def moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


@dataclass(frozen=True)
class Found:
    """A tracked entity as it is on the server now. events: uid → (status, element → value)."""

    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    enrollments: frozenset[str] = frozenset()
    events: Mapping[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict, repr=False)
    other_enrollments: bool = False


def read_entity(said: Mapping[str, Any], enrollment: str) -> Found:
    """From the server's JSON. KeyError, TypeError or AttributeError if it is none."""
    mine, events, foreign = set(), {}, False
    for one in said.get("enrollments", []):
        if one["enrollment"] != enrollment:
            foreign = True
            continue
        mine.add(one["enrollment"])
        for event in one.get("events", []):
            values = {v["dataElement"]: v["value"] for v in event.get("dataValues", [])}
            events[event["event"]] = (event.get("status", "ACTIVE"), values)
    attributes = {a["attribute"]: a["value"] for a in said.get("attributes", [])}
    return Found(attributes, frozenset(mine), events, foreign)


def values(
    filled: Mapping[str, str | None], blank: Iterable[str], name: str
) -> list[dict[str, Any]]:
    """As the import takes them; no value empties a field."""
    wanted = {**dict.fromkeys(blank), **filled}
    return [{name: uid, "value": value} for uid, value in sorted(wanted.items())]


@dataclass(frozen=True)
class Trouble:
    """One line of an import report, without its text, which repeats values."""

    code: str
    uid: str
    fields: tuple[str, ...]

    def told(self) -> str:
        about = f" about {', '.join(self.fields)}" if self.fields else ""
        return f"{self.code}{about}"


def troubles(report: Any, fields: Mapping[str, tuple[str, ...]]) -> list[Trouble]:
    """The errors of an import report. fields: uids a text may hold → fields they stand for.

    KeyError, TypeError or AttributeError if it is no report.
    """
    found = []
    for one in report["validationReport"]["errorReports"]:
        words = str(one.get("message", "")).replace("`", " ").replace(".", " ").split()
        named = dict.fromkeys(name for word in words for name in fields.get(word, ()))
        found.append(Trouble(str(one["errorCode"])[:8], str(one["uid"])[:11], tuple(named)))
    return found
