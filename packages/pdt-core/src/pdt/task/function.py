"""Tasks whose body is a Python function that runs in this process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, Self

from ..errors import ConfigurationError, CorruptRecordError
from ..repository.base import MetadataRepository, Repository
from .base import Task
from .body import arguments_of, call_plain, is_async
from .record import DirectRecorder, Outcome, Recorder, failure, now, success

if TYPE_CHECKING:
    from ..resource_manager import ResourceManager, Resources
    from .blocking import BodyThread

__all__ = ["FunctionTask", "FunctionTaskProtocol", "InProcessSyncTask"]


class FunctionTaskProtocol(Protocol):
    """The body of a function task: called with `job` and repositories by the names of their links."""

    def __call__(self, job: str, **links: Any) -> Any: ...


class FunctionTask(Task):
    """What tasks with a Python function as their body share.

    :param name: the task's name.
    :param done: takes a record of each job's end; linked as "done".
    :param ready: Optional: the repository that says which jobs may start.
    :param func: Optional: the body, where the task is not used as a decorator.
    :param resource_manager: Optional: the quota that each running job takes `job_resources` of.
    :param disabled: whether no job is to be started.
    """

    def __init__(
        self,
        name: str,
        done: MetadataRepository,
        ready: Repository | None = None,
        func: Callable[..., Any] | None = None,
        *,
        resource_manager: ResourceManager | None = None,
        job_resources: Resources | None = None,
        disabled: bool = False,
    ) -> None:
        super().__init__(name, ready, disabled)
        if not isinstance(done, MetadataRepository):
            raise ConfigurationError(
                f"done of task {name!r} is {type(done).__name__}, which cannot hold records",
                fix="pass a MetadataRepository, for example SqliteMetadataRepository('.pdt/records.sqlite', 'done')",
            )
        self.done = done
        self._job_ids = done.job_ids
        self.func = func
        self.resource_manager = resource_manager
        self.job_resources = None if job_resources is None else _checked(name, job_resources)
        if (resource_manager is None) != (job_resources is None):
            raise ConfigurationError(
                f"task {name!r} names a quota and no amount of it, or an amount and no quota",
                fix="pass both resource_manager=... and job_resources=..., or neither",
            )
        self.recorder: Recorder = DirectRecorder()
        #: The number of jobs for which `job_resources` are reserved.
        self.holding = 0
        #: Jobs that read a broken record, and why: they are not at fault, so they are neither recorded nor retried.
        self.blocked: dict[str, str] = {}
        #: Jobs whose worker was lost, and how: nobody knows which job is at fault, so they are tried again.
        self.lost: dict[str, str] = {}
        #: Plain functions that run on although their launch was cancelled.
        self._left: dict[str, BodyThread] = {}
        self._arguments: dict[str, Repository] | None = None
        self._is_async = False
        self._link_status()
        if resource_manager is not None:
            resource_manager.register(self._load)

    def _link_status(self) -> None:
        """Link the repositories that say what has become of a job."""
        self.link("done", self.done, is_status=True, inhibits_start=True, required_for_output=True)

    async def _load(self) -> Resources:
        """Report what this task's jobs hold of the quota."""
        from ..resource_manager import Resources

        return (self.job_resources or Resources.zero()) * self.holding

    def __call__(self, func: Callable[..., Any]) -> Self:
        """Make `func` the body, as a decorator."""
        self.func = func
        return self

    @property
    def arguments(self) -> dict[str, Repository]:
        """The repositories that the body is called with.

        :raises TaskConfigurationError: if the body asks for something that the task does not have.
        """
        if self._arguments is None:
            self._arguments = arguments_of(self.name, self.func, self.links)
            self._is_async = self.func is not None and is_async(self.func)
        return self._arguments

    async def validate(self) -> None:
        """Check that the body's parameters are `job` and names of links.

        :raises TaskConfigurationError: if one is not.
        """
        self._arguments = None
        self._arguments = self.arguments
        self.blocked.clear()

    @property
    def running_jobs(self) -> Collection[str]:
        """The jobs that run on after their launch has returned."""
        return ()

    def take_unrecorded(self) -> list[str]:
        """Return the jobs that ended without a record since the last call, after their launch had returned."""
        return []

    def withdraw(self) -> None:
        """Take back the jobs that were launched and have not begun; they stay ready."""

    async def _succeeded(self, job: str, start: datetime, end: datetime) -> None:
        if self.metadata:
            await self.recorder.record(self, self.done, job, success(start, end))

    async def _failed(self, job: str, outcome: Outcome, error: BaseException | None = None) -> None:
        if isinstance(error, CorruptRecordError):
            self.blocked[job] = str(error)
        elif self.metadata:
            await self.recorder.record(self, self.done, job, outcome)


def _checked(task: str, job_resources: Resources) -> Resources:
    from ..resource_manager.manager import demand

    try:
        return demand(job_resources)
    except ValueError as error:
        raise ConfigurationError(f"job_resources of task {task!r}: {error}") from error


class InProcessSyncTask(FunctionTask):
    """A task that runs a Python function in this process.

    An `async def` body shares the event loop and gets the linked repositories; a plain `def` body runs in a thread and
    gets blocking views of them, with the same methods.

    :param name: the task's name.
    :param done: takes a record of each job's end; linked as "done".
    :param ready: Optional: the repository that says which jobs may start.
    :param func: Optional: the body, where the task is not used as a decorator.
    :param resource_manager: Optional: the quota that each running job takes `job_resources` of.
    :param disabled: whether no job is to be started.
    """

    async def update(self) -> bool:
        """Return False: a job ends within its launch."""
        return False

    async def launch(self, job: str) -> None:
        """Run the body for one job and record how it ended."""
        self._job_ids.check(job)
        arguments = self._arguments if self._arguments is not None else self.arguments
        func = self.func
        assert func is not None  # noqa: S101  `arguments` saw it
        start = now()
        # That no thread can be started is not the body's failure.
        thread = None if self._is_async else _start_thread(func, job, arguments)
        try:
            if thread is None:
                await func(job=job, **arguments)
            else:
                await self._wait(thread, job)
        except Exception as error:
            await self._failed(job, failure(error, start, now()), error)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | GeneratorExit) or _is_told_to_stop(error):
                raise
            await self._failed(job, failure(error, start, now()))
        else:
            await self._succeeded(job, start, now())

    async def _wait(self, thread: BodyThread, job: str) -> None:
        try:
            await thread.ended()
        finally:
            if thread.is_running:
                self._left[job] = thread

    @property
    def running_jobs(self) -> Collection[str]:
        """The jobs whose launch was cancelled, and whose body, a plain function, runs on."""
        return [job for job, thread in self._left.items() if thread.is_running]

    def take_unrecorded(self) -> list[str]:
        """Return the jobs whose body ran on after their launch was cancelled, and has ended since the last call."""
        ended = [job for job, thread in self._left.items() if not thread.is_running]
        for job in ended:
            del self._left[job]
        return ended


def _is_told_to_stop(error: BaseException) -> bool:
    """Tell whether a body is being cancelled, rather than something that it was waiting for."""
    import asyncio

    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling() > 0)


def _start_thread(func: Callable[..., Any], job: str, arguments: dict[str, Repository]) -> BodyThread:
    import asyncio

    from .blocking import BlockingView, BodyThread, complete

    loop = asyncio.get_running_loop()

    def on_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    views = {name: BlockingView(repo, complete if repo.inline else on_loop) for name, repo in arguments.items()}
    return BodyThread(call_plain, func, job, views)
