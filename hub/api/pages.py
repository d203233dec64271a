"""The API's description as one plain page: no script, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from hub.api.problems import KINDS, PROBLEM_JSON

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code{background:#f2f2f2;padding:.1em .3em}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top}"
)
_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'"


def page(document: Mapping[str, Any]) -> str:
    """The OpenAPI document for reading."""
    return "".join(_lines(document))


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    title = escape(document["info"]["title"])
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    yield f"<style>{STYLE}</style><h1>{title} {escape(document['info']['version'])}</h1>"
    yield f"<p>{escape(document['info']['description'])}</p>"
    yield '<p>For programs: <a href="/openapi.json">openapi.json</a>.</p>'
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield from _operation(method.upper(), path, operation)
    yield "<h2>Problems</h2><table><tr><th>status<th>code<th>meaning<th>what to do</tr>"
    for code, kind in sorted(KINDS.items(), key=lambda item: (item[1].status, item[0])):
        yield f"<tr><td>{kind.status}<td><code>{code}</code>"
        yield f"<td>{escape(kind.title)}<td>{escape(kind.next)}</tr>"
    yield "</table></html>"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{method} {escape(path)}</code></h2>"
    for paragraph in operation.get("description", "").split("\n\n"):
        yield f"<p>{escape(paragraph)}</p>"
    if "security" in operation:
        yield "<p>Signed by an enrolled agency.</p>"
    if operation.get("parameters"):
        yield "<table><tr><th>parameter<th>in<th>meaning</tr>"
        for one in operation["parameters"]:
            yield f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}"
            yield f"<td>{escape(one.get('description', ''))}</tr>"
        yield "</table>"
    for media in operation.get("requestBody", {}).get("content", {}):
        yield f"<p>Body: <code>{escape(media)}</code></p>"
    yield "<table><tr><th>status<th>answer<th>codes</tr>"
    for status, answer in operation["responses"].items():
        contents = answer.get("content", {})
        problems = contents.get(PROBLEM_JSON, {}).get("examples", {})
        codes = ", ".join(problems) or ", ".join(contents)
        yield f"<tr><td>{status}<td>{escape(answer['description'])}<td>{escape(codes)}</tr>"
    yield "</table>"
