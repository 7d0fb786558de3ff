"""The hooks that a plugin may implement.

Hooks that register take no argument and return a list; they are called once, when something first asks for
a plugin. Hooks that observe return nothing, or an awaitable; they are called one plugin after the other, and
one that fails stops neither the pipeline nor the next. An implementation may leave out arguments.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pluggy import HookspecMarker

from pdt.plugins.contract import GROUP
from pdt.plugins.spec import BackendSpec, CommandSpec

if TYPE_CHECKING:
    from pdt.engine.report import Report
    from pdt.engine.schedule import Denial
    from pdt.pipeline import Pipeline
    from pdt.task import Task

hookspec = HookspecMarker(GROUP)


@hookspec
def pdt_register_connections() -> Sequence[BackendSpec]:  # type: ignore[empty-body]
    """Return the connections: live clients that repositories and executors share."""


@hookspec
def pdt_register_repositories() -> Sequence[BackendSpec]:  # type: ignore[empty-body]
    """Return the repositories: classes that derive from ``pdt.Repository``."""


@hookspec
def pdt_register_executors() -> Sequence[BackendSpec]:  # type: ignore[empty-body]
    """Return the executors: process managers, pod managers and ``concurrent.futures.Executor`` classes."""


@hookspec
def pdt_register_resource_managers() -> Sequence[BackendSpec]:  # type: ignore[empty-body]
    """Return the resource managers: classes that grant jobs their share of a quota."""


@hookspec
def pdt_register_ledgers() -> Sequence[BackendSpec]:  # type: ignore[empty-body]
    """Return the ledgers: classes that derive from ``pdt.ledger.Ledger``, on which controllers agree."""


@hookspec
def pdt_register_tasks() -> Sequence[BackendSpec]:  # type: ignore[empty-body]
    """Return the tasks: classes that derive from ``pdt.Task``."""


@hookspec
def pdt_register_commands() -> Sequence[CommandSpec]:  # type: ignore[empty-body]
    """Return the commands that are added to ``pdt``."""


@hookspec
def pdt_configure_pipeline(pipeline: Pipeline) -> Awaitable[None] | None:
    """Change a pipeline before it is opened, while tasks and links may still be added.

    :param pipeline: the pipeline that is about to be opened.
    """


@hookspec
def pdt_pipeline_opened(pipeline: Pipeline) -> Awaitable[None] | None:
    """Be told that a pipeline is open: its connections are live and its repositories can be used.

    :param pipeline: the open pipeline.
    """


@hookspec
def pdt_pipeline_closed(pipeline: Pipeline) -> Awaitable[None] | None:
    """Be told that a pipeline is closing: nothing is launched any more; its connections close after this.

    :param pipeline: the pipeline that is being closed.
    """


@hookspec
def pdt_round_finished(pipeline: Pipeline, summary: Report) -> Awaitable[None] | None:
    """Be told that a round is over: what had ended was reaped, and what was ready and allowed was launched.

    :param pipeline: the open pipeline.
    :param summary: what the run did so far: launches, successes and failures by task, and problems.
    """


@hookspec
def pdt_job_launched(pipeline: Pipeline, task: Task, job: str) -> Awaitable[None] | None:
    """Be told that a job was launched.

    :param pipeline: the open pipeline.
    :param task: the task that it is a job of.
    :param job: the job's key.
    """


@hookspec
def pdt_job_finished(pipeline: Pipeline, task: Task, job: str, record: Mapping[str, Any]) -> Awaitable[None] | None:
    """Be told that a job ended and what is recorded of it.

    :param pipeline: the open pipeline.
    :param task: the task that it is a job of.
    :param job: the job's key.
    :param record: what goes to ``done``: at least ``success``, ``reason``, ``start_time`` and ``end_time``.
    """


@hookspec
def pdt_resources_denied(pipeline: Pipeline, task: Task, job: str, denial: Denial) -> Awaitable[None] | None:
    """Be told that a job is ready and that a quota does not let it start now.

    :param pipeline: the open pipeline.
    :param task: the task that it is a job of.
    :param job: the job's key.
    :param denial: the limit that holds it back: ``resource``, ``wanted``, ``used``, ``cap`` and ``held``.
    """


@hookspec
def pdt_should_launch(pipeline: Pipeline, task: Task, jobs: Sequence[str]) -> Mapping[str, str] | None:
    """Veto jobs that are about to be launched; they are asked about again in the next round.

    It is called once for a batch of jobs and must answer at once: it may not be a coroutine function. A job
    that any plugin vetoes is not launched, however many abstain.

    :param pipeline: the open pipeline.
    :param task: the task that the jobs belong to.
    :param jobs: the keys of the jobs.
    :returns: the vetoed jobs, each with a reason that ``pdt why`` can print; None to abstain.
    """
