"""The plain loops that are the limit: what anyone would write without a framework.

Usage: python plain.py jobs|pending|chain DIRECTORY
   or: python plain.py processes DIRECTORY CONCURRENCY sh|python3
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime

PYTHON = "import sys; print(len(open(sys.argv[1]).read().split()), file=open(sys.argv[2], 'w'))"


def run_job(source: str, target: str, record: str) -> None:
    """Read a small file, write a small file, keep a record file."""
    start = datetime.now(UTC)
    with open(source) as file:
        text = file.read()
    with open(target, "w") as file:
        file.write(f"{len(text.split())}\n")
    with open(record, "w") as file:
        json.dump({"result": "success", "start": str(start), "end": str(datetime.now(UTC))}, file)


def pending(inputs: str, records: str) -> list[str]:
    """List both directories and subtract."""
    done = {entry.name.removesuffix(".json") for entry in os.scandir(records)}
    return [name for name in (entry.name.removesuffix(".txt") for entry in os.scandir(inputs)) if name not in done]


def jobs(directory: str, source: str = "in", target: str = "out", records: str = "done") -> int:
    """Run every job that has no record."""
    paths = [os.path.join(directory, name) for name in (source, target, records)]
    for path in paths:
        os.makedirs(path, exist_ok=True)
    todo = pending(paths[0], paths[2])
    for job in todo:
        run_job(f"{paths[0]}/{job}.txt", f"{paths[1]}/{job}.txt", f"{paths[2]}/{job}.json")
    return len(todo)


def chain(directory: str) -> int:
    """Run three stages, one after another."""
    return sum(jobs(directory, f"s{stage}", f"s{stage + 1}", f"done{stage}") for stage in range(3))


def processes(directory: str, concurrency: int, script: str) -> int:
    """Run a process for every job that has no record, so many at once."""
    paths = [os.path.join(directory, name) for name in ("in", "out", "done")]
    for path in paths:
        os.makedirs(path, exist_ok=True)
    waiting = pending(paths[0], paths[2])
    count = len(waiting)
    live: dict[int, tuple[str, datetime]] = {}
    while waiting or live:
        while waiting and len(live) < concurrency:
            job = waiting.pop()
            source, target = f"{paths[0]}/{job}.txt", f"{paths[1]}/{job}.txt"
            command = ["sh", "-c", f"wc -w < {source} > {target}"]
            if script != "sh":
                command = [script, "-c", PYTHON, source, target]
            live[os.posix_spawnp(command[0], command, os.environ)] = (job, datetime.now(UTC))
        pid, status = os.wait()
        job, start = live.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        with open(f"{paths[2]}/{job}.json", "w") as file:
            json.dump({"return_code": code, "start": str(start), "end": str(datetime.now(UTC))}, file)
    return count


def main() -> None:
    """Run one of the loops and print the seconds that it took."""
    kind, directory, *options = sys.argv[1:]
    start = time.perf_counter()
    if kind == "jobs":
        count = jobs(directory)
    elif kind == "chain":
        count = chain(directory)
    elif kind == "processes":
        count = processes(directory, int(options[0]), options[1])
    else:
        count = len(pending(f"{directory}/in", f"{directory}/done"))
    print(json.dumps({"jobs": count, "seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
