"""Every page about connecting a system, typed as it stands: connect-*.md, publish-*.md, mapping.md.

`tests/tutorials/page.py` tells in which form such a page is written.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.programs import ROOT
from tests.tutorials.page import Block, Page, missing
from tests.tutorials.places import given, markers
from tests.tutorials.reader import reader

PATHS = sorted(
    [*ROOT.glob("docs/connect-*.md"), *ROOT.glob("docs/publish-*.md"), ROOT / "docs" / "mapping.md"]
)
PAGES = [Page.read(path) for path in PATHS]


def marked(page: Page) -> object:
    marks = [getattr(pytest.mark, name) for name in sorted(markers(page.needs()) | {"slow"})]
    return pytest.param(page, id=page.path.stem, marks=marks)


@pytest.mark.parametrize("page", [marked(page) for page in PAGES])
def test_the_page_as_written(page: Page, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with reader(tmp_path, given(page.needs(), request)) as somebody:
        somebody.read(page)
        codes = somebody.close()
    ours = {block.name for block in page.blocks if block.name and "nrm-hub" in block.text}
    assert {name: codes[name] for name in codes if name in ours and codes[name] != 0} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)
def test_what_a_reader_types_is_what_is_run(page: Page) -> None:
    assert page.mistakes() == []


def test_a_page_that_is_not_run_is_found(tmp_path: Path) -> None:
    path = tmp_path / "connect-nothing.md"
    path.write_text("```bash\nls\n```\n\n```text output\na\n```\n", "utf-8")
    assert len(Page.read(path).mistakes()) == 3


def test_variables_are_those_of_the_blocks_that_are_told(tmp_path: Path) -> None:
    path = tmp_path / "connect-some.md"
    path.write_text(
        "```console\nexport CASE_DB=postgresql://u:p@localhost/c\n```\n"
        "```sh\nexport OTHER=1\n```\n```sh hub\nnrm-hub serve\n```\n",
        "utf-8",
    )
    page = Page.read(path)
    assert page.needs() == {"CASE_DB": "postgresql://u:p@localhost/c"}
    assert markers(page.needs()) == {"postgres"}
    assert page.blocks[-1] == Block("sh", "hub", "nrm-hub serve\n")


@pytest.mark.parametrize(
    ("expected", "said", "absent"),
    [
        ("a\nc", "a\nb\nc\n", None),
        ("c\na", "a\nb\nc\n", "a"),
        ("case  nc-…  open", "case nc-12 open", None),
        ("case", "case nc-12 open", "case"),
        ("", "anything", None),
    ],
)
def test_output_is_held_against_what_the_page_shows(
    expected: str, said: str, absent: str | None
) -> None:
    assert missing(expected, said) == absent


def test_a_command_that_fails_fails_the_page(tmp_path: Path) -> None:
    with reader(tmp_path, {}) as somebody, pytest.raises(AssertionError, match="a command failed"):
        somebody.type("false\necho went on")
