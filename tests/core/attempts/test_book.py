"""What controllers agree on about attempts: claims, ends and decisions in one ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pdt
from pdt.attempts.book import AttemptBook, Claim, Decision
from pdt.attempts.entries import FORMAT
from pdt.errors import CorruptRecordError
from pdt.ledger import MemoryLedger, SqliteLedger

_tokens = count(1)

#: What format 1 of the entries looks like, as text: a later version has to read what this one left.
WRITTEN_BY_FORMAT_1 = json.loads(
    """
    {
      "claim/count/alice/1": {
        "format": 1, "number": 1, "token": "00000000000000000000000000000001",
        "place": {"boot": "5c1b1c7e-aaaa-bbbb-cccc-0123456789ab", "journal": "9f86d081884c7d65", "number": 7},
        "at": 1234.5, "since": "2026-11-21 05:09:53.717453+00:00"
      },
      "claim/count/alice/2": {
        "format": 1, "number": 2, "token": "00000000000000000000000000000002",
        "place": {"boot": "5c1b1c7e-aaaa-bbbb-cccc-0123456789ab", "journal": "9f86d081884c7d65", "number": 8},
        "at": 1240.25, "since": "2026-11-21 05:10:00.000001+00:00"
      },
      "end/count/alice/1": {
        "format": 1, "return_code": 75, "success": false, "reason": "exit", "signal": null, "error": "not now",
        "attempt": 1
      },
      "claim/count/bob%2Fb/1": {
        "format": 1, "number": 1, "token": "00000000000000000000000000000003",
        "place": {"directory": "/srv/jobs/attempts/3"}, "at": 1300.0, "since": "2026-11-21 05:11:00+00:00"
      },
      "commit/count/bob%2Fb": {
        "format": 1, "token": "00000000000000000000000000000003",
        "outcome": {
          "return_code": 0, "success": true, "reason": "success", "signal": null, "attempt": 1,
          "start_time": "2026-11-21 05:11:00+00:00", "end_time": "2026-11-21 05:11:02.500000+00:00"
        },
        "failed": false, "moves": [["/data/.staged/x.txt", "/data/bob.txt"]], "streams": [["/data/x", "stdout"]]
      }
    }
    """
)


def claim(job: str, number: int = 1, **options: Any) -> Claim:
    """Return a claim with a token of its own."""
    return Claim(job, number, f"{next(_tokens):032x}", **options)


def decision(job: str, token: str, **options: Any) -> Decision:
    """Return a decision that an attempt's results count."""
    return Decision(job, token, {"reason": "success", "success": True}, **options)


def ended(reason: str) -> dict[str, Any]:
    """Return the record of an attempt that is not the last."""
    return {"reason": reason, "success": False}


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[pdt.Ledger]:
    made = MemoryLedger() if request.param == "memory" else SqliteLedger(tmp_path / "l.sqlite", durable=False)
    yield made
    made.close()


async def loaded(ledger: pdt.Ledger, task: str = "count") -> tuple[AttemptBook, list[Claim], dict[str, Decision]]:
    """Return what the next controller finds."""
    book = AttemptBook(ledger, task)
    return (book, *await book.load())


# Claims.


async def test_of_two_books_one_wins_each_claim(ledger: pdt.Ledger) -> None:
    jobs = [f"j{number}" for number in range(50)]
    books = [AttemptBook(ledger, "count") for _ in range(2)]
    wanted = [[claim(job) for job in jobs] for _ in books]
    async with asyncio.TaskGroup() as group:
        won = [group.create_task(book.claim(claims)) for book, claims in zip(books, wanted, strict=True)]
    first, second = ({claim.job for claim in each.result()} for each in won)
    assert first | second == set(jobs)
    assert first & second == set()
    _, claims, _ = await loaded(ledger)
    winners = {claim.token for each in won for claim in each.result()}
    assert {claim.token for claim in claims} == winners


