"""How the pipelines of the benchmarks are measured."""

from __future__ import annotations

import json
import resource
import time

import pdt


async def measure(pipeline: pdt.Pipeline) -> None:
    """Run a pipeline and print the seconds that it took, and the peak memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    async with pipeline:
        report = await pipeline.run()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "jobs": sum(report.succeeded.values()),
                "seconds": seconds,
                "grown_kib": peak - before,
                "peak_kib": peak,
            }
        )
    )
