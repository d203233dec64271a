"""One bit changed anywhere: never a crash, never a hang, and page and program agree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.depth import depth
from tests.webverify import fuzz
from tests.webverify.corpus import Place, lived
from tests.webverify.questions import by_the_page, by_the_program, disagreements, verdict

pytestmark = pytest.mark.browser

SLOWEST = 20_000  # milliseconds for one small file, however damaged


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = lived(tmp_path_factory.mktemp("lived"), "S1")
    yield place
    place.road.close()


def test_a_file_is_refused_for_any_changed_byte(place: Place) -> None:
    """Of the file as it is: the form alone tells, and the same by both."""
    asked = {"case": place.case, "holder": "NGO-1"}
    questions = list(fuzz.bent_bytes(place, 5, depth(1_000, 4_000), **asked))
    answers = by_the_page(questions)
    assert {one["step"] for one in answers} == {1}
    assert not disagreements(questions[::8])


def test_rows_bent_in_a_log_forged_around_them(place: Place) -> None:
    questions = list(fuzz.bent_rows(place, 11, depth(24, 60)))
    answers = by_the_page(questions)
    assert len({verdict(one) for one in answers}) > 6
    assert max(one["milliseconds"] for one in answers) < SLOWEST
    assert not (found := disagreements(questions)), "\n".join(found)


def test_members_bent_and_signed_by_the_hub(place: Place) -> None:
    questions = list(fuzz.bent_members(place, 12, depth(24, 60), case=place.case))
    answers = by_the_page(questions)
    assert {one["step"] for one in answers} >= {5, 10}
    assert not (found := disagreements(questions)), "\n".join(found)


def test_a_file_cut_anywhere_ends_too_early(place: Place) -> None:
    data = place.made(case=place.case, holder="NGO-1")
    whole = place.question("whole", data)
    cuts = [*range(120), *range(120, len(data), 997), len(data) - 1]
    questions = [fuzz.Question(f"cut {at}", whole.file, place.log_key, cut=at) for at in cuts]
    for question, answer in zip(questions, by_the_page(questions), strict=True):
        assert (question.name, answer["code"]) == (question.name, "truncated")
    assert {by_the_program(one)[2] for one in questions[::20]} == {"truncated"}
