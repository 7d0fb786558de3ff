"""The pipeline that is crashed: run as `python pipeline.py DIRECTORY [pdt's arguments]`.

Each script appends a line to the history as it begins and as it ends, and writes its attempt into all of its outputs.
What there is to do is in the directory's plan.json.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pdt
from pdt.proc_manager import journal
from pdt.repository.base import BlobRepository, Mode

HEAD = 'echo "$PDT_TASK $PDT_JOB $PDT_ATTEMPT start" >> {history}\n'
TAIL = 'echo "$PDT_TASK $PDT_JOB $PDT_ATTEMPT end" >> {history}\n'
#: A file, a directory and standard output, all put in place as they are.
FILES = """\
mkdir {{ folder }}
echo "$PDT_ATTEMPT" > {{ folder }}/a
echo "$PDT_ATTEMPT" > {{ file }}
{wait}
cat {{ source }} > {{ folder }}/b
cat {{ source }} >> {{ file }}
echo "$PDT_ATTEMPT"
cat {{ source }}
"""
#: Standard input and output are copied from and to a store that knows no paths.
STREAMS = 'echo "$PDT_ATTEMPT"\n{wait}\ncat\n'
#: Writes its output late, and fails the first time, whatever becomes of the controller.
AGAIN = """\
{wait}
echo "$PDT_ATTEMPT" > {{ file }}
cat {{ source }} >> {{ file }}
"""
FAIL_FIRST = """\
test "$(grep -c "$PDT_TASK $PDT_JOB .* start" {history})" -gt 1 || exit 75
"""
#: Does not end by itself, nor when it is asked to.
SLOW = "trap '' TERM\nsleep 30 & wait\nwait\n"


class Chest(BlobRepository):
    """Blobs in files, without anything that tells pdt so."""

    def __init__(self, directory: Path, seconds: float = 0.0) -> None:
        self._files = pdt.FileRepository(directory)
        self._seconds = seconds

    async def validate(self) -> None:
        await self._files.validate()

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        for key in await self._files.keys():
            yield key

    async def info(self, job: str) -> Any:
        return job

    async def delete(self, job: str) -> None:
        await self._files.delete(job)

    async def open(self, job: str, mode: Mode = "r") -> Any:  # type: ignore[override]
        await asyncio.sleep(self._seconds if mode == "wb" else 0.0)
        return await self._files.open(job, mode)


def make(directory: Path) -> pdt.Pipeline:
    """Return the pipeline of a directory."""
    plan = json.loads((directory / "plan.json").read_text())
    journal.ROTATION_SIZE = plan["journal_size"]
    quota = pdt.ResourceManager(pdt.Resources.parse(plan["at_once"], 1, 1000000))
    manager = pdt.LocalLinuxManager("chaos", local_path=directory / "processes")
    records = directory / ".pdt" / "records.sqlite"
    history = f"'{directory / 'history'}'"
    wait = f"until test -e '{directory / 'gate'}'; do sleep 0.02; done" if plan["gated"] else f"sleep {plan['pause']}"

    def record(name: str) -> pdt.SqliteMetadataRepository:
        return pdt.SqliteMetadataRepository(records, name)

    def files(name: str) -> pdt.FileRepository:
        return pdt.FileRepository(directory / name)

    def task(name: str, script: str, **options: Any) -> pdt.ProcessTask:
        text = script.replace("{history}", history).replace("{wait}", wait)
        return pdt.ProcessTask(
            name,
            manager,
            quota,
            pdt.Resources.parse(1, 0, 1),
            record(f"{name}.pids"),
            text,
            done=record(f"{name}.done"),
            environ={"PDT_CHAOS": str(directory)},
            grace=0.1,
            **options,
        )

    tasks = []
    if "files" in plan["tasks"]:
        one = task("files", HEAD + FILES + TAIL, stdout=files("files.stdout"))
        one.link("source", files("files.in"), is_input=True)
        one.link("file", files("files.file"), is_output=True)
        one.link("folder", pdt.DirectoryRepository(directory / "files.folder"), is_output=True)
        tasks.append(one)
    if "streams" in plan["tasks"]:
        chests = {name: Chest(directory / f"streams.{name}", plan["store_seconds"]) for name in ("in", "stdout")}
        tasks.append(task("streams", HEAD + STREAMS + TAIL, stdin=chests["in"], stdout=chests["stdout"]))
    if "again" in plan["tasks"]:
        retry = pdt.Retry(attempts=3, delay=0.01, on=["exit:75"])
        one = task("again", HEAD + AGAIN + TAIL + FAIL_FIRST, retry=retry)
        one.link("source", files("again.in"), is_input=True)
        one.link("file", files("again.file"), is_output=True)
        tasks.append(one)
    if "slow" in plan["tasks"]:
        one = task("slow", HEAD + SLOW, timeout=0.2)
        one.link("source", files("slow.in"), is_input=True)
        tasks.append(one)
    return pdt.Pipeline(tasks, store=directory / ".pdt", name="chaos")


if __name__ == "__main__":
    where = Path(sys.argv.pop(1))
    pdt.main(make(where))
