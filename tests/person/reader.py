"""What a reader finds in a page or document: its structure, and its text."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import pypdf

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """An HTML page taken apart."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page.decode())
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += f"{data} "

    def every(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in tags]


def flat(text: str) -> str:
    """Text as a reader hears it: any white space is one space."""
    return re.sub(r"\s+", " ", text)


def pdf_text(document: bytes) -> str:
    """All text of a PDF."""
    pages = pypdf.PdfReader(io.BytesIO(document)).pages
    return flat(" ".join(page.extract_text() for page in pages))
