"""Which of the jobs that may start do, and which limit holds back the others: a pure decision."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from ..resource_manager import Resources
from ..resource_manager.resources import Resource

__all__ = ["Admission", "Denial", "Load", "Plan", "admit", "make_plan"]

#: Jobs of one task that go together: checked again together, and no more of a task before its peers' turn.
CHUNK = 64


@dataclass
class Plan:
    """The jobs to start: by priority, the highest first; within it by task, each task's jobs in order.

    :param levels: for each priority the waiting jobs of each task, by the task's name.
    """

    levels: list[tuple[int, dict[str, deque[str]]]] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(queue) for _, queues in self.levels for queue in queues.values())

    def tasks(self) -> set[str]:
        """Return the tasks that have jobs still to be started."""
        return {task for _, queues in self.levels for task in queues}

    def next_job(self, task: str) -> str:
        """Return the job of `task` that is to be started next."""
        return next(queues[task][0] for _, queues in self.levels if task in queues)

    def upcoming(self, task: str, count: int) -> list[str]:
        """Return the next `count` jobs of `task`, or as many as there are."""
        queues = (queues[task] for _, queues in self.levels if task in queues)
        return list(islice(chain.from_iterable(queues), count))

    def only_queue(self, task: str) -> deque[str] | None:
        """Return the waiting jobs of `task`, in order, if it is the only one that has any and they are all alike."""
        if len(self.levels) != 1:
            return None
        queues = self.levels[0][1]
        return queues.get(task) if len(queues) == 1 else None

    def take(self, task: str) -> str:
        """Take out the next job of a task, and return it."""
        level = next(level for level in self.levels if task in level[1])
        queues = level[1]
        job = queues[task].popleft()
        if not queues[task]:
            del queues[task]
        if not queues:
            self.levels.remove(level)
        return job

    def waiting(self, task: str) -> int:
        """Return how many jobs of `task` are still to be started."""
        return sum(len(queues[task]) for _, queues in self.levels if task in queues)


def make_plan(ready: Mapping[str, Collection[str]], priority: Callable[[str, str], int] | None = None) -> Plan:
    """Put the ready jobs in order.

    :param ready: the jobs that may start, by task.
    :param priority: from a task and a job to a number; larger ones first.
    """
    levels: dict[int, dict[str, deque[str]]] = {}
    for task, jobs in ready.items():
        if priority is None:
            if jobs:
                levels.setdefault(0, {})[task] = deque(sorted(jobs))
            continue
        for job in sorted(jobs):
            levels.setdefault(priority(task, job), {}).setdefault(task, deque()).append(job)
    return Plan(sorted(levels.items(), reverse=True))


@dataclass(frozen=True)
class Load:
    """What a task's jobs ask of a quota.

    :param manager: tells the quotas apart.
    :param request: what one job takes.
    """

    manager: int
    request: Resources


@dataclass(frozen=True)
class Denial:
    """The limit that holds a task's next job back.

    :param resource: the resource that is short.
    :param wanted: how much of it one job takes.
    :param used: how much of it is taken, what is held for jobs that waited longer included.
    :param cap: how much of it there is.
    :param held: whether the job would fit, were nothing held for others.
    """

    resource: Resource
    wanted: object
    used: object
    cap: object
    held: bool = False


@dataclass
class Admission:
    """What may start now.

    :param chunks: the tasks and jobs to start, in order.
    :param denials: by task, the limit that holds its next job back.
    """

    chunks: list[tuple[str, list[str]]] = field(default_factory=list)
    denials: dict[str, Denial] = field(default_factory=dict)


def admit(
    plan: Plan,
    rooms: Mapping[str, int],
    loads: Mapping[str, Load],
    used: Mapping[int, Resources],
    quotas: Mapping[int, Resources],
    patient: Sequence[str] = (),
    stuck: Collection[str] = (),
) -> Admission:
    """Take from `plan` the jobs that may start now.

    A priority's jobs go before any of a lower one, even if they have to wait for room. What a quota denies them, lower
    ones may use, unless a task in `patient` waits for it. Within a priority the patient go first, then each task
    in turn, also from one call to the next.

    :param plan: the jobs to start; those that are taken are removed from it.
    :param rooms: by task, how many jobs it can take on now.
    :param loads: by task, what a job asks of a quota; a task without one is not limited.
    :param used: by quota, what is taken.
    :param quotas: the quotas.
    :param patient: tasks whose next job has been denied for too long, the longest first: what it needs is held for it.
    :param stuck: tasks that have had no room for too long: lower priorities no longer wait for them.
    """
    admission = Admission()
    rooms = dict(rooms)
    taken = dict(used)
    held: dict[int, Resources] = {}
    turn = {task: index for index, task in enumerate(patient)}
    for _, queues in plan.levels:
        turns = deque(sorted(queues, key=lambda task: turn.get(task, len(turn))))
        while turns:
            task = turns.popleft()
            queue = queues[task]
            load = loads.get(task)
            count = most = min(len(queue), rooms.get(task, 0), CHUNK)
            if load is not None and most:
                manager, quota = load.manager, quotas[load.manager]
                count = _fitting(load.request, most, _sum(taken[manager], held.get(manager)), quota)
                taken[manager] += load.request * count
                if count < most and task not in admission.denials:
                    admission.denials[task] = _denial(load.request, taken[manager], held.get(manager), quota)
                    if task in turn and load.request.excess(quota) is None:
                        held[manager] = _sum(load.request, held.get(manager))
            if count:
                admission.chunks.append((task, [queue.popleft() for _ in range(count)]))
                rooms[task] -= count
                if queue and task not in admission.denials:
                    turns.append(task)
        if any(queue and task not in admission.denials and task not in stuck for task, queue in queues.items()):
            break
    served = {task for task, _ in admission.chunks}
    plan.levels = [
        (priority, {task: queues[task] for task in sorted(queues, key=served.__contains__) if queues[task]})
        for priority, queues in plan.levels
        if any(queues.values())
    ]
    return admission


def _sum(amount: Resources, other: Resources | None) -> Resources:
    return amount if other is None else amount + other


def _fitting(request: Resources, most: int, taken: Resources, quota: Resources) -> int:
    """Return how many jobs, at most `most`, fit together."""
    count = 0
    while count < most:
        taken += request
        if taken.excess(quota) is not None:
            break
        count += 1
    return count


def _denial(request: Resources, taken: Resources, held: Resources | None, quota: Resources) -> Denial:
    """Say which limit the next job exceeds."""
    before = _sum(taken, held)
    resource = (before + request).excess(quota)
    assert resource is not None  # noqa: S101  else it would have fitted
    return Denial(
        resource,
        wanted=request.amount(resource),
        used=before.amount(resource),
        cap=quota.amount(resource),
        held=held is not None and (taken + request).excess(quota) is None,
    )
