"""One ledger, several controllers: a job belongs to whoever made its newest claim."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

import pdt
from pdt.attempts.book import AttemptBook, Claim, Decision
from pdt.ledger import Ledger, MemoryLedger


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


def book_of(ledger: Ledger, *owned: int) -> AttemptBook:
    """Return the book of a controller; the first number is its own, and it looks after the others."""
    return AttemptBook(ledger, "count", owner=owned[0], owned=set(owned))


def next_claims(book: AttemptBook, jobs: Iterable[str]) -> list[Claim]:
    """Return claims of the next attempts of jobs."""
    return [Claim(job, book.next_number(job), os.urandom(16).hex()) for job in jobs]


async def test_what_another_has_claimed_is_left_alone(ledger: MemoryLedger) -> None:
    first, second = book_of(ledger, 1), book_of(ledger, 2)
    [claim] = await first.claim(next_claims(first, "a"))
    assert await second.load() == ([], {})
    assert second.foreign == {"a"}
    # It remembers nothing of a job that is not its own: a number that another has settled would not keep it out.
    assert second.next_number("a") == 1
    won = await second.claim(next_claims(second, "ab"))
    assert [claim.job for claim in won] == ["b"]
    await first.decide([Decision("a", claim.token, {"success": True})])
    assert await second.load() == (won, {})


async def test_what_belongs_to_one_that_is_gone_is_read_in_addition(ledger: MemoryLedger) -> None:
    first, second = book_of(ledger, 1), book_of(ledger, 2)
    [_, again, decided] = await first.claim(next_claims(first, "abc"))
    await first.end("b", 1, {"reason": "exit", "delay": 5.0})
    await first.decide([Decision("c", decided.token, {"success": True})])
    [mine] = await second.claim(next_claims(second, "d"))
    assert (await second.load())[0] == [mine]
    claims, decisions = await second.load({1})
    assert {claim.job for claim in claims} == {"a", "c"}
    assert decisions.keys() == {decided.token}
    assert second.ends == {"b": ["exit"]}
    assert second.over == {again.token: {}}
    assert [second.next_number(job) for job in "abcde"] == [2, 2, 2, 2, 1]


async def test_a_job_goes_over_to_whoever_claims_its_next_attempt(ledger: MemoryLedger) -> None:
    first = book_of(ledger, 1)
    await first.claim(next_claims(first, "a"))
    await first.end("a", 1, {"reason": "exit"})
    second = book_of(ledger, 2, 1)
    await second.load()
    await second.claim(next_claims(second, "a"))
    third = book_of(ledger, 3, 1)  # which looks after what is left of the first one's
    assert await third.load() == ([], {})
    assert third.foreign == {"a"}
    assert await third.owners() == ({2}, {2})
    await second.settle("a")
    assert await ledger.list() == []


async def test_of_attempts_that_one_made_alone_one_of_several_is_the_owner(ledger: MemoryLedger) -> None:
    """The function of a controller that works alone is not claimed, and the ends of its attempts are noted."""
    alone = AttemptBook(ledger, "count")
    await alone.end("a", 1, {"reason": "exception"})
    await alone.end("a", 2, {"reason": "exception"})
    first, second = book_of(ledger, 1), book_of(ledger, 2)
    await first.load()
    await second.load()
    assert (first.ends, second.ends) == ({"a": ["exception", "exception"]}, {})
    assert [len(await book.claim(next_claims(book, "a"))) for book in (second, first)] == [1, 1]
    assert await ledger.list("claim/") == ["claim/count/a/1", "claim/count/a/2", "claim/count/a/3"]
    await first.settle("a")
    assert await ledger.list("end/") == []


@pytest.mark.parametrize("owner", ["7", -1, None, True, 1.0, 1 << 62])
async def test_an_owner_that_is_no_number_is_refused(ledger: MemoryLedger, owner: object) -> None:
    entry = {"format": 1, "number": 1, "token": "0" * 32, "place": {}, "at": 0.0, "since": "", "controller": owner}
    await ledger.insert("claim/count/a/1", entry)
    with pytest.raises(pdt.CorruptRecordError, match="its controller is "):
        await book_of(ledger, 1).load()


async def test_those_are_at_work_whose_newest_attempt_has_not_ended(ledger: MemoryLedger) -> None:
    alone, first, second = AttemptBook(ledger, "count"), book_of(ledger, 1), book_of(ledger, 2)
    await alone.claim(next_claims(alone, "a"))
    await first.claim(next_claims(first, "bc"))
    await second.claim(next_claims(second, "d"))
    for book, job in ((first, "b"), (second, "d")):
        await book.end(job, 1, {"reason": "exit"})
    assert await book_of(ledger, 3).owners() == ({0, 1, 2}, {0, 1})
