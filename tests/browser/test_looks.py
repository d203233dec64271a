"""The checks of names and contrast find what they are for."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.browser.looks import contrasts, unnamed

FAULTY = """<!DOCTYPE html><html lang="en"><title>x</title>
<style>body { background: #fff; color: #111 } .faint { color: #999 } .big { font-size: 30px }
.veil { background: rgba(0, 0, 0, .5) } .large { color: #808080 }</style>
<h1>Title</h1><h3>Skipped</h3>
<p class="faint">faint words</p><p class="faint big">faint, even large</p>
<p class="large big">large words</p><p class="veil">words behind a veil</p>
<button></button><button aria-label="Named"></button>
<label for="nowhere">Lost</label><input id="twice"><p id="twice"></p>
<svg role="img" aria-label="Picture"></svg>"""


def test_faults_are_found_and_what_is_right_is_not(chromium: Browser) -> None:
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.set_content(FAULTY)
        names = "\n".join(unnamed(page))
        assert names.count("no name: <button>") == 1
        assert "no name: <input" in names
        assert "for leads nowhere: nowhere" in names
        assert "id twice: twice" in names
        assert "skips a level: Skipped" in names
        assert len(names.splitlines()) == 6  # the id twice is told twice
        faint = sorted(one.partition(": ")[2] for one in contrasts(page))
        assert faint == ["faint words", "faint, even large"]
    finally:
        context.close()
