"""Allowances: a bucket gives what it holds, fills at its rate, and says how long to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.api.limits import Bucket, Buckets, Rate, network_of


def test_a_burst_then_a_rate() -> None:
    bucket = Bucket(Rate(per_second=2, burst=3), now=0.0)
    assert [bucket.take(1, 0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(1, 0.0) == 0.5
    assert bucket.take(1, 0.25) == 0.25
    assert bucket.take(1, 0.5) == 0.0


def test_more_than_the_burst_is_taken_from_a_full_bucket_and_owed() -> None:
    bucket = Bucket(Rate(per_second=10, burst=100), now=0.0)
    assert bucket.take(150, 0.0) == 0.0
    assert bucket.take(1, 0.0) == pytest.approx(5.1)


@given(
    rate=st.floats(0.5, 100),
    burst=st.integers(1, 50),
    gaps=st.lists(st.floats(0, 1), min_size=1, max_size=200),
)
def test_never_more_than_burst_and_rate_allow(rate: float, burst: int, gaps: list[float]) -> None:
    bucket, now, taken = Bucket(Rate(rate, burst), 0.0), 0.0, 0
    for gap in gaps:
        now += gap
        taken += bucket.take(1, now) == 0.0
    assert taken <= burst + rate * now + 1e-6


def test_names_have_their_own_buckets_and_the_longest_unused_is_forgotten() -> None:
    buckets = Buckets(Rate(1, 1), size=2, clock=lambda: 0.0)
    assert buckets.take("a") == 0.0
    assert buckets.take("a") > 0.0
    assert buckets.take("b") == 0.0
    assert buckets.take("a") > 0.0
    assert buckets.take("c") == 0.0  # b is forgotten, a is not
    assert buckets.take("a") > 0.0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("not an address", "unknown"),
        ("", "unknown"),
    ],
)
def test_who_shares_an_allowance(address: str, network: str) -> None:
    assert network_of(address) == network
