"""What tasks share whose jobs are followed from their start to the record of their end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from ..attempts.policy import Retry, Verdict, decide
from ..errors import ConfigurationError
from ..repository.base import MetadataRepository, Repository
from .base import Task
from .record import DirectRecorder, Outcome, Recorder, StoppedError, failure, now

if TYPE_CHECKING:
    from ..attempts.book import AttemptBook
    from ..resource_manager import ResourceManager, Resources
    from .claims import SharedClaims

__all__ = ["Again", "TrackedTask"]

#: Seconds that are taken for a mistake: a year.
LONGEST = 366 * 86400.0


class Again(NamedTuple):
    """That a job is to be started again.

    :param seconds: until then.
    :param reason: why.
    """

    seconds: float
    reason: str


class TrackedTask(Task):
    """A task whose jobs end with a record of how.

    :param name: the task's name.
    :param done: Optional: takes a record of each job's end; linked as "done".
    :param ready: Optional: the repository that says which jobs may start.
    :param resource_manager: Optional: the quota that each running job takes `job_resources` of.
    :param failed: Optional: takes the records of failed jobs in place of `done`, so that what depends on them waits;
        linked as "failed".
    :param retry: when a failed job is tried again; by default never.
    :param timeout: Optional: seconds, or a timedelta, that a job may take.
    :param grace: seconds, or a timedelta, that it has to end when it is told to.
    :param failure_ok: whether a failed job counts as done, and its run as successful.
    :param disabled: whether no job is to be started.
    :raises ConfigurationError: if one of them is not what it should be.
    """

    #: Whether what runs goes on without the controller, and is found again by the next.
    outlives: bool = False
    #: Whether `update` returns at once, so that it may be called whenever the task wakes the engine.
    is_quick: bool = False
    #: Whether a start counts towards the quota's launches for a while, rather than for as long as the job runs.
    counts_starts: bool = False

    def __init__(
        self,
        name: str,
        done: MetadataRepository | None,
        ready: Repository | None = None,
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
        super().__init__(name, ready, disabled)
        self.done: MetadataRepository | None = done
        self.failed = failed
        for kind, repo in (("done", done), ("failed", failed)):
            if repo is not None and not isinstance(repo, MetadataRepository):
                raise ConfigurationError(
                    f"{kind} of task {name!r} is {type(repo).__name__}, which cannot hold records",
                    fix="pass a MetadataRepository, for example "
                    f"SqliteMetadataRepository('.pdt/records.sqlite', {kind!r})",
                )
        if failed is not None and failed is done:
            raise ConfigurationError(
                f"done and failed of task {name!r} are the same repository", fix="give the failed jobs one of their own"
            )
        self.retry = _policy(name, retry)
        self.timeout = None if timeout is None else _seconds(name, "timeout", timeout)
        self.grace = _seconds(name, "grace", grace)
        self.failure_ok = failure_ok
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
        #: Jobs whose attempt ended and that are to be started again, taken by the engine.
        self.again: dict[str, Again] = {}
        #: Called with a job that needs its resources no longer, though its record is not written; set by the engine.
        self.on_free: Callable[[Task, str], object] | None = None
        #: The file on whose bytes workers in other processes hold locks; None: they hold none. Set by the pipeline.
        self.lock_file: str | None = None
        #: Whether there are jobs whose results were left to the next run.
        self.has_abandoned = False
        #: Whether jobs run that the engine has not started.
        self.is_changed = True
        #: Makes the open pipeline the controller, which gives the task its book; set by the pipeline.
        self.take_control: Callable[[], None] | None = None
        self._book: AttemptBook | None = None
        self._is_loaded = False
        self._shared_claims: SharedClaims | None = None
        self._link_status()
        if failed is not None:
            self.link("failed", failed, is_status=True, inhibits_start=True)
        if resource_manager is not None:
            resource_manager.register(self._load)

    def _link_status(self) -> None:
        """Link the repositories that say what has become of a job."""
        if self.done is not None:
            self.link("done", self.done, is_status=True, inhibits_start=True, required_for_output=True)

    async def _load(self) -> Resources:
        """Report what this task's jobs hold of the quota."""
        from ..resource_manager import Resources

        return (self.job_resources or Resources.zero()) * self.holding

    # Attempts.

    @property
    def keeps_attempts(self) -> bool:
        """Whether something of its attempts has to be known to the next controller."""
        return self.retry.attempts > 1 or self._shared_claims is not None

    @property
    def claims(self) -> bool:
        """Whether a job is claimed before it is started, so that no other controller starts it."""
        return self._shared_claims is not None

    @property
    def claimed(self) -> Collection[str]:
        """The jobs that this controller has claimed."""
        return () if self._shared_claims is None else self._shared_claims.jobs

    @property
    def book(self) -> AttemptBook:
        """What controllers know of the task's attempts; in memory, unless it belongs to an open pipeline.

        :raises HeldError: if that has another controller.
        """
        if self._book is None and self.take_control is not None:
            self.take_control()
        if self._book is None:
            from ..attempts.book import AttemptBook
            from ..ledger.memory import MemoryLedger

            self._book = AttemptBook(MemoryLedger(), self.name)
        return self._book

    @book.setter
    def book(self, book: AttemptBook | None) -> None:
        self._book = book
        self._is_loaded = False
        self._shared_claims = None
        if book is not None and book.is_shared:
            from .claims import SharedClaims

            self._shared_claims = SharedClaims(book)

    async def _load_book(self) -> AttemptBook:
        if self._shared_claims is not None:
            await self._shared_claims.load()
        elif not self._is_loaded:
            await self.book.load()
            self._is_loaded = True
        return self.book

    async def get_ready(self) -> None:
        """Take over what an earlier controller left, before anything is planned."""
        if self._shared_claims is not None:
            await self._load_book()

    async def take_over(self, owners: Collection[int]) -> None:
        """Take over what controllers of the same pipeline have left that were there when this one began.

        :param owners: what stands for them in their claims.
        """
        if self._shared_claims is not None:
            await self._shared_claims.take_over(owners)

    def take_delayed(self) -> dict[str, Again]:
        """Return the jobs that an earlier controller was to start again later, once."""
        if self._book is None:
            return {}
        delayed, self._book.delayed = self._book.delayed, {}
        return {job: Again(*delay) for job, delay in delayed.items()}

    async def claim(self, jobs: Sequence[str]) -> Sequence[str]:
        """Claim attempts of jobs that are about to be started, and return those that nobody else has claimed."""
        return jobs if self._shared_claims is None else await self._shared_claims.claim(jobs)

    async def unclaim(self, jobs: Collection[str]) -> None:
        """Take back claims of jobs that are not started after all."""
        if self._shared_claims is not None:
            await self._shared_claims.release(jobs)

    async def settle(self, jobs: Collection[str]) -> None:
        """Forget the attempts of jobs whose records are written."""
        if self._shared_claims is not None:
            await self._shared_claims.settle(jobs)
        elif self._book is not None and self._book.ends:
            await self._book.settle(job for job in jobs if job in self.book.ends)

    def abandon(self, jobs: Collection[str]) -> None:
        """Leave the results of jobs that have ended to the next run: they could not be recorded in this one."""

    def hurry(self) -> None:
        """Leave to the next run what is being published, besides records; called when a run is cancelled."""

    async def drain(self) -> None:
        """Return when what is published of ended jobs, besides their records, is."""

    async def suspend(self) -> None:
        """Let go of what runs on without this controller; called when the pipeline is closed."""
        await self.unclaim([job for job in self.claimed if job not in self.running_jobs])

    async def release(self) -> None:
        """End what does not run on without this controller; called when the pipeline is closed."""

    @property
    def running_jobs(self) -> Collection[str]:
        """The jobs that run on after their launch has returned."""
        return ()

    def take_unrecorded(self) -> list[str]:
        """Return the jobs that ended without a record since the last call, after their launch had returned."""
        return []

    async def cancel(self, job: str) -> None:
        """End a job that runs; nothing happens if it does not, or cannot be ended."""

    async def cancel_waiting(self, job: str) -> None:
        """Record a job as cancelled that has not been launched."""
        moment = now()
        await self._ended(job, failure(StoppedError("cancelled"), moment, moment) | {"reason": "cancelled"})

    def withdraw(self) -> None:
        """Take back the jobs that were launched and have not begun; they stay ready."""

    # The end of a job.

    async def _ended(self, job: str, outcome: Outcome, *, is_last: bool = False) -> None:
        """Record the end of an attempt, or see to it that the job is started again."""
        ends = (await self._load_book()).ends.get(job, ()) if self.keeps_attempts else ()
        outcome["attempt"] = len(ends) + 1
        keeper = self.done
        if not outcome["success"]:
            verdict, seconds = self._judge([*ends, outcome["reason"]], outcome)
            if verdict is Verdict.AGAIN and not is_last:
                await self._run_again(job, outcome, seconds)
                return
            keeper = self._keeper(verdict)
        await self.recorder.record(self, keeper if self.metadata else None, job, outcome)

    async def _run_again(self, job: str, outcome: Outcome, seconds: float) -> None:
        await self.book.end(job, outcome["attempt"], {**outcome, "delay": seconds})
        what = outcome.get("error") or outcome.get("exception")
        self.again[job] = Again(seconds, f"{outcome['reason']}: {what}" if what else outcome["reason"])
        if self._shared_claims is not None:
            self._shared_claims.ended(job)

    def _judge(self, reasons: Sequence[str], outcome: Mapping[str, Any]) -> tuple[Verdict, float]:
        return decide(self.retry, reasons, outcome.get("return_code"), outcome.get("signal"))

    def _keeper(self, verdict: Verdict) -> MetadataRepository | None:
        """Return what keeps the record of a job that ended so."""
        quarantined = verdict is Verdict.FAILED and self.failed is not None and not self.failure_ok
        return self.failed if quarantined else self.done


def _policy(task: str, retry: object) -> Retry:
    if retry is None or isinstance(retry, Retry):
        return retry or Retry()
    if isinstance(retry, int):
        return Retry(attempts=retry)
    raise ConfigurationError(
        f"retry of task {task!r} is {retry!r}, neither a Retry nor a number of attempts",
        fix="for example retry=3 or retry=Retry(attempts=3, delay=15)",
    )


def _checked(task: str, job_resources: Resources) -> Resources:
    from ..resource_manager.manager import demand

    try:
        return demand(job_resources)
    except ValueError as error:
        raise ConfigurationError(f"job_resources of task {task!r}: {error}") from error


def _seconds(task: str, name: str, value: float | timedelta) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if type(seconds) not in (int, float) or not 0 < seconds <= LONGEST:
        raise ConfigurationError(
            f"{name} of task {task!r} is {value!r}, not a number of seconds above 0 and up to a year",
            fix=f"for example {name}=60 or {name}=timedelta(minutes=1)",
        )
    return float(seconds)
