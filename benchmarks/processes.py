"""The same scripts as `plain.py processes` runs, as a pipeline: set BENCH_DIR, BENCH_CONCURRENCY and BENCH_SCRIPT.

Usage: python processes.py time  (runs it, and prints the seconds and the peak memory)
   or: python processes.py run   (the command line of pdt)
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta

import pdt

DIRECTORY = os.environ.get("BENCH_DIR", ".")
CONCURRENCY = int(os.environ.get("BENCH_CONCURRENCY", "2"))
SCRIPT = os.environ.get("BENCH_SCRIPT", "sh")
LOG = os.environ.get("BENCH_LOG", "no") == "yes"
STORE = os.path.join(DIRECTORY, ".pdt")

SCRIPTS = {
    "sh": "wc -w < {{ source }} > {{ target }}\n",
    "python3": "#!/usr/bin/env python3\n"
    "with open({{ source | py }}) as source, open({{ target | py }}, 'w') as target:\n"
    "    print(len(source.read().split()), file=target)\n",
}


def records(name: str) -> pdt.MetadataRepository:
    """Return where the records of a task go."""
    return pdt.SqliteMetadataRepository(os.path.join(STORE, "records.sqlite"), name)


manager = pdt.LocalLinuxManager("bench", os.path.join(DIRECTORY, "processes"))
quota = pdt.ResourceManager(pdt.Resources.parse(CONCURRENCY, "1Gi"))
task = pdt.ProcessTask(
    "count",
    manager,
    quota,
    pdt.Resources.parse(1, "1Mi"),
    records("pids"),
    SCRIPTS[SCRIPT],
    timedelta(seconds=60),
    done=records("done"),
    keep_log=LOG,
)
task.link("source", pdt.FileRepository(os.path.join(DIRECTORY, "in"), ".txt"), is_input=True)
task.link("target", pdt.FileRepository(os.path.join(DIRECTORY, "out"), ".txt"), is_output=True)
pipeline = pdt.Pipeline([task], pdt.Session(), store=STORE)

if __name__ == "__main__":
    if sys.argv[1:] == ["time"]:
        import asyncio

        from measure import measure  # type: ignore[import-not-found]  # it lies beside this script

        asyncio.run(measure(pipeline))
    else:
        pdt.main(pipeline)
