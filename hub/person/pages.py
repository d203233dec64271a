"""Pages: a statement as HTML and as PDF, from the same sections.

HTML: one file that loads nothing from anywhere and runs nothing; Jinja2 escapes every text. PDF:
Typst, tagged (PDF/UA-1), with language and title; texts reach the template as data of a JSON
document and are never markup, so that no name or reason can become an instruction.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import resources

import jinja2

from hub.person.statement import Statement


def html(statement: Statement) -> bytes:
    """The statement as one HTML document."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_template("statement.html.j2").decode())
    return (template.render(it=statement) + "\n").encode()


def pdf(statement: Statement) -> bytes:
    """The statement as PDF. Fonts are those that come with Typst, so it looks alike everywhere."""
    import typst

    return typst.compile(
        _template("statement.typ"),
        format="pdf",
        font_paths=typst.Fonts(include_system_fonts=False),
        sys_inputs={"statement": json.dumps(asdict(statement), ensure_ascii=False)},
        pdf_standards="ua-1",
    )


def _template(name: str) -> bytes:
    return resources.files("hub.person").joinpath("templates", name).read_bytes()
