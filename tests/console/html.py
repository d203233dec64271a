"""A page read back: elements as a tree, tables as rows of texts, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

VOID = frozenset({"meta", "link", "input", "br", "img", "hr"})


@dataclass
class Element:
    """One element with its attributes, children and the text directly in it, in order."""

    tag: str
    attrs: dict[str, str] = field(default_factory=dict)
    inside: list[Element | str] = field(default_factory=list)

    def all(self, *tags: str) -> Iterator[Element]:
        for one in self.inside:
            if isinstance(one, Element):
                if not tags or one.tag in tags:
                    yield one
                yield from one.all(*tags)

    @property
    def text(self) -> str:
        """What a reader of the page is told, hidden words included; spaces as one."""
        return " ".join(self._told().split())

    def _told(self) -> str:
        return "".join(one if isinstance(one, str) else one._told() for one in self.inside)

    def by_id(self, name: str) -> Element:
        return next(one for one in self.all() if one.attrs.get("id") == name)

    def rows(self) -> list[list[str]]:
        """Of a table: the texts of every row of its body."""
        [body] = list(self.all("tbody"))
        return [[cell.text for cell in row.all("th", "td")] for row in body.all("tr")]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("")
        self.open = [self.root]
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.wrong.append(f"{tag} has an attribute twice: {names}")
        made = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inside.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].inside.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if self.open[-1].tag != tag:
            self.wrong.append(f"</{tag}> ends <{self.open[-1].tag}>")
            return
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def read(text: str) -> Element:
    """The page; AssertionError if its elements are not closed as they were opened."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert not reader.wrong, reader.wrong
    assert len(reader.open) == 1, [one.tag for one in reader.open]
    return reader.root


def faults(page: Element) -> list[str]:
    """What would keep somebody from reading or using the page."""
    found = [*_names(page), *_tables(page), *_forms(page), *_drawings(page), *_headings(page)]
    for one in page.all():
        if one.tag == "script" or "style" in one.attrs or any(n[:2] == "on" for n in one.attrs):
            found.append(f"<{one.tag}> needs what the page's policy forbids")
        if one.tag in ("a", "button") and not (one.text or one.attrs.get("aria-label")):
            found.append(f"<{one.tag}> without a word")
    return found


def _names(page: Element) -> Iterator[str]:
    ids = [one.attrs["id"] for one in page.all() if "id" in one.attrs]
    yield from (f"id {one} twice" for one in set(ids) if ids.count(one) > 1)
    for one in page.all():
        for name in ("aria-labelledby", "aria-describedby", "for"):
            for target in one.attrs.get(name, "").split():
                if target not in ids:
                    yield f"{name} names {target}, which is not there"


def _tables(page: Element) -> Iterator[str]:
    for table in page.all("table"):
        if not any(one.text for one in table.all("caption")):
            yield "a table without a caption"
        for head in table.all("th"):
            if head.attrs.get("scope") not in ("row", "col"):
                yield f"the header {head.text!r} says not of what"
        width = len(list(next(table.all("thead")).all("th")))
        for row in next(table.all("tbody")).all("tr"):
            cells = list(row.all("th", "td"))
            if sum(int(one.attrs.get("colspan", 1)) for one in cells) != width:
                yield f"a row of {len(cells)} cells under {width} headers"


def _forms(page: Element) -> Iterator[str]:
    labels = list(page.all("label"))
    labelled = {one.attrs["for"] for one in labels if "for" in one.attrs}
    inside = {id(one) for label in labels if label.text for one in label.all()}
    for one in page.all("input", "select", "textarea"):
        if one.attrs.get("type") == "hidden" or id(one) in inside:
            continue
        if one.attrs.get("id") not in labelled:
            yield f"the field {one.attrs.get('name')} has no label"
    for form in page.all("form"):
        if form.attrs.get("method") == "post":
            hidden = [one for one in form.all("input") if one.attrs.get("name") == "token"]
            if len(hidden) != 1 or not hidden[0].attrs.get("value"):
                yield f"the form {form.attrs.get('action')} has no token"


def _drawings(page: Element) -> Iterator[str]:
    for one in page.all("svg"):
        hidden = one.attrs.get("aria-hidden") == "true"
        if not hidden and not (list(one.all("title")) and list(one.all("desc"))):
            yield "a drawing that says nothing to who cannot see it"


def _headings(page: Element) -> Iterator[str]:
    levels = [int(one.tag[1]) for one in page.all("h1", "h2", "h3", "h4")]
    if levels.count(1) != 1 or levels[0] != 1:
        yield f"the first heading is the only one of the first order: {levels}"
    for before, after in pairwise(levels):
        if after > before + 1:
            yield f"headings leave one out: {levels}"
