"""What a reader asks of a Confluent schema registry, answered from the partner schemas. Pure.

    GET  /schemas/types, /schemas/ids/{id}[/schema|/subjects|/versions]
    GET  /subjects, /subjects/{subject}/versions[/{version}[/schema]]
    POST /subjects/{subject}                               is this schema there?
    POST /subjects/{subject}/versions                      the id, if it is ours; else read-only
    POST /compatibility/subjects/{subject}/versions[/{v}]  could a reader with this schema go on?
    GET  /config[/{subject}], /mode[/{subject}]

A subject is a record's name (`nrm.partner.CaseOpened`) or, by topic, `<topic>-value` of a topic
whose name ends in the event's (`nrm.case_opened-value`). Nothing can be registered, changed or
deleted. Errors have Confluent's codes. The same answers are given by the hub and at a partner's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.compatibility import unreadable, without
from schemas.partner import NAMESPACE, PartnerSchema, PartnerSchemas, snake
from schemas.partner_ids import LARGEST
from schemas.safe import UnsafeSchema, check

CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
COMPATIBILITY: Final = "BACKWARD_TRANSITIVE"
LONGEST_BODY: Final = 256 * 1024
_NUMBER: Final = re.compile(r"[0-9]{1,10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """status: HTTP. document: what the body says, JSON-ready."""

    status: int
    document: Any

    @property
    def body(self) -> bytes:
        text = json.dumps(self.document, separators=(",", ":"), ensure_ascii=False)
        return text.encode(errors="backslashreplace")  # halves of characters, as JSON escapes them


class _Refusal(Exception):
    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"error_code": code, "message": message})


def _subject_unknown() -> _Refusal:
    return _Refusal(404, 40401, "Subject not found: GET /subjects lists them.")


def _version_unknown() -> _Refusal:
    return _Refusal(404, 40402, "Version not found: GET /subjects/{subject}/versions lists them.")


def _schema_unknown() -> _Refusal:
    return _Refusal(404, 40403, "Schema not found: only schemas of the hub are here.")


class ConfluentRegistry:
    """The registry. `prefix`: of the partner's topics, whose subjects are then listed too."""

    def __init__(self, schemas: PartnerSchemas, prefix: str | None = None) -> None:
        self._schemas = schemas
        self._prefix = prefix

    def answer(
        self, method: str, path: str, body: bytes = b"", query: Mapping[str, str] | None = None
    ) -> Answer:
        """path: below the registry's root, decoded, with or without slashes at its ends."""
        steps = [step for step in path.split("/") if step]
        query = query or {}
        try:
            if method == "GET":
                return Answer(200, self._get(steps))
            if method == "POST":
                return Answer(200, self._post(steps, body, query))
            raise _Refusal(405, 405, "This registry is read-only: its schemas come with the hub.")
        except _Refusal as refusal:
            return refusal.answer

    # -- reading ---------------------------------------------------------------------------

    def _get(self, steps: list[str]) -> Any:
        match steps:
            case []:
                return {}
            case ["schemas", "types"]:
                return ["AVRO"]
            case ["schemas", "ids", number]:
                return {"schema": self._by_id(number).text}
            case ["schemas", "ids", number, "schema"]:
                return json.loads(self._by_id(number).text)
            case ["schemas", "ids", number, "subjects"]:
                return self._subjects(self._by_id(number).event_type)
            case ["schemas", "ids", number, "versions"]:
                found = self._by_id(number)
                version = self._schemas.versions(found.event_type).index(found) + 1
                return [
                    {"subject": subject, "version": version}
                    for subject in self._subjects(found.event_type)
                ]
            case ["subjects"]:
                return sorted(
                    subject for kind in self._schemas.types() for subject in self._subjects(kind)
                )
            case ["subjects", subject, "versions"]:
                return list(range(1, len(self._versions(subject)) + 1))
            case ["subjects", subject, "versions", version]:
                return self._described(subject, *self._at(subject, version))
            case ["subjects", subject, "versions", version, "schema"]:
                return json.loads(self._at(subject, version)[1].text)
            case ["config"]:
                return {"compatibilityLevel": COMPATIBILITY}
            case ["config", subject]:
                self._versions(subject)
                return {"compatibilityLevel": COMPATIBILITY}
            case ["mode"]:
                return {"mode": "READONLY"}
            case ["mode", subject]:
                self._versions(subject)
                return {"mode": "READONLY"}
        raise _Refusal(404, 404, "HTTP 404 Not Found")

    def _by_id(self, number: str) -> PartnerSchema:
        found = None
        if _NUMBER.fullmatch(number) and int(number) <= LARGEST:
            found = self._schemas.by_id(int(number))
        if found is None:
            raise _schema_unknown()
        return found

    def _subjects(self, event_type: str) -> list[str]:
        named = [f"{NAMESPACE}.{event_type}"]
        if self._prefix is not None:
            named.insert(0, f"{self._prefix}.{snake(event_type)}-value")
        return sorted(named)

    def _versions(self, subject: str) -> tuple[PartnerSchema, ...]:
        name = subject.removesuffix("-value").rpartition(".")[2]
        for kind in self._schemas.types():
            by_topic = subject.endswith("-value") and name == snake(kind)
            if by_topic or subject == f"{NAMESPACE}.{kind}":
                return self._schemas.versions(kind)
        raise _subject_unknown()

    def _at(self, subject: str, version: str) -> tuple[int, PartnerSchema]:
        versions = self._versions(subject)
        if version in ("latest", "-1"):
            return len(versions), versions[-1]
        if not _NUMBER.fullmatch(version) or int(version) == 0:
            raise _Refusal(422, 42202, "A version is a number from 1 on, or 'latest'.")
        if int(version) > len(versions):
            raise _version_unknown()
        return int(version), versions[int(version) - 1]

    @staticmethod
    def _described(subject: str, version: int, schema: PartnerSchema) -> dict[str, Any]:
        return {"subject": subject, "version": version, "id": schema.id, "schema": schema.text}

    # -- asking with a schema --------------------------------------------------------------

    def _post(self, steps: list[str], body: bytes, query: Mapping[str, str]) -> Any:
        match steps:
            case ["subjects", subject]:
                return self._described(subject, *self._same(subject, _schema_in(body)))
            case ["subjects", subject, "versions"]:
                asked = _schema_in(body)
                try:
                    return {"id": self._same(subject, asked)[1].id}
                except _Refusal:
                    raise _Refusal(
                        422, 42205, f"Subject {subject[:100]} is in read-only mode"
                    ) from None
            case ["compatibility", "subjects", subject, "versions", version]:
                return self._compatible(_schema_in(body), [self._at(subject, version)[1]], query)
            case ["compatibility", "subjects", subject, "versions"]:
                return self._compatible(_schema_in(body), self._versions(subject), query)
        raise _Refusal(404, 404, "HTTP 404 Not Found")

    def _same(self, subject: str, asked: Any) -> tuple[int, PartnerSchema]:
        for version, one in enumerate(self._versions(subject), start=1):
            if one.document == asked:
                return version, one
        raise _schema_unknown()

    @staticmethod
    def _compatible(
        asked: Any, written: Iterable[PartnerSchema], query: Mapping[str, str]
    ) -> dict[str, Any]:
        """Whether a reader with this schema reads what was written under those."""
        try:
            wrong = [what for one in written for what in unreadable(asked, one.document)]
        except Exception:  # the library's own errors of a schema it cannot read have no one class
            raise _invalid() from None
        answer: dict[str, Any] = {"is_compatible": not wrong}
        if query.get("verbose") == "true":
            answer["messages"] = wrong
        return answer


def _invalid() -> _Refusal:
    return _Refusal(422, 42201, "Invalid schema: give {'schema': '<Avro schema as text>'}.")


def _schema_in(body: bytes) -> Any:
    """The Avro schema a request brings, checked to be one that is safe to handle."""
    if len(body) > LONGEST_BODY:
        raise _Refusal(413, 413, f"The body is larger than {LONGEST_BODY} bytes.")
    try:
        given = json.loads(body)
        if given.get("schemaType", "AVRO") != "AVRO" or given.get("references"):
            raise _invalid()
        document = json.loads(given["schema"])
        check(without(document, "logicalType"))  # nothing is decoded with it
    except _Refusal:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UnsafeSchema):
        raise _invalid() from None
    return document
