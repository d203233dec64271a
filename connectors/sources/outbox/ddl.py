"""The outbox table: an agency's application writes an event's row in its own transaction.

What the application fills: event_type, case_ref, data; where wanted subject_ref, occurred_at,
corrects_type. The rest is the source's, and tells what became of the row. To offer a refused row
again: put it right and set `status` to 'ready'; to give it up: 'dropped'.

A row is found by its status and not by a number that only grows. So a row whose transaction commits
late, under a lower id than others that are done, is sent like any other.
"""

from __future__ import annotations

from typing import Final

from connectors.errors import SettingsError

TABLE: Final = "nrm_outbox"

_POSTGRESQL: Final = """\
CREATE TABLE {table} (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  row_key TEXT NOT NULL UNIQUE DEFAULT gen_random_uuid()::text
    CHECK (length(row_key) BETWEEN 1 AND 200),
  event_type TEXT NOT NULL,
  case_ref TEXT NOT NULL,
  subject_ref TEXT,
  occurred_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  corrects_type TEXT,
  data JSONB NOT NULL,
  status TEXT NOT NULL DEFAULT 'ready'
    CHECK (status IN ('ready', 'accepted', 'refused', 'dropped')),
  attempt INTEGER NOT NULL DEFAULT 0,
  hub_event TEXT,
  hub_position BIGINT,
  answered_at TIMESTAMPTZ,
  answer_step INTEGER,
  answer_reason TEXT,
  answer_guard TEXT,
  answer_field TEXT,
  answer_fix TEXT
);
CREATE INDEX {index}_ready ON {table} (id) WHERE status = 'ready';
CREATE INDEX {index}_refused ON {table} (case_ref, id) WHERE status = 'refused';
"""

_MARIADB: Final = """\
CREATE TABLE {table} (
  id BIGINT AUTO_INCREMENT PRIMARY KEY,
  row_key VARCHAR(200) NOT NULL DEFAULT (UUID()) UNIQUE CHECK (row_key <> ''),
  event_type VARCHAR(64) NOT NULL,
  case_ref VARCHAR(200) NOT NULL,
  subject_ref VARCHAR(200),
  occurred_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  corrects_type VARCHAR(64),
  data JSON NOT NULL,
  status VARCHAR(16) NOT NULL DEFAULT 'ready'
    CHECK (status IN ('ready', 'accepted', 'refused', 'dropped')),
  attempt INTEGER NOT NULL DEFAULT 0,
  hub_event VARCHAR(36),
  hub_position BIGINT,
  answered_at TIMESTAMP(6) NULL,
  answer_step INTEGER,
  answer_reason VARCHAR(64),
  answer_guard VARCHAR(64),
  answer_field VARCHAR(64),
  answer_fix TEXT,
  INDEX {index}_ready (status, id),
  INDEX {index}_refused (case_ref, status, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
"""

_SQLITE: Final = """\
CREATE TABLE {table} (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  row_key TEXT NOT NULL UNIQUE DEFAULT (lower(hex(randomblob(16))))
    CHECK (typeof(row_key) = 'text' AND length(row_key) BETWEEN 1 AND 200),
  event_type TEXT NOT NULL,
  case_ref TEXT NOT NULL,
  subject_ref TEXT,
  occurred_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  corrects_type TEXT,
  data TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'ready'
    CHECK (status IN ('ready', 'accepted', 'refused', 'dropped')),
  attempt INTEGER NOT NULL DEFAULT 0 CHECK (typeof(attempt) = 'integer'),
  hub_event TEXT,
  hub_position INTEGER,
  answered_at TEXT,
  answer_step INTEGER,
  answer_reason TEXT,
  answer_guard TEXT,
  answer_field TEXT,
  answer_fix TEXT
);
CREATE INDEX {index}_ready ON {table} (id) WHERE status = 'ready';
CREATE INDEX {index}_refused ON {table} (case_ref, id) WHERE status = 'refused';
"""

_DDL: Final = {"postgresql": _POSTGRESQL, "mariadb": _MARIADB, "mysql": _MARIADB, "sqlite": _SQLITE}

_TRIGGER: Final = {
    "postgresql": """\
CREATE FUNCTION nrm_case_opened() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {table} (event_type, case_ref, data)
  VALUES ('CaseOpened', NEW.case_no,
          jsonb_build_object('jurisdiction', 'XX', 'channel', NEW.channel, 'age_status', NEW.age));
  RETURN NEW;
END $$;
CREATE TRIGGER nrm_case_opened AFTER INSERT ON client
  FOR EACH ROW EXECUTE FUNCTION nrm_case_opened();
""",
    "mariadb": """\
CREATE TRIGGER nrm_case_opened AFTER INSERT ON client FOR EACH ROW
  INSERT INTO {table} (event_type, case_ref, data)
  VALUES ('CaseOpened', NEW.case_no,
          JSON_OBJECT('jurisdiction', 'XX', 'channel', NEW.channel, 'age_status', NEW.age));
""",
    "sqlite": """\
CREATE TRIGGER nrm_case_opened AFTER INSERT ON client
BEGIN
  INSERT INTO {table} (event_type, case_ref, data)
  VALUES ('CaseOpened', NEW.case_no,
          json_object('jurisdiction', 'XX', 'channel', NEW.channel, 'age_status', NEW.age));
END;
""",
}


def ddl(dialect: str, table: str = TABLE) -> str:
    """The statements that make the table, each ending with a semicolon and a line end."""
    text = _DDL.get(dialect)
    if text is None:
        raise SettingsError(f"no outbox for {dialect}: use postgresql, mariadb or sqlite")
    return text.format(table=table, index=table.rpartition(".")[2])


def trigger(dialect: str, table: str = TABLE) -> str:
    """An example: a new row of a table `client` opens a case. Put your own names in."""
    return _TRIGGER["mariadb" if dialect == "mysql" else dialect].format(table=table)
