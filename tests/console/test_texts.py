"""Nothing is carried along: every text, template and style of the console is used by some page."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from hub.console.render import texts

CONSOLE = Path(str(resources.files("hub.console")))
TEMPLATES = sorted((CONSOLE / "templates").iterdir())
STYLES = sorted((CONSOLE / "static").glob("*.css"))
SOURCES = "\n".join(
    path.read_text("utf-8")
    for path in (*TEMPLATES, *CONSOLE.rglob("*.py"), *(CONSOLE / "static").glob("*.js"))
)
# A key put together: "work.state_" ~ state, f"release.{basis}", t(prefix ~ name).
COMPOSED = re.compile(r"""["']([a-z_]+\.[a-z_]*)(?:["']\s*~|\{)""")
WHOLE = re.compile(r"""["']([a-z_]+\.\w+)["']""")


def test_every_text_is_used() -> None:
    """terms.json is left out: its words are asked for by code, each checked where the codes are."""
    whole, begun = set(WHOLE.findall(SOURCES)), set(COMPOSED.findall(SOURCES))
    pages = {one for one in begun if one.endswith(".")}  # what follows is a code of the hub
    hub = "\n".join(path.read_text("utf-8") for path in CONSOLE.parent.rglob("*.py"))
    codes = set(re.findall(r"\w+", hub + SOURCES))
    unused = []
    for key in texts("en"):
        page, _, name = key.partition(".")
        if page == "terms" or key in whole or key.startswith(tuple(begun - pages)):
            continue
        if f"{page}." not in pages or name not in codes:
            unused.append(key)
    assert unused == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_template_is_used(template: Path) -> None:
    names = {template.name, template.name.removesuffix(".html.j2")}
    assert any(f'"{name}"' in SOURCES for name in names)


@pytest.mark.parametrize("style", STYLES, ids=lambda path: path.name)
def test_every_class_of_a_style_is_written_somewhere(style: Path) -> None:
    """Whole, or as a beginning that a template goes on with: `k-{{ kind }}`."""
    text = re.sub(r"/\*.*?\*/|\{[^{}]*\}", " ", style.read_text("utf-8"), flags=re.DOTALL)
    begun = tuple(re.findall(r"([a-z-]+-|\bm)(?:\{\{|\{)", SOURCES))
    written = set(re.findall(r"[\w-]+", SOURCES))
    unused = {
        name
        for name in re.findall(r"\.([a-zA-Z][\w-]*)", text)
        if name not in written and not name.startswith(begun)
    }
    assert unused == set()
