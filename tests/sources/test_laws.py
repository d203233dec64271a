"""Laws of reading: where one stops and goes on changes nothing, and no two rows are one."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.source import SourceRow, event_id_of
from connectors.sources.folder.reading import head, records, slices
from connectors.submit import Event
from tests.road import START

cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)
rows = st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=8)


@settings(max_examples=50)
@given(rows=rows, bom=st.booleans(), data=st.data())
def test_reading_goes_on_anywhere(rows: list[list[str]], bom: bool, data: st.DataObject) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["case", "note"], *rows])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.getvalue().encode())
        begins = head(path, "utf-8-sig", ",")
        assert begins.header == ("case", "note")
        whole = list(records(path, begins, begins.begins, 0))
        assert [one.value for one in whole] == rows
        cut = data.draw(st.sampled_from(whole))
        rest = list(records(path, begins, cut.ends, cut.number))
        assert [*whole[: cut.number], *rest] == whole
        again = path.with_name("b.csv")  # as the rest file is made
        spans = [(one.begins, one.ends) for one in whole]
        again.write_bytes(b"".join(slices(path, [(0, begins.begins), *spans])))
        assert [one.value for one in records(again, begins, begins.begins, 0)] == rows


keys = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
names = st.tuples(st.text(max_size=8), keys, st.integers(0, 3))


@given(one=names, other=names, secret=st.binary(min_size=32, max_size=32))
def test_ids_follow_from_source_row_and_attempt_alone(
    one: tuple[str, str, int], other: tuple[str, str, int], secret: bytes
) -> None:
    def made(name: tuple[str, str, int], case: str) -> bytes:
        source, key, attempt = name
        event = Event("CaseOpened", case, {}, occurred_at=START)
        return event_id_of(secret, source, SourceRow(key, "", event, attempt=attempt)).bytes

    assert (made(one, "a") == made(other, "b")) == (one == other)
