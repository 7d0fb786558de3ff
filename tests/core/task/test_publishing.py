"""What a process task does when its results cannot be recorded: nothing is lost, and nothing is run again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt.ledger import MemoryLedger
from pdt.repository.base import Mode, Opening
from pdt.task import publish
from tests.core.engine.samples import memory
from tests.core.task.scripts import Place, quota


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "STREAM_DELAYS", (0.01, 0.01))


class Away(pdt.InProcessBlobRepository):
    """A store that takes nothing so many times."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures
        self.asked = 0

    def open(self, job: str, mode: Mode = "r") -> Any:
        if mode == "wb":
            self.asked += 1
            if self.asked <= self.failures:
                raise ConnectionError("nobody is there")
        return super().open(job, mode)


def ran(place: Place) -> list[str]:
    return sorted((place.path / "ran").read_text().split())


def script(place: Place) -> str:
    return f"echo {{{{ job }}}} >>{place.path}/ran; echo done"


async def test_a_store_that_was_away_for_a_moment_is_asked_again(place: Place) -> None:
    store = Away(2)
    report = await place.run(place.task(script(place), "a", stdout=store))
    assert (report.exit_code, ran(place), store.data["a"]) == (0, ["a"], b"done\n")


async def test_a_store_that_is_away_ends_the_run_and_the_next_one_publishes(place: Place) -> None:
    store = Away(1000)
    task = place.task(script(place), "a", "b", stdout=store)
    other = place.task(script(place), "c", name="other", done=place.records("other"))
    async with place.pipeline(task, other) as pipeline:
        report = await pipeline.run()
        assert report.exit_code != 0
        assert any("task a: what it wrote could not be published: ConnectionError" in text for text in report.problems)
        assert report.succeeded == {"other": 1}
        assert await place.done.keys() == set()
        store.failures = 0
        report = await pipeline.run()
        assert (report.exit_code, report.succeeded) == (0, {"task": 2})
    assert ran(place) == ["a", "b", "c"]
    assert store.data == {"a": b"done\n", "b": b"done\n"}
    assert place.left_over() == []


class Slow(pdt.InProcessBlobRepository):
    """A store that takes its time to take a value."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = asyncio.Event()
        self.seconds = 60.0

    def open(self, job: str, mode: Mode = "r") -> Any:
        opened = super().open(job, mode)
        if mode != "wb":
            return opened

        async def wait() -> Any:
            stream = await opened
            await stream.write(b"some")
            self.is_asked.set()
            await asyncio.sleep(self.seconds)
            return stream

        return Opening(wait)


async def test_f19_a_copy_that_is_cancelled_publishes_nothing(place: Place) -> None:
    store = Slow()
    task = place.task(script(place), "a", stdout=store)
    async with place.pipeline(task) as pipeline:
        running = asyncio.ensure_future(pipeline.run())  # noqa: TID251  it is cancelled, as by a second signal
        await store.is_asked.wait()
        running.cancel()
        await asyncio.wait([running])
    assert running.cancelled()
    assert store.data == {}
    assert await place.done.keys() == set()
    store.seconds = 0.0
    await place.run(task)
    assert ran(place) == ["a"]
    assert store.data["a"].endswith(b"done\n")


async def test_what_is_left_while_it_is_published_keeps_nothing_of_the_quota(place: Place) -> None:
    store = Slow()
    task = place.task(script(place), "a", stdout=store, quota=quota(1))
    for _ in range(2):  # the second time it is taken over
        store.is_asked.clear()
        async with place.pipeline(task) as pipeline:
            running = asyncio.ensure_future(pipeline.run())  # noqa: TID251  it is cancelled, as by a second signal
            await store.is_asked.wait()
            running.cancel()
            await asyncio.wait([running])
    store.seconds = 0.0
    await place.run(task)  # which looks at the quota at its end
    assert ran(place) == ["a"]


class Forgetful(MemoryLedger):
    """A ledger whose answer is lost once: it does what it is asked to, and says that it failed."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.prefix = prefix

    async def insert_all(self, entries: Mapping[str, Mapping[str, Any]]) -> set[str]:
        won = await super().insert_all(entries)
        if self.prefix and any(key.startswith(self.prefix) for key in entries):
            self.prefix = ""
            raise ConnectionError("the answer is lost")
        return won


@pytest.mark.parametrize("prefix", ["claim/", "commit/"])
async def test_what_was_written_although_the_answer_was_lost_stands(prefix: str, place: Place) -> None:
    task = place.task(script(place), "a", "b", stdout=Away(0))
    async with place.pipeline(task) as pipeline:
        ledger = pipeline.__dict__["ledger"] = Forgetful(prefix)
        report = await pipeline.run()
        assert (ledger.prefix, report.exit_code, report.succeeded) == ("", 0, {"task": 2})
        assert await ledger.list() == []
    assert ran(place) == ["a", "b"]
    assert {record["attempt"] for record in (await place.done.info_all()).values()} == {1}


async def test_records_that_the_store_would_not_take_are_written_by_the_next_run(place: Place) -> None:
    class Full(pdt.InProcessMetadataRepository):
        is_full = True

        async def dump_all(self, records: Mapping[str, Any]) -> None:
            if self.is_full:
                raise OSError("no space left")
            await super().dump_all(records)

        async def dump(self, job: str, data: Any) -> None:
            if self.is_full:
                raise OSError("no space left")
            await super().dump(job, data)

    done = Full()
    task = place.task(script(place), done=done, ready=memory("a"))
    async with place.pipeline(task) as pipeline:
        report = await pipeline.run()
        assert report.exit_code != 0
        assert any("no space left" in text for text in report.problems)
        done.is_full = False
        report = await pipeline.run()
        assert (report.exit_code, report.succeeded) == (0, {"task": 1})
    assert ran(place) == ["a"]
    assert place.left_over() == []


async def test_a_staged_output_is_published_by_a_run_that_finds_it_decided(place: Place) -> None:
    """Between two runs nobody is there: the scripts of the first write into what the second publishes."""
    out = place.files("out")
    gate = place.path / "gate"
    task = place.task(f"until [ -e {gate} ]; do sleep 0.01; done; echo late > {{{{ out }}}}", "a")
    task.link("out", out, is_output=True)
    async with place.pipeline(task) as pipeline:
        await pipeline.update_only_launch()
    gate.touch()
    await place.run(task)
    assert (place.path / "out" / "a").read_text() == "late\n"


async def test_what_is_taken_over_late_takes_its_resources_once(place: Place) -> None:
    """A single round launches without having looked after what runs: it is taken over as jobs are claimed."""
    gate = place.path / "gate"
    waiting = f"echo {{{{ job }}}} >>{place.path}/ran; until [ -e {gate} ]; do sleep 0.01; done"
    task = place.task(waiting, "a", "b", "c", quota=quota(2))
    async with place.pipeline(task) as pipeline:
        await pipeline.update_only_launch()
    async with place.pipeline(task) as pipeline:
        await pipeline.update_only_launch()
        assert task.resource_manager is not None
        assert (await task.resource_manager.usage()).cpu == 2
    gate.touch()
    await place.run(task)
    assert ran(place) == ["a", "b", "c"]
