"""The page's files: current, whole, small, and without a way out."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.cli import app
from hub.console import verifier
from nrm_verify.failure import EXITS, STEPS

MODULES = sorted(verifier.FOLDER.glob("*.js"))
LONGEST = 300
ROOT = Path(__file__).parents[2]


def source(name: str) -> str:
    return (verifier.FOLDER / name).read_text("utf-8")


def test_the_schemas_of_rows_are_current() -> None:
    assert source("store-schemas.js") == verifier.schemas_module(), (
        "python -m hub.console.verifier writes store-schemas.js anew"
    )


def test_every_module_is_used_and_none_is_missing() -> None:
    assert sorted(verifier.modules()) == [one.name for one in MODULES]


@pytest.mark.parametrize("module", MODULES, ids=lambda one: one.name)
def test_a_module_is_short_explained_and_has_no_way_out(module: Path) -> None:
    text = module.read_text("utf-8")
    assert text.startswith("/**")
    assert module.name == "store-schemas.js" or len(text.splitlines()) <= LONGEST
    text = re.sub(r"/\*\*.*?\*/", "", text, flags=re.DOTALL)  # types say import("…") too
    ways = (
        r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts|eval|Function)\b"
    )
    assert re.search(ways, text) is None
    assert re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write)\b", text) is None
    assert re.search(r"https?:(?!//www\.w3\.org/2000/svg)", text) is None
    assert re.search(r"\bimport\(", text) is None


@pytest.mark.browser
def test_codes_and_steps_are_those_of_the_program() -> None:
    printed = subprocess.run(
        ["node", "--input-type=module", "-e", _PRINT.replace("@", verifier.FOLDER.as_uri())],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    exits = dict(line.split() for line in printed if not line.startswith("step "))
    assert {code: int(number) for code, number in exits.items()} == dict(EXITS)
    steps = [line for line in printed if line.startswith("step ")]
    assert len(steps) == len(STEPS)


_PRINT = """
import { EXITS } from "@/refusal.js";
import { knows } from "@/texts.js";
for (const [code, number] of Object.entries(EXITS)) {
  if (!knows(code) || !knows(`do_${number}`)) throw new Error(`no words for ${code}`);
  console.log(code, number);
}
for (let step = 1; knows(`step_${step}`); step += 1) console.log("step", step);
"""


def test_every_text_that_is_said_is_known_and_every_known_one_said() -> None:
    everything = "\n".join(one.read_text("utf-8") for one in MODULES if one.name != "texts.js")
    everything += source("verify.html")
    known = set(re.findall(r"^    (\w+):", source("texts.js"), re.MULTILINE))
    said = set(re.findall(r"""(?:say\(|data-say=|stop\(|told_)["'](\w+)["']""", everything))
    assert said <= known
    families = ("step_", "state_", "do_")
    silent = {
        one
        for one in known - said - set(EXITS)
        if not one.startswith(families) and f'"{one}"' not in everything
        and one.removesuffix("_none") not in everything
    }  # fmt: skip
    assert silent == set()


def test_words_on_the_page_are_those_of_the_texts() -> None:
    texts = source("texts.js").replace('" +\n      "', "")
    plain = dict(re.findall(r'(\w+):\s*"((?:[^"\\]|\\.)*)"', texts))
    for key, words in re.findall(r'data-say="(\w+)"[^>]*>([^<]*)<', source("verify.html")):
        assert " ".join(html.unescape(words).split()) == plain[key], key


def test_one_file_holds_all_of_it_and_its_policy_names_it() -> None:
    page = verifier.page()
    [script] = re.findall(r'<script type="module">(.*?)</script>', page.html, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", page.html, re.DOTALL)
    for text, kind in ((script, "script-src"), (style, "style-src")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in page.policy
    assert page.policy.startswith("default-src 'none';")
    assert f'content="{page.policy}"' in page.html
    assert "src=" not in page.html.replace(script, "")
    assert "<link" not in page.html
    assert verifier.page() == page


def test_the_command_writes_the_file_once(tmp_path: Path) -> None:
    out = tmp_path / "nrm-verify.html"
    done = CliRunner().invoke(app, ["audit", "verifier", "--out", str(out)])
    assert done.exit_code == 0
    assert hashlib.sha256(out.read_bytes()).hexdigest() in done.output
    again = CliRunner().invoke(app, ["audit", "verifier", "--out", str(out)])
    assert again.exit_code == 1
    assert out.read_text("utf-8") == verifier.page().html


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("page.js", 'import "./zip.js";\n', "write this as the other modules do"),
        ("page.js", 'import { a } from "./zip.js";\nexport default 1;\n', "write this as"),
        ("zip.js", 'import { a } from "./page.js";\n', "in a circle"),
    ],
)
def test_modules_that_cannot_be_put_into_one_file_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, words: str
) -> None:
    for one in (*MODULES, verifier.FOLDER / "verify.html", verifier.FOLDER / "verify.css"):
        (tmp_path / one.name).write_text(one.read_text("utf-8"), "utf-8")
    (tmp_path / name).write_text(text + (source(name) if name == "zip.js" else ""), "utf-8")
    monkeypatch.setattr(verifier, "FOLDER", tmp_path)
    with pytest.raises(verifier.VerifierError, match=words):
        verifier.page()
