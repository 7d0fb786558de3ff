"""Delays between attempts: the next controller waits for what is left of them."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt.attempts.book import AttemptBook
from pdt.attempts.policy import Retry
from tests.core.engine.samples import memory, until
from tests.core.task.scripts import Place

DELAY = 1.5


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def runs(place: Place) -> list[float]:
    """Return when the job was run."""
    path = place.path / "runs"
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def failing(kind: str, place: Place, **options: Any) -> pdt.TrackedTask:
    """Return a task that fails the first time, and is tried again after a while."""
    log = place.path / "runs"
    retry = Retry(attempts=2, delay=DELAY, jitter=0)
    if kind == "script":
        return place.task(f"date +%s.%N >>{log}; test $(wc -l <{log}) -gt 1", "a", retry=retry, **options)

    async def body(job: str) -> None:
        with log.open("a") as file:
            file.write(f"{time.time()}\n")
        if len(runs(place)) < 2:
            raise ValueError("the first time")

    task = pdt.InProcessSyncTask("task", place.done, func=body, retry=retry, **options)
    task.link("input", memory("a"), is_input=True)
    return task


@pytest.mark.parametrize("kind", ["script", "function"])
async def test_the_next_controller_waits_for_what_is_left(kind: str, place: Place) -> None:
    async with place.pipeline(failing(kind, place)) as pipeline, asyncio.timeout(20):
        running = asyncio.get_running_loop().create_task(pipeline.run(forever=True))
        await until(lambda: pipeline.runner.report.retried)
        pipeline.stop()
        await running
    async with place.pipeline(failing(kind, place)) as pipeline, asyncio.timeout(20):
        report = await pipeline.run()
    assert report.succeeded == {"task": 1}
    assert not report.retried
    first, second = runs(place)
    assert DELAY <= second - first < DELAY + 5
    assert (await place.done.info("a"))["attempt"] == 2


@pytest.mark.parametrize("kind", ["script", "function"])
async def test_a_second_run_of_the_same_controller_waits_too(kind: str, place: Place) -> None:
    async with place.pipeline(failing(kind, place)) as pipeline, asyncio.timeout(20):
        await pipeline.run(launch_once=True)
        assert len(runs(place)) == 1
        await pipeline.run()
    first, second = runs(place)
    assert DELAY <= second - first < DELAY + 5


@pytest.mark.parametrize(
    ("since", "least", "most"),
    [(timedelta(), 9, 10), (timedelta(seconds=4), 5, 6), (timedelta(days=1), 0, 0), (timedelta(days=-1), 10, 10)],
)
async def test_no_clock_makes_a_delay_longer_than_it_was(
    since: timedelta, least: float, most: float, place: Place
) -> None:
    ledger = pdt.MemoryLedger()
    end = {"reason": "exit", "error": "the cause", "end_time": datetime.now(UTC) - since, "delay": 10}
    await AttemptBook(ledger, "task").end("a", 1, end)
    book = AttemptBook(ledger, "task")
    await book.load()
    seconds, reason = book.delayed["a"]
    assert least <= seconds <= most
    assert reason == "exit: the cause"


async def test_what_an_older_version_noted_is_due_at_once() -> None:
    ledger = pdt.MemoryLedger()
    await AttemptBook(ledger, "task").end("a", 1, {"reason": "exit"})
    book = AttemptBook(ledger, "task")
    await book.load()
    assert book.delayed == {"a": (0.0, "exit")}
