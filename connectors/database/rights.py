"""Rights: the GRANTs a connector needs, no more, and what a session has beyond them.

Of its own tables (books and default tables) it reads, inserts, updates and deletes rows. Of the
partner's it does so in the tables that the mapping file names, and only in the columns it names;
rows are deleted where the file says so. It needs no right to create, alter or drop anything, if
`nrm-hub connector ddl` was run by somebody who has it.

What goes beyond is told by kinds: of the whole server, other tables, other columns, other things
that can be done to a partner's table. MariaDB shows the definition of a table only to who may read
all of it, so there the right to read is one of the whole table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.engine import Dialect

from connectors.mapping import EventMap

NEEDED: Final = "SELECT, INSERT, UPDATE, DELETE"
_ROWS: Final = frozenset(NEEDED.split(", "))
_ALL: Final = "ALL PRIVILEGES"
_FEW: Final = 5  # names told
# Attribute of a PostgreSQL role → what it may do that no connector needs.
_TOO_MUCH: Final = {
    "rolsuper": "everything (superuser)",
    "rolcreaterole": "make and change roles",
    "rolcreatedb": "make databases",
    "rolbypassrls": "pass over row security",
    "rolreplication": "copy the whole server",
}


@dataclass(frozen=True)
class Used:
    """What a mapping file does with one table of the partner, perhaps with its schema."""

    table: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    deletes: bool

    @property
    def schema(self) -> str:
        return self.table.rpartition(".")[0]

    @property
    def name(self) -> str:
        return self.table.rpartition(".")[2]


def used(maps: Iterable[EventMap]) -> list[Used]:
    """Each table of a mapping once."""
    tables: dict[str, list[EventMap]] = {}
    for one in maps:
        tables.setdefault(one.table, []).append(one)
    return [
        Used(
            name,
            tuple(dict.fromkeys(column for one in of for column in one.key)),
            tuple(dict.fromkeys(column for one in of for column in one.columns)),
            any(one.when_empty == "delete" for one in of),
        )
        for name, of in tables.items()
    ]


def grants(
    dialect: Dialect, own: Sequence[sa.Table], mapped: Sequence[Used], user: str, database: str
) -> list[str]:
    """The statements for one user."""
    if dialect.name == "postgresql":
        return _postgresql(dialect, own, mapped, user)
    if dialect.name == "mariadb":
        quote = dialect.identifier_preparer
        where, to = quote.quote(database), _account(user)
        return [
            *(f"GRANT {NEEDED} ON {where}.{quote.format_table(one)} TO {to}" for one in own),
            *(
                f"GRANT {_of_columns(dialect, one, whole='SELECT')} ON "
                f"{'' if one.schema else where + '.'}{_place(dialect, one)} TO {to}"
                for one in mapped
            ),
        ]
    return []


def withdrawn(
    dialect: Dialect, own: Sequence[sa.Table], mapped: Sequence[Used], user: str, database: str
) -> list[str]:
    """The statements that take back what `grants` gives, but for tables that are dropped."""
    given = grants(dialect, (), mapped, user, database)
    if dialect.name == "postgresql":
        to = f" TO {dialect.identifier_preparer.quote(user)}"
        schemas = [one for one in grants(dialect, own, mapped, user, database) if " SCHEMA " in one]
        given = [*schemas, *(one for one in given if " SCHEMA " not in one)]
    else:
        to = f" TO {_account(user)}"
    return [
        one.replace("GRANT ", "REVOKE ", 1).replace(to, to.replace(" TO ", " FROM ", 1))
        for one in given
    ]


def _postgresql(
    dialect: Dialect, own: Sequence[sa.Table], mapped: Sequence[Used], user: str
) -> list[str]:
    quote = dialect.identifier_preparer
    to = quote.quote(user)
    schemas = {table.schema or "public" for table in own}
    schemas |= {one.schema or "public" for one in mapped}
    sequences = [
        quote.format_table(sa.Table(f"{table.name}_id_seq", sa.MetaData(), schema=table.schema))
        for table in own
        if "id" in table.c
    ]
    theirs = [_place(dialect, one) for one in mapped]
    return [
        *(f"GRANT USAGE ON SCHEMA {quote.quote(one)} TO {to}" for one in sorted(schemas)),
        *(f"GRANT {NEEDED} ON {quote.format_table(table)} TO {to}" for table in own),
        *(f"GRANT {_of_columns(dialect, o)} ON {_place(dialect, o)} TO {to}" for o in mapped),
        *(f"GRANT USAGE ON SEQUENCE {name} TO {to}" for name in sequences),
        *([_theirs(theirs, to)] if theirs else []),
    ]


# A new row of a partner's own table draws its number there; only the server knows from where.
_THEIR_NUMBERS: Final = """DO $$ DECLARE numbers regclass; BEGIN FOR numbers IN
  SELECT objid::regclass FROM pg_depend JOIN pg_class ON pg_class.oid = objid
  WHERE relkind = 'S' AND deptype = 'a' AND refobjid = ANY (ARRAY[{tables}]::regclass[])
  LOOP EXECUTE format('GRANT USAGE ON SEQUENCE %s TO {to}', numbers); END LOOP; END $$"""


def _theirs(tables: Sequence[str], to: str) -> str:
    quoted = ", ".join("'" + name.replace("'", "''") + "'" for name in tables)
    return _THEIR_NUMBERS.format(tables=quoted, to=to.replace("'", "''").replace("%", "%%"))


def _of_columns(dialect: Dialect, one: Used, whole: str = "") -> str:
    """Rights on the columns of one table. whole: a right that is for all of it."""
    quote = dialect.identifier_preparer.quote
    every = ", ".join(quote(name) for name in dict.fromkeys((*one.keys, *one.columns)))
    filled = ", ".join(quote(name) for name in one.columns)
    rights = [f"{right}" if right == whole else f"{right} ({every})" for right in _READ_AND_MADE]
    rights += [f"UPDATE ({filled})"] if filled else []
    return ", ".join([*rights, *(["DELETE"] if one.deletes else [])])


_READ_AND_MADE: Final = ("SELECT", "INSERT")


def _place(dialect: Dialect, one: Used) -> str:
    return ".".join(dialect.identifier_preparer.quote(step) for step in one.table.split("."))


def _account(user: str) -> str:
    name, _, host = user.partition("@")
    name, host = (part.replace("\\", "\\\\").replace("'", "''") for part in (name, host))
    return f"'{name}'@'{host or '%'}'"


def may_create(db: Connection, schema: str | None) -> bool:
    """Whether this session may make tables, and so add columns to those it made."""
    if db.dialect.name == "postgresql":
        query = sa.text(
            "SELECT has_schema_privilege(coalesce(:schema, current_schema()), 'CREATE')"
        )
        return bool(db.execute(query, {"schema": schema}).scalar())
    if db.dialect.name == "mariadb":
        database = db.execute(sa.text("SELECT DATABASE()")).scalar()
        return any(
            place in ("*.*", f"{database}.*") and rights & {_ALL, "CREATE"}
            for rights, place in _shown(db)
        )
    return True


# -- beyond what is needed -----------------------------------------------------------------------


def too_many(db: Connection, own: Iterable[sa.Table], mapped: Sequence[Used]) -> list[str]:
    """What this session may do that a connector should not, a kind each; none if nothing."""
    mine = {(table.schema or "", table.name) for table in own}
    if db.dialect.name == "postgresql":
        server = _of_server(db)
        return server or [*_of_database(db), *_others(db, mine, mapped), *_more_of(db, mapped)]
    if db.dialect.name == "mariadb":
        return _mariadb_too_many(db, mine, mapped)
    return []


def lacking(db: Connection, mapped: Sequence[Used]) -> list[str]:
    """PostgreSQL: GRANTs without which rows of the partner's tables cannot be made: a number that
    is drawn for a column belongs to a right of its own."""
    if db.dialect.name != "postgresql":
        return []
    query = sa.text(
        "SELECT DISTINCT s.oid::regclass::text FROM pg_attrdef d "
        "JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid "
        "JOIN pg_class s ON s.oid = p.refobjid AND p.refclassid = 'pg_class'::regclass "
        "WHERE d.adrelid = to_regclass(:place) AND CASE WHEN s.relkind = 'S' "
        "THEN NOT has_sequence_privilege(s.oid, 'USAGE') ELSE false END"
    )
    user = db.dialect.identifier_preparer.quote(
        str(db.execute(sa.text("SELECT current_user")).scalar())
    )
    return [
        f"GRANT USAGE ON SEQUENCE {name} TO {user}"
        for one in mapped
        for name in db.execute(query, {"place": _place(db.dialect, one)}).scalars()
    ]


def _of_server(db: Connection) -> list[str]:
    query = f"SELECT {', '.join(_TOO_MUCH)} FROM pg_roles WHERE rolname = current_user"  # noqa: S608
    row = db.execute(sa.text(query)).mappings().one()
    told = [what for name, what in _TOO_MUCH.items() if row[name]]
    if row["rolsuper"]:
        return told
    member = sa.text(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'pg\\_%' "
        "AND pg_has_role(oid, 'MEMBER') ORDER BY rolname"
    )
    roles = list(db.execute(member).scalars())
    return [*told, *([f"what {', '.join(roles)} may"] if roles else [])]


def _of_database(db: Connection) -> list[str]:
    query = "SELECT has_database_privilege(current_database(), 'CREATE')"
    return ["make schemas"] if db.execute(sa.text(query)).scalar() else []


_OTHERS: Final = sa.text(
    "SELECT CASE WHEN n.nspname = current_schema() THEN '' ELSE n.nspname END, c.relname "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^(pg_|information_schema$)' "
    "AND has_schema_privilege(n.oid, 'USAGE') "
    "AND (has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE') "
    "OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE')) "
    "AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e') "
    "ORDER BY 1, 2"
)


def _others(db: Connection, mine: Collection[tuple[str, str]], mapped: Sequence[Used]) -> list[str]:
    """Tables that are neither ours nor of the mapping."""
    here = str(db.execute(sa.text("SELECT current_schema()")).scalar())
    known = {("" if schema == here else schema, name) for schema, name in mine}
    known |= {("" if one.schema == here else one.schema, one.name) for one in mapped}
    found = [(str(row[0]), str(row[1])) for row in db.execute(_OTHERS)]
    return _told_others([".".join(filter(None, one)) for one in found if one not in known])


def _told_others(names: Sequence[str]) -> list[str]:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return [f"read or change other tables ({', '.join(names[:_FEW])}{more})"] if names else []


def _more_of(db: Connection, mapped: Sequence[Used]) -> list[str]:
    """Of the mapping's own tables: columns it does not name, and more than rows."""
    columns = sa.text(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:place) AND attnum > 0 "
        "AND NOT attisdropped AND has_column_privilege(attrelid, attnum, 'SELECT, UPDATE') "
        "ORDER BY attnum"
    )
    further = sa.text(
        "SELECT pg_has_role(relowner, 'MEMBER'), has_table_privilege(oid, 'TRUNCATE'), "
        "has_table_privilege(oid, 'TRIGGER') FROM pg_class WHERE oid = to_regclass(:place)"
    )
    told = []
    for one in mapped:
        place = {"place": _place(db.dialect, one)}
        for row in db.execute(further, place):
            words = ("drop it", "empty it at once", "have it run programs")
            can = [word for word, may in zip(words, row, strict=True) if may]
            told += [f"more with {one.table} than with its rows ({', '.join(can)})"] if can else []
        found = list(db.execute(columns, place).scalars())
        told += _told_columns(one, found)
    return told


