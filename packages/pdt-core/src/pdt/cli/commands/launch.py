"""`pdt update` and `pdt launch`: one round, and one job by hand."""

from __future__ import annotations

from typing import Any

from ...attempts.book import Decision
from ...errors import BackendError
from ...pipeline import Pipeline
from ...repository.base import MetadataRepository
from ...task.base import Task
from ...task.executor import ExecutorTask
from ...task.record import DirectRecorder, Outcome
from ...task.tracked import TrackedTask
from .. import exits, output
from ..jobs import resolve_jobs
from ..known import unknown_jobs
from ..listing import list_repositories
from ..names import find_task
from ..oserrors import doing

__all__ = ["launch", "update"]


async def update(pipeline: Pipeline, *, quiet: bool = False) -> int:
    """Perform one round; jobs that it hands to an executor of this process are waited for.

    :param quiet: whether to print errors only.
    """
    await pipeline.update()
    while futures := _running(pipeline):
        import asyncio

        await asyncio.wait([asyncio.wrap_future(future) for future in futures])
        await pipeline.update_only_update()
    runner = pipeline.runner
    if not quiet:
        from ..summary import summary_lines

        for line in summary_lines(pipeline):
            output.note(line)
    if runner.report.exit_code:
        return runner.report.exit_code
    if any(found.failure is not None for found in runner.view.readiness.values()):
        return exits.BACKEND
    return exits.FAILURE if runner.launcher.failures else exits.OK


def _running(pipeline: Pipeline) -> list[Any]:
    tasks = [task for task in pipeline.tasks.values() if isinstance(task, ExecutorTask)]
    return [future for task in tasks for future in task.rev_jobs.values()]


class _Recorder(DirectRecorder):
    """Remembers the records that it writes.

    :param writes: whether it does write them.
    """

    def __init__(self, writes: bool) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._writes = writes

    async def record(
        self,
        task: TrackedTask,
        done: MetadataRepository | None,
        job: str,
        outcome: Outcome,
        decision: Decision | None = None,
    ) -> None:
        """Take the record of a job."""
        self.outcomes[job] = outcome
        await super().record(task, done if self._writes else None, job, outcome, decision)


async def launch(
    pipeline: Pipeline,
    *,
    task: str,
    jobs: list[str],
    force: bool = False,
    sync: bool = False,
    meta: bool = True,
) -> int:
    """Launch jobs of a task, whatever else the pipeline has to do.

    :param task: the task's name.
    :param jobs: job ids, globs of ready jobs, or - for those on stdin.
    :param force: whether to launch jobs that are not ready, too.
    :param sync: whether to wait for the end of each job.
    :param meta: whether the jobs' ends are recorded in `done`.
    """
    found = find_task(pipeline, task)

    async def ready() -> set[str]:
        return set((await list_repositories([found.ready])).require(found.ready))

    named = await resolve_jobs(jobs, [link.repo for link in found.links.values()], ready)
    pipeline.take_control()
    if not force:
        with doing(f"asking what is ready for {found.name}"):
            startable = await found.ready.present(named)
        if len(startable) < len(named):
            return await _refuse(pipeline, found, [job for job in named if job not in startable])
    pipeline.settings(synchronous=sync, metadata=meta)
    failures = [job for job in named if not await _launch_one(found, job, meta)]
    return exits.FAILURE if failures else exits.OK


async def _refuse(pipeline: Pipeline, task: Task, jobs: list[str]) -> int:
    """Say of jobs that they are not ready, or not there, and return the exit status of that."""
    await pipeline.runner.look()
    unknown = await unknown_jobs(pipeline, task, [pipeline.runner.explain(task, job) for job in jobs])
    for error in unknown.values():
        output.fail(error.message, error.fix)
    for job in jobs:
        if job not in unknown:
            output.note(f"{output.printable(job)}: Task is not ready to launch - use -f to force")
            output.note(f"  pdt why {task.name} {job} says why")
    return exits.NOT_FOUND if unknown else exits.FAILURE


async def _launch_one(task: Task, job: str, meta: bool) -> bool:
    """Launch a job, and tell whether it went well as far as it did."""
    if not isinstance(task, TrackedTask):
        await task.launch(job)
        return True
    recorder = _Recorder(writes=meta)
    # A function's outcome is wanted here also where it is not recorded.
    previous, task.recorder, task.metadata = task.recorder, recorder, True
    try:
        await task.launch(job)
        await _wait(task)
    finally:
        task.recorder, task.metadata = previous, meta
    if job in task.blocked:
        message, _, fix = task.blocked[job].partition("\nfix: ")
        raise BackendError(f"{task.name} {job}: {message}", fix=fix or None)
    outcome = recorder.outcomes.get(job, {})
    if outcome.get("success", True):
        return True
    output.fail(f"{task.name} {job}: {outcome.get('exception', outcome.get('reason'))}")
    for line in "".join(outcome.get("traceback", ())).splitlines():
        output.note(f"  {output.printable(line)}")
    return False


async def _wait(task: TrackedTask) -> None:
    """Wait for what runs in an executor of this process: it would be lost with it."""
    while isinstance(task, ExecutorTask) and task.rev_jobs:
        import asyncio

        await asyncio.wait([asyncio.wrap_future(future) for future in task.rev_jobs.values()])
        await task.update()
