"""What tasks share whose attempts outlive their controller: claimed, started, found again, reaped and settled."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Collection, Coroutine, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..attempts.book import Claim, Decision
from ..attempts.policy import Verdict
from ..errors import BackendError, CorruptRecordError, PdtError
from ..failpoints import hit
from ..repository.base import MetadataRepository, Repository
from .claims import claim_jobs
from .ends import last_line, outcome_of
from .live import LiveAttempts, Running
from .pids import PidRecords
from .publish import publish_streams
from .record import Outcome, now
from .tracked import TrackedTask

if TYPE_CHECKING:
    import asyncio

    from ..proc_manager.runner import Exit, ProcessRunner
    from .staging import Staging

__all__ = ["AttemptedTask"]

logger = logging.getLogger("pdt.engine")

#: Seconds after which a kill that failed is tried again.
KILL_AGAIN_SECONDS = 1.0
#: How many attempts run at once at most, whatever the quota: each takes a descriptor.
MOST_RUNNING = 1024


class AttemptedTask(TrackedTask):
    """A task whose jobs run elsewhere, as attempts that outlive their controller.

    :param name: the task's name.
    :param done: Optional: takes a record of each job's end; linked as "done".
    :param ready: Optional: the repository that says which jobs may start.
    :param pids: takes a record of each running attempt; linked as "pids".
    :param policy: what any TrackedTask takes besides.
    """

    keeps_attempts = True
    claims = True
    outlives = True
    runs_elsewhere = True
    concurrency = MOST_RUNNING

    def __init__(
        self,
        name: str,
        done: MetadataRepository | None,
        ready: Repository | None,
        pids: MetadataRepository,
        **policy: Any,
    ) -> None:
        self.pids = pids
        super().__init__(name, done, ready, **policy)
        self.live = LiveAttempts()
        self.pid_records = PidRecords(pids, self.live.running, self._spawn)
        self._runner: ProcessRunner | None = None
        #: The same, also while it takes over what an earlier controller left.
        self._opened: ProcessRunner | None = None
        #: Whether the engine has not been told yet of what was taken over.
        self._is_new = False
        self._unrecorded: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @cached_property
    def _opening(self) -> asyncio.Lock:
        import asyncio

        return asyncio.Lock()

    def _link_status(self) -> None:
        self.link("pids", self.pids, is_status=True, inhibits_start=True, inhibits_output=True)
        super()._link_status()

    # What a kind of task has of its own.

    @abstractmethod
    def _new_runner(self) -> ProcessRunner:
        """Return what runs attempts, closed."""

    @abstractmethod
    def staging(self, claim: Claim, runner: ProcessRunner, *, is_new: bool = True) -> Staging:
        """Return where an attempt finds its inputs and leaves its outputs until they count."""

    @abstractmethod
    async def _start(self, running: Running, runner: ProcessRunner) -> str:
        """Start an attempt, and return what its record calls its pid."""

    def _on_success(self, running: Running) -> None:
        """Remove what is kept of a job only until it has succeeded."""

    # What runs.

    @property
    def running(self) -> int:
        """The number of jobs whose processes run."""
        return self.live.alive

    @property
    def running_jobs(self) -> Collection[str]:
        """The jobs whose processes run, or whose end is not recorded."""
        return self.live.running.keys()

    @property
    def claimed(self) -> Collection[str]:
        """The jobs that this controller has claimed."""
        return self.live.claims.keys()

    @property
    def is_quick(self) -> bool:  # type: ignore[override]
        """Whether processes are watched without asking another machine."""
        return self._runner is not None and self._runner.is_local

    def live_log(self, job: str) -> str | None:
        """Return where the log of a job is written that runs now under this controller, on this machine."""
        running = self.live.running.get(job)
        return running.staging.log if running is not None else None

    # Beginning and leaving.

    async def _ready_runner(self) -> ProcessRunner:
        """Return what runs attempts, once what an earlier controller left is taken over."""
        if self._runner is None:
            async with self._opening:
                if self._runner is None:
                    await self._take_over()
        assert self._runner is not None  # noqa: S101  it was taken over
        return self._runner

    async def get_ready(self) -> None:
        """Take over what an earlier controller left."""
        await self._ready_runner()

    async def _take_over(self) -> None:
        from .takeover import take_over

        hit("adopt.begin")
        runner = self._new_runner()
        await runner.open(self._look_soon, self._free)
        self._opened = runner
        try:
            await take_over(self, runner)
        except BaseException:
            await self._leave()
            raise
        self._is_new = True
        self._runner = runner
        self.is_changed = True

    async def take_over(self, owners: Collection[int]) -> None:
        """Take over what controllers of the same pipeline have left that were there when this one began.

        :param owners: what stands for them in their claims.
        """
        from .takeover import take_over

        async with self._opening:
            if self._runner is not None:  # else it is among what is taken over first
                await take_over(self, self._runner, owners)
                self._is_new = True
                self.is_changed = True

    def follow(self, running: Running) -> None:
        """Follow an attempt that has been made."""
        self.live.follow(running)
        self.live.claims[running.claim.job] = running.claim

    def adopt(self, running: Running, pid: str) -> None:
        """Follow an attempt of an earlier controller that runs."""
        running.pid = pid
        if running.claim.job not in self.pid_records.written:
            self.pid_records.begun(running.claim.job)
        if self.timeout is not None:
            self._time(running, self.timeout - (time.clock_gettime(time.CLOCK_BOOTTIME) - running.claim.at))

    def _look_soon(self) -> None:
        if self.wake is not None:
            self.wake()

    def _free(self, token: str) -> None:
        """Let the next job have at once what an attempt needs no longer; its own end is dealt with by `update`."""
        running = self.live.of(token)
        if running is not None and self.on_free is not None:
            self.on_free(self, running.claim.job)

    async def drain(self) -> None:
        """Return when what is published of ended jobs, besides their records, is; if cancelled, leave it as it is."""
        import asyncio

        while self._tasks:
            try:
                await asyncio.wait(self._tasks)
            except asyncio.CancelledError:
                self.hurry()
                raise

    def hurry(self) -> None:
        """Leave to the next run what is being published."""
        for task in self._tasks:
            task.cancel()

    async def suspend(self) -> None:
        """Leave what runs to the next controller."""
        hit("suspend.begin")
        await self.drain()
        await self.pid_records.write()
        await self.unclaim([job for job in self.live.claims if job not in self.live.running])
        await self._leave()
        hit("suspend.end")

    async def _leave(self) -> None:
        """Forget what runs, and what was abandoned: it is all taken over from the ledger again."""
        self.pid_records.stop()
        self.holding = max(0, self.holding - sum(running.holds for running in self.live.running.values()))
        self.live.clear()
        self.has_abandoned = False
        runner, self._opened, self._runner = self._opened, None, None
        if runner is not None:
            await runner.close()

    # Starting.

    async def claim(self, jobs: Sequence[str]) -> Sequence[str]:
        """Claim attempts of jobs that are about to be started, and return those that nobody else has claimed."""
        runner = await self._ready_runner()
        lost = await claim_jobs(self.book, jobs, self.live.claims, self.live.offered, runner.place)
        if lost:
            await runner.forget([claim.token for claim in lost])
        return [job for job in jobs if job in self.live.claims]

    async def unclaim(self, jobs: Collection[str]) -> None:
        """Take back claims of jobs that are not started after all."""
        live = self.live
        claims = [live.claims[job] for job in jobs if job in live.claims and job not in live.running]
        if claims:
            hit("unclaim.begin")
            await self.book.release(claims)
            for claim in claims:
                live.claims.pop(claim.job, None)
            hit("unclaim.released")
            if self._opened is not None:
                await self._opened.forget([claim.token for claim in claims])
            hit("unclaim.end")

    async def launch(self, job: str) -> None:
        """Start an attempt of one job; where `synchronous`, wait for its end."""
        for repo in (self.pids, self.done):
            if repo is not None:
                repo.job_ids.check(job)
        if job in self.live.running:
            return
        if job not in self.live.claims and not await self.claim([job]):
            return
        claim = self.live.claims[job]
        runner = await self._ready_runner()
        running = Running(claim, self.staging(claim, runner))
        running.holds = self.resource_manager is not None
        self.live.follow(running)
        try:
            hit("launch.begin")
            running.pid = await self._start(running, runner)
        except CorruptRecordError as error:
            self.blocked[job] = str(error)
            await self._drop(running)
            return
        except (BackendError, OSError):
            await self._drop(running)
            raise
        except PdtError as error:
            await self._conclude(running, _unlaunchable(error))
            return
        except Exception:
            await self._drop(running)
            raise
        except BaseException:
            self.abandon([job])  # it may have been started: whoever takes over finds out
            raise
        hit("launch.started")
        self.pid_records.begun(job)
        if self.timeout is not None:
            self._time(running, self.timeout)
        hit("launch.end")
        if self.synchronous:
            await self._wait_for(job)

    async def _drop(self, running: Running) -> None:
        """Forget an attempt that was not begun."""
        job = running.claim.job
        self.live.leave(job)
        running.staging.discard()
        await self.pid_records.delete([job])
        await self.unclaim([job])

    async def _wait_for(self, job: str) -> None:
        import asyncio

        while (running := self.live.running.get(job)) is not None and running.is_alive:
            await asyncio.sleep(0.005)
            await self.update()

    # Ending early.

    def _time(self, running: Running, seconds: float, reason: str = "timeout") -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        running.timer = loop.call_later(max(0.0, seconds), self._stop, running, reason)

    def _stop(self, running: Running, reason: str) -> None:
        if running.is_alive and self._opened is not None:
            self._spawn(self._kill(running, self._opened, reason))

    async def _kill(self, running: Running, runner: ProcessRunner, reason: str) -> None:
        try:
            await runner.kill(running.claim.token, reason, self.grace)
        except Exception as error:
            logger.warning("killing %s %s failed: %s", self.name, running.claim.job, error, exc_info=error)
            if running.is_alive:
                self._time(running, KILL_AGAIN_SECONDS, reason)

    async def cancel(self, job: str) -> None:
        """End a job's processes; nothing happens if it does not run."""
        running = self.live.running.get(job)
        if running is not None:
            self._stop(running, "cancelled")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        import asyncio

        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Ending.

    async def update(self) -> bool:
        """Record the jobs that have ended, and tell whether any was running."""
        runner = await self._ready_runner()
        async with self._opening:  # what is being taken over ends when it is known
            return await self._update(runner)

    async def _update(self, runner: ProcessRunner) -> bool:
        busy = bool(self.live.running)
        is_new, self._is_new = self._is_new, False
        if is_new and busy and self.on_free is not None:
            self._look_soon()  # what was taken over ends when the engine knows of it
            return True
        while self.live.decided:
            self.carry_out(self.live.decided.pop(), runner)
        exits = self.live.exits
        exits.extend(await runner.ended())
        failures: list[tuple[Exit, Exception]] = []
        while exits:
            exit = exits.popleft()
            try:
                await self._reap(exit)
            except Exception as error:
                failures.append((exit, error))
            except BaseException:
                exits.append(exit)
                raise
        if failures:
            exits.extend(exit for exit, _ in failures)  # the next update tries again
            raise failures[0][1]
        return busy

    async def _reap(self, exit: Exit) -> None:
        hit("reap.begin")
        running = self.live.of(exit.token)
        if running is None:
            return
        if exit.started:
            await self._conclude(running, outcome_of(exit, running.start, now()))
            return
        job = running.claim.job
        self.live.ended(running)
        try:
            await self._drop(running)
        except Exception as error:  # what is left of it serves the next launch
            logger.warning("the claim of %s %s is not taken back: %s", self.name, job, error, exc_info=error)
        self._unrecorded.append(job)
        self._look_soon()

    async def _conclude(self, running: Running, outcome: Outcome) -> None:
        """See to it that the end of an attempt is recorded, or that the job is started again."""
        job, number = running.claim.job, running.claim.number
        self.live.ended(running)
        running.stop_timer()
        if self.on_free is not None:
            self.on_free(self, job)
            running.holds = False
        hit("reap.concluding")
        outcome["attempt"] = number
        running.succeeded = outcome["success"]
        verdict, seconds = Verdict.DONE, 0.0
        if not outcome["success"]:
            stopped = outcome["signal"] if outcome["reason"] in ("timeout", "cancelled") else None
            outcome.setdefault("error", last_line(running.staging.tail(), stopped))
            verdict, seconds = self._judge([*self.book.ends.get(job, ()), outcome["reason"]], outcome)
        if verdict is Verdict.AGAIN:
            running.staging.discard(failed=number)
            hit("again.discarded")
            await self._run_again(job, outcome, seconds)
            hit("again.noted")
            await self._forget([job])
            self._unrecorded.append(job)
            hit("again.end")
            return
        moves, streams = running.staging.results(outcome, self.failure_ok)
        failed = verdict is Verdict.FAILED
        decision = Decision(job, running.claim.token, _plain(outcome), failed, moves, streams)
        if streams:
            assert self._opened is not None  # noqa: S101  the attempt was run by it
            self.carry_out(decision, self._opened)
        else:
            await self._record(decision, outcome)

    def carry_out(self, decision: Decision, runner: ProcessRunner) -> None:
        """Have the results of an attempt published and recorded."""
        self._spawn(publish_streams(self, decision, runner, self._record, self._give_up))

    def _give_up(self, job: str, why: str) -> None:
        self.blocked[job] = why
        self.abandon([job])
        self._unrecorded.append(job)
        self._look_soon()

    async def _record(self, decision: Decision, outcome: Outcome | None = None) -> None:
        if outcome is None:  # an earlier controller has decided it
            outcome = dict(decision.outcome)
            for name in ("start_time", "end_time"):
                outcome[name] = datetime.fromisoformat(outcome[name])
        keeper = self._keeper(Verdict.FAILED if decision.failed else Verdict.DONE) if self.metadata else None
        await self.recorder.record(self, keeper, decision.job, outcome, decision)

    async def settle(self, jobs: Collection[str]) -> None:
        """Forget the attempts of jobs whose records are written."""
        hit("settle.begin")
        for job in jobs:
            if (running := self.live.running.get(job)) is not None:
                running.staging.discard(failed=None if running.succeeded else running.claim.number)
                if running.succeeded:
                    self._on_success(running)
        hit("settle.discarded")
        await self._forget(jobs)
        hit("settle.forgotten")
        await self.book.settle(jobs)
        hit("settle.end")

    async def _forget(self, jobs: Collection[str]) -> None:
        running = self.live.running
        tokens = [running[job].claim.token for job in jobs if job in running]
        await self.pid_records.delete(jobs)
        hit("settle.pids")
        if self._opened is not None:
            await self._opened.forget(tokens)
        for job in jobs:
            self.live.forget(job)

    def abandon(self, jobs: Collection[str]) -> None:
        """Leave the results of jobs that have ended to the next run."""
        for job in jobs:
            if self.live.forget(job) is not None:
                self.has_abandoned = True

    def take_unrecorded(self) -> list[str]:
        """Return the jobs that ended without a record since the last call."""
        unrecorded, self._unrecorded = self._unrecorded, []
        return unrecorded


def _unlaunchable(error: PdtError) -> Outcome:
    moment = now()
    return {
        "return_code": None,
        "success": False,
        "reason": "unlaunchable",
        "signal": None,
        "error": str(error),
        "start_time": moment,
        "end_time": moment,
    }


def _plain(outcome: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, datetime) else value for key, value in outcome.items()}
