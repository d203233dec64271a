"""What the described DHIS2 does: tracker import with its error codes, soft deletion, change log.

Generated from the public description, kept in SQLite. It is not DHIS2: it knows the rules this
connector meets, and where DHIS2 is more lenient it is stricter.
"""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tests.case_systems.described import Asked, Described, Told

HERE = Path(__file__).parent
TABLES = """
CREATE TABLE IF NOT EXISTS entity (uid TEXT PRIMARY KEY, deleted INT DEFAULT 0);
CREATE TABLE IF NOT EXISTS attribute_value (entity TEXT, field TEXT, value TEXT,
    PRIMARY KEY (entity, field));
CREATE TABLE IF NOT EXISTS enrollment (uid TEXT PRIMARY KEY, entity TEXT, status TEXT,
    deleted INT DEFAULT 0);
CREATE TABLE IF NOT EXISTS event (uid TEXT PRIMARY KEY, enrollment TEXT, stage TEXT, status TEXT,
    occurred TEXT, data TEXT DEFAULT '{}', deleted INT DEFAULT 0);
CREATE TABLE IF NOT EXISTS change_log (owner TEXT, field TEXT, previous TEXT, current TEXT);
"""
KINDS = {
    "trackedEntities": ("TRACKED_ENTITY", "trackedEntity", "entity", "E1114", "E1063"),
    "enrollments": ("ENROLLMENT", "enrollment", "enrollment", "E1113", "E1081"),
    "events": ("EVENT", "event", "event", "E1082", "E1032"),
}


@dataclass(frozen=True)
class Account:
    authorities: tuple[str, ...] = ()
    writes: bool = True


