"""The verifier of evidence bundles as a page: its modules, and all of them in one file.

    python -m hub.console.verifier        # writes static/verify/store-schemas.js anew

The page is plain modules without a build step. For a machine without a network everything is put
into a single HTML file; its policy allows exactly the script and the style that are in it, by
hash, and no connection at all. Nothing here checks a bundle: docs/evidence.md says what is
checked, `static/verify/` does it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from schemas.avro import Codec

FOLDER: Final = Path(str(resources.files("hub.console") / "static" / "verify"))
START: Final = "page.js"
WIRE: Final = ("Header", "BatchHead", "Receipt")  # what stands inside rows, as it was sent

_IMPORT: Final = re.compile(r'^import (\{[^}]*\}) from "\./([a-z0-9-]+\.js)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(
    r"^export ((?:async )?function\*? |class |const )([A-Za-z_$][\w$]*)", re.MULTILINE
)
_STYLESHEET: Final = re.compile(r'<link rel="stylesheet" href="\.?/?(?:[\w/]*/)?verify\.css">')
_SCRIPT: Final = re.compile(r'<script type="module" src="\.?/?(?:[\w/]*/)?page\.js"></script>')
_POLICY: Final = re.compile(r'<meta http-equiv="Content-Security-Policy" content="[^"]*">')


class VerifierError(Exception):
    """A module is written in a way that cannot be put into one file: as the message says."""


# -- the schemas of rows ---------------------------------------------------------------------


def schemas_module() -> str:
    """The text of `store-schemas.js`: every schema a row or what stands in it is written with."""
    store = {
        one.fingerprint.hex(): {"topic": topic, "schema": schema}
        for topic, schema, one in sorted(_store(), key=lambda found: found[0])
    }
    wire = {}
    for name in WIRE:
        text = (resources.files("schemas") / "wire" / f"{name}.avsc").read_text("utf-8")
        wire[name] = {"prefix": Codec(text).prefix.hex(), "schema": _bare(json.loads(text))}
    return (
        "/**\n"
        " * Schemas of the log's rows by fingerprint, and of the signed messages in them.\n"
        " *\n"
        " * Made by `python -m hub.console.verifier` from schemas/store and schemas/wire.\n"
        " */\n\n"
        f"export const STORE = {json.dumps(store, indent=1, ensure_ascii=False)};\n\n"
        f"export const WIRE = {json.dumps(wire, indent=1, ensure_ascii=False)};\n"
    )


def _store() -> Iterator[tuple[str, Any, Codec]]:
    folder = Path(str(resources.files("schemas") / "store"))
    for file in sorted(folder.rglob("*.avsc")):
        schema = json.loads(file.read_text("utf-8"))
        yield f"{schema['namespace']}.{schema['name']}", _bare(schema), Codec(schema)


def _bare(schema: Any) -> Any:
    """Without what is for people: reading needs types and names."""
    if isinstance(schema, list):
        return [_bare(one) for one in schema]
    if isinstance(schema, dict):
        return {name: _bare(value) for name, value in schema.items() if name != "doc"}
    return schema


# -- one file --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """The whole verifier as one HTML document that needs nothing else.

    policy: its Content-Security-Policy, which stands in it; a server sends it as a header too.
    """

    html: str
    policy: str

    @property
    def digest(self) -> str:
        """SHA-256 of the file, hexadecimal: what two people compare."""
        return hashlib.sha256(self.html.encode()).hexdigest()


def page() -> Page:
    """The page made of the modules as they are now; the same modules give the same bytes."""
    script = _bundled()
    style = (FOLDER / "verify.css").read_text("utf-8")
    if "</script" in script or "</style" in style:
        raise VerifierError("a module or the style holds the end of its own element")
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    document = (FOLDER / "verify.html").read_text("utf-8")
    for pattern, text in (
        (_POLICY, f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        (_STYLESHEET, f"<style>{style}</style>"),
        (_SCRIPT, f'<script type="module">{script}</script>'),
    ):
        document, found = pattern.subn(lambda _match, text=text: text, document)  # type: ignore[misc]
        if found != 1:
            raise VerifierError(f"verify.html has not one place for {pattern.pattern}")
    return Page(document, policy)


def modules() -> list[str]:
    """Names of the page's modules, each after those it imports."""
    order: list[str] = []
    _visit(START, order, ())
    return order


def _visit(name: str, order: list[str], above: tuple[str, ...]) -> None:
    if name in above:
        raise VerifierError(f"modules import one another in a circle: {', '.join(above)}")
    if name in order:
        return
    for _, imported in _IMPORT.findall(_source(name)):
        _visit(imported, order, (*above, name))
    order.append(name)


def _source(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


def _bundled() -> str:
    """Every module as a function of its own, so that names stay apart, in order of need."""
    parts = ['"use strict";', "const modules = {};"]
    for name in modules():
        source = _source(name)
        exported = [found[1] for found in _EXPORT.findall(source)]
        body = _EXPORT.sub(r"\1\2", source)
        body = _IMPORT.sub(
            lambda found: (
                f"const {found[1].replace(' as ', ': ')} = modules[{json.dumps(found[2])}];\n"
            ),
            body,
        )
        left = re.search(r"^(?:import|export)\b.*$", body, re.MULTILINE)
        if left is not None:
            raise VerifierError(f"{name}: write this as the other modules do: {left[0]}")
        parts.append(
            f"modules[{json.dumps(name)}] = (() => {{\n{body}\n"
            f"return {{ {', '.join(exported)} }};\n}})();"
        )
    return "\n".join(["", *parts, ""])


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


if __name__ == "__main__":
    (FOLDER / "store-schemas.js").write_text(schemas_module(), "utf-8")
