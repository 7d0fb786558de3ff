"""Tasks whose body is a Python function that runs in a concurrent.futures executor."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..repository.base import MetadataRepository, Repository
from ..repository.live import ExecutorLiveRepo
from .function import FunctionTask
from .pool import Pool, Running
from .record import StoppedError, failure, now, success
from .remote import Call, Ended, by_name
from .tracked import Again, _seconds
from .worker import Controller, lock_byte

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from ..attempts.policy import Retry
    from ..resource_manager import ResourceManager, Resources

__all__ = ["ExecutorTask"]

#: Jobs that wait in the executor's own queue, per worker: enough that none of them idles.
QUEUED_PER_WORKER = 4
LEAST_QUEUED = 256
#: The same where other controllers, with workers of their own, wait for jobs.
SHARED_PER_WORKER = 2


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
    :param timeout: Optional: seconds, or a timedelta, that a body may take; only where the task makes a pool of
        processes for itself, since nothing else can be ended.
    :param grace: seconds, or a timedelta, that it has to end when it is told to; then its process is killed.
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
        timeout: float | timedelta | None = None,
        grace: float | timedelta = 10.0,
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
            timeout=timeout,
            failure_ok=failure_ok,
            disabled=disabled,
        )
        self.grace = _seconds(name, "grace", grace)
        self._pool = Pool(name, executor)
        #: The running jobs, each with its future.
        self.rev_jobs: dict[str, Future[Ended]] = {}
        #: The same, with what ends them.
        self._calls: dict[str, Running] = {}
        #: Jobs that are told to end, and why.
        self._stopped: dict[str, str] = {}
        #: Jobs that are recorded as cancelled, and whose bodies run on.
        self._running_on: set[str] = set()
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
    def shared_concurrency(self) -> int:
        """How many jobs are under way at once where other controllers wait for some."""
        return SHARED_PER_WORKER * _workers(self._pool.made)

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
        if self.timeout is not None and self._pool.kind is not None and not (self._has_processes and self._pool.makes):
            raise self._endless()
        if self._pool.kind is not None and self.runs_elsewhere:
            self._check_sendable(self._call("job"))

    def _endless(self) -> ConfigurationError:
        return ConfigurationError(
            f"task {self.name!r} has a timeout, and nothing can end a body in its executor: "
            "a thread cannot be killed, and what somebody else has made is not the task's to kill",
            fix="pass what makes a pool of processes: partial(ProcessPoolExecutor, 4)",
        )

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
        if self.keeps_attempts:
            await self._load_book()
        if job in self.rev_jobs:
            return
        self.executor  # noqa: B018  what is sent depends on what is made
        if self.timeout is not None and not self._pool.has_own_processes:
            raise self._endless()
        running = self._calls[job] = self._pool.submit(self._call(job))
        future = self.rev_jobs[job] = running.future
        future.add_done_callback(lambda _: self._on_end(job))
        if self.timeout is not None:
            self._look_after(self.timeout, job, running)
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
        try:
            await self._record(job, self._calls[job])
        except BaseException:
            self._to_reap.append(job)  # its end is still to be recorded
            raise
        self._forget(job)

    async def _record(self, job: str, running: Running) -> None:
        """Record the end of a job, or see to it that it is started again."""
        future, reason = running.future, self._stopped.get(job)
        if job in self._running_on:
            return  # it was recorded when it was told to end
        if future.cancelled():
            if reason is not None:
                await self._was_stopped(job, running, reason)
            else:
                self._cancelled.add(job)
            return
        error = future.exception()
        if error is None:
            ended = future.result()
            if ended.failure is None:
                await self._ended(job, success(ended.start, ended.end))
            elif reason is not None:
                said = repr(StoppedError(reason, self.timeout))
                await self._failed(job, ended.failure | {"reason": reason, "exception": said})
            else:
                await self._failed(job, ended.failure, ended.corrupt)
        elif reason is not None:
            await self._was_stopped(job, running, reason)
        elif running.was_killed:
            self.again[job] = Again(0.0, "another job had to be killed, and the pool's other workers end with its own")
        else:  # what bodies raise is caught where they run: this is the executor's fault
            what = "a worker of the executor died" if _is_lost_worker(error) else "the executor could not run it"
            self.lost[job] = f"{what}: {type(error).__name__}: {error}"

    async def _was_stopped(self, job: str, running: Running, reason: str) -> None:
        """Record a job whose body was killed, or has not begun."""
        end, began = now(), running.began
        start = end if began is None else end - timedelta(seconds=time.monotonic() - began)
        outcome = failure(StoppedError(reason, self.timeout), start, end) | {"reason": reason}
        await self._failed(job, outcome, is_last=job in self._running_on)

    def withdraw(self) -> None:
        """Take back the jobs that wait in the executor's queue; they stay ready."""
        for future in list(self.rev_jobs.values()):
            future.cancel()

    def take_unrecorded(self) -> list[str]:
        """Return the jobs that ended without a record since the last call."""
        unrecorded, self._unrecorded = self._unrecorded, []
        return unrecorded

    def _forget(self, job: str) -> None:
        silent = (self._cancelled, self.blocked, self.lost, self.again, self._running_on)
        if any(job in jobs for jobs in silent):
            self._unrecorded.append(job)
        self.rev_jobs.pop(job, None)
        self._calls.pop(job).forget()
        for jobs in (self._cancelled, self._running_on):
            jobs.discard(job)
        self._stopped.pop(job, None)

    # Ending what runs.

    def _look_after(self, seconds: float, job: str, running: Running) -> None:
        """See to it that a body ends that takes too long.

        :param seconds: until that can be so: it is not known yet when it begins.
        """
        import asyncio

        assert self.timeout is not None  # noqa: S101  it is called for that
        asyncio.get_running_loop().call_later(seconds, self._check_time, job, running, self.timeout)

    def _check_time(self, job: str, running: Running, timeout: float) -> None:
        if self._calls.get(job) is not running or running.future.done():
            return
        began = running.began
        left = timeout if began is None else began + timeout - time.monotonic()
        if left > 0:
            self._look_after(left, job, running)
        else:
            self._end(job, running, "timeout")

    async def cancel(self, job: str) -> None:
        """Stop a job from running, and record that; nothing happens if it does not run.

        One that runs in a process of the task's own is ended. Another cannot be: its job is recorded as cancelled at
        once, and stays live until its body returns.
        """
        running = self._calls.get(job)
        if running is None or job in self._stopped or running.future.done():
            return
        self._end(job, running, "cancelled")
        if running.future.cancelled():
            await self._reap(job)
        elif not running.can_be_ended:
            self._running_on.add(job)
            await self._was_stopped(job, running, "cancelled")

    def _end(self, job: str, running: Running, reason: str) -> None:
        import asyncio

        if job in self._stopped:
            return
        self._stopped[job] = reason
        if not running.future.cancel() and running.can_be_ended:
            running.end()
            asyncio.get_running_loop().call_later(self.grace, self._kill, running)

    def _kill(self, running: Running) -> None:
        if not running.future.done():
            running.kill()


def _queued(executor: Executor | None) -> int:
    """Return how many jobs an executor is given at once."""
    return max(QUEUED_PER_WORKER * _workers(executor), LEAST_QUEUED)


def _workers(executor: Executor | None) -> int:
    return getattr(executor, "_max_workers", None) or 1


def _is_lost_worker(error: BaseException) -> bool:
    from concurrent.futures import BrokenExecutor

    return isinstance(error, BrokenExecutor)
