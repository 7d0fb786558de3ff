"""Attempts whose ledger did what it was asked to, and could not say so; and those that are over and not forgotten."""

from __future__ import annotations

from pdt.attempts.book import AttemptBook, Claim
from pdt.ledger import MemoryLedger

FIRST = Claim("a", 1, "1" * 32, {"journal": "one"})
SECOND = Claim("a", 2, "2" * 32, {"journal": "two"})
ENDED = {"reason": "exit", "return_code": 75}


async def test_a_claim_that_is_made_again_stands() -> None:
    book = AttemptBook(MemoryLedger(), "task")
    assert await book.claim([FIRST]) == [FIRST]
    assert await book.claim([FIRST]) == [FIRST]
    assert book.next_number("a") == 2


async def test_a_claim_of_somebody_else_does_not() -> None:
    book = AttemptBook(MemoryLedger(), "task")
    await book.claim([FIRST])
    assert await book.claim([Claim("a", 1, "f" * 32)]) == []


async def test_attempts_that_ended_and_were_not_the_last_are_remembered_until_the_job_is_settled() -> None:
    ledger = MemoryLedger()
    book = AttemptBook(ledger, "task")
    await book.claim([FIRST])
    await book.end("a", 1, ENDED)
    assert await book.load() == ([], {})
    assert book.over == {FIRST.token: FIRST.place}
    await book.claim([SECOND])
    assert await book.load() == ([SECOND], {})
    assert book.over == {FIRST.token: FIRST.place}
    await book.settle(["a"])
    assert await book.load() == ([], {})
    assert book.over == {}
    assert await ledger.list() == []
