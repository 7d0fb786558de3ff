"""The ready set over many keys in memory: seconds, and bytes per key and listing.

Usage: python readyset.py KEYS
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import tracemalloc

import pdt


def job(number: int) -> str:
    """Return a job id of usual length."""
    return f"job-{number:07d}"


def pipeline(keys: int) -> pdt.Pipeline:
    """Return a pipeline of one task of which half of the jobs are done."""
    inputs = pdt.InProcessMetadataRepository(dict.fromkeys(map(job, range(keys)), 0))
    done = pdt.InProcessMetadataRepository(dict.fromkeys(map(job, range(keys // 2)), 0))

    async def body(job: str, source: pdt.MetadataRepository) -> None:
        raise AssertionError("only the ready set is wanted")

    task = pdt.InProcessSyncTask("task", done, func=body)
    task.link("source", inputs, is_input=True)
    return pdt.Pipeline([task])


async def measure(keys: int) -> None:
    """Compute the ready set once, and print what it cost."""
    from pdt.engine.look import look_once

    opened = pipeline(keys)
    async with opened:
        start = time.perf_counter()
        view = await look_once(opened.tasks)
        seconds = time.perf_counter() - start
        ready = len(view.readiness["task"].jobs)
        del view
        tracemalloc.start()
        view = await look_once(opened.tasks)
        held, _ = tracemalloc.get_traced_memory()
        del view
    # Listings share the keys' text with what is in memory; a listing of a store has text of its own.
    text = sum(sys.getsizeof(job(number)) for number in range(1000)) / 1000
    print(json.dumps({"ready": ready, "seconds": seconds, "bytes": held / (keys * 1.5) + text}))


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1])))