class Dhis2Server:
    """The behaviour. Accounts: token → Account; the same names work as user and password."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metadata = json.loads((HERE / "dhis2_metadata.json").read_text("utf-8"))
        self.accounts = {
            "connector": Account(),
            "connector-purging": Account(("F_PERFORM_MAINTENANCE",)),
            "reader": Account(writes=False),
            "superuser": Account(("ALL",)),
        }
        self.described = Described(HERE / "dhis2.openapi.json", self)
        with self.db() as db:
            db.executescript(TABLES)

    def db(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA secure_delete=ON")
        return db

    def authenticate(self, headers: Mapping[str, str]) -> Account | None:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            user, _, password = base64.b64decode(given).decode().partition(":")
            return self.accounts.get(user) if password == f"{user}-secret" else None
        return self.accounts.get(given) if kind == "ApiToken" else None

    def refusal(self, status: int, path: str, text: str) -> Any:
        return {"httpStatusCode": status, "message": f"{path}: {text}"}

    # -- reading ---------------------------------------------------------------------------

    def me(self, asked: Asked) -> Told:
        return Told(200, {"id": "usConnector", "authorities": list(asked.account.authorities)})

    def program(self, asked: Asked) -> Told:
        program = self.metadata["program"]
        if asked.path["uid"] != program["id"]:
            return Told(404, self.refusal(404, asked.path["uid"], "no such program"))
        return Told(200, program)

    def entities(self, asked: Asked) -> Told:
        page, size = int(asked.query.get("page", "1")), int(asked.query.get("pageSize", "50"))
        with self.db() as db:
            rows = db.execute("SELECT uid FROM entity WHERE NOT deleted ORDER BY uid").fetchall()
            shown = [self._entity(db, row["uid"]) for row in rows[(page - 1) * size : page * size]]
        return Told(200, {"pager": {"page": page, "pageSize": size}, "trackedEntities": shown})

    def entity(self, asked: Asked) -> Told:
        uid = asked.path["uid"]
        with self.db() as db:
            if self._row(db, "entity", uid, alive=True) is None:
                return Told(404, self.refusal(404, uid, "no such tracked entity"))
            return Told(200, self._entity(db, uid))

    def _entity(self, db: sqlite3.Connection, uid: str) -> dict[str, Any]:
        values = db.execute("SELECT * FROM attribute_value WHERE entity = ?", (uid,))
        query = "SELECT * FROM enrollment WHERE entity = ? AND NOT deleted"
        enrollments = db.execute(query, (uid,)).fetchall()
        events = "SELECT * FROM event WHERE enrollment = ? AND NOT deleted ORDER BY occurred"
        return {
            "trackedEntity": uid,
            "attributes": [{"attribute": row["field"], "value": row["value"]} for row in values],
            "enrollments": [
                {
                    "enrollment": row["uid"],
                    "status": row["status"],
                    "events": [self._shown(one) for one in db.execute(events, (row["uid"],))],
                }
                for row in enrollments
            ],
        }

    def event(self, asked: Asked) -> Told:
        with self.db() as db:
            row = self._row(db, "event", asked.path["uid"], alive=True)
        if row is None:
            return Told(404, self.refusal(404, asked.path["uid"], "no such event"))
        return Told(200, self._shown(row))

    @staticmethod
    def _shown(row: sqlite3.Row) -> dict[str, Any]:
        data = json.loads(row["data"])
        return {
            "event": row["uid"],
            "programStage": row["stage"],
            "status": row["status"],
            "occurredAt": row["occurred"].rstrip("Z"),
            "dataValues": [{"dataElement": name, "value": data[name]} for name in data],
        }

    @staticmethod
    def _row(
        db: sqlite3.Connection, table: str, uid: str, *, alive: bool = False
    ) -> sqlite3.Row | None:
        row: sqlite3.Row | None = db.execute(
            f"SELECT * FROM {table} WHERE uid = ?", (uid,)
        ).fetchone()
        return None if row is None or (alive and row["deleted"]) else row

    # -- importing -------------------------------------------------------------------------

    def import_tracker(self, asked: Asked) -> Told:
        strategy = asked.query.get("importStrategy", "CREATE_AND_UPDATE")
        atomic = asked.query.get("atomicMode", "ALL") == "ALL"
        errors: list[dict[str, Any]] = []
        stats = dict.fromkeys(("created", "updated", "deleted", "ignored", "total"), 0)
        db = self.db()
        order = list(KINDS) if strategy != "DELETE" else list(reversed(KINDS))
        for kind in order:
            for one in asked.body.get(kind, []):
                stats["total"] += 1
                found = self._delete(db, kind, one, asked) if strategy == "DELETE" else None
                found = self._put(db, kind, one, asked, strategy) if found is None else found
                errors += [self._error(kind, one, *error) for error in found]
                done = "deleted" if strategy == "DELETE" else "updated"
                stats["ignored" if found else done] += 1
        failed = bool(errors) and (atomic or stats["ignored"] == stats["total"])
        if bool(errors) and atomic:
            db.rollback()
        else:
            db.commit()
        db.close()
        report = {
            "status": "ERROR" if failed else "OK",
            "stats": stats,
            "validationReport": {"errorReports": errors, "warningReports": []},
        }
        return Told(409 if failed else 200, report)

    @staticmethod
    def _error(kind: str, one: dict[str, Any], code: str, text: str) -> dict[str, Any]:
        tracker_type, key, *_ = KINDS[kind]
        return {"message": text, "errorCode": code, "trackerType": tracker_type, "uid": one[key]}

    def _put(
        self, db: sqlite3.Connection, kind: str, one: dict[str, Any], asked: Asked, strategy: str
    ) -> list[tuple[str, str]]:
        _, key, table, spent, absent = KINDS[kind]
        row = self._row(db, table, one[key])
        if not asked.account.writes:
            return [("E1091", "User has no data write access to Program.")]
        if row is not None and row["deleted"]:
            return [(spent, f"`{one[key]}` is already deleted and cannot be modified.")]
        if row is None and strategy == "UPDATE":
            return [(absent, f"`{one[key]}` does not exist.")]
        if kind == "trackedEntities":
            return self._put_entity(db, one)
        if kind == "enrollments":
            return self._put_enrollment(db, one)
        return self._put_event(db, one, row)

    def _put_entity(self, db: sqlite3.Connection, one: dict[str, Any]) -> list[tuple[str, str]]:
        program = self.metadata["program"]
        if one.get("trackedEntityType") != program["trackedEntityType"]["id"]:
            return [("E1005", "Could not find TrackedEntityType.")]
        if one.get("orgUnit") not in {unit["id"] for unit in program["organisationUnits"]}:
            return [("E1049", "Could not find OrganisationUnit.")]
        known = {
            p["trackedEntityAttribute"]["id"]: p["trackedEntityAttribute"]
            for p in program["programTrackedEntityAttributes"]
        }
        errors = []
        for given in one.get("attributes", []):
            name, value = given["attribute"], given["value"]
            if name not in known:
                errors.append(("E1006", f"Attribute: `{name}` does not exist."))
            elif value is not None:
                errors += fitting(known[name], value, "E1007", 1200)
                taken = db.execute(
                    "SELECT 1 FROM attribute_value WHERE field = ? AND value = ? AND entity <> ?",
                    (name, value, one["trackedEntity"]),
                ).fetchone()
                if known[name].get("unique") and taken:
                    errors.append(("E1064", f"Non-unique value `{value}` for attribute `{name}`."))
        if errors:
            return errors
        db.execute("INSERT OR IGNORE INTO entity (uid) VALUES (?)", (one["trackedEntity"],))
        logged = program["trackedEntityType"]["enableChangeLog"]
        for given in one.get("attributes", []):
            place = (one["trackedEntity"], given["attribute"])
            query = "SELECT value FROM attribute_value WHERE entity = ? AND field = ?"
            before = db.execute(query, place).fetchone()
            if logged and (before and before[0]) != given["value"]:
                row = (*place, before and before[0], given["value"])
                db.execute("INSERT INTO change_log VALUES (?, ?, ?, ?)", row)
            db.execute("DELETE FROM attribute_value WHERE entity = ? AND field = ?", place)
            if given["value"] is not None:
                db.execute("INSERT INTO attribute_value VALUES (?, ?, ?)", (*place, given["value"]))
        return []

    def _put_enrollment(self, db: sqlite3.Connection, one: dict[str, Any]) -> list[tuple[str, str]]:
        if one.get("program") != self.metadata["program"]["id"]:
            return [("E1069", "Could not find Program.")]
        if self._row(db, "entity", one["trackedEntity"], alive=True) is None:
            return [("E1068", "Could not find TrackedEntity linked to Enrollment.")]
        if one.get("enrolledAt", "9999")[:10] > date.today().isoformat():
            return [("E1020", "Enrollment date cannot be a future date.")]
        other = db.execute(
            "SELECT 1 FROM enrollment WHERE entity = ? AND uid <> ? AND status = 'ACTIVE' "
            "AND NOT deleted",
            (one["trackedEntity"], one["enrollment"]),
        ).fetchone()
        if other:
            return [("E1015", "TrackedEntity already has an active Enrollment in Program.")]
        db.execute(
            "INSERT INTO enrollment (uid, entity, status) VALUES (?, ?, ?) "
            "ON CONFLICT (uid) DO UPDATE SET status = excluded.status",
            (one["enrollment"], one["trackedEntity"], one.get("status", "ACTIVE")),
        )
        return []

    def _put_event(
        self, db: sqlite3.Connection, one: dict[str, Any], row: sqlite3.Row | None
    ) -> list[tuple[str, str]]:
        stages = {stage["id"]: stage for stage in self.metadata["program"]["programStages"]}
        stage = stages.get(one.get("programStage", ""))
        if stage is None:
            return [("E1013", "Could not find ProgramStage linked to Event.")]
        if self._row(db, "enrollment", one.get("enrollment", ""), alive=True) is None:
            return [("E1033", f"Event: `{one['event']}`, Enrollment value is null.")]
        if not one.get("occurredAt"):
            return [("E1031", "Event occurredAt date is missing.")]
        query = (
            "SELECT 1 FROM event WHERE enrollment = ? AND stage = ? AND uid <> ? AND NOT deleted"
        )
        place = (one["enrollment"], stage["id"], one["event"])
        if not stage["repeatable"] and db.execute(query, place).fetchone():
            return [("E1039", "ProgramStage is not repeatable and an Event already exists.")]
        known = {
            p["dataElement"]["id"]: p["dataElement"] for p in stage["programStageDataElements"]
        }
        errors = []
        for given in one.get("dataValues", []):
            name, value = given["dataElement"], given["value"]
            if name not in known:
                errors.append(("E1305", f"DataElement `{name}` is not part of ProgramStage."))
            elif value is not None:
                errors += fitting(known[name], value, "E1302", 50000)
        if errors:
            return errors
        data = {} if row is None else json.loads(row["data"])
        for given in one.get("dataValues", []):
            name, value = given["dataElement"], given["value"]
            if self.metadata["program"]["enableChangeLog"] and data.get(name) != value:
                change = (one["event"], name, data.get(name), value)
                db.execute("INSERT INTO change_log VALUES (?, ?, ?, ?)", change)
            data.pop(name, None)
            if value is not None:
                data[name] = value
        db.execute(
            "INSERT INTO event (uid, enrollment, stage, status, occurred, data) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (uid) DO UPDATE SET status = excluded.status, "
            "occurred = excluded.occurred, data = excluded.data",
            (
                one["event"],
                one["enrollment"],
                stage["id"],
                one.get("status", "ACTIVE"),
                one["occurredAt"],
                json.dumps(data),
            ),
        )
        return []

    # -- deleting --------------------------------------------------------------------------

    def _delete(
        self, db: sqlite3.Connection, kind: str, one: dict[str, Any], asked: Asked
    ) -> list[tuple[str, str]]:
        _, key, table, spent, absent = KINDS[kind]
        uid = one[key]
        row = self._row(db, table, uid)
        if not asked.account.writes:
            return [("E1091", "User has no data write access to Program.")]
        if row is None:
            return [(absent, f"`{uid}` does not exist.")]
        if row["deleted"]:
            return [(spent, f"`{uid}` is already deleted and cannot be modified.")]
        hanging = {
            "trackedEntities": ("enrollment", "entity", "F_TEI_CASCADE_DELETE", "E1100"),
            "enrollments": ("event", "enrollment", "F_ENROLLMENT_CASCADE_DELETE", "E1103"),
        }
        if kind in hanging:
            child, column, authority, code = hanging[kind]
            query = f"SELECT 1 FROM {child} WHERE {column} = ? AND NOT deleted"
            may = {authority, "ALL"} & set(asked.account.authorities)
            if db.execute(query, (uid,)).fetchone() and not may:
                return [(code, f"User lacks '{authority}' authority.")]
            db.execute(f"UPDATE {child} SET deleted = 1 WHERE {column} = ?", (uid,))
        db.execute(f"UPDATE {table} SET deleted = 1 WHERE uid = ?", (uid,))
        return []

    def maintenance(self, asked: Asked) -> Told:
        if not {"F_PERFORM_MAINTENANCE", "ALL"} & set(asked.account.authorities):
            return Told(403, self.refusal(403, "/api/maintenance", "access is denied"))
        gone = "SELECT uid FROM {} WHERE deleted"
        with self.db() as db:
            for table in ("entity", "event"):
                db.execute(f"DELETE FROM change_log WHERE owner IN ({gone.format(table)})")
            db.execute(f"DELETE FROM attribute_value WHERE entity IN ({gone.format('entity')})")
            for table in ("event", "enrollment", "entity"):
                db.execute(f"DELETE FROM {table} WHERE deleted")
        return Told(200, {"status": "OK"})


def fitting(field: dict[str, Any], value: str, code: str, most: int) -> list[tuple[str, str]]:
    """What is wrong with a value. As in DHIS2, the texts repeat it."""
    kind = field["valueType"]
    if len(value) > most:
        return [("E1077", f"Attribute: `{value}` text value exceed the maximum length.")]
    options = field.get("optionSet")
    if options and value not in {option["code"] for option in options["options"]}:
        return [("E1125", f"Value `{value}` is not a valid option code in `{options['id']}`.")]
    patterns = {
        "BOOLEAN": "true|false",
        "TRUE_ONLY": "true",
        "INTEGER": r"-?\d+",
        "INTEGER_POSITIVE": r"[1-9]\d*",
        "NUMBER": r"-?\d+(\.\d+)?",
        "DATETIME": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z?",
    }
    if kind in patterns and not re.fullmatch(patterns[kind], value):
        return [(code, f"`{field['id']}` `{value}` is not valid: {kind}")]
    if kind == "DATE":
        try:
            date.fromisoformat(value)
        except ValueError:
            return [(code, f"`{field['id']}` `{value}` is not valid: {kind}")]
    return []
