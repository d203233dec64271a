"""Where a store is: the two forms of address.

sqlite:///relative/path  sqlite:////absolute/path     (as SQLAlchemy reads them)
postgresql://user:password@host:port/database?schema=name&sslmode=require
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from hub.store.errors import StoreRefused


def sqlite_path(url: str) -> Path:
    """The file of an sqlite:/// address. In memory there is nothing durable, so it is refused."""
    path = url.removeprefix("sqlite:///")
    if path == url or not path or ":memory:" in path or "?" in path:
        raise StoreRefused("give the store a file: sqlite:///path")
    return Path(path)


def split_parameter(url: str, name: str) -> tuple[str, str | None]:
    """The address without our own query parameter `name`, and its value."""
    base, _, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    value = dict(pairs).get(name)
    rest = urlencode([pair for pair in pairs if pair[0] != name])
    return (f"{base}?{rest}" if rest else base), value


def split_schema(url: str) -> tuple[str, str]:
    """The address libpq understands, and the schema named by `?schema=` ("public" if none)."""
    address, schema = split_parameter(url, "schema")
    return address, schema or "public"
