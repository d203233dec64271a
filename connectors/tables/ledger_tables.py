"""The connector's own tables, as `connectors/ledger.py` uses them.

    nrm_connector_state  last applied sequence, cursor, generation of the writing runner
    nrm_receipt_outbox   receipts owed to the hub, and those sent
    nrm_quarantine       what could not be applied, with its reason
    nrm_holding          what the partner holds now: event and category, on which basis
    nrm_evidence         the agencies' signed statements, apart from the data
    nrm_tombstone        what was recalled, at which sequence
    nrm_restricted       content taken out of use on recall but kept
    nrm_correction       corrections received, for events that may come later

Times are ISO 8601 text in UTC, so that they sort and look the same in every database.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import LONGBLOB, LONGTEXT

# MariaDB's TEXT and BLOB end at 64 KiB.
TEXT: Final = sa.Text().with_variant(LONGTEXT(), "mariadb")
_BYTES: Final = sa.LargeBinary().with_variant(LONGBLOB(), "mariadb")
TABLE: Final[dict[str, Any]] = {
    # Names are told apart by their bytes, as everywhere else; a trailing space counts too.
    "mariadb_engine": "InnoDB",
    "mariadb_row_format": "DYNAMIC",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
}
"""Options of every table we make."""
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite numbers only INTEGER keys


def instant(when: datetime) -> str:
    """UTC with microseconds, so that text sorts as time does."""
    return when.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def from_instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


class LedgerTables:
    """The tables of one agency's connector in one database (and schema, if given)."""

    def __init__(self, agency: str, hub: str, metadata: sa.MetaData) -> None:
        self._agency = agency
        self._hub = hub
        text = TEXT
        # Keys are bounded strings, because MariaDB cannot index unbounded text.
        ref, name = sa.String(100), sa.String(64)
        self.state = sa.Table(
            "nrm_connector_state",
            metadata,
            sa.Column("agency", ref, primary_key=True),
            sa.Column("hub", text, nullable=False),
            sa.Column("layout", sa.Integer, nullable=False),
            sa.Column("last_sequence", sa.BigInteger, nullable=False),
            sa.Column("cursor", text, nullable=False),
            sa.Column("generation", sa.BigInteger, nullable=False),
            sa.Column("updated_at", text, nullable=False),
            **TABLE,
        )
        self.outbox = sa.Table(
            "nrm_receipt_outbox",
            metadata,
            sa.Column("id", BIG, primary_key=True, autoincrement=True),
            sa.Column("first_sequence", sa.BigInteger, nullable=False),
            sa.Column("last_sequence", sa.BigInteger, nullable=False, index=True),
            sa.Column("applied_at", text, nullable=False),
            sa.Column("exceptions", text, nullable=False),
            sa.Column("sent_at", sa.String(40), index=True),
            **TABLE,
        )
        self.quarantine = sa.Table(
            "nrm_quarantine",
            metadata,
            sa.Column("id", BIG, primary_key=True, autoincrement=True),
            sa.Column("sequence", sa.BigInteger, index=True),
            sa.Column("digest", name, nullable=False, index=True),
            sa.Column("reason", name, nullable=False),
            sa.Column("detail", text, nullable=False),
            sa.Column("event_ref", ref, nullable=False, index=True),
            sa.Column("raw", _BYTES, nullable=False),
            sa.Column("arrived_at", text, nullable=False),
            sa.Column("state", sa.String(16), nullable=False),
            **TABLE,
        )
        self.holding = sa.Table(
            "nrm_holding",
            metadata,
            sa.Column("event_ref", ref, primary_key=True),
            sa.Column("category", name, primary_key=True),
            sa.Column("basis", sa.String(200), nullable=False),
            sa.Column("event_type", name, nullable=False),
            sa.Column("case_ref", ref, nullable=False),
            sa.Column("sequence", sa.BigInteger, nullable=False),
            **TABLE,
        )
        self.evidence = sa.Table(
            "nrm_evidence",
            metadata,
            sa.Column("event_ref", ref, primary_key=True),
            sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("statement", _BYTES, nullable=False),
            **TABLE,
        )
        self.tombstone = sa.Table(
            "nrm_tombstone",
            metadata,
            sa.Column("event_ref", ref, primary_key=True),
            sa.Column("category", name, primary_key=True),
            sa.Column("sequence", sa.BigInteger, nullable=False),
            sa.Column("recall_ref", text, nullable=False),
            sa.Column("recalled_at", text, nullable=False),
            **TABLE,
        )
        self.restricted = sa.Table(
            "nrm_restricted",
            metadata,
            sa.Column("event_ref", ref, primary_key=True),
            sa.Column("category", name, primary_key=True),
            sa.Column("sequence", sa.BigInteger, nullable=False),
            sa.Column("content", text, nullable=False),
            **TABLE,
        )
        self.correction = sa.Table(
            "nrm_correction",
            metadata,
            sa.Column("event_ref", ref, primary_key=True),
            sa.Column("sequence", sa.BigInteger, nullable=False),
            # Which field and which value may be of two categories, and come at different times.
            sa.Column("told_in", name),
            sa.Column("corrects_event", ref, index=True),
            sa.Column("field", name),
            sa.Column("category", name),
            sa.Column("value", text),
            **TABLE,
        )
        self.tables = (
            self.state,
            self.outbox,
            self.quarantine,
            self.holding,
            self.evidence,
            self.tombstone,
            self.restricted,
            self.correction,
        )
