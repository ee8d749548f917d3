"""Token buckets."""

from __future__ import annotations

import pytest

from trioserf._swim.token_bucket import TokenBucket


def test_a_bucket_fills_up_to_its_burst_and_no_further() -> None:
    bucket = TokenBucket(100, 10)
    assert 100 == bucket.left(5.0)
    bucket.spend(5.0, 100)
    assert 0 == bucket.left(5.0)
    assert 50 == bucket.left(10.0)
    assert 100 == bucket.left(500.0)
    assert 100 == bucket.left(5.0), "an older time fills nothing"


def test_what_is_not_there_cannot_be_taken() -> None:
    bucket = TokenBucket(2, 1)
    assert [True, True, False] == [bucket.take(1.0) for _ in range(3)]
    assert not bucket.take(1.5)
    assert bucket.take(2.0)
    assert not bucket.take(100.0, 3)
    assert bucket.take(100.0, 2)


def test_what_was_overspent_is_made_good_first() -> None:
    bucket = TokenBucket(10, 10)
    assert 10 == bucket.left(0.0)
    bucket.spend(0.0, 15)
    assert -5 == bucket.left(0.0)
    assert 5 == bucket.left(1.0)


def test_a_bucket_allows_a_burst_and_then_one_each_period() -> None:
    bucket = TokenBucket(3, 10)
    ready = []
    now = 0.0
    for _ in range(6):
        now = max(now, bucket.ready_at)
        ready.append(round(now, 6))
        bucket.spend(now)
    assert [0.0, 0.0, 0.0, 0.1, 0.2, 0.3] == ready
    assert 0.3 < bucket.ready_at < 100.0
    bucket.spend(100.0)
    assert bucket.ready_at < 100.0


def test_a_dear_use_takes_as_much_of_a_bucket_as_several() -> None:
    bucket = TokenBucket(3, 10)
    bucket.spend(0.0, 2.5)
    assert 0.05 == pytest.approx(bucket.ready_at)
    bucket.spend(0.05, 1.0)
    assert 0.15 == pytest.approx(bucket.ready_at)