def _told_columns(one: Used, readable: Sequence[str]) -> list[str]:
    wanted = {name.lower() for name in (*one.keys, *one.columns)}
    extra = [name for name in readable if name.lower() not in wanted]
    if not extra:
        return []
    more = f" and {len(extra) - _FEW} more" if len(extra) > _FEW else ""
    return [f"read columns of {one.table} that no map names ({', '.join(extra[:_FEW])}{more})"]


def _mariadb_too_many(
    db: Connection, mine: Collection[tuple[str, str]], mapped: Sequence[Used]
) -> list[str]:
    database = str(db.execute(sa.text("SELECT DATABASE()")).scalar())
    partners = {f"{one.schema or database}.{one.name}" for one in mapped}
    told = []
    for rights, place in _shown(db):
        beyond = sorted(rights - _ROWS - {"USAGE"})
        if place == "*.*" and rights - {"USAGE"}:
            if _ALL in rights:
                return ["all rights on all databases"]
            told.append(f"{', '.join(sorted(rights - {'USAGE'}))} on all databases")
        elif beyond and (place in partners or (partners and place == f"{database}.*")):
            told.append(f"more than rows: {', '.join(beyond)} on {place}")
    query = sa.text(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema "
        "NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys') ORDER BY 1, 2"
    )
    known = {(schema or database, name) for schema, name in mine}
    known |= {(one.schema or database, one.name) for one in mapped}
    found = [(str(row[0]), str(row[1])) for row in db.execute(query)]
    others = [one for one in found if one not in known]
    return told + _told_others([n if s == database else f"{s}.{n}" for s, n in others])


def _shown(db: Connection) -> list[tuple[frozenset[str], str]]:
    """(rights, place) of every grant of this session; those on columns count as the right."""
    found = []
    for line in db.execute(sa.text("SHOW GRANTS")).scalars():
        granted, on, rest = str(line).removeprefix("GRANT ").partition(" ON ")
        if not on:  # a role; what it grants is shown too, if it is set
            continue
        place = rest.rpartition(" TO ")[0].replace("`", "").replace("\\", "")
        rights = {part.strip() for part in _without_columns(granted).split(",")}
        if str(line).endswith("WITH GRANT OPTION"):
            rights.add("GRANT OPTION")
        found.append((frozenset(rights), place))
    return found


def _without_columns(granted: str) -> str:
    text, depth = "", 0
    for letter in granted:
        depth += letter == "("
        text += letter if depth == 0 else ""
        depth -= letter == ")"
    return text
