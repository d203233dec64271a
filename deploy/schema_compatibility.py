"""Every Avro schema reads well under two implementations, and none breaks what was released.

Against the newest release tag (v*) in this repository, per schema file: the new one can read
what the old one wrote, the old one can read what the new one writes (partners upgrade when
they can), and no file has gone. Without a release, or outside a git checkout, the schemas
are only parsed, and that is said.

    python deploy/schema_compatibility.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from avro.compatibility import (
        ReaderWriterCompatibilityChecker,
        SchemaCompatibilityResult,
        SchemaCompatibilityType,
    )
    from avro.schema import Schema, make_avsc_object
from fastavro import parse_schema

ROOT = Path(__file__).resolve().parents[1]


def current() -> dict[str, str]:
    files = sorted((ROOT / "schemas").rglob("*.avsc"))
    return {str(file.relative_to(ROOT)): file.read_text("utf-8") for file in files}


def git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else ""


def released() -> tuple[str, dict[str, str]]:
    tag = git("describe", "--tags", "--abbrev=0", "--match", "v*").strip()
    if not tag:
        return "", {}
    names = git("ls-tree", "-r", "--name-only", tag, "schemas/").splitlines()
    return tag, {name: git("show", f"{tag}:{name}") for name in names if name.endswith(".avsc")}


def parsed(name: str, text: str) -> Schema:
    value = json.loads(text)
    parse_schema(value, named_schemas={})
    try:
        return make_avsc_object(value)
    except Exception as error:
        raise ValueError(f"{name}: {error}") from error


def breaks(old: Schema, new: Schema) -> Iterator[str]:
    for reader, writer, said in (
        (new, old, "cannot read what was written before"),
        (old, new, "writes what released readers cannot read"),
    ):
        result: SchemaCompatibilityResult = ReaderWriterCompatibilityChecker().get_compatibility(
            reader=reader, writer=writer
        )
        if result.compatibility is not SchemaCompatibilityType.compatible:
            yield f"{said}: {'; '.join(sorted(result.messages))}"


def main() -> int:
    now = current()
    tag, before = released()
    schemas = {name: parsed(name, text) for name, text in now.items()}
    problems = [f"{name} is gone since {tag}" for name in sorted(before.keys() - now.keys())]
    for name in sorted(before.keys() & now.keys()):
        problems += [f"{name} {how}" for how in breaks(parsed(name, before[name]), schemas[name])]
    for problem in problems:
        print(problem, file=sys.stderr)
    against = f"compared with {tag}" if tag else "no release to compare with"
    print(f"{len(schemas)} schemas parsed by two implementations; {against}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
