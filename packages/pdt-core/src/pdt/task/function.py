"""Tasks whose body is a Python function that runs in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, Self

from ..attempts.policy import Retry
from ..errors import CorruptRecordError
from ..repository.base import MetadataRepository, Repository
from .body import arguments_of, call_plain, is_async
from .record import Outcome, StoppedError, failure, now, success
from .tracked import TrackedTask

if TYPE_CHECKING:
    from asyncio import Task

    from ..resource_manager import ResourceManager, Resources
    from .blocking import BodyThread

__all__ = ["FunctionTask", "FunctionTaskProtocol", "InProcessSyncTask"]


class FunctionTaskProtocol(Protocol):
    """The body of a function task: called with `job` and repositories by the names of their links."""

    def __call__(self, job: str, **links: Any) -> Any: ...


class FunctionTask(TrackedTask):
    """What tasks with a Python function as their body share.

    :param name: the task's name.
    :param done: takes a record of each job's end; linked as "done".
    :param ready: Optional: the repository that says which jobs may start.
    :param func: Optional: the body, where the task is not used as a decorator.
    :param resource_manager: Optional: the quota that each running job takes `job_resources` of.
    :param failed: Optional: takes the records of failed jobs in place of `done`, so that what depends on them waits;
        linked as "failed".
    :param retry: when a failed job is tried again; by default never.
    :param timeout: Optional: seconds, or a timedelta, that a job may take.
    :param failure_ok: whether a failed job counts as done, and its run as successful.
    :param disabled: whether no job is to be started.
    """

    done: MetadataRepository

    def __init__(
        self,
        name: str,
        done: MetadataRepository,
        ready: Repository | None = None,
        func: Callable[..., Any] | None = None,
        *,
        resource_manager: ResourceManager | None = None,
        job_resources: Resources | None = None,
        failed: MetadataRepository | None = None,
        retry: Retry | int | None = None,
        timeout: float | timedelta | None = None,
        failure_ok: bool = False,
        disabled: bool = False,
    ) -> None:
        super().__init__(
            name,
            done,
            ready,
            resource_manager=resource_manager,
            job_resources=job_resources,
            failed=failed,
            retry=retry,
            timeout=timeout,
            failure_ok=failure_ok,
            disabled=disabled,
        )
        self._job_ids = done.job_ids
        self.func = func
        #: Plain functions that run on although their launch was cancelled.
        self._left: dict[str, BodyThread] = {}
        #: By job, what runs its body.
        self._launches: dict[str, Task[Any] | None] = {}
        #: Jobs that somebody has cancelled and whose bodies have not ended.
        self._cancelled: set[str] = set()
        self._arguments: dict[str, Repository] | None = None
        self._is_async = False

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

    async def get_ready(self) -> None:
        """Read what earlier controllers left, before anything is planned."""
        await super().get_ready()
        if self.keeps_attempts:  # else no body could run whose end cannot be recorded
            await self._load_book()

    async def _failed(
        self, job: str, outcome: Outcome, error: BaseException | None = None, *, is_last: bool = False
    ) -> None:
        if isinstance(error, CorruptRecordError):
            self.blocked[job] = str(error)
        else:
            await self._ended(job, outcome, is_last=is_last)


class InProcessSyncTask(FunctionTask):
    """A task that runs a Python function in this process.

    An `async def` body shares the event loop and gets the linked repositories; a plain `def` body runs in a thread and
    gets blocking views of them, with the same methods.

    :param name: the task's name.
    :param done: takes a record of each job's end; linked as "done".
    :param ready: Optional: the repository that says which jobs may start.
    :param func: Optional: the body, where the task is not used as a decorator.
    :param resource_manager: Optional: the quota that each running job takes `job_resources` of.
    :param failed: Optional: takes the records of failed jobs in place of `done`, so that what depends on them waits;
        linked as "failed".
    :param retry: when a failed job is tried again; by default never.
    :param timeout: Optional: seconds, or a timedelta, that a job may take.
    :param failure_ok: whether a failed job counts as done, and its run as successful.
    :param disabled: whether no job is to be started.
    """

    async def update(self) -> bool:
        """Return False: a job ends within its launch."""
        return False

    async def launch(self, job: str) -> None:
        """Run the body for one job and record how it ended."""
        self._job_ids.check(job)
        if self.keeps_attempts:
            await self._load_book()
        arguments = self._arguments if self._arguments is not None else self.arguments
        func = self.func
        assert func is not None  # noqa: S101  `arguments` saw it
        start = now()
        # That no thread can be started is not the body's failure.
        thread = None if self._is_async else _start_thread(func, job, arguments)
        try:
            await self._body(job, func(job=job, **arguments) if thread is None else self._wait(thread, job))
        except StoppedError as error:
            outcome = failure(error, start, now()) | {"reason": error.reason}
            # What runs on in its thread is not joined by a second attempt.
            await self._failed(job, outcome, is_last=job in self._left)
        except Exception as error:
            await self._failed(job, failure(error, start, now()), error)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | GeneratorExit) or _is_told_to_stop(error):
                raise
            await self._failed(job, failure(error, start, now()))
        else:
            await self._ended(job, success(start, now()))

    async def _body(self, job: str, body: Awaitable[Any]) -> None:
        """Wait for a body.

        :raises StoppedError: if it takes longer than the task's timeout, or somebody cancels the job.
        """
        import asyncio

        launch = self._launches[job] = asyncio.current_task()
        try:
            await (body if self.timeout is None else _in_time(body, self.timeout))
        except asyncio.CancelledError:
            if job not in self._cancelled or launch is None or launch.cancelling() > 1:
                raise
            raise StoppedError("cancelled") from None
        finally:
            self._launches.pop(job, None)
            if launch is not None and job in self._cancelled:
                self._cancelled.discard(job)
                launch.uncancel()

    async def cancel(self, job: str) -> None:
        """End the body of a job where it waits; nothing happens if it does not run.

        A plain function runs on in its thread, although its job is recorded as cancelled.
        """
        launch = self._launches.get(job)
        if launch is not None and job not in self._cancelled:
            self._cancelled.add(job)
            launch.cancel()

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


async def _in_time(body: Awaitable[Any], seconds: float) -> None:
    """Wait for a body.

    :raises StoppedError: if it takes longer.
    """
    import asyncio

    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            await body
    except TimeoutError:
        if not limit.expired():
            raise
        raise StoppedError("timeout", seconds) from None


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
