"""What becomes of a job whose attempt has ended: policies, their bounds, and the two budgets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pdt
from pdt.attempts.policy import INFRASTRUCTURE, LOST_ATTEMPTS, REASONS, Retry, Verdict, decide
from pdt.errors import ConfigurationError

FAILURES = sorted(REASONS.keys() - INFRASTRUCTURE - {"success"})
LOSSES = sorted(INFRASTRUCTURE)

retries = st.builds(
    Retry,
    attempts=st.integers(1, 12),
    delay=st.floats(0, 1000),
    factor=st.floats(1, 100),
    max_delay=st.floats(0, 86400),
    jitter=st.floats(0, 1),
    on=st.lists(st.sampled_from([*FAILURES, *LOSSES, "exit:75", "signal:9"]), max_size=4),
)


def history(retry: Retry, reasons: Iterable[str]) -> list[str]:
    """Return why the attempts of a job ended that was run until it was done or failed, or there is no more reason."""
    happened: list[str] = []
    for reason in reasons:
        happened.append(reason)
        if decide(retry, happened, 1, None)[0] is not Verdict.AGAIN:
            break
    return happened


# Policies.


def test_it_is_a_public_name() -> None:
    assert pdt.Retry is Retry


def test_by_default_nothing_is_tried_again() -> None:
    for reason in FAILURES:
        assert decide(Retry(), [reason], 1, None) == (Verdict.FAILED, 0.0)


def test_delays_may_be_timedeltas() -> None:
    assert Retry(delay=timedelta(minutes=1), max_delay=timedelta(hours=1)) == Retry(delay=60.0, max_delay=3600.0)


def test_one_reason_may_be_given_alone() -> None:
    assert Retry(on="oom") == Retry(on=["oom"]) == Retry(on={"oom"})
    hash(Retry(on={"oom"}))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"attempts": 0}, "attempts is 0"),
        ({"attempts": 1001}, "attempts is 1001"),
        ({"attempts": 2.0}, "attempts is 2.0"),
        ({"attempts": True}, "attempts is True"),
        ({"attempts": None}, "attempts is None"),
        ({"delay": -1}, "delay is -1"),
        ({"delay": float("nan")}, "delay is nan"),
        ({"delay": float("inf")}, "delay is inf"),
        ({"delay": 10**400}, "delay is 1000"),
        ({"delay": "1s"}, "delay is '1s'"),
        ({"delay": True}, "delay is True"),
        ({"delay": None}, "delay is None"),
        ({"delay": timedelta(days=-1)}, "delay is -86400.0"),
        ({"delay": timedelta.max}, "delay is 8"),
        ({"factor": 0.5}, "factor is 0.5"),
        ({"factor": 101}, "factor is 101"),
        ({"max_delay": -0.1}, "max_delay is -0.1"),
        ({"max_delay": 86401}, "max_delay is 86401"),
        ({"jitter": 1.01}, "jitter is 1.01"),
        ({"jitter": -0.5}, "jitter is -0.5"),
        ({"on": "nonsense"}, "on has 'nonsense'"),
        ({"on": ["oom", "exit:"]}, "on has 'exit:'"),
        ({"on": ["exit:x"]}, "on has 'exit:x'"),
        ({"on": ["exit:-1"]}, "on has 'exit:-1'"),
        ({"on": ["exit:075"]}, "on has 'exit:075'"),
        ({"on": ["exit:\u00b2"]}, "on has"),
        ({"on": ["oom:5"]}, "on has 'oom:5'"),
        ({"on": ["success"]}, "on has 'success'"),
        ({"on": [75]}, "on has 75"),
        ({"on": 75}, "on has 75"),
        ({"on": None}, "on has None"),
    ],
)
def test_bad_values_are_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Retry(**options)
    assert str(caught.value).startswith(f"retry: {named}")
    assert "fix: for example Retry(" in str(caught.value)


def test_an_unknown_reason_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Retry(on="crash")
    for reason in FAILURES:
        assert reason in str(caught.value)
    assert "exit:CODE and signal:NUMBER" in str(caught.value)


@pytest.mark.parametrize(
    ("on", "reason", "code", "number", "covered"),
    [
        ("exit", "exit", 1, None, True),
        ("exit:75", "exit", 75, None, True),
        ("exit:75", "exit", 7, None, False),
        ("exit", "signal", 137, 9, False),
        ("signal", "signal", 137, 9, True),
        ("signal:9", "signal", 137, 9, True),
        ("signal:9", "signal", 143, 15, False),
        ("signal:9", "oom", 137, 9, True),
        ("oom", "oom", 137, 9, True),
        ("timeout", "timeout", 143, 15, True),
        ("signal:15", "timeout", 143, 15, False),
        ("signal:15", "cancelled", 143, 15, False),
        ("exit:143", "timeout", 143, 15, False),
        ("exception", "exception", None, None, True),
        ("cancelled", "cancelled", None, None, True),
        ((), "exit", 1, None, True),
        ((), "timeout", 143, 15, True),
        ((), "cancelled", 143, 15, False),
        ((), "unlaunchable", None, None, False),
    ],
)
def test_what_a_policy_covers(on: Any, reason: str, code: int | None, number: int | None, covered: bool) -> None:
    assert Retry(2, on=on).covers(reason, code, number) == covered
    verdict, _ = decide(Retry(2, on=on), [reason], code, number)
    assert verdict is (Verdict.AGAIN if covered else Verdict.FAILED)


def test_delays_grow_and_are_bounded() -> None:
    retry = Retry(10, delay=2, factor=3, max_delay=50, jitter=0)
    assert [retry.seconds(failures) for failures in range(1, 6)] == [2, 6, 18, 50, 50]
    assert Retry(1000, delay=1, factor=100, max_delay=86400, jitter=0).seconds(999) == 86400


@given(retry=retries, failures=st.integers(1, 1000))
def test_chance_decides_no_more_than_its_share(retry: Retry, failures: int) -> None:
    assert isinstance(retry.delay, float)
    assert isinstance(retry.max_delay, float)
    full = min(retry.max_delay, retry.delay * retry.factor ** min(failures - 1, 64))
    least = full * (1 - retry.jitter)
    assert least * (1 - 1e-9) <= retry.seconds(failures) <= full


def test_jobs_that_fail_together_are_not_tried_together() -> None:
    assert len({Retry(2, delay=10).seconds(1) for _ in range(20)}) > 10


# Verdicts.


@given(retry=retries, before=st.lists(st.sampled_from([*FAILURES, *LOSSES]), max_size=20))
def test_a_success_is_the_end(retry: Retry, before: list[str]) -> None:
    assert decide(retry, [*before, "success"], 0, None) == (Verdict.DONE, 0.0)


@given(retry=retries, reasons=st.lists(st.sampled_from([*FAILURES, *LOSSES]), min_size=1020, max_size=1020))
def test_no_job_is_tried_for_ever(retry: Retry, reasons: list[str]) -> None:
    happened = history(retry, reasons)
    losses = sum(reason in INFRASTRUCTURE for reason in happened)
    assert losses <= LOST_ATTEMPTS + 1
    assert len(happened) - losses <= retry.attempts
    assert decide(retry, happened, 1, None)[0] is Verdict.FAILED


@given(retry=retries, data=st.data())
def test_losses_and_failures_do_not_take_from_each_other(retry: Retry, data: st.DataObject) -> None:
    """As long as each has something left, in whatever order they come, the job goes on."""
    covered = [reason for reason in FAILURES if retry.covers(reason, 1, None)]
    failures = retry.attempts - 1 if covered else 0
    reasons = [data.draw(st.sampled_from(covered)) for _ in range(failures)]
    reasons += [data.draw(st.sampled_from(LOSSES)) for _ in range(LOST_ATTEMPTS)]
    order = data.draw(st.permutations(reasons))
    assert history(retry, order) == order
    if covered:
        assert decide(retry, [*order, covered[0]], 1, None)[0] is Verdict.FAILED
    assert decide(retry, [*order, LOSSES[0]], None, None)[0] is Verdict.FAILED


def test_a_lost_attempt_is_made_again_without_any_policy() -> None:
    for reason in LOSSES:
        verdict, seconds = decide(Retry(), [reason], None, None)
        assert verdict is Verdict.AGAIN
        assert 0 < seconds <= 1
    delays = [decide(Retry(), ["lost"] * count, None, None)[1] for count in range(1, LOST_ATTEMPTS + 1)]
    assert delays[-1] > 4 * delays[0]


@given(retry=retries, reasons=st.lists(st.sampled_from([*FAILURES, *LOSSES]), min_size=1, max_size=30))
def test_only_what_is_tried_again_waits(retry: Retry, reasons: list[str]) -> None:
    verdict, seconds = decide(retry, reasons, 1, None)
    assert (seconds == 0) or verdict is Verdict.AGAIN
    assert 0 <= seconds <= 86400
