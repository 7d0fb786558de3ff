"""`pdt cancel`: ending jobs, here or by the controller that runs them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from ...attempts.requests import CancelRequests
from ...errors import HeldError, PdtError
from ...pipeline import Pipeline
from ...task.tracked import TrackedTask
from .. import exits, output
from ..attempts import Attempts, as_process, attempts_of, running_jobs
from ..cause import cause_of
from ..failed import record_of
from ..jobs import resolve_jobs, unknown_job
from ..known import keys_of
from ..names import find_task
from ..output import counted

__all__ = ["cancel"]

#: Seconds between two looks at what has become of the jobs.
POLL_SECONDS = 0.05
#: Seconds that another controller has to take a request: it does so at least once a second, unless it is stuck.
TAKE_SECONDS = 15.0
#: Seconds beyond its grace that a job has to end and to be recorded.
END_SECONDS = 20.0
#: Seconds after which a job that was claimed and has no process has not begun.
BEGIN_SECONDS = 1.0


async def cancel(pipeline: Pipeline, *, task: str, jobs: list[str]) -> int:
    """End jobs, wait until that is recorded, and print what became of each.

    :param task: the task's name.
    :param jobs: job ids, globs over the jobs that run, or - for those on stdin.
    :raises PdtError: if nobody but the task itself knows what its jobs are.
    """
    found = find_task(pipeline, task)
    if not isinstance(found, TrackedTask):
        raise PdtError(
            f"task {found.name!r} is {type(found).__name__}, whose jobs nobody else can end",
            fix="derive it from TrackedTask, and give it a cancel()",
        )
    return await _Cancelling(pipeline, found).run(jobs)


class _Cancelling:
    """One call of the command."""

    def __init__(self, pipeline: Pipeline, task: TrackedTask) -> None:
        self._pipeline = pipeline
        self._task = task
        self._status = exits.OK

    async def run(self, words: list[str]) -> int:
        try:
            self._pipeline.take_control()
        except HeldError as error:
            self._pipeline.store.claim_host()  # a controller on another machine cannot be asked
            await self._ask(words, error)
        else:
            await self._cancel_here(words)
        return self._status

    # Without another controller.

    async def _cancel_here(self, words: list[str]) -> None:
        """Take over what runs, end the jobs, and leave the rest running."""
        await self._pipeline.update_only_update()
        running = set(self._task.running_jobs)
        wanted = await self._choose(words, running, running)
        deadline = time.monotonic() + self._task.grace + END_SECONDS
        for job in wanted:
            await self._task.cancel(job)
        while left := [job for job in wanted if job in self._task.running_jobs]:
            if time.monotonic() > deadline:
                self._late(left)
                break
            await asyncio.sleep(POLL_SECONDS)
            await self._pipeline.update_only_update()
        await self._report([job for job in wanted if job not in self._task.running_jobs])

    # By another controller.

    async def _ask(self, words: list[str], held: HeldError) -> None:
        """Have another controller end the jobs; if it goes away meanwhile, do it here."""
        wanted = await self._choose(words, *await self._possible(held))
        if not wanted:
            return
        requests = CancelRequests(self._pipeline.ledger)
        numbers = {job: (await self._attempts(job)).current for job in wanted}
        try:
            for job in wanted:
                await requests.ask(self._task.name, job)
            output.note(f"{held.message.split(' (lock')[0]}; it is asked to cancel {counted(len(wanted), 'job')}")
            left = await self._until_over(requests, dict(numbers))
        finally:
            for job in wanted:  # what nobody has taken must not reach a later attempt
                await requests.withdraw(self._task.name, job)
        await self._report([job for job in wanted if job not in left])
        if left and self._has_gone():
            await self._cancel_here(left)

    async def _possible(self, held: HeldError) -> tuple[set[str], set[str]]:
        """Return the jobs that run, as far as another process can tell, and those that may be among them."""
        process = as_process(self._task)
        if process is not None:
            return await running_jobs(self._pipeline, process)
        possible = await self._pipeline.gather_ready_jobs(self._task)
        if held.is_shared:  # what runs is claimed
            possible = {job for job in possible if (await self._attempts(job)).current is not None}
        return possible, possible

    async def _until_over(self, requests: CancelRequests, numbers: dict[str, int | None]) -> list[str]:
        """Wait until the attempts with these numbers are recorded, and return the jobs of which that is not so."""
        asked = time.monotonic()
        patience = TAKE_SECONDS + (0.0 if as_process(self._task) else self._task.grace)
        taken: dict[str, float] = {}
        left = list(numbers)
        while left:
            now = time.monotonic()
            for job in list(left):
                if job not in taken and not await requests.is_waiting(self._task.name, job):
                    taken[job] = now
                if await self._is_over(job, numbers[job], now - taken.get(job, now)):
                    left.remove(job)
            waiting = [job for job in left if job not in taken]
            if waiting and self._has_gone():
                break
            if waiting and now - asked > patience:
                output.fail(
                    f"the controller has not taken the request within {patience:g} s: {' '.join(waiting)}",
                    "see whether it hangs; stop it and cancel again: its processes run on",
                )
                self._status = exits.TIMED_OUT
                break
            if left and not waiting and now - max(taken.values()) > self._task.grace + END_SECONDS:
                self._late(left)
                break
            await asyncio.sleep(POLL_SECONDS)
        return left

    def _has_gone(self) -> bool:
        """Become the controller, if there is no other any more."""
        try:
            self._pipeline.take_control()
        except HeldError:
            return False
        return True

    async def _is_over(self, job: str, number: int | None, since: float) -> bool:
        """Tell whether an attempt is recorded, or has turned out not to have begun."""
        process, attempts = as_process(self._task), await self._attempts(job)
        if process is None:  # one that does not share the pipeline claims nothing, and keeps the request until then
            is_waiting = await CancelRequests(self._pipeline.ledger).is_waiting(self._task.name, job)
            return not is_waiting if number is None else attempts.current != number
        if attempts.is_decided:
            return False
        if attempts.current != number or number is None:
            return True
        has_begun = not process.pids.shared or await process.pids.contains(job)
        return not has_begun and since > BEGIN_SECONDS

    async def _attempts(self, job: str) -> Attempts:
        return await attempts_of(self._pipeline, self._task, job)

    # What is said.

    async def _choose(self, words: list[str], running: set[str], possible: set[str]) -> list[str]:
        """Return the running jobs that are meant, and say of the others what keeps them from being cancelled.

        :param running: what globs stand for.
        :param possible: what may be running, where it is named.
        """

        async def keys() -> set[str]:
            return running

        named = await resolve_jobs(words, [link.repo for link in self._task.links.values()], keys)
        idle = [job for job in named if job not in possible]
        everything = await keys_of(self._pipeline.repositories) if idle else set()
        for job in idle:
            if job not in everything:
                error = unknown_job(job, everything, "this pipeline")
                output.fail(error.message, error.fix)
                self._status = exits.NOT_FOUND
            else:
                output.note(f"{self._task.name} {job} does not run{await self._state(job)}")
                self._fail()
        return [job for job in named if job in possible]

    async def _state(self, job: str) -> str:
        """Return what is known of a job that does not run."""
        record = await record_of(self._task, job)
        if record is not None:
            return ": it has succeeded" if record.get("success") else f": it has failed ({cause_of(record)})"
        if (await attempts_of(self._pipeline, self._task, job)).ends:
            return ": it waits to be tried again, which pdt rm of its input prevents"
        return ""

    async def _report(self, jobs: Iterable[str]) -> None:
        for job in jobs:
            record = await record_of(self._task, job)
            if record is not None and record.get("reason") == "cancelled":
                output.write(f"{self._task.name} {job}: cancelled\n")
                continue
            state = await self._state(job) or " any more, and has not been recorded"
            output.note(f"{self._task.name} {job} was not cancelled; it does not run{state}")
            self._fail()
        output.flush()

    def _late(self, jobs: Iterable[str]) -> None:
        seconds = self._task.grace + END_SECONDS
        output.fail(f"not recorded within {seconds:g} s: {' '.join(jobs)}", "pdt status shows whether they run still")
        self._status = exits.TIMED_OUT

    def _fail(self) -> None:
        self._status = self._status or exits.FAILURE
