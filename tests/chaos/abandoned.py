"""What a controller leaves that is killed over thousands of attempts: `python -m tests.chaos.abandoned DIRECTORY`.

It starts a few jobs of the directory's plan, claims all others, leaves of each what its wrapper would have left, and is
killed: most have ended, of some the results are decided or put in place, and some were never begun.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import cast

import pdt
from pdt.attempts.book import Claim, Decision
from pdt.proc_manager.local_runner import LocalRunner
from pdt.proc_manager.runner import Exit
from pdt.task.ends import outcome_of
from pdt.task.record import now, publish
from tests.chaos.pipeline import make
from tests.chaos.site import OUTPUTS, Site

__all__ = ["RUNNING", "main"]

#: Jobs of each task that run still.
RUNNING = 10
#: Attempts of one journal.
TOGETHER = 1000
#: One in so many was never begun, or is decided, or is decided and published.
RARE = 20


class Remains:
    """What is left of the attempts of one task.

    :param directory: the site.
    :param task: the task.
    """

    def __init__(self, directory: Path, task: pdt.ProcessTask) -> None:
        self._directory = directory
        self._task = task
        self._history = directory / "history"

    async def leave(self, jobs: list[str]) -> None:
        """Claim jobs, and leave what there is when their attempts end unseen."""
        runner = cast(LocalRunner, self._task.manager.runner())
        await runner.open(lambda: None)
        at, since = time.clock_gettime(time.CLOCK_BOOTTIME), str(now())
        tokens = {job: uuid.uuid4().hex for job in jobs}
        claims = [Claim(job, 1, token, runner.place(token), at, since) for job, token in tokens.items()]
        await self._task.book.claim(claims)
        begun = [claim for index, claim in enumerate(claims) if index % RARE != 0]
        journal = self._task.manager.basedir / "journals" / claims[0].place["journal"]
        with journal.open("a") as lines, self._history.open("a") as history:
            for number, claim in enumerate(begun, 1000):
                self._run(claim, runner)
                lines.write(f"{claim.token} start {number}\n{claim.token} exit 0\n")
                events = [f"{self._task.name} {claim.job} {claim.token} {event}\n" for event in ("start", "end")]
                history.write("".join(events))
        await self._task.pids.dump_all({claim.job: {"pid": "1000", "start_time": now()} for claim in begun})
        await self._decide(begun[::RARE], runner)

    def _run(self, claim: Claim, runner: LocalRunner) -> None:
        """Write what the script of an attempt writes."""
        text = f"{claim.token}\n{Site.source(self._task.name, claim.job)}"
        for name in OUTPUTS[self._task.name]:
            places = self._task.links[name].repo.staged(claim.job, claim.token)
            path = Path(runner.path(claim.token, name) if places is None else places[0])
            if name == "folder":
                path.mkdir()
                path /= "a"
            path.write_text(text)
        for name in ("log", *(["stdin"] if self._task.stdin is not None else [])):
            Path(runner.path(claim.token, name)).touch()

    async def _decide(self, claims: list[Claim], runner: LocalRunner) -> None:
        """Decide that the results of some count, and put those of every other in place."""
        decisions = []
        for claim in claims:
            outcome = outcome_of(Exit(claim.token, 0), datetime.fromisoformat(claim.since), now())
            moves, streams = self._task.staging(claim, runner).results(outcome, False)
            plain = json.loads(json.dumps({**outcome, "attempt": 1}, default=str))
            decisions.append(Decision(claim.job, claim.token, plain, False, moves, streams))
        await self._task.book.decide(decisions)
        for decision in decisions[::2]:
            publish(decision.moves)
            for path, name in decision.streams:
                shutil.copyfile(path, self._directory / f"{self._task.name}.{name}" / decision.job)


async def main(directory: Path) -> None:
    """Leave everything behind, and be killed."""
    async with make(directory) as pipeline:
        pipeline.take_control()
        for task in pipeline.tasks.values():
            assert isinstance(task, pdt.ProcessTask)
            jobs = sorted(os.listdir(directory / f"{task.name}.in"))
            for job in jobs[:RUNNING]:
                await task.launch(job)
            remains = Remains(directory, task)
            for first in range(RUNNING, len(jobs), TOGETHER):
                await remains.leave(jobs[first : first + TOGETHER])
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
