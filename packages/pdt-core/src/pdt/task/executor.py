"""Tasks whose body is a Python function that runs in a concurrent.futures executor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..repository.base import MetadataRepository, Repository
from ..repository.live import ExecutorLiveRepo
from .function import FunctionTask
from .pool import Pool
from .remote import Call, Ended, by_name, run_call
from .worker import Controller, lock_byte

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from ..attempts.policy import Retry
    from ..resource_manager import ResourceManager, Resources

__all__ = ["ExecutorTask"]

#: Jobs that wait in the executor's own queue, per worker: enough that none of them idles.
QUEUED_PER_WORKER = 4
LEAST_QUEUED = 256


class ExecutorTask(FunctionTask):
    """A task that runs a Python function in a concurrent.futures executor: threads, processes, dask.

    Where the body runs in another process it is found there by its module and name, so it has to be a function of a
    module, and its repositories have to be such that another process can open them.

    :param name: the task's name.
    :param executor: where bodies run; whoever made it shuts it down. Or what makes one, for example
        `partial(ProcessPoolExecutor, 4)`: called when the first job comes, and again after a worker was lost; what it
        made is shut down when the pipeline is closed.
    :param done: takes a record of each job's end; linked as "done".
    :param ready: Optional: the repository that says which jobs may start.
    :param func: Optional: the body, where the task is not used as a decorator.
    :param resource_manager: Optional: the quota that each running job takes `job_resources` of.
    :param failed: Optional: takes the records of failed jobs in place of `done`, so that what depends on them waits;
        linked as "failed".
    :param retry: when a failed job is tried again; by default never.
    :param failure_ok: whether a failed job counts as done, and its run as successful.
    :param disabled: whether no job is to be started.
    """

    def __init__(
        self,
        name: str,
        executor: Executor | Callable[[], Executor],
        done: MetadataRepository,
        ready: Repository | None = None,
        func: Callable[..., Any] | None = None,
        *,
        resource_manager: ResourceManager | None = None,
        job_resources: Resources | None = None,
        failed: MetadataRepository | None = None,
        retry: Retry | int | None = None,
        failure_ok: bool = False,
        disabled: bool = False,
    ) -> None:
        super().__init__(
            name,
            done,
            ready,
            func,
            resource_manager=resource_manager,
            job_resources=job_resources,
            failed=failed,
            retry=retry,
            failure_ok=failure_ok,
            disabled=disabled,
        )
        self._pool = Pool(name, executor)
        #: The running jobs, each with its future.
        self.rev_jobs: dict[str, Future[Ended]] = {}
        self._cancelled: set[str] = set()
        self._to_reap: deque[str] = deque()
        self._unrecorded: list[str] = []
        self.concurrency = _queued(self._pool.made)

    @property
    def executor(self) -> Executor:
        """Where bodies run; made now, if the task makes it and has not yet."""
        if self._pool.made is None and self.concurrency == LEAST_QUEUED:
            self.concurrency = _queued(self._pool.get())
        return self._pool.get()

    async def release(self) -> None:
        """Shut down the executor if the task has made it, once the bodies that it runs have returned."""
        await self._pool.release()

    def _link_status(self) -> None:
        self.live = ExecutorLiveRepo(self)
        self.link("live", self.live, is_status=True, inhibits_start=True, inhibits_output=True)
        super()._link_status()

    @property
    def running(self) -> int:
        """The number of jobs that the executor has."""
        return len(self.rev_jobs)

    @property
    def running_jobs(self) -> Collection[str]:
        """The jobs that the executor has."""
        return self.rev_jobs.keys()

    @property
    def runs_elsewhere(self) -> bool:  # type: ignore[override]
        """Whether bodies run in other processes, as far as is known."""
        from concurrent.futures import ThreadPoolExecutor

        kind = self._pool.kind
        return kind is None or not issubclass(kind, ThreadPoolExecutor)

    @property
    def _has_processes(self) -> bool:
        from concurrent.futures import ProcessPoolExecutor

        kind = self._pool.kind
        return kind is not None and issubclass(kind, ProcessPoolExecutor)

    async def validate(self) -> None:
        """Check the body's parameters, and that another process can find it and its repositories.

        Where nobody knows what kind of executor will be made, the latter is found out at the first launch.

        :raises ConfigurationError: if it cannot.
        """
        await super().validate()
        if self._pool.kind is not None and self.runs_elsewhere:
            self._check_sendable(self._call("job"))

    def _check_sendable(self, call: Call) -> None:
        if not self._has_processes:
            return  # others have ways of their own to send what pickle cannot
        import pickle

        try:
            pickle.dumps(call)
        except Exception as error:  # whatever a repository's own pickling raises
            raise ConfigurationError(
                f"task {self.name!r} runs in other processes, to which its links cannot be sent: {error}",
                fix="make what they are made of, such as the function of a map(), top-level names of a module",
            ) from error

    def _call(self, job: str) -> Call:
        """Return what is sent to the executor."""
        assert self.func is not None  # noqa: S101  `arguments` checks it
        if not self.runs_elsewhere:
            return Call(self.func, job, self.arguments)
        unsendable = [name for name, repo in self.arguments.items() if not repo.shared]
        if unsendable:
            raise ConfigurationError(
                f"task {self.name!r} runs in other processes, which cannot see its link "
                f"{', '.join(map(repr, unsendable))}: it lives in this process only",
                fix="link a repository on disk, for example FileRepository or SqliteMetadataRepository",
            )
        lock = None
        if self.lock_file is not None and self._has_processes:
            lock = (self.lock_file, lock_byte(self.name, job))
        return Call(by_name(self.name, self.func, self), job, self.arguments, Controller.this(), lock)

    async def launch(self, job: str) -> None:
        """Hand one job to the executor; where `synchronous`, wait for its end."""
        self._job_ids.check(job)
        await self._know_attempts()
        if job in self.rev_jobs:
            return
        self.executor  # noqa: B018  what is sent depends on what is made
        future = self._pool.submit(run_call, self._call(job))
        self.rev_jobs[job] = future
        future.add_done_callback(lambda _: self._on_end(job))
        if self.synchronous:
            import asyncio

            await asyncio.wait([asyncio.wrap_future(future)])
            await self.update()

    def _on_end(self, job: str) -> None:
        """Note the end of a job; called in whichever thread ended it."""
        self._to_reap.append(job)
        if self.wake is not None:
            self.wake()

    async def update(self) -> bool:
        """Record the jobs that have ended, and tell whether any was running."""
        busy = bool(self.rev_jobs)
        while self._to_reap:
            await self._reap(self._to_reap.popleft())
        return busy

    async def _reap(self, job: str) -> None:
        future = self.rev_jobs.get(job)
        if future is None or not future.done():
            return
        if future.cancelled() or job in self._cancelled:
            self._cancelled.add(job)
            self._forget(job)
            return
        error = future.exception()
        if error is not None:  # what bodies raise is caught where they run: this is the executor's fault
            what = "a worker of the executor died" if _is_lost_worker(error) else "the executor could not run it"
            self.lost[job] = f"{what}: {type(error).__name__}: {error}"
            self._forget(job)
            return
        try:
            ended = future.result()
            if ended.failure is None:
                await self._succeeded(job, ended.start, ended.end)
            else:
                await self._failed(job, ended.failure, ended.corrupt)
        except BaseException:
            self._to_reap.append(job)  # its end is still to be recorded
            raise
        self._forget(job)

    def withdraw(self) -> None:
        """Take back the jobs that wait in the executor's queue; they stay ready."""
        for future in list(self.rev_jobs.values()):
            future.cancel()

    def take_unrecorded(self) -> list[str]:
        """Return the jobs that ended without a record since the last call."""
        unrecorded, self._unrecorded = self._unrecorded, []
        return unrecorded

    def _forget(self, job: str) -> None:
        if any(job in jobs for jobs in (self._cancelled, self.blocked, self.lost, self.again)) or not self.metadata:
            self._unrecorded.append(job)
        self.rev_jobs.pop(job, None)
        self._cancelled.discard(job)

    async def cancel(self, job: str) -> None:
        """Stop a job from running; nothing happens if it is not.

        One that runs already cannot be interrupted: it stays live until its body returns, and its end is not recorded.
        """
        future = self.rev_jobs.get(job)
        if future is not None:
            self._cancelled.add(job)
            if future.cancel():
                self._forget(job)
                self._on_end(job)


def _queued(executor: Executor | None) -> int:
    """Return how many jobs an executor is given at once."""
    return max(QUEUED_PER_WORKER * (getattr(executor, "_max_workers", None) or 1), LEAST_QUEUED)


def _is_lost_worker(error: BaseException) -> bool:
    from concurrent.futures import BrokenExecutor

    return isinstance(error, BrokenExecutor)
