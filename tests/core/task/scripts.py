"""Process tasks that tests are made of: real scripts, with everything they leave in one folder."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pdt
from pdt.engine.report import Report
from pdt.proc_manager.processes import carriers
from tests.core.engine.samples import amount, memory, until

__all__ = ["Place", "quota"]


def quota(cpu: float = 1000, launches: int | None = None) -> pdt.ResourceManager:
    """Return a resource manager with so many cores."""
    return pdt.ResourceManager(amount(cpu, 10**12, launches))


class Place:
    """A folder with a process manager, a store and records.

    :param path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manager = pdt.LocalLinuxManager("tested", path / "processes")
        self.pids = self.records("pids")
        self.done = self.records("done")
        self.failed = self.records("failed")
        self.quota = quota()

    def records(self, name: str) -> pdt.SqliteMetadataRepository:
        """Return a repository of records."""
        return pdt.SqliteMetadataRepository(self.path / "records.sqlite", name)

    def task(self, template: Any, *jobs: str, name: str = "task", **options: Any) -> pdt.ProcessTask:
        """Return a task that runs this script for these jobs."""
        options = {"done": self.done, **options}
        manager = options.pop("manager", None) or (lambda: self.manager)
        quota = options.pop("quota", None) or self.quota
        pids = options.pop("pids", self.pids)
        task = pdt.ProcessTask(name, manager, quota, options.pop("job_resources", amount(1)), pids, template, **options)
        if jobs:
            task.link("input", memory(*jobs), is_input=True)
        return task

    def files(self, name: str, extension: str = "", **contents: str) -> pdt.FileRepository:
        """Return a repository of files with these contents."""
        folder = self.path / name
        folder.mkdir(parents=True, exist_ok=True)
        for job, text in contents.items():
            (folder / f"{job}{extension}").write_text(text)
        return pdt.FileRepository(folder, extension)

    def pipeline(self, *tasks: pdt.Task, **options: Any) -> pdt.Pipeline:
        """Return a pipeline of these tasks."""
        return pdt.Pipeline(tasks, **{"name": "tested", "store": self.path / "store", **options})

    async def run(self, *tasks: pdt.Task, deadline: float = 30.0, **options: Any) -> Report:
        """Run a pipeline of these tasks until it is quiet, and see to it that nothing is left behind."""
        async with self.pipeline(*tasks, **options) as pipeline:
            async with asyncio.timeout(deadline):
                report = await pipeline.run()
            assert await pipeline.ledger.list() == []
            for manager in pipeline.resource_managers:
                used = await manager.usage()
                assert used.cpu == used.mem == 0
        assert await self.pids.keys() == set()
        left = self.left_over()
        assert left == [], left
        return report

    def left_over(self) -> list[str]:
        """Return the files that attempts have left behind; logs of failed ones are there for people."""
        base = self.path / "processes" / "tested"
        found = [path for folder in ("attempts", "journals") for path in (base / folder).glob("*")]
        found += [path for path in self.path.rglob(".pdt-tmp-*") if not (path.is_dir() and not any(path.iterdir()))]
        return sorted(os.fspath(path.relative_to(self.path)) for path in found)

    async def interrupted(self, task: pdt.Task, after: Path, **options: Any) -> None:
        """Run a pipeline of the task, and close it once a file is there."""
        async with self.pipeline(task, **options) as pipeline:
            running = asyncio.get_running_loop().create_task(pipeline.run())
            await until(after.exists)
            running.cancel()
            await asyncio.wait([running])

    @staticmethod
    async def kill_everything(token: str, deadline: float = 10.0) -> None:
        """Kill every process of an attempt, the wrapper included, and return once nothing of it is left."""
        async with asyncio.timeout(deadline):
            while pids := carriers([token])[token]:
                for pid in pids:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                await asyncio.sleep(0.01)
