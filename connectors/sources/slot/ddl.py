"""What a changes source needs to follow PostgreSQL's log, as SQL that an administrator runs.

Rights over replication are rights over everything the server writes. So the source's user gets
none: a role that nobody can log in as has it, owns two functions over this one slot, and the user
may call them. Publication, schema and role are named after the slot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sqlalchemy.dialects import postgresql

from connectors.sources.changes.mapping import ChangesMapping

_PREPARER: Final = postgresql.dialect().identifier_preparer  # type: ignore[no-untyped-call]

SLOT_NAME: Final = re.compile(r"nrm_[a-z0-9_]{1,40}")
"""It names publication, schema and role too, and is no word of SQL."""

WAL_LEVEL: Final = "ALTER SYSTEM SET wal_level = logical; then restart the server"
KEEP: Final = "ALTER SYSTEM SET max_slot_wal_keep_size = '8GB'; SELECT pg_reload_conf();"

_DDL: Final = """\
-- What `nrm-hub source run` needs to follow the log by the slot {slot}. Once, as superuser, in the
-- database that database.url names:  psql -v ON_ERROR_STOP=1 -f FILE DATABASE
--
-- SHOW wal_level has to say logical. If it does not:
--   {wal_level}
-- A slot that nobody reads fills the disk, unless it is bounded:
--   {keep}

BEGIN;

-- Once it is published, PostgreSQL refuses UPDATE and DELETE of a table that has no identity.
DO $$
DECLARE bare text;
BEGIN
  SELECT string_agg(oid::regclass::text, ', ') INTO bare FROM pg_class
  WHERE oid IN ({regclasses}) AND (relreplident = 'n' OR relreplident = 'd'
    AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary));
  IF bare IS NOT NULL THEN
    RAISE EXCEPTION 'without primary key: %. First ALTER TABLE … REPLICA IDENTITY FULL', bare;
  END IF;
END $$;

{publication};

CREATE ROLE {owner} NOLOGIN REPLICATION;
CREATE SCHEMA {slot};
{functions}
{grants}
COMMIT;

{create_slot};
"""

_FUNCTIONS: Final = """\
CREATE FUNCTION {slot}.peek(upto pg_lsn, most integer) RETURNS TABLE (data bytea)
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT data FROM pg_logical_slot_peek_binary_changes(
    '{slot}', upto, most, 'proto_version', '1', 'publication_names', '{slot}') $$;
CREATE FUNCTION {slot}.advance(upto pg_lsn) RETURNS pg_lsn
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT end_lsn FROM pg_replication_slot_advance('{slot}', upto) $$;
ALTER FUNCTION {slot}.peek(pg_lsn, integer) OWNER TO {owner};
ALTER FUNCTION {slot}.advance(pg_lsn) OWNER TO {owner};
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {slot} FROM PUBLIC;
"""


def slot_ddl(mapping: ChangesMapping, slot: str, user: str) -> str:
    """Everything, for a database where nothing of it is there yet."""
    tables = published(mapping)
    return _DDL.format(
        slot=slot,
        owner=owner(slot),
        wal_level=WAL_LEVEL,
        keep=KEEP,
        regclasses=", ".join(f"'{quoted(one)}'::regclass" for one in tables),
        publication=create_publication(slot, tables),
        functions=_FUNCTIONS.format(slot=slot, owner=owner(slot)),
        grants="\n".join(f"{one};" for one in grants(mapping, slot, user)),
        create_slot=create_slot(slot),
    )


def published(mapping: ChangesMapping) -> list[str]:
    """The tables whose rows state something, each once."""
    return list(dict.fromkeys(one.table for one in mapping.maps))


def owner(slot: str) -> str:
    """The role that has the right over the slot."""
    return f"{slot}_owner"


def create_publication(slot: str, tables: Iterable[str]) -> str:
    named = ", ".join(map(quoted, tables))
    return f"CREATE PUBLICATION {slot} FOR TABLE {named} WITH (publish_via_partition_root = true)"


def create_slot(slot: str) -> str:
    """Only where there is the publication: a slot that is not read keeps the log."""
    make = f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"
    return f"{make} FROM pg_publication WHERE pubname = '{slot}'"


def anew(slot: str) -> str:
    return f"SELECT pg_drop_replication_slot('{slot}'); {create_slot(slot)}"


def grants(mapping: ChangesMapping, slot: str, user: str) -> list[str]:
    """To read the columns that the mapping names, and to call the two functions."""
    to = _PREPARER.quote(user)
    columns = mapping.columns_read()
    schemas = sorted({name.rpartition(".")[0] for name in columns} - {"", "public"} | {slot})
    return [
        *(f"GRANT USAGE ON SCHEMA {_PREPARER.quote(one)} TO {to}" for one in schemas),
        *(grant_select(name, named, user) for name, named in columns.items()),
        f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {slot} TO {to}",
    ]


def grant_select(table: str, columns: Iterable[str], user: str) -> str:
    named = ", ".join(map(_PREPARER.quote, columns))
    return f"GRANT SELECT ({named}) ON {quoted(table)} TO {_PREPARER.quote(user)}"


def quoted(table: str) -> str:
    """The name as SQL has it, its schema before it if it has one."""
    return ".".join(_PREPARER.quote(step) for step in table.split("."))
