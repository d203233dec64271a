"""A new connector: a package that works out of the box, with its tests, to be changed from there.

    NAME/pyproject.toml            registers the sink under the name
    NAME/src/NAME/sink.py          what it writes, and where
    NAME/src/NAME/bench.py         how the conformance suite sees it
    NAME/tests/test_conformance.py the suite
    NAME/partner.toml.example      settings

The templates are files in this folder; `$name`, `$package` and `$Class` are put in.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources, util
from importlib.metadata import entry_points
from pathlib import Path
from string import Template
from typing import Final

from connectors.errors import SettingsError
from connectors.kinds import KINDS
from connectors.settings import SINKS
from connectors.sources.settings import SOURCES

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST: Final = 40


@dataclass(frozen=True)
class Family:
    """about: in the README. where: what of sink.py to change first. example: [sink.options]."""

    about: str
    where: str
    example: str
    files: tuple[str, ...] = ("sink.py", "bench.py")


FAMILIES: Final[Mapping[str, Family]] = {
    "state": Family(
        "Brings what this partner holds now to a system that keeps cases: here a folder with one "
        "JSON file per event.",
        "`Folder.put`",
        'folder = "held"                 # has to be there: mkdir -m 700 held',
    ),
    "messages": Family(
        "Tells a system what happened, one message after another: here a folder.",
        "`Folder.send`",
        'folder = "held"                 # has to be there: mkdir -m 700 held',
    ),
    "sql": Family(
        "Writes tables of your own beside the shipped ones, in one transaction of your database.",
        "`Records`, in records.py",
        'url = "sqlite:///partner.db"    # with a password: url = { file = "/run/secrets/url" }',
        ("sink.py", "bench.py", "records.py"),
    ),
    "plain": Family(
        "Keeps records in a file of its own: the smallest sink there is.",
        "`Records`, in records.py",
        'file = "records.db"',
        ("sink.py", "bench.py", "records.py"),
    ),
}
"""What a sink can be built on."""

SOURCE: Final = Family(
    "Takes JSON files that are put into a folder and states each to the hub as an event.",
    "`read`",
    'folder = "/srv/nrm/out"         # has to be there: mkdir -m 700',
    ("source.py", "bench.py"),
)
"""The other way: from an agency's system to the hub."""


def new_connector(name: str, family: str, parent: Path) -> Path:
    """Write the package into `parent`/name and return that folder. family: or "source".

    SettingsError if the name cannot be one, is taken, or the folder is there: nothing is written.
    """
    package = checked(name)
    folder = parent / name
    if folder.exists():
        raise SettingsError(f"{folder} is there already: choose another name or remove it")
    kind = SOURCE if family == "source" else FAMILIES[family]
    values = {
        "name": name,
        "package": package,
        "Class": "".join(part.capitalize() for part in name.split("-")),
        "about": kind.about,
        "where": kind.where,
        "example": kind.example,
    }
    source = f"src/{package}"
    frame, settings = ("source", "source") if family == "source" else ("frame", "partner")
    files = {
        "pyproject.toml": f"{frame}/pyproject.toml",
        "README.md": f"{frame}/README.md",
        f"{settings}.toml.example": f"{frame}/{settings}.toml.example",
        f"{source}/__init__.py": f"{frame}/init.py",
        f"{source}/py.typed": "",
        "tests/test_conformance.py": f"{frame}/test_conformance.py",
        **{f"{source}/{one}": f"{family}/{one}" for one in kind.files},
    }
    for place, template in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_filled(template, values) if template else "", encoding="utf-8")
    return folder


def checked(name: str) -> str:
    """The package's name for a connector's. SettingsError if it cannot be used."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise SettingsError(
            f"{name!r} is no name for a connector: use small letters, digits and single hyphens, "
            f"a letter first, at most {LONGEST}"
        )
    package = name.replace("-", "_")
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        raise SettingsError(f"{name!r} is a word of Python's: choose another name")
    taken = {"sql", "jsonl", "outbox", "changes", "folder", *KINDS}
    taken |= {entry.name for group in (SINKS, SOURCES) for entry in entry_points(group=group)}
    if name in taken:
        raise SettingsError(f"there is a connector {name!r} already: choose another name")
    if util.find_spec(package) is not None:
        raise SettingsError(f"there is a Python package {package!r} already: choose another name")
    return package


def _filled(template: str, values: Mapping[str, str]) -> str:
    file = resources.files("connectors.kit").joinpath("templates", f"{template}.txt")
    return Template(file.read_text("utf-8")).substitute(values)
