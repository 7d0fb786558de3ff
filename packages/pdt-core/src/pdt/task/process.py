"""Tasks whose jobs are scripts, run as processes that outlive their controller."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import localfs
from ..attempts.book import Claim, Decision
from ..attempts.policy import Retry, Verdict
from ..attempts.recover import Finding, Step, next_step
from ..errors import BackendError, ConfigurationError, CorruptRecordError, PdtError
from ..failpoints import hit
from ..proc_manager.base import STDOUT, _StderrIsStdout
from ..proc_manager.runner import Command, Exit, ProcessRunner
from ..repository.base import BlobRepository, MetadataRepository, Repository
from ..repository.filesystem import FileRepository
from ..streams import async_copyfile
from .ends import last_line, outcome_of
from .record import Outcome, now
from .staging import Staging
from .tracked import TrackedTask, _seconds

if TYPE_CHECKING:
    import asyncio

    from ..proc_manager.base import AbstractProcessManager
    from ..resource_manager import ResourceManager, Resources
    from ..template import Template

__all__ = ["STDOUT", "ProcessTask"]

logger = logging.getLogger("pdt.engine")

#: Seconds between writes of what runs to `pids`: what ends sooner is never written there.
PIDS_SECONDS = 0.05
#: Seconds that copying a stream into its repository may stand still.
STREAM_SECONDS = 600.0
#: Seconds until it is tried again, each time that it fails.
STREAM_DELAYS = (0.1, 0.2, 0.4, 0.8)
#: Seconds after which a kill that failed is tried again.
KILL_AGAIN_SECONDS = 1.0
#: How many attempts run at once at most, whatever the quota: each takes a descriptor.
MOST_RUNNING = 1024


class _Running:
    """An attempt that runs, or whose end is not recorded."""

    def __init__(self, claim: Claim, staging: Staging) -> None:
        self.claim = claim
        self.staging = staging
        self.pid: str | None = None
        self.start = now()
        self.timer: asyncio.TimerHandle | None = None
        self.is_alive = True
        #: Whether it counts in the task's `holding` until the engine is told that it has ended.
        self.holds = False
        self.succeeded = False


class ProcessTask(TrackedTask):
    """A task that runs a script for each job; its first line says by which interpreter, by default the shell.

    In the script's text a link's name stands for the job's info in it, and an output for a path that is put in place
    when the script has succeeded.

    :param name: the task's name.
    :param manager: a process manager, or a callable that returns one, such as a session's resource.
    :param resource_manager: the quota that each running job takes `job_resources` of.
    :param job_resources: what one job takes.
    :param pids: takes a record of each running process; linked as "pids".
    :param template: the script's text, or the path of a file with it.
    :param window: for how long a start counts towards the quota's launches.
    :param environ: variables to add to the environment.
    :param done: Optional: takes a record of each job's end; linked as "done".
    :param stdin: Optional: what each job reads; linked as "stdin".
    :param stdout: Optional: takes what each job writes; linked as "stdout".
    :param stderr: Optional: takes what each job writes to standard error, or STDOUT to mix the two; linked as "stderr".
    :param ready: Optional: the repository that says which jobs may start.
    :param cwd: Optional: the directory to start in; by default one of the process manager's, which all jobs share.
    :param keep_log: whether what a job writes to streams that have no repository is kept until it has succeeded.
    :param failed: Optional: takes the records of failed jobs in place of `done`, so that what depends on them waits;
        linked as "failed".
    :param retry: when a failed job is tried again; by default never.
    :param timeout: Optional: seconds, or a timedelta, that a job may take.
    :param grace: seconds, or a timedelta, that it has to end when it is told to.
    :param failure_ok: whether a failed job counts as done, and its run as successful.
    :param disabled: whether no job is to be started.
    :raises ConfigurationError: if one of them is not what it should be.
    """

    keeps_attempts = True
    claims = True
    outlives = True
    runs_elsewhere = True
    concurrency = MOST_RUNNING
    counts_starts = True

    def __init__(
        self,
        name: str,
        manager: Callable[[], AbstractProcessManager] | AbstractProcessManager,
        resource_manager: ResourceManager,
        job_resources: Resources,
        pids: MetadataRepository,
        template: str | os.PathLike[str],
        window: timedelta = timedelta(seconds=60),
        environ: dict[str, str] | None = None,
        done: MetadataRepository | None = None,
        stdin: BlobRepository | None = None,
        stdout: BlobRepository | None = None,
        stderr: BlobRepository | _StderrIsStdout | None = None,
        ready: Repository | None = None,
        *,
        cwd: str | os.PathLike[str] | None = None,
        keep_log: bool = True,
        failed: MetadataRepository | None = None,
        retry: Retry | int | None = None,
        timeout: float | timedelta | None = None,
        grace: float | timedelta = 10.0,
        failure_ok: bool = False,
        disabled: bool = False,
    ) -> None:
        given: object = pids
        if not isinstance(given, MetadataRepository):
            raise ConfigurationError(
                f"pids of task {name!r} is {type(given).__name__}, which cannot hold records",
                fix="pass a MetadataRepository, for example SqliteMetadataRepository('.pdt/records.sqlite', 'pids')",
            )
        self.pids = pids
        self._window = _seconds(name, "window", window)
        self._starts: deque[float] = deque()
        super().__init__(
            name,
            done,
            ready,
            resource_manager=resource_manager,
            job_resources=job_resources,
            failed=failed,
            retry=retry,
            timeout=timeout,
            grace=grace,
            failure_ok=failure_ok,
            disabled=disabled,
        )
        self._manager = manager
        self.environ = dict(environ or {})
        self.template = template
        self.cwd = None if cwd is None else os.path.abspath(cwd)
        self.keep_log = keep_log
        self.stdin = stdin
        self.stdout = stdout
        self._stderr = stderr
        separate = None if isinstance(stderr, _StderrIsStdout) else stderr
        wrong = _not_blobs(name, stdin=stdin, stdout=stdout, stderr=separate)
        if wrong is not None:
            raise wrong
        if not all(isinstance(text, str) for variable in self.environ.items() for text in variable):
            raise ConfigurationError(f"environ of task {name!r} has names or values that are not text")
        if stdin is not None:
            self.link("stdin", stdin, is_input=True)
        if stdout is not None:
            self.link("stdout", stdout, is_output=True)
        if separate is not None:
            self.link("stderr", separate, is_output=True)
        self._template: Template | None = None
        self._runner: ProcessRunner | None = None
        #: The same, also while it takes over what an earlier controller left.
        self._opened: ProcessRunner | None = None
        #: Whether the engine has not been told yet of what was taken over.
        self._is_new = False
        #: Ends that are not dealt with yet.
        self._exits: deque[Exit] = deque()
        self._claims: dict[str, Claim] = {}
        #: Claims of which it is not known whether they were written.
        self._offered: dict[str, Claim] = {}
        self._running: dict[str, _Running] = {}
        self._jobs: dict[str, str] = {}
        self._unrecorded: list[str] = []
        self._unwritten: set[str] = set()
        self._written: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pids_timer: asyncio.TimerHandle | None = None

    @cached_property
    def _opening(self) -> asyncio.Lock:
        import asyncio

        return asyncio.Lock()

    def _link_status(self) -> None:
        self.link("pids", self.pids, is_status=True, inhibits_start=True, inhibits_output=True)
        super()._link_status()

    @property
    def manager(self) -> AbstractProcessManager:
        """The process manager.

        :raises SessionNotOpenError: if it comes from a session that is closed.
        """
        from ..proc_manager.base import AbstractProcessManager

        return self._manager if isinstance(self._manager, AbstractProcessManager) else self._manager()

    @property
    def stderr(self) -> BlobRepository | None:
        """The repository that takes what jobs write to standard error, or None if none does."""
        return self.stdout if isinstance(self._stderr, _StderrIsStdout) else self._stderr

    @property
    def basedir(self) -> Path:
        """The directory on the target where this task keeps what belongs to its attempts."""
        return self.manager.basedir / self.name

    def log_path(self, job: str, number: int) -> str:
        """Return where the log of a failed attempt is kept, on this machine.

        :param number: of the attempt: 1 for the first.
        """
        from urllib.parse import quote

        return os.path.join(self.basedir, "logs", f"{quote(job, safe=' ')}.{number}.log")

    def _remove_logs(self, job: str, number: int) -> None:
        """Remove the logs of earlier attempts of a job that has succeeded, also of those that are forgotten."""
        if self._runner is None or not self._runner.is_local or not self.keep_log:
            return
        earlier = 1
        while earlier < number or os.path.lexists(self.log_path(job, earlier)):
            localfs.remove(self.log_path(job, earlier))
            earlier += 1

    def live_log(self, job: str) -> str | None:
        """Return where the log of a job is written that runs now under this controller, on this machine."""
        running = self._running.get(job)
        return running.staging.log if running is not None else None

    @property
    def is_shell_script(self) -> bool:
        """Whether the script has no first line that names an interpreter."""
        return self._template is not None and not self._template.text.startswith("#!")

    @property
    def running(self) -> int:
        """The number of jobs whose processes run."""
        return sum(running.is_alive for running in self._running.values())

    @property
    def running_jobs(self) -> Collection[str]:
        """The jobs whose processes run, or whose end is not recorded."""
        return self._running.keys()

    async def _load(self) -> Resources:
        """Report what this task's jobs hold of the quota, and how many were started lately."""
        from dataclasses import replace

        since = time.monotonic() - self._window
        while self._starts and self._starts[0] < since:
            self._starts.popleft()
        begun = sum(running.holds and running.pid is not None for running in self._running.values() if running.is_alive)
        starts = len(self._starts) + max(0, self.holding - begun)
        each = 1 if self.job_resources is None else self.job_resources.launches or 0
        return replace(await super()._load(), launches=starts * each)

    async def validate(self) -> None:
        """Read the template.

        :raises ConfigurationError: if it cannot be read, or is none.
        """
        from ..template import Template

        self._template = Template(self.template, name=f"script of task {self.name!r}")
        self.blocked.clear()

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

    def _on_end(self) -> None:
        if self.wake is not None:
            self.wake()

    async def _take_over(self) -> None:
        """Adopt the attempts of an earlier controller that run, reap those that ended, publish what was decided."""
        hit("adopt.begin")
        runner = self.manager.runner()
        await runner.open(self._on_end)
        self._opened = runner
        try:
            await self._take_over_by(runner)
            hit("adopt.end")
        except BaseException:
            await self._leave()
            raise
        self._is_new = True
        self._runner = runner
        self.is_changed = True

    async def _take_over_by(self, runner: ProcessRunner) -> None:
        claims, decisions = await self.book.load()
        hit("adopt.loaded")
        by_token = {claim.token: claim for claim in claims}
        undecided = {token: claim.place for token, claim in by_token.items() if token not in decisions}
        for claim in claims:
            staging = Staging(self, claim.job, claim.token, runner, is_new=False)
            running = self._running[claim.job] = _Running(claim, staging)
            running.start = datetime.fromisoformat(claim.since)
            if claim.token in decisions:
                running.is_alive = False
                running.succeeded = decisions[claim.token].outcome["success"]
            self._claims[claim.job] = claim
            self._jobs[claim.token] = claim.job
        self._written = {job async for job in self.pids}
        await self._delete_pids(self._written - self._running.keys())
        await runner.recall({token: claim.place for token, claim in by_token.items()} | self.book.over)
        await runner.forget(self.book.over.keys())
        hit("adopt.recalled")
        alive = await runner.adopt(undecided)
        hit("adopt.adopted")
        for token, decision in decisions.items():
            if by_token.get(token) is None:
                await self.book.settle([decision.job])
            else:
                self._spawn(self._carry_out(decision, runner))
        hit("adopt.rolling_forward")
        exits = await runner.ended()
        ended = {exit.token for exit in exits}
        for token in undecided:
            claim = by_token[token]
            step = next_step(Finding(True, False, token in alive, token in ended))
            if step is Step.ADOPT:
                self._adopt(self._running[claim.job], alive[token])
        self._exits.extend(exits)  # dealt with by the next update
        if self.resource_manager is not None:
            # Also what has ended: the engine gives it back when its end is dealt with.
            self.holding += len(self._running)
            for running in self._running.values():
                running.holds = True

    def _adopt(self, running: _Running, pid: str) -> None:
        running.pid = pid
        if running.claim.job not in self._written:
            self._unwritten.add(running.claim.job)
            self._write_pids_soon()
        if self.timeout is not None:
            self._time(running, self.timeout - (time.clock_gettime(time.CLOCK_BOOTTIME) - running.claim.at))

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

    @property
    def is_quick(self) -> bool:  # type: ignore[override]
        """Whether processes are watched without asking another machine."""
        return self._runner is not None and self._runner.is_local

    async def suspend(self) -> None:
        """Leave what runs to the next controller."""
        hit("suspend.begin")
        await self.drain()
        await self._write_pids()
        unstarted = [job for job in self._claims if job not in self._running]
        await self.unclaim(unstarted)
        await self._leave()
        hit("suspend.end")

    async def _leave(self) -> None:
        """Forget what runs, and what was abandoned: it is all taken over from the ledger again."""
        self._stop_pids_timer()
        for running in self._running.values():
            if running.timer is not None:
                running.timer.cancel()
            if running.is_alive and running.holds and self.holding:
                self.holding -= 1
        self._running.clear()
        self._claims.clear()
        self._offered.clear()
        self._jobs.clear()
        self._exits.clear()
        self.has_abandoned = False
        runner, self._opened, self._runner = self._opened, None, None
        if runner is not None:
            await runner.close()

    # Starting.

    async def claim(self, jobs: Sequence[str]) -> Sequence[str]:
        """Claim attempts of jobs that are about to be started, and return those that nobody else has claimed."""
        runner = await self._ready_runner()
        at, since = time.clock_gettime(time.CLOCK_BOOTTIME), str(now())
        claims = []
        for job in jobs:
            if job not in self._claims:
                if job not in self._offered:
                    token = uuid.uuid4().hex
                    place = runner.place(token)
                    self._offered[job] = Claim(job, self.book.next_number(job), token, place, at, since)
                claims.append(self._offered[job])
        hit("claim.before")
        won = await self.book.claim(claims)
        hit("claim.after")
        for claim in claims:
            del self._offered[claim.job]
        self._claims.update((claim.job, claim) for claim in won)
        return [job for job in jobs if job in self._claims]

    async def unclaim(self, jobs: Collection[str]) -> None:
        """Take back claims of jobs that are not started after all."""
        claims = [self._claims[job] for job in jobs if job in self._claims and job not in self._running]
        if claims:
            hit("unclaim.begin")
            await self.book.release(claims)
            for claim in claims:
                self._claims.pop(claim.job, None)
            hit("unclaim.released")
            if self._opened is not None:
                await self._opened.forget([claim.token for claim in claims])
            hit("unclaim.end")

    async def launch(self, job: str) -> None:
        """Start the script of one job; where `synchronous`, wait for its end."""
        for repo in (self.pids, self.done):
            if repo is not None:
                repo.job_ids.check(job)
        if job in self._running:
            return
        if job not in self._claims and not await self.claim([job]):
            return
        claim = self._claims[job]
        runner = await self._ready_runner()
        running = _Running(claim, Staging(self, job, claim.token, runner))
        running.holds = self.resource_manager is not None
        self._running[job] = running
        self._jobs[claim.token] = job
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
            await self._cannot_start(running, error)
            return
        except Exception:
            await self._drop(running)
            raise
        except BaseException:
            self.abandon([job])  # it may have been started: whoever takes over finds out
            raise
        hit("launch.started")
        self._starts.append(time.monotonic())
        self._unwritten.add(job)
        self._write_pids_soon()
        if self.timeout is not None:
            self._time(running, self.timeout)
        hit("launch.end")
        if self.synchronous:
            await self._wait_for(job)

    async def _start(self, running: _Running, runner: ProcessRunner) -> str:
        staging = running.staging
        if self._template is None:
            await self.validate()
        template = self._template
        assert template is not None  # noqa: S101  it was read
        script = template.render(await staging.values(template))
        hit("launch.rendered")
        stdin = await self._stdin(running, runner)
        command = Command(
            running.claim.token,
            self.name,
            script,
            {**self.environ, "PDT_TASK": self.name, "PDT_JOB": running.claim.job},
            self.cwd,
            stdin,
            staging.stdout,
            staging.stderr,
        )
        hit("launch.before_start")
        return await runner.start(command, running.claim.place)

    async def _stdin(self, running: _Running, runner: ProcessRunner) -> str | None:
        """Return where the process finds its standard input."""
        if self.stdin is None:
            return None
        job = running.claim.job
        if runner.is_local and isinstance(self.stdin, FileRepository):
            return os.fspath(self.stdin.fullpath(job))
        path = runner.path(running.claim.token, "stdin")
        async with await self.stdin.open(job, "rb") as source, await runner.open_file(path, "wb") as target:
            await async_copyfile(source, target)
        return path

    async def _drop(self, running: _Running) -> None:
        """Forget an attempt that was not begun."""
        job = running.claim.job
        self._running.pop(job, None)
        self._jobs.pop(running.claim.token, None)
        running.staging.discard()
        await self._delete_pids([job])
        await self.unclaim([job])

    async def _cannot_start(self, running: _Running, error: PdtError) -> None:
        moment = now()
        outcome: Outcome = {
            "return_code": None,
            "success": False,
            "reason": "unlaunchable",
            "signal": None,
            "error": str(error),
            "start_time": moment,
            "end_time": moment,
        }
        await self._conclude(running, outcome)

    async def _wait_for(self, job: str) -> None:
        import asyncio

        while (running := self._running.get(job)) is not None and running.is_alive:
            await asyncio.sleep(0.005)
            await self.update()

    # Time and pids.

    def _time(self, running: _Running, seconds: float, reason: str = "timeout") -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        running.timer = loop.call_later(max(0.0, seconds), self._stop, running, reason)

    def _stop(self, running: _Running, reason: str) -> None:
        if running.is_alive and self._opened is not None:
            self._spawn(self._kill(running, self._opened, reason))

    async def _kill(self, running: _Running, runner: ProcessRunner, reason: str) -> None:
        try:
            await runner.kill(running.claim.token, reason, self.grace)
        except Exception as error:
            logger.warning("killing %s %s failed: %s", self.name, running.claim.job, error, exc_info=error)
            if running.is_alive:
                self._time(running, KILL_AGAIN_SECONDS, reason)

    async def cancel(self, job: str) -> None:
        """End a job's processes; nothing happens if it does not run."""
        running = self._running.get(job)
        if running is not None:
            self._stop(running, "cancelled")

    def _spawn(self, work: Any) -> None:
        import asyncio

        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _write_pids_soon(self) -> None:
        import asyncio

        if self._pids_timer is None:
            loop = asyncio.get_running_loop()
            self._pids_timer = loop.call_later(PIDS_SECONDS, lambda: self._spawn(self._write_pids()))

    def _stop_pids_timer(self) -> None:
        if self._pids_timer is not None:
            self._pids_timer.cancel()
            self._pids_timer = None

    async def _write_pids(self) -> None:
        """Write down what has begun since the last time and runs still."""
        self._stop_pids_timer()
        begun, self._unwritten = self._unwritten, set()
        records = {
            job: {"pid": running.pid, "start_time": running.start}
            for job in begun
            if (running := self._running.get(job)) is not None and running.is_alive
        }
        if records:
            hit("pids.before_write")
            self._written.update(records)
            await self.pids.dump_all(records)
            hit("pids.written")

    # Ending.

    async def update(self) -> bool:
        """Record the jobs that have ended, and tell whether any was running."""
        runner = await self._ready_runner()
        busy = bool(self._running)
        is_new, self._is_new = self._is_new, False
        if is_new and busy and self.on_free is not None:
            self._on_end()  # what was taken over ends when the engine knows of it
            return True
        self._exits.extend(await runner.ended())
        failures: list[tuple[Exit, Exception]] = []
        while self._exits:
            exit = self._exits.popleft()
            try:
                await self._reap(exit)
            except Exception as error:
                failures.append((exit, error))
            except BaseException:
                self._exits.append(exit)
                raise
        if failures:
            self._exits.extend(exit for exit, _ in failures)  # the next update tries again
            raise failures[0][1]
        return busy

    async def _reap(self, exit: Exit) -> None:
        hit("reap.begin")
        job = self._jobs.get(exit.token)
        if job is None:
            return
        running = self._running[job]
        if not exit.started:
            running.is_alive = False
            try:
                await self._drop(running)
            except Exception as error:  # what is left of it serves the next launch
                logger.warning("the claim of %s %s is not taken back: %s", self.name, job, error, exc_info=error)
            self._unrecorded.append(job)
            self._on_end()
            return
        await self._conclude(running, outcome_of(exit, running.start, now()))

    async def _conclude(self, running: _Running, outcome: Outcome) -> None:
        """See to it that the end of an attempt is recorded, or that the job is started again."""
        job, number = running.claim.job, running.claim.number
        running.is_alive = False
        if running.timer is not None:
            running.timer.cancel()
        if self.on_free is not None:
            self.on_free(self, job)
        hit("reap.concluding")
        outcome["attempt"] = number
        running.succeeded = outcome["success"]
        verdict, seconds = Verdict.DONE, 0.0
        if not outcome["success"]:
            outcome.setdefault("error", last_line(running.staging.tail()))
            verdict, seconds = self._judge([*self.book.ends.get(job, ()), outcome["reason"]], outcome)
        if verdict is Verdict.AGAIN:
            running.staging.discard(failed=number)
            hit("again.discarded")
            await self._run_again(job, outcome, seconds)
            hit("again.noted")
            await self._forget_running([job])
            self._unrecorded.append(job)
            hit("again.end")
            return
        moves, streams = running.staging.results(outcome, self.failure_ok)
        failed = verdict is Verdict.FAILED
        decision = Decision(job, running.claim.token, _plain(outcome), failed, moves, streams)
        if streams:
            assert self._opened is not None  # noqa: S101  the attempt was run by it
            self._spawn(self._carry_out(decision, self._opened))
        else:
            await self._record(decision)

    async def _carry_out(self, decision: Decision, runner: ProcessRunner) -> None:
        """Copy the streams of an attempt into their repositories, and have the rest done with its record."""
        import asyncio

        for delay in (*STREAM_DELAYS, None):
            try:
                await self._copy_streams(decision, runner)
            except Exception as error:  # the store may be away for a while
                if delay is None:
                    why = f"what it wrote could not be published: {type(error).__name__}: {error}"
                    self.blocked[decision.job] = why
                    self.abandon([decision.job])
                    self._unrecorded.append(decision.job)
                    self._on_end()
                    return
                await asyncio.sleep(delay)
            else:
                break
        await self._record(decision)

    async def _copy_streams(self, decision: Decision, runner: ProcessRunner) -> None:
        import asyncio

        hit("stream.before_decide")
        if decision.token not in await self.book.decide([decision]):
            raise BackendError("another attempt's results count", fix="the next run publishes those")
        hit("stream.decided")
        for path, link in decision.streams:
            repo = self.links[link].repo
            assert isinstance(repo, BlobRepository)  # noqa: S101  the constructor saw it
            async with asyncio.timeout(STREAM_SECONDS), AsyncExitStack() as stack:
                try:
                    source = await stack.enter_async_context(await runner.open_file(path, "rb"))
                except FileNotFoundError:
                    if await repo.contains(decision.job):
                        continue  # it was copied before
                    raise
                hit("stream.begin")
                target = await stack.enter_async_context(repo.open(decision.job, "wb"))
                await async_copyfile(source, target)
                hit("stream.middle")
        hit("stream.copied")

    async def _record(self, decision: Decision) -> None:
        keeper = self._keeper(Verdict.FAILED if decision.failed else Verdict.DONE)
        outcome = dict(decision.outcome)
        for name in ("start_time", "end_time"):
            outcome[name] = datetime.fromisoformat(outcome[name])
        if not self.metadata:
            keeper = None
        await self.recorder.record(self, keeper, decision.job, outcome, decision)

    async def settle(self, jobs: Collection[str]) -> None:
        """Forget the attempts of jobs whose records are written."""
        hit("settle.begin")
        for job in jobs:
            if (running := self._running.get(job)) is not None:
                running.staging.discard(failed=None if running.succeeded else running.claim.number)
                if running.succeeded:
                    self._remove_logs(job, running.claim.number)
        hit("settle.discarded")
        await self._forget_running(jobs)
        hit("settle.forgotten")
        await self.book.settle(jobs)
        hit("settle.end")

    async def _forget_running(self, jobs: Collection[str]) -> None:
        claims = [running.claim for job in jobs if (running := self._running.get(job)) is not None]
        await self._delete_pids(jobs)
        hit("settle.pids")
        if self._opened is not None:
            await self._opened.forget([claim.token for claim in claims])
        for claim in claims:
            self._running.pop(claim.job, None)
            self._claims.pop(claim.job, None)
            self._jobs.pop(claim.token, None)

    async def _delete_pids(self, jobs: Collection[str]) -> None:
        for job in self._written.intersection(jobs):
            await self.pids.delete(job)
            self._written.discard(job)

    def abandon(self, jobs: Collection[str]) -> None:
        """Leave the results of jobs that have ended to the next run."""
        for job in jobs:
            running = self._running.pop(job, None)
            if running is not None:
                self.has_abandoned = True
                self._claims.pop(job, None)
                self._jobs.pop(running.claim.token, None)

    def take_unrecorded(self) -> list[str]:
        """Return the jobs that ended without a record since the last call."""
        unrecorded, self._unrecorded = self._unrecorded, []
        return unrecorded


def _plain(outcome: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, datetime) else value for key, value in outcome.items()}


def _not_blobs(task: str, **repos: object) -> ConfigurationError | None:
    """Return the error that one of the repositories of a task holds no blobs, if that is so."""
    for name, repo in repos.items():
        if repo is not None and not isinstance(repo, BlobRepository):
            return ConfigurationError(
                f"{name} of task {task!r} is {type(repo).__name__}, which holds no blobs",
                fix="pass a BlobRepository, for example FileRepository('logs', '.txt')",
            )
    return None
