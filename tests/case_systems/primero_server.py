"""What the described Primero does: cases merged field by field, rows by their id, a history.

Generated from the public description, kept in SQLite: cases and referrals in one file, the record
history in another, so that a test can say where something is. It is not Primero: it knows the
rules this connector meets. Its forms and lists are made up.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tests.case_systems.described import Asked, Described, Told

HERE = Path(__file__).parent
UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


@dataclass(frozen=True)
class Account:
    """actions: what its role permits. hidden: fields its role's forms do not have."""

    name: str
    actions: frozenset[str]
    hidden: frozenset[str] = frozenset()


ALL_ACTIONS = frozenset({"write", "enable_disable_record", "referral"})


class PrimeroServer:
    """The behaviour. Every password is the account's name and "-secret"."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.history_path = path.with_name(path.stem + ".history")
        self.configuration = json.loads((HERE / "primero_forms.json").read_text("utf-8"))
        self.accounts = {
            one.name: one
            for one in (
                Account("connector", ALL_ACTIONS),
                Account("reader", frozenset()),
                Account("narrow", ALL_ACTIONS, frozenset({"last_names"})),
            )
        }
        self.described = Described(HERE / "primero.openapi.json", self)
        with self.db() as db:
            db.execute("CREATE TABLE IF NOT EXISTS cases (id TEXT PRIMARY KEY, data TEXT)")
            db.execute(
                "CREATE TABLE IF NOT EXISTS transitions (id TEXT PRIMARY KEY, record TEXT, "
                "data TEXT)"
            )
        with self.db(self.history_path) as db:
            db.execute("CREATE TABLE IF NOT EXISTS histories (record TEXT, changes TEXT)")

    def db(self, path: Path | None = None) -> sqlite3.Connection:
        db = sqlite3.connect(path or self.path)
        db.execute("PRAGMA secure_delete=ON")
        return db

    def authenticate(self, headers: Mapping[str, str]) -> Account | None:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind != "Basic":
            return None
        user, _, password = base64.b64decode(given).decode().partition(":")
        return self.accounts.get(user) if password == f"{user}-secret" else None

    def refusal(self, status: int, path: str, text: str, detail: Any = None) -> Any:
        error = {"status": status, "resource": path, "message": text}
        return {"errors": [{**error, "detail": detail} if detail else error]}

    def _no(self, status: int, asked: Asked, text: str, detail: Any = None) -> Told:
        return Told(status, self.refusal(status, f"/api/v2/{asked.operation}", text, detail))

    # -- configuration ---------------------------------------------------------------------

    def forms(self, asked: Asked) -> Told:
        return Told(200, {"data": self.configuration["forms"]})

    def lookups(self, asked: Asked) -> Told:
        page, per = int(asked.query.get("page", "1")), int(asked.query.get("per", "20"))
        every = self.configuration["lookups"]
        shown = every[(page - 1) * per : page * per]
        return Told(
            200, {"data": shown, "metadata": {"total": len(every), "per": per, "page": page}}
        )

    def receivers(self, asked: Asked) -> Told:
        if "referral" not in asked.account.actions:
            return self._no(403, asked, "Forbidden")
        return Told(
            200, {"data": [{"user_name": name} for name in self.configuration["receivers"]]}
        )

    # -- cases -----------------------------------------------------------------------------

    def index(self, asked: Asked) -> Told:
        page, per = int(asked.query.get("page", "1")), int(asked.query.get("per", "20"))
        with self.db() as db:
            rows = db.execute("SELECT id, data FROM cases ORDER BY id").fetchall()
        shown = [
            {
                "id": one,
                **{k: v for k, v in json.loads(data).items() if k not in asked.account.hidden},
            }
            for one, data in rows[(page - 1) * per : page * per]
        ]
        return Told(
            200, {"data": shown, "metadata": {"total": len(rows), "per": per, "page": page}}
        )

    def show(self, asked: Asked) -> Told:
        data = self._case(asked.path["id"])
        if data is None:
            return self._no(404, asked, "Not Found")
        shown = {k: v for k, v in data.items() if k not in asked.account.hidden}
        enabled = data.get("record_state", True)
        return Told(200, {"data": {"id": asked.path["id"], "enabled": enabled, **shown}})

    def create(self, asked: Asked) -> Told:
        if "write" not in asked.account.actions:
            return self._no(403, asked, "Forbidden")
        data = dict(self._permitted(asked.body["data"], self._case_schema(asked.account)))
        wrong = self._wrong(data, asked.account)
        if wrong:
            return self._no(422, asked, "Invalid Record JSON", wrong)
        record = data.pop("id", None) or str(uuid.uuid4())
        if self._case(record) is not None:
            return self._no(409, asked, "Conflict: A record with this id already exists")
        self._save(record, {}, {"status": "open", "record_state": True, **data})
        return Told(204)

    def update(self, asked: Asked) -> Told:
        before = self._case(asked.path["id"])
        if before is None:
            return self._no(404, asked, "Not Found")
        if "write" not in asked.account.actions:
            return self._no(403, asked, "Forbidden")
        data = self._permitted(asked.body["data"], self._case_schema(asked.account))
        data.pop("id", None)
        wrong = self._wrong(data, asked.account)
        if wrong:
            return self._no(422, asked, "Invalid Record JSON", wrong)
        self._save(asked.path["id"], before, merged(before, data))
        return Told(200, {"data": {"id": asked.path["id"], **data}})

    def disable(self, asked: Asked) -> Told:
        before = self._case(asked.path["id"])
        if before is None:
            return self._no(404, asked, "Not Found")
        if "enable_disable_record" not in asked.account.actions:
            return self._no(403, asked, "Forbidden")
        self._save(asked.path["id"], before, {**before, "record_state": False})
        return Told(200, {"data": {"id": asked.path["id"]}})

    def _case(self, record: str) -> dict[str, Any] | None:
        with self.db() as db:
            row = db.execute("SELECT data FROM cases WHERE id = ?", (record,)).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def _save(self, record: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        changes = {
            name: {"from": before.get(name), "to": value}
            for name, value in after.items()
            if before.get(name) != value
        }
        with self.db() as db:
            db.execute("INSERT OR REPLACE INTO cases VALUES (?, ?)", (record, json.dumps(after)))
        if changes:
            with self.db(self.history_path) as db:
                db.execute("INSERT INTO histories VALUES (?, ?)", (record, json.dumps(changes)))

    # -- what a case may say ---------------------------------------------------------------

    def _permitted(self, data: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
        """As Primero does: what the role may not write is dropped, and nothing is said."""
        kept: dict[str, Any] = {}
        for name, value in data.items():
            known = schema["properties"].get(name)
            if known is None:
                continue
            rows = known.get("items", {}).get("properties") is not None
            if rows and isinstance(value, list):
                value = [self._permitted(row, known["items"]) for row in value]
            kept[name] = value
        return kept

    def _wrong(self, data: dict[str, Any], account: Account) -> list[str]:
        """Pointers to fields whose value the forms do not take."""
        errors = Draft202012Validator(self._case_schema(account)).iter_errors(data)
        return ["/" + "/".join(str(step) for step in error.absolute_path) for error in errors]

    def _case_schema(self, account: Account) -> dict[str, Any]:
        schema = self._schema(1, account)
        schema["properties"] |= {
            "id": {"type": "string", "pattern": UUID},
            "module_id": {"const": self.configuration["module"]},
            "status": {"enum": ["open", "closed", "transferred", "identified"]},
            "record_state": {"type": "boolean"},
        }
        return schema

    def _schema(self, form_id: int, account: Account) -> dict[str, Any]:
        form = next(one for one in self.configuration["forms"] if one["id"] == form_id)
        properties: dict[str, Any] = {}
        for field in form["fields"]:
            if field["name"] not in account.hidden:
                properties[field["name"]] = self._field(field, account)
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def _field(self, field: dict[str, Any], account: Account) -> dict[str, Any]:
        kind = field["type"]
        if kind == "tick_box":
            return {"type": "boolean"}
        if kind == "numeric_field":
            return {"type": ["integer", "null"], "minimum": -(2**31), "maximum": 2**31 - 1}
        if kind == "date_field":
            day = r"\d{4}-\d\d-\d\d"
            timed = r"T\d\d:\d\d:\d\d\.\d{3}Z" if field.get("date_include_time") else ""
            return {"type": ["string", "null"], "pattern": f"^{day}{timed}$"}
        if kind in ("select_box", "radio_button"):
            options = self._options(field)
            one: dict[str, Any] = {"type": "string"} if options is None else {"enum": options}
            if field.get("multi_select"):
                return {"type": ["array", "null"], "items": one}
            return {"anyOf": [one, {"type": "null"}]}
        if kind == "subform":
            rows = self._schema(field["subform_section_id"], account)
            rows["properties"] |= {
                "unique_id": {"type": "string", "pattern": UUID},
                "_destroy": {"type": ["boolean", "null"]},
            }
            return {"type": ["array", "null"], "items": rows}
        if kind in ("text_field", "textarea"):
            return {"type": ["string", "null"]}
        return {"not": {}}

    def _options(self, field: dict[str, Any]) -> list[str] | None:
        source = field.get("option_strings_source", "").removeprefix("lookup ")
        for lookup in self.configuration["lookups"]:
            if lookup["unique_id"] == source:
                return [value["id"] for value in lookup["values"]]
        given = field.get("option_strings_text")
        return None if given is None else [value["id"] for value in given]

    # -- referrals -------------------------------------------------------------------------

    def referrals(self, asked: Asked) -> Told:
        if self._case(asked.path["id"]) is None:
            return self._no(404, asked, "Not Found")
        return Told(200, {"data": self.transitions(asked.path["id"])})

    def transitions(self, record: str) -> list[dict[str, Any]]:
        with self.db() as db:
            query = "SELECT id, data FROM transitions WHERE record = ?"
            rows = db.execute(query, (record,)).fetchall()
        return [{"id": one, **json.loads(data)} for one, data in rows]

    def refer(self, asked: Asked) -> Told:
        case = self._case(asked.path["id"])
        if case is None:
            return self._no(404, asked, "Not Found")
        if "referral" not in asked.account.actions:
            return self._no(403, asked, "Forbidden")
        said = asked.body["data"]
        known = said.get("transitioned_to") in self.configuration["receivers"]
        if not known and not said.get("remote"):
            return self._no(422, asked, "the user cannot receive", "transitioned_to")
        if not said.get("consent_overridden"):
            return self._no(422, asked, "consent is missing", "consent")
        row = {**said, "type": "Referral", "status": "in_progress"}
        self._transition(str(uuid.uuid4()), asked.path["id"], row)
        return Told(200, {"data": row})

    def revoke(self, asked: Asked) -> Told:
        for one in self.transitions(asked.path["id"]):
            if one["id"] == asked.path["referral"]:
                row = {k: v for k, v in one.items() if k != "id"} | {"status": "revoked"}
                self._transition(one["id"], asked.path["id"], row)
                return Told(200, {"data": row})
        return self._no(404, asked, "Not Found")

    def _transition(self, one: str, record: str, row: dict[str, Any]) -> None:
        with self.db() as db:
            values = (one, record, json.dumps(row))
            db.execute("INSERT OR REPLACE INTO transitions VALUES (?, ?, ?)", values)


def merged(old: Any, new: Any) -> Any:
    """Objects field by field; arrays of objects by unique_id, `_destroy` removes; else the new."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{k: merged(old[k], v) if k in old else v for k, v in new.items()}}
    if _rows(old) and _rows(new):
        by_id = {row.get("unique_id"): row for row in new}
        kept = [merged(row, by_id.pop(row.get("unique_id"), {})) for row in old]
        return [row for row in [*kept, *by_id.values()] if not row.get("_destroy")]
    return new


def _rows(value: Any) -> bool:
    return isinstance(value, list) and (not value or isinstance(value[0], dict))
