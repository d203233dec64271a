"""Settings files as they are given: TOML, with environment variables put in, and paths beside it.

What no setting can mean is refused here, with its place, before anything is opened: a NUL in a
text, a number that is none or has no end, texts and files longer than anybody writes. A value is
never repeated: it may be a password.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from connectors.errors import SettingsError

MOST_FILE: Final = 1024 * 1024  # bytes
MOST_TEXT: Final = 20_000  # characters of one value
MOST_NAME: Final = 200
MOST_DEPTH: Final = 20
_LONGEST_PART: Final = 255  # bytes of a file's name
_WHOLE: Final = 2**53  # what every program that reads it takes for the same number

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

Seconds = Annotated[float, Field(gt=0, le=2_000_000)]
"""A wait: three weeks at most, which every clock and socket takes."""

Count = Annotated[int, Field(ge=1, le=1_000_000)]


def text_of(path: Path) -> str:
    """What is in a file of settings or a mapping. SettingsError."""
    try:
        with path.open("rb") as file:
            found = file.read(MOST_FILE + 1)
    except (OSError, ValueError) as missing:
        why = getattr(missing, "strerror", None) or "is no name of a file"
        raise SettingsError(f"{path}: cannot be read ({why})") from None
    if len(found) > MOST_FILE:
        raise SettingsError(f"{path}: more than {MOST_FILE // 1024} kB: is it another file?")
    try:
        return found.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is no UTF-8 text: save it as UTF-8") from None


def document_of(text: str, path: Path) -> dict[str, Any]:
    """The text as TOML. SettingsError."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SettingsError(f"{path}: is nested too deep") from None
    except ValueError as wrong:
        raise SettingsError(f"{path}: {str(wrong)[:MOST_NAME]}") from None


def settings_of(path: Path) -> dict[str, Any]:
    """A settings file's values, environment variables put in. SettingsError."""
    values: dict[str, Any] = filled(document_of(text_of(path), path), path)
    return values


def filled(value: Any, path: Path, place: str = "", depth: int = 0) -> Any:
    """Environment variables put in; nothing else of a shell's language."""
    if depth > MOST_DEPTH:
        raise SettingsError(f"{path}: {place}: is nested too deep")
    if isinstance(value, dict):
        return {
            _name(name, path, place): filled(one, path, f"{place}.{name}".strip("."), depth + 1)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [filled(one, path, place, depth + 1) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise SettingsError(f"{path}: {place}: give a number; for no limit leave it out")
    if isinstance(value, int) and abs(value) > _WHOLE:
        raise SettingsError(f"{path}: {place}: the number is too large")
    return _text(value, path, place) if isinstance(value, str) else value


def _name(name: str, path: Path, place: str) -> str:
    if len(name) > MOST_NAME or "\0" in name:
        raise SettingsError(f"{path}: {place or 'file'}: a setting's name is too long, or is none")
    return name


def _text(value: str, path: Path, place: str) -> str:
    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise SettingsError(f"{path}: the environment variable {name} is not set")
        return os.environ[name]

    text = _VARIABLE.sub(fill, value)
    if "\0" in text:
        raise SettingsError(f"{path}: {place}: a NUL character stands in it: remove it")
    if len(text) > MOST_TEXT:
        raise SettingsError(f"{path}: {place}: more than {MOST_TEXT} characters")
    return text


def beside(folder: Path, path: Path) -> Path:
    """The file or folder a setting names, relative to `folder`. SettingsError if none can have
    that name."""
    try:
        found = folder / path.expanduser()
    except RuntimeError:
        raise SettingsError(
            f"{str(path)[:60]!r}: no user of this machine has that name: write the path out"
        ) from None
    if not found.name or "\0" in str(found):
        raise SettingsError(f"{str(path)[:60]!r} is no name of a file")
    if any(len(os.fsencode(part)) > _LONGEST_PART for part in found.parts):
        raise SettingsError(f"{str(path)[:60]!r}…: a name in this path is too long")
    return found
