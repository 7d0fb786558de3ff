"""The same work as plain.py, as pipelines: set BENCH_DIR, BENCH_RECORDS (sqlite or yaml) and BENCH_STAGES.

Usage: python pipeline.py run   (the command line of pdt)
   or: python pipeline.py time  (runs it, and prints the seconds and the peak memory)
"""

from __future__ import annotations

import os
import sys

import pdt

DIRECTORY = os.environ.get("BENCH_DIR", ".")
RECORDS = os.environ.get("BENCH_RECORDS", "sqlite")
STAGES = int(os.environ.get("BENCH_STAGES", "1"))
STORE = os.path.join(DIRECTORY, ".pdt")


def records(name: str) -> pdt.MetadataRepository:
    """Return where the records of a task go."""
    if RECORDS == "yaml":
        return pdt.YamlMetadataFileRepository(os.path.join(DIRECTORY, f"{name}-done"))
    return pdt.SqliteMetadataRepository(os.path.join(STORE, "records.sqlite"), name)


def files(name: str) -> pdt.FileRepository:
    """Return a directory of text files."""
    return pdt.FileRepository(os.path.join(DIRECTORY, name), ".txt")


async def count_words(job: str, source: pdt.FileRepository, target: pdt.FileRepository) -> None:
    """Read a small file, write a small file."""
    async with source.open(job) as file:
        text = await file.read()
    async with target.open(job, "w") as file:
        await file.write(f"{len(text.split())}\n")


def stage(number: int, source: str, target: str) -> pdt.InProcessSyncTask:
    """Return the task of one stage; from the second on it waits for the one before."""
    task = pdt.InProcessSyncTask(f"stage{number}", records(f"stage{number}"), func=count_words)
    task.link("source", files(source), is_input=True)
    task.link("target", files(target), is_output=True)
    if number:
        task.link("before", records(f"stage{number - 1}"), required_for_start=True)
    return task


NAMES = ["in", "out"] if STAGES == 1 else [f"s{number}" for number in range(STAGES + 1)]
pipeline = pdt.Pipeline(
    [stage(number, NAMES[number], NAMES[number + 1]) for number in range(STAGES)], pdt.Session(), store=STORE
)


if __name__ == "__main__":
    if sys.argv[1:] == ["time"]:
        import asyncio

        from measure import measure  # type: ignore[import-not-found]  # it lies beside this script

        asyncio.run(measure(pipeline))
    else:
        pdt.main(pipeline)
