"""Quotas: what is admitted, what is given back, and the defects of the predecessor that must not come back."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import pdt
from pdt import ResourceManager, Resources, ResourceType
from pdt.task.blocking import complete

ONE = Resources.parse(1, "1Gi", 1)


def quota(cpu: Any, mem: Any = "100Gi", launches: Any = None) -> ResourceManager:
    return ResourceManager(Resources.parse(cpu, mem, launches))


async def test_reserves_until_the_quota_is_reached() -> None:
    manager = quota(2)
    assert manager.quota == Resources.parse(2, "100Gi")
    assert [await manager.reserve(ONE) for _ in range(3)] == [None, None, ResourceType.CPU]
    assert await manager.usage() == Resources.parse(2, "2Gi", 2)
    await manager.relinquish(ONE)
    assert await manager.usage() == Resources.parse(1, "1Gi", 1)
    assert await manager.reserve(ONE) is None


@pytest.mark.parametrize(
    ("manager", "limiting"),
    [(quota(0), ResourceType.CPU), (quota(9, "1Mi"), ResourceType.MEM), (quota(9, "9Gi", 0), ResourceType.RATE)],
)
async def test_names_what_limits_and_reserves_nothing(manager: ResourceManager, limiting: ResourceType) -> None:
    assert await manager.reserve(ONE) is limiting
    assert await manager.usage() == Resources.zero()
    assert manager.can_ever_fit(ONE) is limiting
    assert manager.can_ever_fit(Resources.zero()) is None


async def test_what_can_fit_alone_may_have_to_wait() -> None:
    manager = quota(1)
    await manager.reserve(ONE)
    assert await manager.reserve(ONE) is ResourceType.CPU
    assert manager.can_ever_fit(ONE) is None


async def test_registered_callbacks_say_what_is_in_use_at_the_start() -> None:
    manager = quota(4)
    asked = []

    def source(number: int) -> Any:
        async def load() -> Resources:
            asked.append(number)
            return Resources.parse(number, 0, number)

        return load

    manager.register(source(1))
    manager.register(func=source(2))
    assert asked == []
    assert await manager.usage() == Resources.parse(3, 0, 3)
    assert await manager.reserve(ONE) is None
    assert await manager.reserve(ONE) is ResourceType.CPU
    assert asked == [1, 2]


async def test_a_load_without_launches_counts_none() -> None:
    async def load() -> Resources:
        return Resources.parse(1, 0)

    manager = quota(4, "1Gi", 1)
    manager.register(load)
    assert await manager.usage() == Resources.parse(1, 0, 0)


async def test_a_callback_that_fails_reserves_nothing() -> None:
    async def load() -> Resources:
        raise pdt.BackendError("the executor is away")

    manager = quota(4)
    manager.register(load)
    for _ in range(2):
        with pytest.raises(pdt.BackendError, match="away"):
            await manager.reserve(ONE)


async def test_flush_asks_anew() -> None:
    alive = [ONE]

    async def load() -> Resources:
        return sum(alive, Resources.zero())

    manager = quota(3)
    manager.register(load)
    await manager.reserve(ONE)
    assert await manager.usage() == ONE * 2
    alive.append(ONE)  # what was reserved is alive by now
    await manager.flush()
    assert await manager.usage() == ONE * 2
    alive.clear()
    await manager.flush()
    assert await manager.usage() == Resources.zero()


@pytest.mark.parametrize("slow", [False, True])
async def test_of_a_hundred_at_once_a_quota_of_three_admits_three(slow: bool) -> None:
    manager = quota(3)

    async def load() -> Resources:
        if slow:
            await asyncio.sleep(0.001)
        return Resources.zero()

    manager.register(load)
    granted = []

    async def reserve() -> None:
        if await manager.reserve(ONE) is None:
            granted.append(1)

    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(reserve())
    assert len(granted) == 3
    assert await manager.usage() == ONE * 3


async def test_a_flush_while_the_callbacks_are_asked_makes_their_answer_old() -> None:
    manager = quota(3)
    alive, asked, answer = [ONE], asyncio.Event(), asyncio.Event()

    async def load() -> Resources:
        now = sum(alive, Resources.zero())
        asked.set()
        await answer.wait()
        return now

    manager.register(load)
    usage = asyncio.get_running_loop().create_task(manager.usage())
    await asked.wait()
    alive.clear()
    await manager.flush()
    answer.set()
    assert await usage == Resources.zero()


@pytest.mark.parametrize(
    "request_", [Resources(Decimal(-1)), Resources(mem=Decimal(-1)), Resources(launches=-1)], ids=repr
)
async def test_a_negative_request_cannot_make_room(request_: Resources) -> None:
    manager = quota(1)
    for operation in (manager.reserve(request_), manager.relinquish(request_)):
        with pytest.raises(ValueError, match="it is negative"):
            await operation
    assert await manager.usage() == Resources.zero()


async def test_reports_negative_loads_of_nobody() -> None:
    manager = quota(2)
    await manager.reserve(ONE)
    for _ in range(5):
        await manager.relinquish(ONE)
    assert await manager.usage() == Resources.zero()


# The predecessor's defects, by the numbers that its list gives them.


async def test_p1_a_quota_of_three_launches_permits_three() -> None:
    manager = quota(100, "100Gi", 3)
    assert [await manager.reserve(Resources()) for _ in range(4)] == [None, None, None, ResourceType.RATE]


async def test_p2_the_documented_construction_starts_jobs() -> None:
    manager = ResourceManager(Resources.parse(cpu="1000m", mem="1Gi"))
    job = Resources.parse("100m", "256Mi")
    assert [await manager.reserve(job) for _ in range(5)] == [None, None, None, None, ResourceType.MEM]
    limited = ResourceManager(Resources.parse("1000m", "1Gi", 2))
    assert [await limited.reserve(job) for _ in range(3)] == [None, None, ResourceType.RATE]
    for _ in range(2):
        await limited.relinquish(job)
    assert await limited.usage() == Resources.zero()


async def test_p3_giving_back_too_often_admits_no_more_than_the_quota() -> None:
    manager = quota(2)
    for _ in range(2):
        assert await manager.reserve(ONE) is None
    for _ in range(3):
        await manager.relinquish(ONE)
    assert await manager.usage() == Resources.zero()
    assert [await manager.reserve(ONE) for _ in range(3)] == [None, None, ResourceType.CPU]


@pytest.mark.parametrize("asked_between", [False, True])
async def test_p3_giving_back_after_a_flush_does_not_subtract_twice(asked_between: bool) -> None:
    alive = [ONE, ONE]

    async def load() -> Resources:
        return sum(alive, Resources.zero())

    manager = quota(2)
    manager.register(load)
    await manager.usage()
    await manager.flush()
    if asked_between:
        assert await manager.usage() == ONE * 2
    alive.pop()  # one ends, and is given back
    await manager.relinquish(ONE)
    assert await manager.usage() == ONE
    assert [await manager.reserve(ONE) for _ in range(2)] == [None, ResourceType.CPU]


async def test_p3_giving_back_while_the_callbacks_are_asked_is_not_lost() -> None:
    manager = quota(2)
    alive, asked, answer = [ONE, ONE], asyncio.Event(), asyncio.Event()

    async def load() -> Resources:
        now = sum(alive, Resources.zero())
        asked.set()
        await answer.wait()
        return now

    manager.register(load)
    usage = asyncio.get_running_loop().create_task(manager.usage())
    await asked.wait()
    alive.pop()
    await manager.relinquish(ONE)
    answer.set()
    assert await usage == ONE


class ManagerMachine(RuleBasedStateMachine):
    """A manager beside a list of what is alive."""

    def __init__(self) -> None:
        super().__init__()
        self.manager = quota(4, "8Gi", 5)
        self.alive: list[Resources] = []

        async def load() -> Resources:
            return sum(self.alive, Resources.zero())

        self.manager.register(load)

    @rule(cpu=st.integers(0, 5), mem=st.integers(0, 9))
    def start(self, cpu: int, mem: int) -> None:
        request = Resources.parse(cpu, mem * 2**30, 1)
        limiting = complete(self.manager.reserve(request))
        together = sum(self.alive, Resources.zero()) + request
        assert limiting == together.excess(self.manager.quota)
        if limiting is None:
            self.alive.append(request)

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        if self.alive:
            ended = self.alive.pop(data.draw(st.integers(0, len(self.alive) - 1)))
            complete(self.manager.relinquish(ended))

    @rule()
    def flush(self) -> None:
        complete(self.manager.flush())

    @invariant()
    def usage_is_what_is_alive_and_within_the_quota(self) -> None:
        usage = complete(self.manager.usage())
        assert usage == sum(self.alive, Resources.zero())
        assert usage.excess(self.manager.quota) is None


def test_usage_is_always_what_is_alive() -> None:
    limits = settings(max_examples=50, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(ManagerMachine, settings=limits)
