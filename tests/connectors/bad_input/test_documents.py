"""Files of events for `publish`: what cannot be one thing only is refused, with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.commands.documents import read_entries, read_events
from connectors.errors import SettingsError
from tests.odd import ODD, nested, places, put

ENTRY = {"type": "CaseOpened", "case": "C-1", "data": {"channel": "self"}}
LINE = json.dumps(ENTRY)


def test_a_line_ends_where_it_ends(tmp_path: Path) -> None:
    """U+2028 and U+0085 end lines for some; JSON may hold them in a text."""
    path = tmp_path / "a.jsonl"
    text = json.dumps({**ENTRY, "case": "C\u2028\u00851"}, ensure_ascii=False)
    path.write_bytes(b"\xef\xbb\xbf" + f"{LINE}\r\n\n{text}\n".encode())
    assert [one["case"] for one in read_entries(path)] == ["C-1", "C\u2028\u00851"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LINE + "\n" + LINE[:-1] + ', "case": "C-2"}', "jsonl:2: .* twice"),
        (LINE + '\n{"a": NaN}', "jsonl:2: .* NaN"),
        (json.dumps({"a": nested(100)}), "jsonl:1: .* too deep"),
        ("[" * 5000, "jsonl:1: .* too deep"),
        (LINE + "\n\n{", "jsonl:3"),
        ('{"a": ' + "1" * 5000 + "}", "too long a number"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=told) as caught:
        read_events(path)
    assert len(str(caught.value)) < 300


def test_what_is_kept_of_a_file_may_be_damaged_anyhow(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"{LINE}\n", "utf-8")
    events = read_events(path)
    kept = tmp_path / "a.jsonl.published.json"
    whole = json.loads(kept.read_text("utf-8"))
    for place in places(whole):
        for value in ODD:
            kept.write_text(json.dumps(put(whole, place, value)), "utf-8")
            with pytest.raises(SettingsError, match=r"damaged|changed after"):
                read_events(path)
    kept.write_text(json.dumps(whole), "utf-8")
    assert read_events(path) == events