async def test_a_claim_comes_back_as_it_was(ledger: pdt.Ledger) -> None:
    made = claim("a", 3, place={"boot": "x", "number": 5}, at=12.5, since="2026-01-01 00:00:00+00:00")
    await AttemptBook(ledger, "count").claim([made])
    _, claims, decisions = await loaded(ledger)
    assert claims == [made]
    assert decisions == {}


async def test_a_released_claim_is_free_and_counts_as_none(ledger: pdt.Ledger) -> None:
    book = AttemptBook(ledger, "count")
    first = claim("a")
    await book.claim([first])
    assert book.next_number("a") == 2
    await book.release([first])
    assert book.next_number("a") == 1
    assert await ledger.list() == []
    other = AttemptBook(ledger, "count")
    assert len(await other.claim([claim("a")])) == 1


async def test_what_is_released_after_a_failure_keeps_the_count(ledger: pdt.Ledger) -> None:
    book = AttemptBook(ledger, "count")
    await book.claim([claim("a", 1)])
    await book.end("a", 1, ended("exit"))
    second = claim("a", book.next_number("a"))
    assert second.number == 2
    await book.claim([second])
    await book.release([second])
    assert book.next_number("a") == 2
    assert (await loaded(ledger))[0].next_number("a") == 2


async def test_tasks_do_not_see_each_other(ledger: pdt.Ledger) -> None:
    for task in ("count", "count2", "coun", "Count"):
        book = AttemptBook(ledger, task)
        assert len(await book.claim([claim("a")])) == 1
        await book.decide([decision("a", "t" * 32)])
    for task in ("count", "count2", "coun", "Count"):
        book, claims, decisions = await loaded(ledger, task)
        assert len(claims) == len(decisions) == 1
        await book.settle(["a"])
    assert await ledger.list() == []


# Ends.


async def test_numbers_and_reasons_survive_the_controller(ledger: pdt.Ledger) -> None:
    book = AttemptBook(ledger, "count")
    for number in range(1, 13):
        assert book.next_number("a") == number
        await book.claim([claim("a", number)])
        await book.end("a", number, ended("lost" if number % 2 else "exit"))
    later, claims, _ = await loaded(ledger)
    assert claims == []  # each has ended, and the next is not claimed
    assert later.ends["a"] == ["lost", "exit"] * 6
    assert later.next_number("a") == 13
    await later.claim([claim("a", 13)])
    _, claims, _ = await loaded(ledger)
    assert [claim.number for claim in claims] == [13]


async def test_an_end_that_is_noted_twice_is_one(ledger: pdt.Ledger) -> None:
    """The call is repeated where the first was cut off after it had written."""
    book = AttemptBook(ledger, "count")
    await book.claim([claim("a")])
    await book.end("a", 1, ended("exit"))
    await book.end("a", 1, ended("exit"))
    assert book.ends["a"] == ["exit"]
    assert (await loaded(ledger))[0].ends["a"] == ["exit"]


async def test_ends_without_claims_count_too(ledger: pdt.Ledger) -> None:
    """Tasks whose jobs run in this process claim nothing."""
    book = AttemptBook(ledger, "count")
    await book.end("a", 1, ended("exception"))
    later, claims, _ = await loaded(ledger)
    assert claims == []
    assert later.ends == {"a": ["exception"]}
    assert later.next_number("a") == 2


# Decisions.


async def test_the_first_decision_of_a_job_wins(ledger: pdt.Ledger) -> None:
    first, second = AttemptBook(ledger, "count"), AttemptBook(ledger, "count")
    mine, theirs = decision("a", "1" * 32, moves=[["x", "y"]], streams=[]), decision("a", "2" * 32, failed=True)
    assert await first.decide([mine]) == {mine.token}
    assert await second.decide([theirs]) == set()
    assert await first.decide([theirs]) == set()
    _, _, decisions = await loaded(ledger)
    assert decisions == {mine.token: mine}


