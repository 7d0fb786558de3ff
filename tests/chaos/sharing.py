"""The pipeline that several controllers share: run as `python sharing.py DIRECTORY [pdt's arguments]`.

Each body appends a line to the history as it begins and as it ends: the task, the job, its controller, and which.
What there is to do is in the directory's plan.json. Bodies wait for a file that is called gate.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pdt

PLACE = "SHARING_DIRECTORY"


def note(task: str, job: str, controller: int, what: str) -> None:
    """Append a line to the history."""
    with open(os.path.join(os.environ[PLACE], "history"), "ab", buffering=0) as file:
        file.write(f"{task} {job} {controller} {what}\n".encode())


def work() -> None:
    """Take the time that a body takes, once the gate is open."""
    while not os.path.exists(os.path.join(os.environ[PLACE], "gate")):
        time.sleep(0.01)
    plan = json.loads(Path(os.environ[PLACE], "plan.json").read_text())
    time.sleep(plan["pause"])


def in_a_thread(job: str, source: Any) -> None:
    """Work in the controller."""
    note("function", job, os.getpid(), "start")
    work()
    note("function", job, os.getpid(), "end")


def in_a_pool(job: str, source: Any) -> None:
    """Work in a process of the controller's."""
    note("executor", job, os.getppid(), "start")
    work()
    note("executor", job, os.getppid(), "end")


def last(job: str, source: Any) -> None:
    """Work on what a process has done."""
    note("last", job, os.getpid(), "start")


SCRIPT = """\
echo "process $PDT_JOB $PDT_CONTROLLER start" >> "$SHARING_DIRECTORY/history"
until test -e "$SHARING_DIRECTORY/gate"; do sleep 0.01; done
sleep {pause}
echo "process $PDT_JOB $PDT_CONTROLLER end" >> "$SHARING_DIRECTORY/history"
{finish}
"""
FAIL_FIRST = 'test "$(grep -c "process $PDT_JOB .* start" "$SHARING_DIRECTORY/history")" -gt 1 || exit 75\n'


def make(directory: Path) -> pdt.Pipeline:
    """Return the pipeline of a directory."""
    plan = json.loads((directory / "plan.json").read_text())
    records = directory / ".pdt" / "records.sqlite"

    def record(name: str) -> pdt.SqliteMetadataRepository:
        return pdt.SqliteMetadataRepository(records, name)

    tasks: list[pdt.Task] = []
    if "function" in plan["tasks"]:
        tasks.append(pdt.InProcessSyncTask("function", record("function.done"), func=in_a_thread))
        tasks[-1].concurrency = plan["at_once"]
    if "executor" in plan["tasks"]:
        tasks.append(
            pdt.ExecutorTask("executor", partial(ProcessPoolExecutor, 2), record("executor.done"), func=in_a_pool)
        )
    for task in tasks:
        task.link("source", pdt.FileRepository(directory / f"{task.name}.in"), is_input=True)
    if "process" in plan["tasks"]:
        environ = {PLACE: os.fspath(directory), "PDT_CONTROLLER": str(os.getpid())}
        process = pdt.ProcessTask(
            "process",
            pdt.LocalLinuxManager("sharing", local_path=directory / "processes"),
            pdt.ResourceManager(pdt.Resources.parse(plan["at_once"], 1, 1000000)),
            pdt.Resources.parse(1, 0, 1),
            record("process.pids"),
            SCRIPT.format(pause=plan["pause"], finish=FAIL_FIRST if plan["retry"] else ""),
            done=record("process.done"),
            environ=environ,
            retry=pdt.Retry(attempts=3, delay=plan["retry"], jitter=0.0) if plan["retry"] else None,
            grace=0.1,
        )
        process.link("source", pdt.FileRepository(directory / "process.in"), is_input=True)
        after = pdt.InProcessSyncTask("last", record("last.done"), func=last)
        after.link("source", record("process.done"), is_input=True)
        tasks += [process, after]
    return pdt.Pipeline(tasks, store=directory / ".pdt", name="sharing")


if __name__ == "__main__":
    where = Path(sys.argv.pop(1))
    os.environ[PLACE] = os.fspath(where)
    pdt.main(make(where))
