"""Backing off: doubling, jittered, bounded, and given up in the end."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdt.engine.backoff import Backoff


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


@given(st.floats(0.01, 10), st.floats(1, 100), st.integers(1, 80), st.randoms())
def test_delays_double_up_to_the_longest_with_jitter(first: float, longest: float, failures: int, seed: object) -> None:
    backoff: Backoff[str] = Backoff(first, longest, None)
    for number in range(failures):
        delay = backoff.failed("thing", "reason")
        full = min(longest, first * 2.0 ** min(number, 30))
        assert full / 2 <= delay <= full


def test_jitter_tells_things_apart() -> None:
    random.seed(1)
    backoff: Backoff[int] = Backoff(1.0, 60.0, None)
    assert len({backoff.failed(thing, "x") for thing in range(20)}) > 15


def test_a_thing_waits_for_its_delay(clock: Clock) -> None:
    backoff: Backoff[str] = Backoff(8.0, 60.0, 3)
    assert backoff.wait("thing") == 0
    delay = backoff.failed("thing", "it is away")
    assert backoff.wait("thing") == pytest.approx(delay)
    assert backoff.soonest() == pytest.approx(delay)
    assert backoff.reason("thing") == "it is away"
    clock.now += delay
    assert backoff.wait("thing") == 0
    assert backoff.soonest() == 0
    assert backoff.wait("other") == 0


def test_it_is_given_up_after_some_failures_and_then_not_waited_for() -> None:
    backoff: Backoff[str] = Backoff(1.0, 60.0, 3)
    for number in range(3):
        assert not backoff.given_up("thing")
        assert backoff.abandoned() == {}
        backoff.failed("thing", f"reason {number}")
    assert backoff.given_up("thing")
    assert backoff.abandoned() == {"thing": "reason 2"}
    assert backoff.soonest() is None
    assert not backoff.given_up("other")


def test_without_a_limit_nothing_is_given_up() -> None:
    backoff: Backoff[str] = Backoff(1.0, 60.0, None)
    for _ in range(1000):
        backoff.failed("thing", "x")
    assert not backoff.given_up("thing")
    assert backoff.soonest() is not None


def test_a_success_forgets_the_failures() -> None:
    backoff: Backoff[str] = Backoff(1.0, 60.0, 3)
    assert not backoff
    backoff.failed("a", "x")
    backoff.failed("b", "y")
    assert "a" in backoff
    backoff.succeeded("a")
    backoff.succeeded("never failed")
    assert "a" not in backoff
    assert backoff.things() == ["b"]
    assert backoff.reason("a") is None
    backoff.clear()
    assert not backoff
    assert backoff.soonest() is None
