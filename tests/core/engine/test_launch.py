"""Claims ahead, resources that are free early, retries, and a ledger that is away for a moment."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt.attempts.book import AttemptBook, Claim
from pdt.engine import launch
from pdt.errors import BackendError
from pdt.ledger import SqliteLedger
from tests.core.engine.samples import jobs_of, memory, run, until
from tests.core.task.scripts import Place, quota


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# Claims.


async def test_jobs_are_claimed_many_at_a_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    insert_all = SqliteLedger.insert_all

    async def count(self: SqliteLedger, entries: Mapping[str, Mapping[str, Any]]) -> set[str]:
        claims = [key for key in entries if key.startswith("claim/")]
        if claims:
            calls.append(len(claims))
        return await insert_all(self, entries)

    monkeypatch.setattr(SqliteLedger, "insert_all", count)
    report = await place.run(place.task("true", *jobs_of(200), quota=quota(2)))
    assert report.succeeded == {"task": 200}
    assert sum(calls) == 200  # none twice
    assert len(calls) <= 200 / launch.CLAIM_AHEAD + 4


async def test_claims_that_are_not_used_are_given_back(place: Place) -> None:
    begun, gate = place.path / "begun", place.path / "gate"
    os.mkfifo(gate)
    task = place.task(f": >{begun}; read x <{gate}", *jobs_of(50), quota=quota(1))
    async with place.pipeline(task) as pipeline, asyncio.timeout(20):
        running = asyncio.get_running_loop().create_task(pipeline.run())
        await until(begun.exists)
        assert len(await pipeline.ledger.list("claim/")) == 50
        pipeline.stop()
        await running
    async with place.pipeline(place.task("true", "a")) as pipeline:
        [left] = await pipeline.ledger.list()
        assert left.startswith("claim/task/")  # of what runs
    gate.write_text("go\n")
    report = await place.run(place.task("true", *jobs_of(50)))
    assert report.succeeded == {"task": 50}
    assert all([(await place.done.info(job))["attempt"] == 1 for job in jobs_of(50)])


async def test_what_somebody_else_has_claimed_is_left_to_them(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is recorded of it, nothing is tried; the others go on."""
    tried = []
    claim = AttemptBook.claim

    async def count(self: AttemptBook, claims: Iterable[Claim]) -> list[Claim]:
        claims = list(claims)
        tried.extend(claims)
        return await claim(self, claims)

    monkeypatch.setattr(AttemptBook, "claim", count)
    task = place.task(f"echo $PDT_JOB >>{place.path}/log", "a", "b")
    async with place.pipeline(task) as pipeline, asyncio.timeout(20):
        pipeline.take_control()
        await task.update()  # what is claimed later is not this controller's to take over
        await pipeline.ledger.insert(
            "claim/task/a/1", {"format": 1, "number": 1, "token": "f" * 32, "place": {}, "at": 0.0, "since": ""}
        )
        running = asyncio.get_running_loop().create_task(pipeline.run())
        while not await place.done.contains("b"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        pipeline.stop()
        await running
    assert (place.path / "log").read_text() == "b\n"
    assert await place.done.keys() == {"b"}
    assert len(tried) < 30


class Away:
    """A ledger of which some calls fail.

    :param kind: the keys for which they do.
    :param times: how often.
    """

    def __init__(self, kind: str, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kind, self.times = kind, times
        self._insert_all, self._delete_all = SqliteLedger.insert_all, SqliteLedger.delete_all
        away = self

        async def insert_all(self: SqliteLedger, entries: Mapping[str, Mapping[str, Any]]) -> set[str]:
            away.check(entries, "insert")
            return await away._insert_all(self, entries)

        async def delete_all(self: SqliteLedger, keys: Iterable[str]) -> None:
            keys = list(keys)
            away.check(keys, "delete")
            await away._delete_all(self, keys)

        monkeypatch.setattr(SqliteLedger, "insert_all", insert_all)
        monkeypatch.setattr(SqliteLedger, "delete_all", delete_all)

    def check(self, keys: Iterable[str], operation: str) -> None:
        if self.times and any(f"{operation} {key}".startswith(self.kind) for key in keys):
            self.times -= 1
            raise BackendError("the ledger is away")


@pytest.mark.parametrize("kind", ["insert claim", "delete commit"])
async def test_a_ledger_that_is_away_for_a_moment_costs_no_job(
    kind: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "FIRST_DELAY", 0.01)
    away = Away(kind, 1, monkeypatch)
    task = place.task(f"echo $PDT_JOB >>{place.path}/log", "a", "b", "c")
    async with place.pipeline(task) as pipeline, asyncio.timeout(20):
        await pipeline.run()
    assert away.times == 0
    report = await place.run(task)
    assert not report.launched
    assert sorted((place.path / "log").read_text().split()) == ["a", "b", "c"]
    assert {(await place.done.info(job))["attempt"] for job in "abc"} == {1}


# Resources.


async def test_what_a_process_took_is_free_when_it_has_ended(place: Place) -> None:
    """Not only when its record is written: that may take a while."""
    release = asyncio.Event()

    class Slow(pdt.InProcessMetadataRepository):
        inline = False

        async def dump_all(self, records: Mapping[str, Any]) -> None:
            await release.wait()
            await super().dump_all(records)

    done, manager = Slow(), quota(1)
    task = place.task(f": >{place.path}/$PDT_JOB", "a", "b", "c", done=done, quota=manager)
    async with place.pipeline(task) as pipeline, asyncio.timeout(20):
        running = asyncio.get_running_loop().create_task(pipeline.run())
        await until(lambda: all((place.path / job).exists() for job in "abc"))
        assert done.data == {}
        release.set()
        await running
        assert (await manager.usage()).cpu == 0
    assert done.data.keys() == {"a", "b", "c"}


async def test_no_more_run_than_the_quota_has_room_for(place: Place) -> None:
    script = f"echo + >>{place.path}/log; sleep 0.05; echo - >>{place.path}/log"
    await place.run(place.task(script, *jobs_of(20), quota=quota(3)))
    steps = [1 if step == "+" else -1 for step in (place.path / "log").read_text().split()]
    assert max(itertools.accumulate(steps)) == 3
    assert len(steps) == 40


async def test_p5_starts_within_the_window_are_limited_although_their_jobs_have_ended(place: Place) -> None:
    """However quickly jobs end."""
    manager = quota(100, launches=2)
    task = place.task(
        f"cut -d' ' -f1 /proc/uptime >>{place.path}/log", *jobs_of(5), window=timedelta(seconds=0.6), quota=manager
    )
    await place.run(task)
    starts = sorted(map(float, (place.path / "log").read_text().split()))
    assert len(starts) == 5
    for first, third in zip(starts, starts[2:], strict=False):
        assert third - first > 0.4  # /proc/uptime has hundredths, and a process takes a moment to start


# Retries.


async def test_a_retry_has_to_wait_for_resources_like_any_other(place: Place) -> None:
    tries = f"{place.path}/tries-$PDT_JOB"
    log = place.path / "log"
    script = f"echo x >>{tries}; echo + >>{log}; sleep 0.05; echo - >>{log}; test $(wc -l <{tries}) -gt 2"
    task = place.task(script, *jobs_of(6), retry=pdt.Retry(5, delay=0.01), quota=quota(2))
    report = await place.run(task)
    assert (report.succeeded, report.retried) == ({"task": 6}, {"task": 12})
    steps = [1 if step == "+" else -1 for step in (place.path / "log").read_text().split()]
    assert max(itertools.accumulate(steps)) == 2


async def test_a_retry_is_forgotten_when_its_job_is_not_ready_any_more(place: Place) -> None:
    inputs = pdt.InProcessMetadataRepository({"a": 1})
    task = place.task("exit 1", retry=pdt.Retry(5, delay=1000, max_delay=1000))
    task.link("input", inputs, is_input=True)
    async with place.pipeline(task) as pipeline, asyncio.timeout(20):
        running = asyncio.get_running_loop().create_task(pipeline.run())
        await until(lambda: pipeline.runner.report.retried)
        await inputs.delete("a")
        report = await running  # it does not wait for the thousand seconds
    assert report.launched == {"task": 1}


async def test_a_run_ends_although_a_job_that_was_tried_again_cannot_be_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pdt.engine.commit.FIRST_DELAY", 0.01)

    class Refusing(pdt.InProcessMetadataRepository):
        async def dump(self, job: str, data: Any) -> None:
            raise OSError("no")

        async def dump_all(self, data: Mapping[str, Any]) -> None:
            raise OSError("no")

    runs = []

    async def body(job: str) -> None:
        runs.append(job)
        if len(runs) == 1:
            raise ValueError("the first time")

    task = pdt.InProcessSyncTask("task", Refusing(), func=body, retry=pdt.Retry(2, delay=0.01))
    task.link("input", memory("a"), is_input=True)
    report = await run(task, deadline=10)
    assert report.retried == {"task": 1}
    assert report.exit_code == 5
    assert runs == ["a", "a"]
