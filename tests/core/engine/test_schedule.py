"""Scheduling: nothing lost, nothing over a quota, priorities strict, and nobody starved."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdt import Resources, ResourceType
from pdt.engine.schedule import CHUNK, Admission, Load, Plan, admit, make_plan
from tests.core.engine.samples import amount

CAP = amount(4, 100, None)


@dataclass
class Situation:
    """Everything that a decision depends on."""

    ready: dict[str, set[str]]
    priorities: dict[tuple[str, str], int]
    rooms: dict[str, int]
    loads: dict[str, Load]
    used: dict[int, Resources]
    quotas: dict[int, Resources]
    patient: list[str]
    stuck: set[str]

    def plan(self) -> Plan:
        return make_plan(self.ready, lambda task, job: self.priorities[task, job])

    def admit(self, plan: Plan) -> Admission:
        return admit(plan, self.rooms, self.loads, self.used, self.quotas, patient=self.patient, stuck=self.stuck)


def waiting(plan: Plan) -> Counter[tuple[int, str, str]]:
    return Counter((level, task, job) for level, queues in plan.levels for task in queues for job in queues[task])


quantities = st.builds(amount, st.sampled_from([0, 0.5, 1, 2, 3, 5]), st.integers(0, 120), st.integers(0, 3))
quotas = st.builds(amount, st.integers(0, 8), st.integers(0, 200), st.none() | st.integers(0, 20))


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    tasks = [f"t{number}" for number in range(draw(st.integers(1, 4)))]
    most = draw(st.sampled_from([3, 3, CHUNK + 5]))
    ready = {task: {f"j{number}" for number in range(draw(st.integers(0, most)))} for task in tasks}
    managers = {number: draw(quotas) for number in range(2)}
    loads = {task: Load(draw(st.sampled_from([0, 1])), draw(quantities)) for task in tasks if draw(st.booleans())}
    return Situation(
        ready,
        {(task, job): draw(st.integers(0, 2)) for task in tasks for job in sorted(ready[task])[:6]}
        | {(task, job): 1 for task in tasks for job in sorted(ready[task])[6:]},
        {task: draw(st.sampled_from([0, 1, 2, 200])) for task in tasks},
        loads,
        {number: draw(quantities) for number in managers},
        managers,
        draw(st.lists(st.sampled_from(tasks), unique=True)),
        draw(st.sets(st.sampled_from(tasks))),
    )


@settings(max_examples=150, deadline=None)
@given(situations())
def test_every_planned_job_is_admitted_once_or_still_planned(found: Situation) -> None:
    plan = found.plan()
    before = waiting(plan)
    assert sum(before.values()) == len(plan) == sum(map(len, found.ready.values()))
    admission = found.admit(plan)
    admitted = Counter((found.priorities[task, job], task, job) for task, jobs in admission.chunks for job in jobs)
    assert admitted + waiting(plan) == before
    assert all(jobs for _, jobs in admission.chunks)
    assert all(queue for _, queues in plan.levels for queue in queues.values())


@settings(max_examples=150, deadline=None)
@given(situations())
def test_neither_quota_nor_room_is_exceeded(found: Situation) -> None:
    admission = found.admit(found.plan())
    counts: Counter[str] = Counter()
    taken = dict(found.used)
    for task, jobs in admission.chunks:
        assert len(jobs) <= CHUNK
        counts[task] += len(jobs)
        if task in found.loads:
            load = found.loads[task]
            taken[load.manager] += load.request * len(jobs)
            assert taken[load.manager].excess(found.quotas[load.manager]) is None
    for task, count in counts.items():
        assert count <= found.rooms[task]


@settings(max_examples=150, deadline=None)
@given(situations())
def test_a_lower_priority_starts_only_after_every_higher_one_that_is_not_denied(found: Situation) -> None:
    plan = found.plan()
    admission = found.admit(plan)
    started = [found.priorities[task, job] for task, jobs in admission.chunks for job in jobs]
    assert started == sorted(started, reverse=True)
    if started:
        for level, task, _ in waiting(plan):
            if level > started[-1]:
                assert task in admission.denials or task in found.stuck


@settings(max_examples=150, deadline=None)
@given(situations())
def test_a_denial_names_a_limit_that_is_exceeded(found: Situation) -> None:
    plan = found.plan()
    admission = found.admit(plan)
    left = {task for _, task, _ in waiting(plan)}
    assert set(admission.denials) <= left
    for task, denial in admission.denials.items():
        load = found.loads[task]
        quota = found.quotas[load.manager]
        assert denial.wanted == load.request.amount(denial.resource)
        assert denial.cap == quota.amount(denial.resource)
        assert denial.used + denial.wanted > denial.cap  # type: ignore[operator]
        assert found.rooms[task] > 0


@settings(max_examples=150, deadline=None)
@given(situations())
def test_what_has_room_and_fits_does_not_stay_behind(found: Situation) -> None:
    """Whatever is left of the highest priority has no room, or is denied."""
    plan = found.plan()
    admission = found.admit(plan)
    counts = Counter(dict.fromkeys(found.ready, 0))
    for task, jobs in admission.chunks:
        counts[task] += len(jobs)
    if plan.levels:
        for task in plan.levels[0][1]:
            assert task in admission.denials or counts[task] == found.rooms[task]


def test_higher_priorities_go_first_even_if_they_have_to_wait_for_room() -> None:
    plan = make_plan({"a": ["1", "2"], "b": ["1"]}, lambda task, job: 5 if task == "a" else 0)
    rooms = {"a": 1, "b": 10}
    assert admit(plan, rooms, {}, {}, {}).chunks == [("a", ["1"])]
    assert admit(plan, {"a": 0, "b": 10}, {}, {}, {}).chunks == []
    assert admit(plan, rooms, {}, {}, {}).chunks == [("a", ["2"]), ("b", ["1"])]
    assert not plan.levels


def test_a_task_that_has_had_no_room_for_too_long_is_not_waited_for() -> None:
    plan = make_plan({"a": ["1"], "b": ["1"]}, lambda task, job: 5 if task == "a" else 0)
    assert admit(plan, {"a": 0, "b": 10}, {}, {}, {}, stuck=["a"]).chunks == [("b", ["1"])]
    assert plan.next_job("a") == "1"


def test_what_a_denied_job_leaves_free_is_used_by_others() -> None:
    loads = {"big": Load(0, amount(3, 0)), "small": Load(0, amount(1, 0))}
    plan = make_plan({"big": ["1"], "small": ["1", "2", "3"]}, lambda task, job: 5 if task == "big" else 0)
    admission = admit(plan, {"big": 9, "small": 9}, loads, {0: amount(2, 0, 0)}, {0: CAP})
    assert admission.chunks == [("small", ["1", "2"])]
    big, small = admission.denials["big"], admission.denials["small"]
    assert (big.resource, big.wanted, big.used, big.cap, big.held) == (ResourceType.CPU, 3, 2, 4, False)
    assert (small.wanted, small.used, small.cap, small.held) == (1, 4, 4, False)


def test_what_a_job_needs_is_held_for_it_once_it_has_waited_long_enough() -> None:
    loads = {"big": Load(0, amount(3, 0)), "small": Load(0, amount(1, 0))}
    plan = make_plan({"big": ["1"], "small": ["1", "2"]})
    used = {0: amount(2, 0, 0)}
    admission = admit(plan, {"big": 9, "small": 9}, loads, used, {0: CAP}, patient=["big"])
    assert admission.chunks == []
    assert not admission.denials["big"].held
    assert admission.denials["small"].held
    assert admission.denials["small"].used == 5
    admission = admit(plan, {"big": 9, "small": 9}, loads, {0: amount(1, 0, 0)}, {0: CAP}, patient=["big"])
    assert admission.chunks == [("big", ["1"])]


def test_nothing_is_held_for_a_job_that_never_fits() -> None:
    loads = {"huge": Load(0, amount(5, 0)), "small": Load(0, amount(1, 0))}
    plan = make_plan({"huge": ["1"], "small": ["1", "2"]})
    admission = admit(plan, {"huge": 9, "small": 9}, loads, {0: Resources.zero()}, {0: CAP}, patient=["huge"])
    assert admission.chunks == [("small", ["1", "2"])]


def test_tasks_of_one_priority_take_turns() -> None:
    plan = make_plan({task: [f"{number:04}" for number in range(500)] for task in ("a", "b", "c")})
    admission = admit(plan, {"a": 500, "b": 500, "c": 500}, {}, {}, {})
    ahead: Counter[str] = Counter()
    for task, jobs in admission.chunks:
        ahead[task] += len(jobs)
        assert max(ahead.values()) - min(ahead[name] for name in ("a", "b", "c")) <= CHUNK
    assert ahead == Counter(a=500, b=500, c=500)


def test_jobs_of_one_task_start_in_their_order() -> None:
    plan = make_plan({"a": {"c", "a", "b"}})
    assert plan.next_job("a") == "a"
    assert plan.waiting("a") == 3
    assert plan.tasks() == {"a"}
    assert admit(plan, {"a": 9}, {}, {}, {}).chunks == [("a", ["a", "b", "c"])]


def test_a_plan_tells_the_only_queue_and_gives_its_jobs_one_by_one() -> None:
    plan = make_plan({"a": {"1", "2"}})
    assert plan.only_queue("b") is None
    assert list(plan.only_queue("a") or ()) == ["1", "2"]
    assert [plan.take("a"), plan.take("a")] == ["1", "2"]
    assert plan.levels == []
    assert plan.only_queue("a") is None


def test_a_task_beside_others_or_with_several_priorities_has_not_the_only_queue() -> None:
    assert make_plan({"a": {"1"}, "b": {"1"}}).only_queue("a") is None
    assert make_plan({"a": {"1", "2"}}, lambda task, job: int(job)).only_queue("a") is None


def test_priorities_are_of_jobs_rather_than_of_tasks() -> None:
    plan = make_plan({"a": ["1", "2"], "b": ["1"]}, lambda task, job: int(job) if task == "a" else 1)
    assert plan.levels == [(2, {"a": deque("2")}), (1, {"a": deque("1"), "b": deque("1")})]


@dataclass
class Simulated:
    """A day at a quota, with time that passes in steps: jobs arrive, start and end.

    :param patience: how long a task waits before what its next job needs is held for it.
    """

    loads: dict[str, Load]
    duration: dict[str, int]
    arrivals: dict[int, dict[str, list[str]]]
    priority: dict[str, int]
    patience: int
    started: dict[tuple[str, str], int] = field(default_factory=dict)

    def run(self, until: int) -> None:
        ready: dict[str, list[str]] = {task: [] for task in self.loads}
        running: list[tuple[int, str]] = []
        waiting_since: dict[str, int] = {}
        for now in range(until):
            for task, jobs in self.arrivals.get(now, {}).items():
                ready[task] += jobs
            running = [(end, task) for end, task in running if end > now]
            used = Resources.zero()
            for _, task in running:
                used += self.loads[task].request
            assert used.excess(CAP) is None
            plan = make_plan(ready, lambda task, job: self.priority[task])
            longest = sorted(waiting_since.items(), key=lambda item: item[1])
            patient = [task for task, since in longest if now - since >= self.patience]
            rooms = dict.fromkeys(self.loads, 100)
            admission = admit(plan, rooms, self.loads, {0: used}, {0: CAP}, patient=patient, stuck=patient)
            for task, jobs in admission.chunks:
                waiting_since.pop(task, None)
                for job in jobs:
                    self.started[task, job] = now
                    running.append((now + self.duration[task], task))
                    ready[task].remove(job)
            waiting_since = {task: waiting_since.get(task, now) for task in plan.tasks()}


@settings(max_examples=25, deadline=None)
@given(
    small_cpu=st.sampled_from([1, 2]),
    small_duration=st.integers(1, 9),
    big_duration=st.integers(1, 9),
    patience=st.integers(1, 20),
    big_priority=st.integers(0, 1),
    bigs=st.integers(1, 3),
)
def test_a_denied_job_is_not_starved_by_a_stream_of_smaller_ones(
    small_cpu: int, small_duration: int, big_duration: int, patience: int, big_priority: int, bigs: int
) -> None:
    """Small jobs that arrive for ever would always take what a big one needs, were nothing held for it."""
    stream: dict[int, dict[str, list[str]]] = {
        now: {"small": [f"s{now}-{number}" for number in range(2)]} for now in range(200)
    }
    stream[3]["big"] = [f"b{number}" for number in range(bigs)]
    simulated = Simulated(
        {"small": Load(0, amount(small_cpu, 1)), "big": Load(0, amount(4, 1))},
        {"small": small_duration, "big": big_duration},
        stream,
        {"small": 0, "big": big_priority},
        patience,
    )
    simulated.run(200)
    began = sorted(
        simulated.started["big", f"b{number}"] for number in range(bigs) if ("big", f"b{number}") in simulated.started
    )
    assert len(began) == bigs
    previous = 3
    for start in began:
        # Until it is patient; until those who were patient before it are done; until what runs has ended.
        assert start - previous <= 2 * patience + 2 * (small_duration + big_duration) + 2
        previous = start
    assert any(task == "small" for task, _ in simulated.started)


def test_without_patience_running_out_a_stream_of_small_jobs_does_starve_a_big_one() -> None:
    """What patience is for."""
    stream: dict[int, dict[str, list[str]]] = {now: {"small": [f"s{now}"]} for now in range(300)}
    stream[3]["big"] = ["b"]
    loads = {"small": Load(0, amount(1, 1)), "big": Load(0, amount(4, 1))}
    simulated = Simulated(loads, {"small": 2, "big": 2}, stream, {"small": 0, "big": 5}, 10**6)
    simulated.run(300)
    assert ("big", "b") not in simulated.started


@pytest.mark.parametrize("used", [amount(4, 0, 0), amount(0, 100, 0)])
def test_each_limit_denies_by_its_own_name(used: Resources) -> None:
    plan = make_plan({"a": ["1"]})
    admission: Any = admit(plan, {"a": 1}, {"a": Load(0, amount(1, 1))}, {0: used}, {0: CAP})
    assert admission.denials["a"].resource is (ResourceType.CPU if used.cpu else ResourceType.MEM)
