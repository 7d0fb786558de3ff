"""Pipelines and repositories that the engine's tests are made of."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Set
from decimal import Decimal
from pathlib import Path
from typing import Any

import pdt
from pdt.engine.report import Report

__all__ = [
    "Counting",
    "Delayed",
    "Stranger",
    "amount",
    "counting_task",
    "jobs_of",
    "memory",
    "pipeline_of",
    "run",
    "until",
]


def jobs_of(count: int, stem: str = "j") -> list[str]:
    """Return this many job ids."""
    return [f"{stem}{number:05}" for number in range(count)]


def amount(cpu: float = 0, mem: float = 0, launches: int | None = 1) -> pdt.Resources:
    """Return an amount of resources."""
    return pdt.Resources(Decimal(cpu), Decimal(mem), launches)


def memory(*jobs: str) -> pdt.InProcessMetadataRepository:
    """Return a repository in memory that holds these jobs."""
    return pdt.InProcessMetadataRepository({job: {} for job in jobs})


async def until(condition: Callable[[], object], deadline: float = 10.0) -> None:
    """Return once a condition holds."""
    async with asyncio.timeout(deadline):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def pipeline_of(*tasks: pdt.Task, **options: Any) -> pdt.Pipeline:
    """Return a pipeline of these tasks whose store is never written to: give it one that is where it would be."""
    options.setdefault("name", "tested")
    options.setdefault("store", Path("/nonexistent/store"))
    return pdt.Pipeline(tasks, **options)


async def run(*tasks: pdt.Task, deadline: float = 30.0, **options: Any) -> Report:
    """Run a pipeline of these tasks until it is quiet, and return what it did."""
    async with pipeline_of(*tasks, **options) as pipeline, asyncio.timeout(deadline):
        return await pipeline.run()


def counting_task(
    name: str, inputs: pdt.Repository, body: Callable[..., Any] | None = None, **options: Any
) -> tuple[pdt.InProcessSyncTask, pdt.InProcessMetadataRepository, Counter[str]]:
    """Return a task that reads `inputs`, its done repository, and how often its body was called for each job."""
    calls: Counter[str] = Counter()
    done = options.pop("done", None) or pdt.InProcessMetadataRepository()

    async def count(job: str) -> None:
        calls[job] += 1
        if body is not None:
            await body(job)

    task = pdt.InProcessSyncTask(name, done, func=count, **options)
    task.link("input", inputs, is_input=True)
    return task, done, calls


class Delayed(pdt.InProcessMetadataRepository):
    """Records in memory that take a while to list: each half of the keys is read at a time of its own.

    :param delay: the most seconds that each of the two halves takes.
    """

    inline = False

    def __init__(self, data: dict[str, Any] | None = None, delay: float = 0.01) -> None:
        super().__init__(data)
        self.delay = delay

    async def _wait(self) -> None:
        await asyncio.sleep(random.uniform(0, self.delay))

    async def keys(self) -> Set[str]:
        await self._wait()
        found = {key for key in self.data if key[-1] in "01234"}
        await self._wait()
        found |= {key for key in self.data if key[-1] not in "01234"}
        await self._wait()
        return found

    async def items(self) -> Mapping[str, Any]:
        keys = await self.keys()
        return {key: self.data[key] for key in keys if key in self.data}

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        for key in await self.keys():
            yield key

    async def contains(self, item: str) -> bool:
        await self._wait()
        return item in self.data

    async def present(self, jobs: Collection[str]) -> set[str]:
        await self._wait()
        found = {job for job in jobs if job in self.data}
        await self._wait()
        return found


class Counting(pdt.InProcessMetadataRepository):
    """Records in memory that count how often they are listed, and in which order.

    :param log: takes the name at each listing.
    """

    def __init__(self, name: str, log: list[str], keys: Iterable[str] = (), *, inline: bool = True) -> None:
        super().__init__({key: {} for key in keys})
        self.name = name
        self.log = log
        self.inline = inline

    async def keys(self) -> Set[str]:
        self.log.append(self.name)
        if not self.inline:
            await asyncio.sleep(0)
        return set(self.data)

    async def items(self) -> Mapping[str, Any]:
        self.log.append(self.name)
        if not self.inline:
            await asyncio.sleep(0)
        return dict(self.data)


class Stranger(pdt.Task):
    """A task as a user of the reference would write it: jobs outlive their launch, and it minds its own links.

    :param seconds: the most that a job takes.
    """

    def __init__(
        self,
        name: str,
        live: pdt.MetadataRepository,
        done: pdt.MetadataRepository,
        seconds: float = 0.02,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self.executions: Counter[str] = Counter()
        self.seconds = seconds
        self._live, self._done = live, done
        self._running: set[asyncio.Task[None]] = set()
        # In the order that makes it hardest: what jobs enter is asked for before what they leave.
        self.link("done", done, is_status=True, inhibits_start=True, required_for_output=True)
        self.link("live", live, is_status=True, inhibits_start=True, inhibits_output=True)

    async def update(self) -> bool:
        return bool(self._running)

    async def launch(self, job: str) -> None:
        self.executions[job] += 1
        await self._live.dump(job, {})
        running = asyncio.get_running_loop().create_task(self._work(job))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def _work(self, job: str) -> None:
        await asyncio.sleep(random.uniform(0, self.seconds))
        await self._done.dump(job, {"success": True})
        await self._live.delete(job)
        if self.wake is not None:
            self.wake()