async def test_a_decision_may_be_repeated(ledger: pdt.Ledger) -> None:
    book = AttemptBook(ledger, "count")
    made = [decision(job, f"{number:032x}") for number, job in enumerate("abc")]
    assert await book.decide(made[:2]) == {each.token for each in made[:2]}
    assert await book.decide(made) == {each.token for each in made}
    assert await AttemptBook(ledger, "count").decide(made) == {each.token for each in made}


async def test_a_decision_whose_answer_was_lost_stands() -> None:
    class Deaf(MemoryLedger):
        """Writes, and then fails to say so."""

        async def insert_all(self, entries: Any) -> set[str]:
            await super().insert_all(entries)
            raise ConnectionResetError("the answer was lost")

    ledger = Deaf()
    book, made = AttemptBook(ledger, "count"), decision("a", "1" * 32)
    with pytest.raises(ConnectionResetError):
        await book.decide([made])
    assert await AttemptBook(_without_faults(ledger), "count").decide([made]) == {made.token}


def _without_faults(ledger: MemoryLedger) -> MemoryLedger:
    sound = MemoryLedger()
    sound._entries = ledger._entries
    return sound


# Settling.


async def test_settling_leaves_nothing(ledger: pdt.Ledger) -> None:
    book = AttemptBook(ledger, "count")
    for job in ("a", "b"):
        for number in (1, 2, 3):
            await book.claim([claim(job, number)])
            await book.end(job, number, ended("exit"))
        await book.claim([claim(job, 4)])
        await book.decide([decision(job, f"{job}" * 32)])
    await book.settle(["a"])
    assert all("/b" in key for key in await ledger.list())
    assert book.next_number("a") == 1
    assert "a" not in book.ends
    later, _, _ = await loaded(ledger)
    await later.settle(["b"])
    assert await ledger.list() == []
    await later.settle(["b", "never"])


async def test_a_settling_that_is_cut_off_leaves_the_decision_to_the_last(tmp_path: Path) -> None:
    """As long as anything of the job is left, it is seen that the job is decided."""

    class Cut(MemoryLedger):
        left = 0

        async def delete(self, key: str) -> bool:
            if not self.left:
                raise OSError("cut off")
            self.left -= 1
            return await super().delete(key)

    for left in range(6):
        ledger = Cut()
        book = AttemptBook(ledger, "count")
        for number in (1, 2):
            await book.claim([claim("a", number)])
        await book.end("a", 1, ended("exit"))
        await book.decide([decision("a", "d" * 32)])
        ledger.left = left
        try:
            await book.settle(["a"])
        except OSError:
            assert "commit/count/a" in await ledger.list()
            ledger.left = 100
            later, _, decisions = await loaded(ledger)
            assert "d" * 32 in decisions
            await later.settle(["a"])
        assert await ledger.list() == []


# Keys.


odd_jobs = st.text(min_size=1, max_size=63).filter(lambda job: job.isprintable() or "\n" in job or "\0" in job)


@pytest.mark.parametrize(
    "job", ["a/b", "..", ".", "...", "%2E", "a%2Fb", "/etc/passwd", "a\nb", "a\0b", "-rf", "é", "日" * 63, " ", "$(id)"]
)
async def test_any_job_id_that_a_class_may_allow_is_kept_apart(job: str, ledger: pdt.Ledger) -> None:
    book = AttemptBook(ledger, "t" * 63)
    await book.claim([claim(job), claim("x")])
    await book.end(job, 1, ended("exit"))
    await book.claim([claim(job, 2)])
    await book.decide([decision(job, "1" * 32)])
    later, claims, decisions = await loaded(ledger, "t" * 63)
    assert {(claim.job, claim.number) for claim in claims} == {(job, 2), ("x", 1)}
    assert decisions["1" * 32].job == job
    assert later.ends == {job: ["exit"]}
    await later.settle([job, "x"])
    assert await ledger.list() == []


