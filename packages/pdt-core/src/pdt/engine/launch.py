"""The second half of a round: start what the plan and the limits allow, and follow it to its end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set

from ..failpoints import hit
from ..plugins.hooks import Hooks
from ..task.base import Task
from ..task.record import now
from ..task.tracked import TrackedTask
from .backoff import Backoff
from .commit import Ended, GroupCommit
from .lane import Lane
from .look import View, cancel_and_wait
from .quotas import Quotas
from .recheck import deciders, ended_since, still_ready
from .report import Report
from .schedule import Denial, Plan, admit, make_plan
from .snapshot import transient_leaves

__all__ = ["Launcher", "Notify"]

logger = logging.getLogger("pdt.engine")

#: A launch that fails is tried this often in a run, the first time again after this many seconds.
ATTEMPTS = 5
FIRST_DELAY = 0.5
LONGEST_DELAY = 60.0
#: A launch that changes nothing is repeated after this many seconds at first, and at last.
IDLE_DELAYS = (0.05, 1.0)

#: Jobs that are claimed together, where no other controller waits for some.
CLAIM_AHEAD = 63
#: A job that another controller has claimed is tried again after so many seconds at most, first and later; all such
#: jobs at once.
LOST_SECONDS = (0.25, 1.0)
#: Seconds that the stores that inhibit a task may take to answer for a chunk of jobs.
CHECK_SECONDS = 60.0

Notify = Callable[..., object]
BROKEN_FIX = (
    "\nfix: one of the jobs kills its worker (memory, a crash in native code, os._exit); "
    "run them one at a time to find it"
)


class Launcher:
    """Starts jobs, and knows which are in flight.

    :param tasks: the pipeline's tasks, by name.
    :param report: takes what is done and what goes wrong.
    :param hooks: what plugins want to be told.
    :param notify: tells plugins of an event, without waiting for them.
    :param vetoes: asks plugins which jobs must not be launched now.
    :param changed: called when something has happened that a look would show.
    :param on_room: called when a task can take on more jobs.
    :param durable: whether what is recorded as done survives a power cut.
    :param patience: seconds that a job waits before what it needs is held for it.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        report: Report,
        hooks: Hooks,
        notify: Notify,
        vetoes: Callable[[Task, Sequence[str]], Mapping[str, str]],
        changed: Callable[[], None],
        on_room: Callable[[], None],
        *,
        durable: bool,
        patience: float,
    ) -> None:
        self._tasks = tasks
        self.report = report
        self._hooks = hooks
        self._notify = notify
        self._vetoes = vetoes
        self._changed = changed
        self._patience = patience
        events = (self._launched, self._launch_failed, self._on_room)
        self.lanes = {name: Lane(task, *events) for name, task in tasks.items()}
        self.commit = GroupCommit(durable, self._committed, self._commit_failed)
        self.plan = Plan()
        #: By task, the limit that holds its next job back.
        self.denials: dict[str, Denial] = {}
        #: Launches that raised; launches that changed nothing; and what plugins refuse, with their reasons.
        self.failures: Backoff[tuple[str, str]] = Backoff(FIRST_DELAY, LONGEST_DELAY, ATTEMPTS)
        self.idle: Backoff[tuple[str, str]] = Backoff(*IDLE_DELAYS, None)
        self.vetoes: Backoff[tuple[str, str]] = Backoff(*IDLE_DELAYS, None)
        #: Jobs whose attempt failed and that have another.
        self.retries: Backoff[tuple[str, str]] = Backoff(0.0, 0.0, None)
        self._tells_launched = hooks.active("pdt_job_launched")
        self._tells_finished = hooks.active("pdt_job_finished")
        self._asks_before_launch = hooks.active("pdt_should_launch")
        self._waiting_since: dict[str, float] = {}
        self.quotas = Quotas(tasks)
        self._wake = on_room
        #: Whether something has changed since nothing could be admitted.
        self._has_news = True
        self._checks: set[asyncio.Task[None]] = set()
        #: How often everything that was to be started was taken back.
        self._cleared = 0
        self._ordered = False
        #: Whether other controllers work on the pipeline: no more is claimed than can begin at once.
        self.shared = False
        self._began = now()
        self._transient = transient_leaves(tasks.values())

    def _on_room(self) -> None:
        self._has_news = True
        self._wake()

    def begin(self) -> None:
        """Forget what was given up in an earlier run."""
        self._began = now()
        for backoff in (self.failures, self.idle, self.vetoes):
            backoff.clear()
        self.quotas.failures.clear()
        for name, task in self._tasks.items():
            self.lanes[name].finished.clear()
            if isinstance(task, TrackedTask):
                task.blocked.clear()

    def open(self) -> None:
        """Begin to take records, also of the jobs that executors have from before."""
        self.commit.open()
        self.take_over()

    def take_over(self) -> None:
        """Follow the jobs that run although this launcher has not started them, and those to be tried again later."""
        for name, task in self._tasks.items():
            if not isinstance(task, TrackedTask):
                continue
            if task.is_changed:
                self.lanes[name].in_flight.update(task.running_jobs)
                task.is_changed = False
            for job, again in task.take_delayed().items():
                self.retries.failed((name, job), again.reason, again.seconds)

    # What is in flight.

    @property
    def in_flight(self) -> bool:
        """Whether any job is under way, or its record is."""
        return bool(self.commit.waiting) or any(lane.in_flight or not lane.idle for lane in self.lanes.values())

    @property
    def must_finish(self) -> bool:
        """Whether something is under way that would be lost with this controller."""
        if self.commit.waiting or self._checks:
            return True
        return any(
            not lane.idle or (lane.in_flight and not (isinstance(lane.task, TrackedTask) and lane.task.outlives))
            for lane in self.lanes.values()
        )

    @property
    def only_records_left(self) -> bool:
        """Whether all that is in flight are records on their way to their stores, and something waits for them."""
        under_way = sum(len(lane.in_flight) for lane in self.lanes.values())
        holding = under_way - sum(len(lane.freed) for lane in self.lanes.values())
        return self.commit.busy and under_way <= self.commit.waiting and bool(holding or not self.plan.levels)

    @property
    def queued(self) -> bool:
        """Whether a task has jobs that it has not begun to launch."""
        return any(lane.queue for lane in self.lanes.values())

    def begin_look(self) -> Mapping[str, Set[str]]:
        """Return, by task, a live view of the jobs that are in flight from now on, ended ones included."""
        for lane in self.lanes.values():
            lane.ended.clear()
        return _Busy(self.lanes)

    def take(self, view: View, priority: Callable[[str, str], int] | None) -> None:
        """Plan to start what a look found ready."""
        self._forget_withdrawn(view)
        self._ordered = priority is not None
        ready = {name: self._startable(name, found.jobs) for name, found in view.readiness.items()}
        self.plan = make_plan(ready, priority)
        self._has_news = True

    def _startable(self, name: str, jobs: Set[str]) -> Collection[str]:
        """Leave out the jobs that are to be tried later, or not again in this run."""
        task = self._tasks[name]
        blocked = task.blocked if isinstance(task, TrackedTask) else {}
        if not (self.failures or self.idle or self.vetoes or self.retries or blocked):
            return jobs
        return [job for job in jobs if job not in blocked and not self._must_wait((name, job))]

    def _forget_withdrawn(self, view: View) -> None:
        """Forget what was to be tried later, or not again, of jobs that are not ready any more."""
        for backoff in (self.failures, self.idle, self.vetoes, self.retries):
            for thing in backoff.things():
                name, job = thing
                found = view.readiness.get(name)
                if found is not None and (job in found.jobs or self.lanes[name].is_busy(job)):
                    continue
                if found is None or found.failure is None or not backoff.given_up(thing):
                    backoff.succeeded(thing)
        for name, repo in view.ready.items():
            if self.lanes[name].finished and repo in view.snapshot.keys:
                self.lanes[name].finished.intersection_update(view.snapshot.keys[repo])

    def _must_wait(self, thing: tuple[str, str]) -> bool:
        if self.failures.given_up(thing):
            return True
        return any(backoff.wait(thing) for backoff in (self.failures, self.idle, self.vetoes, self.retries))

    # Starting.

    async def dispatch(self) -> bool:
        """Start what the plan and the limits allow now, and tell whether anything was."""
        await self.quotas.give_back()
        if not self.plan.levels or not self._has_news:
            return False
        used, unknown = await self.quotas.usage()
        loads = {name: load for name, load in self.quotas.loads.items() if name not in unknown}
        now = time.monotonic()
        longest = sorted(self._waiting_since.items(), key=lambda item: item[1])
        waited = [name for name, since in longest if now - since >= self._patience]
        # Where there are priorities, nothing is taken on that cannot start before what comes after it.
        rooms = {name: lane.free if self._ordered else lane.room for name, lane in self.lanes.items()}
        if self.shared:
            rooms = {name: lane.share for name, lane in self.lanes.items()}
        rooms.update(dict.fromkeys(unknown, 0))
        # It takes all that it can: only something new makes another call worth its time.
        self._has_news = False
        admission = admit(self.plan, rooms, loads, used, self.quotas.caps, patient=waited, stuck=[*waited, *unknown])
        started, cleared = False, self._cleared
        for name, jobs in admission.chunks:
            if cleared != self._cleared:
                break
            self._waiting_since.pop(name, None)
            started = await self._start(self._tasks[name], jobs) or started
        self._note_waiting(admission.denials, now)
        return started

    def _note_waiting(self, denials: dict[str, Denial], now: float) -> None:
        for name, denial in denials.items():
            if name not in self.denials and self._hooks.active("pdt_resources_denied"):
                job = self.plan.next_job(name)
                self._notify("pdt_resources_denied", task=self._tasks[name], job=job, denial=denial)
        self.denials = denials
        left = self.plan.tasks()
        self._waiting_since = {name: self._waiting_since.get(name, now) for name in left}

    async def _start(self, task: Task, jobs: Sequence[str]) -> bool:
        """Reserve what a chunk of jobs needs, check the jobs again, and give them to the task's lane."""
        lane = self.lanes[task.name]
        wanted = self._not_vetoed(task, [job for job in jobs if job not in lane.in_flight])
        reserved = await self.quotas.reserve(task, wanted)
        hit("claim.reserved")
        if self.retries:
            for job in reserved:  # it has waited long enough, whatever comes of it now
                self.retries.succeeded((task.name, job))
        if len(reserved) < len(wanted):
            self._changed()
        lane.in_flight.update(reserved)
        if lane.claimed.issuperset(reserved):
            lane.claimed.difference_update(reserved)
            lane.give(reserved)
        elif self._ordered or all(repo.inline for repo in deciders(task, self._transient)):
            await self._check(task, reserved)
        elif reserved:
            # Not in a task group, and not waited for: a store that does not answer holds up its own tasks only.
            check = asyncio.get_running_loop().create_task(self._check(task, reserved))
            self._checks.add(check)
            check.add_done_callback(self._checks.discard)
        # Lets jobs that never wait run here and now, before the next chunk is taken on.
        await asyncio.sleep(0)
        for _ in reserved if self._ordered else ():  # each turn of the event loop begins one more
            if lane.queue:
                await asyncio.sleep(0)
        return bool(reserved)

    async def _check(self, task: Task, jobs: Sequence[str]) -> None:
        """Give jobs to their lane, unless something inhibits them by now: listings may have overlapped their end."""
        lane, cleared = self.lanes[task.name], self._cleared
        claimed = task if isinstance(task, TrackedTask) and task.claims else None
        lane.checking += len(jobs)
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                ready = await (self._claim(claimed, jobs) if claimed else still_ready(task, jobs, self._transient))
        except Exception as error:
            why = f"it did not answer within {CHECK_SECONDS:g} s" if isinstance(error, TimeoutError) else str(error)
            for job in jobs:
                self._try_later(task, job, f"what inhibits it could not be asked: {type(error).__name__}: {why}")
            ready = set()
        finally:
            lane.checking -= len(jobs)
        started = [job for job in jobs if job in ready and cleared == self._cleared]
        if len(started) < len(jobs):
            await self._take_back(task, set(jobs).difference(started))
        if claimed and claimed.is_changed:
            self.take_over()
            self._changed()
        lane.give(started)
        self._on_room()

    async def _claim(self, task: TrackedTask, jobs: Sequence[str]) -> set[str]:
        """Claim jobs, and return those that nobody else has claimed and nothing inhibits by now.

        Those that come next are claimed with them: as long as their claim stands, nobody else can start them.
        """
        await task.get_ready()
        if task.is_changed:  # it has taken over jobs just now: what was planned without them is planned anew
            return set()
        claimed = self.lanes[task.name].claimed
        ahead = [] if self.shared else self.plan.upcoming(task.name, CLAIM_AHEAD)
        wanted = [job for job in [*jobs, *ahead] if job not in claimed]
        won = await task.claim(wanted)
        ready = await still_ready(task, won, self._transient)
        if self.shared:
            self._note_lost(task, wanted, won)
            ready -= await self._done_elsewhere(task, ready)
        hit("claim.checked")
        claimed.update(ready.difference(task.running_jobs))
        if len(ready) < len(won):
            await task.unclaim(set(won) - ready)
        ready = claimed.intersection(jobs)
        claimed.difference_update(jobs)
        return ready

    def _note_lost(self, task: Task, wanted: Sequence[str], won: Sequence[str]) -> None:
        """See to it that jobs are tried again that other controllers have claimed: those may be gone by then."""
        for job in won:
            self.idle.succeeded((task.name, job))
        for job in set(wanted).difference(won):
            period = LOST_SECONDS[(task.name, job) in self.idle]
            delay = period - time.monotonic() % period
            self.idle.failed((task.name, job), "another controller works on it", delay)

    async def _done_elsewhere(self, task: TrackedTask, jobs: Set[str]) -> Set[str]:
        """Return the jobs that other controllers have done in this run, and that may be ready for ever."""
        if not task.has_ready_override:
            return frozenset()
        ended = await ended_since(task, jobs, self._began)
        self.lanes[task.name].finished.update(ended)
        return ended

    async def _take_back(self, task: Task, jobs: Collection[str]) -> None:
        if isinstance(task, TrackedTask):
            try:
                await task.unclaim(jobs)
            except Exception as error:  # the next controller finds claims that nothing came of
                logger.warning("claims of task %s are not taken back: %s", task.name, error, exc_info=error)
        for job in jobs:
            self._release(task, job)
        if isinstance(task, TrackedTask):
            self.lanes[task.name].in_flight.update(task.running_jobs)  # what was taken over meanwhile

    def _not_vetoed(self, task: Task, jobs: list[str]) -> list[str]:
        if not jobs or not self._asks_before_launch:
            return jobs
        refused = self._vetoes(task, jobs)
        for job in jobs:
            if job in refused:
                self.vetoes.failed((task.name, job), refused[job])
            else:
                self.vetoes.succeeded((task.name, job))
        return [job for job in jobs if job not in refused]

    async def cancel(self, task: TrackedTask, job: str) -> None:
        """Have a job end that is in flight, and be recorded as cancelled."""
        lane = self.lanes[task.name]
        if job not in lane.queue:
            await task.cancel(job)
            return
        lane.queue.remove(job)
        await task.cancel_waiting(job)

    # What becomes of what was started.

    def _release(self, task: Task, job: str) -> None:
        """Forget a job that is no longer in flight."""
        lane = self.lanes[task.name]
        self._has_news = True
        held = job in lane.in_flight and job not in lane.freed
        lane.in_flight.discard(job)
        lane.freed.discard(job)
        lane.ended.add(job)
        if held:
            self.quotas.ended(task)

    def free(self, task: Task, job: str) -> None:
        """Let others have what a job took, which has ended although its record is not written."""
        lane = self.lanes[task.name]
        if job in lane.in_flight and job not in lane.freed:
            lane.freed.add(job)
            if not self._hand_over(lane):
                self.quotas.ended(task)
                self._on_room()

    def _hand_over(self, lane: Lane) -> bool:
        """Start a task's next job with what one of its jobs needs no longer, where nobody else waits for that."""
        task, queue = lane.task, self.plan.only_queue(lane.task.name)
        manager = task.resource_manager
        if queue is None or manager is None or manager.quota.launches is not None or self.quotas.failures:
            return False
        job = queue[0]
        if job not in lane.claimed or job in lane.in_flight or self._asks_before_launch:
            return False
        self.plan.take(task.name)
        self._waiting_since.pop(task.name, None)
        self.retries.succeeded((task.name, job))
        lane.claimed.discard(job)
        lane.in_flight.add(job)
        lane.give([job])
        return True

    def _launched(self, task: Task, job: str) -> None:
        self.report.launched[task.name] += 1
        if self.failures and not (isinstance(task, TrackedTask) and (job in task.running_jobs or job in task.lost)):
            self.failures.succeeded((task.name, job))
        if not isinstance(task, TrackedTask):
            self._release(task, job)
            self.idle.failed((task.name, job), "its launch returned, but it is ready still")
            self._changed()
        elif job in task.blocked:
            self._block(task, job)
        elif job in task.again:
            self._start_again(task, job)
        if self._tells_launched:
            self._notify("pdt_job_launched", task=task, job=job)

    def release_ended(self) -> None:
        """Let go of jobs that an executor has ended without a record."""
        for task in self._tasks.values():
            if isinstance(task, TrackedTask):
                # Also of jobs that are not in flight: what is taken later would be of their next attempts.
                for job in task.take_unrecorded():
                    if job in task.blocked:
                        self._block(task, job)
                    elif job in task.again:
                        self._start_again(task, job)
                    elif job in task.lost:
                        self._release(task, job)
                        self._try_later(task, job, task.lost.pop(job))
                    else:
                        self._release(task, job)

    def _start_again(self, task: TrackedTask, job: str) -> None:
        """See to it that a job whose attempt has failed is started again when it is time."""
        seconds, reason = task.again.pop(job)
        self.retries.failed((task.name, job), reason, seconds)
        self.report.retried[task.name] += 1
        self._release(task, job)
        self._changed()

    def _block(self, task: TrackedTask, job: str) -> None:
        self._release(task, job)
        self.report.problem(f"{task.name} {job}: {task.blocked[job]}", backend=True)  # the job is not at fault
        self._changed()

    def _launch_failed(self, task: Task, job: str, error: BaseException) -> None:
        reason = f"{type(error).__name__}: {error}"
        logger.warning("launching %s %s failed: %s", task.name, job, reason, exc_info=error)
        self._try_later(task, job, reason)
        self._release(task, job)

    def _try_later(self, task: Task, job: str, reason: str) -> None:
        thing = (task.name, job)
        self.failures.failed(thing, reason)
        self._changed()

    def report_given_up(self) -> None:
        """Say which jobs could not be launched, those of one task and reason together."""
        jobs: dict[tuple[str, str], list[str]] = {}
        for (name, job), reason in self.failures.abandoned().items():
            jobs.setdefault((name, reason), []).append(job)
        for (name, reason), alike in jobs.items():
            others = f" (and {len(alike) - 1} other jobs of it)" if len(alike) > 1 else ""
            fix = BROKEN_FIX if "BrokenProcessPool" in reason or "worker of the executor" in reason else ""
            self.report.problem(f"{name} {min(alike)}{others}: could not be launched: {reason}{fix}")

    def _committed(self, jobs: list[Ended]) -> None:
        for task, _, job, outcome, _ in jobs:
            if task.has_ready_override or not task.metadata:  # it may be ready for ever
                self.lanes[task.name].finished.add(job)
            if self.failures:
                self.failures.succeeded((task.name, job))
            if self.retries:
                self.retries.succeeded((task.name, job))
            self._release(task, job)
            if outcome["success"] or task.failure_ok:
                self.report.succeeded[task.name] += 1
            else:
                self.report.failed[task.name] += 1
                self.report.last_failure = (task.name, job, outcome)
            if self._tells_finished:
                self._notify("pdt_job_finished", task=task, job=job, record=outcome)
        self._changed()

    def _commit_failed(self, jobs: list[Ended], reason: str) -> None:
        self.report.problem(f"jobs that ended are not recorded: {reason}" if jobs else reason, backend=True)
        for task, _, job, _, _ in jobs:
            self.lanes[task.name].finished.add(job)
            task.abandon([job])
            self._release(task, job)
        self._changed()

    # The end.

    def clear(self) -> None:
        """Start nothing more; what is under way goes on."""
        self._cleared += 1
        self.plan = Plan()
        for lane in self.lanes.values():
            lane.claimed.clear()
        for lane in self.lanes.values():
            for job in lane.withdraw():
                self._release(lane.task, job)
        for task in self._tasks.values():
            if isinstance(task, TrackedTask):
                task.withdraw()

    async def settle(self) -> None:
        """Wait until every launch has returned and every record that was taken is written."""
        while self._checks:
            await asyncio.wait(self._checks)
        for lane in self.lanes.values():
            await lane.drain()
            if isinstance(lane.task, TrackedTask):
                await lane.task.drain()
        await self.commit.flush()
        await self.quotas.give_back()

    async def close(self) -> None:
        """Cancel what is being launched, and write every record that was taken."""
        try:
            await cancel_and_wait(self._checks)
            for lane in self.lanes.values():
                await lane.close()
                lane.claimed.clear()
                if isinstance(lane.task, TrackedTask):
                    await lane.task.drain()
                    lane.task.is_changed = True
        finally:
            await self.commit.close()
        for lane in self.lanes.values():
            task = lane.task
            if isinstance(task, TrackedTask) and task.has_abandoned:
                await task.suspend()
            for job in lane.in_flight.difference(task.running_jobs if isinstance(task, TrackedTask) else ()):
                self._release(task, job)
        await self.quotas.give_back()


class _Busy(Mapping[str, Set[str]]):
    """By task, the jobs that are not to be started, read when they are asked for."""

    def __init__(self, lanes: Mapping[str, Lane]) -> None:
        self._lanes = lanes

    def __getitem__(self, name: str) -> Set[str]:
        return self._lanes[name].busy

    def __iter__(self) -> Iterator[str]:
        return iter(self._lanes)

    def __len__(self) -> int:
        return len(self._lanes)
