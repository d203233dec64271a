"""The auditor's timeline of consents and the release rules' own say the same, whatever happens."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub.audit.questions.timeline import Timeline
from hub.domain.consent import Consents

DAY = date(2026, 3, 1)
AGENCIES, CATEGORIES, IDS = ("A", "B"), ("identity", "health"), ("c1", "c2")
scopes = st.dictionaries(
    st.sampled_from(AGENCIES), st.lists(st.sampled_from(CATEGORIES), unique=True)
)
days = st.integers(0, 5).map(lambda n: str(DAY + timedelta(n)))
messages = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.just("ConsentGiven"),
            "consent_id": st.sampled_from(IDS),
            "scope": scopes,
            "valid_until": days,
            "covers_history": st.booleans(),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("ConsentAmended"),
            "consent_id": st.sampled_from(IDS),
            "scope": scopes,
            "valid_until": days,
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("ConsentWithdrawn"),
            "consent_id": st.sampled_from(IDS),
            "extent": st.sampled_from(["all", "recipients", "categories"]),
            "recipients": st.lists(st.sampled_from(AGENCIES), unique=True),
            "categories": st.lists(st.sampled_from(CATEGORIES), unique=True),
        }
    ),
    st.fixed_dictionaries({"type": st.just("ConsentExpired"), "consent_id": st.sampled_from(IDS)}),
    st.just({"type": "RiskAssessed"}),
)


@given(st.lists(messages, max_size=12))
def test_they_agree_at_every_position(said: list[dict[str, Any]]) -> None:
    timeline, consents = Timeline(), Consents()
    for at, one in enumerate(said, start=1):
        timeline.take(one["type"], at, one)
        consents.apply(one["type"], at, one)
        given_ids = {record.consent_id for record in consents}
        for consent_id in given_ids:
            record = consents.get(consent_id)
            assert record is not None
            for agency in AGENCIES:
                for category in CATEGORIES:
                    for event in range(1, at + 1):
                        for day in (DAY, DAY + timedelta(3), DAY + timedelta(6)):
                            covered = timeline.covering(
                                consent_id, agency, category, event, at, day
                            )
                            counts = record.counts_for(agency, category, event, day)
                            assert (covered is not None) == counts


def test_a_later_answer_about_an_earlier_position_is_that_of_then() -> None:
    timeline = Timeline()
    given_ = {"consent_id": "c1", "scope": {"A": ["identity"]}, "valid_until": "2026-12-31"}
    timeline.take("ConsentGiven", 3, {**given_, "covers_history": True})
    timeline.take("ConsentWithdrawn", 7, {"consent_id": "c1", "extent": "all"})
    assert timeline.covering("c1", "A", "identity", 1, 6, DAY) is not None
    assert timeline.covering("c1", "A", "identity", 1, 7, DAY) is None
    assert timeline.covering("c1", "A", "identity", 1, 2, DAY) is None