@given(jobs=st.sets(odd_jobs, min_size=2, max_size=6))
def test_no_two_jobs_share_a_key(jobs: set[str]) -> None:
    async def check() -> None:
        ledger = MemoryLedger()
        book = AttemptBook(ledger, "count")
        assert len(await book.claim([claim(job) for job in jobs])) == len(jobs)
        _, claims, _ = await loaded(ledger)
        assert {claim.job for claim in claims} == jobs

    asyncio.run(check())


# Formats.


async def test_what_format_1_left_is_read(ledger: pdt.Ledger) -> None:
    await ledger.insert_all(WRITTEN_BY_FORMAT_1)
    book, claims, decisions = await loaded(ledger)
    by_job = {claim.job: claim for claim in claims}
    assert by_job.keys() == {"alice", "bob/b"}
    assert (by_job["alice"].number, by_job["alice"].at) == (2, 1240.25)
    assert by_job["alice"].place["journal"] == "9f86d081884c7d65"
    assert book.ends == {"alice": ["exit"]}
    [made] = decisions.values()
    assert (made.job, made.token, made.failed) == ("bob/b", by_job["bob/b"].token, False)
    assert [list(move) for move in made.moves] == [["/data/.staged/x.txt", "/data/bob.txt"]]
    assert [list(stream) for stream in made.streams] == [["/data/x", "stdout"]]
    await book.settle(["alice", "bob/b"])
    assert await ledger.list() == []


async def test_what_is_written_now_is_format_1(ledger: pdt.Ledger) -> None:
    """A change here needs a new format, and the old one to be read still."""
    await ledger.insert_all(WRITTEN_BY_FORMAT_1)
    _, claims, decisions = await loaded(ledger)
    fresh = MemoryLedger()
    book = AttemptBook(fresh, "count")
    await book.claim(claims)
    await book.decide(decisions.values())
    await book.end("alice", 1, {k: v for k, v in WRITTEN_BY_FORMAT_1["end/count/alice/1"].items() if k != "format"})
    for key, value in (await fresh.items()).items():
        assert value == WRITTEN_BY_FORMAT_1[key], key


@pytest.mark.parametrize("kind", ["claim", "end", "commit"])
async def test_a_newer_format_is_refused(kind: str, ledger: pdt.Ledger) -> None:
    key = next(key for key in WRITTEN_BY_FORMAT_1 if key.startswith(kind))
    await ledger.insert(key, {**WRITTEN_BY_FORMAT_1[key], "format": FORMAT + 1})
    with pytest.raises(CorruptRecordError, match=r"a newer pdt wrote it \(format 2, this one reads 1\)") as caught:
        await loaded(ledger)
    assert key in str(caught.value)
    assert await ledger.list() == [key]


@pytest.mark.parametrize("kind", ["claim", "end", "commit"])
@pytest.mark.parametrize("damage", ["no format", "format", "field", "text format"])
async def test_a_damaged_entry_is_named(kind: str, damage: str, ledger: pdt.Ledger) -> None:
    key = next(key for key in WRITTEN_BY_FORMAT_1 if key.startswith(kind))
    entry = dict(WRITTEN_BY_FORMAT_1[key])
    if damage == "no format":
        del entry["format"]
    elif damage == "field":
        del entry["reason" if kind == "end" else "token"]
    else:
        entry["format"] = 0 if damage == "format" else "1"
    await ledger.insert(key, entry)
    with pytest.raises(CorruptRecordError) as caught:
        await loaded(ledger)
    assert key in str(caught.value)


@pytest.mark.parametrize("key", ["claim/count/a", "claim/count/a/x", "claim/count/a/1/2", "end/count/a"])
async def test_a_key_that_is_none_of_ours_is_named(key: str, ledger: pdt.Ledger) -> None:
    await ledger.insert(key, {"format": 1, "token": "x", "place": {}, "at": 1.0, "since": "", "reason": "exit"})
    with pytest.raises(CorruptRecordError) as caught:
        await loaded(ledger)
    assert key in str(caught.value)
