"""Job ids: one rule, the same for one id and for a whole listing."""

from __future__ import annotations

import re
import time
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pdt
from pdt.job import CHARSET, CHARSET_START_END, JobIdRule
from tests.core.repository.hostile import EDGES, HOSTILE

RULE = JobIdRule.of(CHARSET, CHARSET_START_END)
LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)


@pytest.mark.parametrize("job", EDGES)
def test_accepts(job: str) -> None:
    assert RULE.accepts(job)
    assert RULE.check(job) == job
    assert pdt.Repository.is_valid_job_id(job)


@pytest.mark.parametrize("job", HOSTILE, ids=ascii)
def test_refuses(job: Any) -> None:
    assert not RULE.accepts(job)
    assert not pdt.Repository.is_valid_job_id(job)
    with pytest.raises(pdt.InvalidJobIdError):
        RULE.check(job)


@given(st.text(st.sampled_from("aZ0-_./\n \u00e9"), max_size=66))
def test_the_rule_is_that_of_a_kubernetes_label(job: str) -> None:
    assert RULE.accepts(job) == (LABEL.fullmatch(job) is not None)


@given(st.lists(st.text(st.sampled_from("aZ0-._\n/"), max_size=5)))
def test_a_listing_is_valid_if_each_key_is(jobs: list[str]) -> None:
    assert RULE.accepts_all(jobs) == all(map(RULE.accepts, jobs))
    assert RULE.accepts_all(set(jobs)) == all(map(RULE.accepts, jobs))


@pytest.mark.parametrize("job", HOSTILE, ids=ascii)
def test_one_bad_key_spoils_a_listing(job: Any) -> None:
    assert not RULE.accepts_all(["a", job, "b"])


def test_a_hundred_thousand_keys_take_no_time() -> None:
    jobs = [f"job-{number:06}.x" for number in range(100_000)]
    start = time.process_time()
    assert RULE.accepts_all(jobs)
    assert not RULE.accepts_all([*jobs, "a" * 50 + "/"])
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ("", "it is empty"),
        ("a" * 64, "it has 64 characters, and at most 63 are allowed"),
        ("a/b", "it contains '/'; allowed are letters, digits and '-._'"),
        ("a\u00e9", r"it contains '\xe9'"),
        ("-a", "it may begin and end only with letters and digits"),
        (b"a", "it is bytes, not text"),
    ],
)
def test_says_which_rule_is_broken(job: Any, reason: str) -> None:
    with pytest.raises(pdt.InvalidJobIdError, match=re.escape(reason)) as caught:
        RULE.check(job)
    assert repr(job)[:5] in str(caught.value) or ascii(job)[:5] in str(caught.value)


def test_a_long_offender_is_shown_short() -> None:
    with pytest.raises(pdt.InvalidJobIdError) as caught:
        RULE.check("x" * 10_000_000)
    assert len(str(caught.value)) < 250


class Narrow(pdt.InProcessMetadataRepository):
    CHARSET: ClassVar[str] = "abc"
    CHARSET_START_END: ClassVar[str] = "ab"


class Wide(pdt.InProcessMetadataRepository):
    CHARSET: ClassVar[str] = CHARSET + "/^]\\ "


async def test_a_class_may_narrow_the_rule() -> None:
    repo = Narrow({"acb": 1, "abc": 2, "a-b": 3})
    assert [job async for job in repo] == ["acb"]
    assert not await repo.contains("abc")
    with pytest.raises(pdt.InvalidJobIdError, match="allowed are 'abc'"):
        await repo.dump("x", 1)
    with pytest.raises(pdt.InvalidJobIdError, match="begin and end only with 'ab'"):
        await repo.dump("ac", 1)


async def test_a_class_may_widen_the_rule() -> None:
    repo = Wide()
    for job in ("a/b", "a^b", "a]b", "a\\b", "a b"):
        await repo.dump(job, 1)
    assert {job async for job in repo} == {"a/b", "a^b", "a]b", "a\\b", "a b"}
    with pytest.raises(pdt.InvalidJobIdError, match="letters, digits and"):
        await repo.dump("a*b", 1)
