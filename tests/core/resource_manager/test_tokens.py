"""Tokens: granted in one step or not at all, again without taking more, and given back once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import pdt
from pdt import ResourceManager, Resources, ResourceType
from pdt.resource_manager.allocation import (
    AllocationStatus,
    DuplicateNamespaceError,
    QuotaRangeError,
    TokenConflictError,
    UnknownNamespaceError,
)
from pdt.resource_manager.scopes import Cap, Constraints, Scope, most_of
from pdt.resource_manager.tokens import Tokens

ONE = Resources.parse(1, 0, 0)
EVERYTHING = Scope()
GRANTED, EXHAUSTED = AllocationStatus.GRANTED, AllocationStatus.EXHAUSTED
EXCEEDED = AllocationStatus.NAMESPACE_QUOTA_EXCEEDED


def cores(number: int) -> Resources:
    return Resources.parse(number, "1Gi", None)


async def test_a_quota_is_granted_until_it_is_exhausted() -> None:
    manager = ResourceManager(cores(2))
    assert (await manager.allocate("a", ONE)).is_granted
    assert (await manager.allocate("b", ONE)).is_granted
    denied = await manager.allocate("c", ONE)
    assert (denied.status, denied.is_granted) == (EXHAUSTED, False)
    shortfall = denied.shortfall
    assert shortfall is not None
    assert (shortfall.resource, shortfall.wanted, shortfall.used, shortfall.cap) == (ResourceType.CPU, 1, 2, 2)
    assert shortfall.scope == "the quota"
    assert await manager.release("a")
    assert (await manager.allocate("c", ONE)).is_granted


async def test_what_a_token_holds_it_is_granted_again_also_if_the_quota_is_less_by_now() -> None:
    manager = ResourceManager(cores(1))
    for _ in range(3):
        assert (await manager.allocate("a", ONE)).is_granted
    manager.quota = cores(0)
    assert (await manager.allocate("a", ONE)).is_granted
    assert (await manager.allocate("b", ONE)).status is EXHAUSTED
    assert [await manager.release("a"), await manager.release("a"), await manager.release("never")] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("changed", [{"request": cores(1)}, {"namespace": "n"}, {"scope": ("p",)}])
async def test_a_token_holds_one_thing(changed: dict[str, Any]) -> None:
    manager = ResourceManager(cores(4))
    manager.register_namespace("n", cores(1))
    await manager.allocate("a", ONE)
    with pytest.raises(TokenConflictError, match=r"token 'a' holds .*\nfix: release it"):
        await manager.allocate(**{"token": "a", "request": ONE, **changed})
    assert (await manager.check(cores(4)))[0].used == 1


async def test_all_or_nothing_and_a_dry_run_tells_all_of_it() -> None:
    manager = ResourceManager(Resources.parse(4, 100, gpu=1))
    manager.cap(Scope(project="p"), 0.5)
    assert (await manager.allocate("a", Resources.parse(1, 40), scope=("", "p"))).is_granted
    request = Resources.parse(4, 50, gpu=2)
    found = await manager.check(request, scope=("", "p", "n"), constraints=Constraints(namespace=0))
    assert [(each.status, each.scope, each.resource) for each in found] == [
        (EXHAUSTED, "the quota", ResourceType.CPU),
        (EXHAUSTED, "the quota", ResourceType.GPU),
        *[
            (EXCEEDED, "namespace n of project p", short)
            for short in (ResourceType.CPU, ResourceType.MEM, ResourceType.GPU)
        ],
        *[(EXCEEDED, "project p", short) for short in (ResourceType.CPU, ResourceType.MEM, ResourceType.GPU)],
    ]
    assert not (await manager.allocate("b", request, scope=("", "p", "n"))).is_granted
    assert await manager.check(Resources.parse(3, 60, gpu=1)) == []


async def test_what_is_reserved_without_a_token_counts_and_the_other_way_round() -> None:
    manager = ResourceManager(cores(3))
    assert await manager.reserve(Resources.parse(2, 0)) is None
    assert (await manager.allocate("a", ONE)).is_granted
    assert (await manager.allocate("b", ONE)).status is EXHAUSTED
    assert await manager.reserve(ONE) is ResourceType.CPU
    await manager.flush()  # nobody reports the two any more, and the token holds its own still
    assert await manager.reserve(Resources.parse(3, 0)) is ResourceType.CPU
    assert await manager.reserve(Resources.parse(2, 0)) is None


async def test_namespaces_have_quotas_of_their_own() -> None:
    manager = ResourceManager(cores(1))
    manager.register_namespace("spark:big", cores(2))
    for token in "ab":
        assert (await manager.allocate(token, ONE, namespace="spark:big")).is_granted
    denied = await manager.allocate("c", ONE, namespace="spark:big")
    assert denied.shortfall is not None
    assert denied.shortfall.scope == "spark:big"
    assert (await manager.allocate("c", ONE)).is_granted


async def test_bad_namespaces(tmp_path: object) -> None:
    manager = ResourceManager(cores(1), maximum=cores(5))
    manager.register_namespace("a", cores(5))
    with pytest.raises(DuplicateNamespaceError, match="resource namespace 'a' has a quota already"):
        manager.register_namespace("a", cores(1))
    for quota in (Resources.parse(0, 0), ONE - cores(1) - ONE):
        with pytest.raises(QuotaRangeError, match="the quota of 'b' is"):
            manager.register_namespace("b", quota)
    with pytest.raises(QuotaRangeError, match="more than the maximum"):
        manager.register_namespace("b", cores(6))
    for call in (manager.allocate("t", ONE, namespace="b"), manager.check(ONE, namespace="b")):
        with pytest.raises(UnknownNamespaceError, match="resource namespace 'b' has no quota; those that have one: a"):
            await call
    assert await manager.release("t") is False


@pytest.mark.parametrize("token", ["", None, 3, b"t"])
async def test_what_is_no_token(token: Any) -> None:
    with pytest.raises(ValueError, match="is no token: give a text that names the attempt"):
        await ResourceManager(cores(1)).allocate(token, ONE)


async def test_what_is_no_request() -> None:
    manager = ResourceManager(cores(1))
    with pytest.raises(ValueError, match="is no request: give Resources"):
        await manager.allocate("t", 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="it is negative"):
        await manager.allocate("t", Resources.zero() - ONE)
    assert await manager.check(cores(1)) == []


def test_managers_say_of_what_sort_they_are() -> None:
    assert (ResourceManager(cores(1)).id, pdt.MachineResourceManager.id) == ("memory", "machine")


# What the predecessor and Flyte's token pools get wrong.


def test_p4_it_can_be_told_who_holds_what() -> None:
    tokens = Tokens(cores(9))
    tokens.allocate("count/a/1", ONE)
    tokens.allocate("count/b/2", cores(3))
    assert tokens.held == {"count/a/1": ONE, "count/b/2": Resources.parse(3, "1Gi", 0)}


async def test_fl1_a_name_that_begins_like_another_is_another() -> None:
    manager = ResourceManager(cores(9))
    cap = Constraints(project=ONE, namespace=ONE)
    assert (await manager.allocate("a", ONE, scope=("", "project2", "devel"), constraints=cap)).is_granted
    assert (await manager.allocate("b", ONE, scope=("", "proj", "dev"), constraints=cap)).is_granted
    assert (await manager.allocate("c", ONE, scope=("", "proj2", "dev"), constraints=cap)).is_granted
    assert (await manager.allocate("d", ONE, scope=("", "proj", "x"), constraints=cap)).status is EXCEEDED


async def test_fl2_names_are_not_put_together() -> None:
    manager = ResourceManager(cores(9))
    cap = Constraints(namespace=ONE)
    for token, scope in {"a-b": ("", "x:y", "z"), "a": ("", "x", "y:z"), "b": ("", "x", "y")}.items():
        assert (await manager.allocate(token, ONE, scope=scope, constraints=cap)).is_granted
    manager.register_namespace("x", cores(1))
    assert (await manager.allocate("n", ONE, namespace="x", scope=("", "y"))).is_granted
    assert await manager.check(ONE, scope=("", "x", "w"), constraints=Constraints(project=cores(3))) == []


async def test_fl3_a_cap_of_nothing_admits_nothing_and_no_cap_everything() -> None:
    manager = ResourceManager(cores(9))
    for nothing in (0, 0.0, Resources.parse(0, 0)):
        for caps in (Constraints(project=nothing), Constraints(namespace=nothing)):
            assert (await manager.allocate("a", ONE, scope=("", "p", "n"), constraints=caps)).status is EXCEEDED
    assert (await manager.allocate("a", ONE, scope=("", "p", "n"))).is_granted


@pytest.mark.parametrize("asking", [10, 100])
async def test_fl4_of_many_at_once_as_many_are_granted_as_there_is(asking: int) -> None:
    manager = ResourceManager(cores(3))
    asked = 0

    async def slow() -> Resources:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return Resources.zero()

    manager.register(slow)
    answers = []

    async def ask(token: str) -> None:
        answers.append((await manager.allocate(token, ONE)).status)

    async with asyncio.TaskGroup() as group:
        for number in range(asking):
            group.create_task(ask(str(number)))
    assert sorted(status.name for status in answers) == ["EXHAUSTED"] * (asking - 3) + ["GRANTED"] * 3


async def test_fl5_every_status_is_an_answer() -> None:
    manager = ResourceManager(cores(1))
    assert {status.name for status in AllocationStatus} == {"GRANTED", "EXHAUSTED", "NAMESPACE_QUOTA_EXCEEDED"}
    exceeded = await manager.allocate("a", ONE, constraints=Constraints(project=0))
    assert (exceeded.status, exceeded.is_granted) == (EXCEEDED, False)


async def test_fl6_what_was_not_granted_is_not_held() -> None:
    tokens = Tokens(cores(1))
    tokens.allocate("a", ONE)
    tokens.allocate("b", ONE)
    assert tokens.held == {"a": ONE}
    assert tokens.release("b") is False


def test_fl8_a_decision_does_not_look_at_every_token() -> None:
    """What is held of a limit is kept, not summed up: its reading is counted."""

    class Counted(dict[str, Any]):
        read = 0

        def __getitem__(self, key: str) -> Any:
            Counted.read += 1
            return super().__getitem__(key)

        def __iter__(self) -> Any:
            Counted.read += len(self)
            return super().__iter__()

        def values(self) -> Any:
            Counted.read += len(self)
            return super().values()

    tokens = Tokens(cores(10**6))
    tokens._held = Counted()
    for number in range(1000):
        tokens.allocate(str(number), ONE, scope=("", f"p{number % 7}"))
    assert tokens.allocate("new", ONE, scope=("", "p1"), constraints=Constraints(0.5, 0.5)).is_granted
    assert Counted.read == 0


# Anything in any order.

CAPPED: dict[Scope, Cap] = {Scope(project="p"): 0.5, Scope(executor="e"): Resources.parse(3, 50)}
SCOPES = [Scope(), Scope("x", "p"), Scope("x", "p", "n"), Scope("x", "q", "n", "e"), Scope("y", "p", "m", "e", "t")]


def exceeds(used: Resources, request: Resources, most: Resources, kind: ResourceType) -> bool:
    amounts = [amount.amount(kind) for amount in (used, request, most)]
    return amounts[0] + amounts[1] > amounts[2]  # type: ignore[operator]


class Holders(RuleBasedStateMachine):
    """Compares with a list of who holds what."""

    def __init__(self) -> None:
        super().__init__()
        self.quotas = {"": Resources.parse(6, 100, 0), "n": Resources.parse(4, 80, 0)}
        self.tokens = Tokens(self.quotas[""])
        self.tokens.register("n", self.quotas["n"])
        for scope, cap in CAPPED.items():
            self.tokens.cap(scope, cap)
        self.held: dict[str, tuple[str, Scope, Resources]] = {}

    def sum(self, namespace: str, within: Scope = EVERYTHING) -> Resources:
        total = Resources.zero()
        for name, scope, request in self.held.values():
            if name == namespace and within.holds(scope):
                total += request
        return total

    @rule(
        token=st.sampled_from("abcdefgh"),
        cpu=st.integers(0, 5),
        mem=st.integers(0, 60),
        namespace=st.sampled_from(["", "n"]),
        scope=st.sampled_from(SCOPES),
        share=st.sampled_from([None, 0, 0.5, 1]),
    )
    def allocate(self, token: str, cpu: int, mem: int, namespace: str, scope: Scope, share: float | None) -> None:
        request = Resources.parse(cpu, mem, 0)
        ask = {"namespace": namespace or None, "scope": scope, "constraints": Constraints(project=share)}
        if token in self.held and self.held[token] != (namespace, scope, request):
            with pytest.raises(TokenConflictError):
                self.tokens.allocate(token, request, **ask)  # type: ignore[arg-type]
            return
        quota = self.quotas[namespace]
        limits = [(self.sum(namespace), quota, EXHAUSTED)]
        project = sum(
            (one for name, of, one in self.held.values() if name == namespace and of.project == scope.project),
            Resources.zero(),
        )
        limits.append((project, most_of(share, quota) or quota, EXCEEDED))
        for of, cap in CAPPED.items():
            if of.holds(scope):
                limits.append((self.sum(namespace, of), most_of(cap, quota) or quota, EXCEEDED))
        wanted = [kind for kind in (ResourceType.CPU, ResourceType.MEM) if request.amount(kind)]
        over = [status for used, most, status in limits if any(exceeds(used, request, most, kind) for kind in wanted)]
        answer = self.tokens.allocate(token, request, **ask)  # type: ignore[arg-type]
        if token in self.held:
            assert answer.is_granted
        elif over:
            assert answer.status is over[0]
            shortfall = answer.shortfall
            assert shortfall is not None
            assert shortfall.wanted is not None
            assert shortfall.used is not None
            assert shortfall.cap is not None
            assert shortfall.used + shortfall.wanted > shortfall.cap
        else:
            assert answer.status is GRANTED
            self.held[token] = (namespace, scope, request)

    @rule(token=st.sampled_from("abcdefgh"))
    def release(self, token: str) -> None:
        assert self.tokens.release(token) == (self.held.pop(token, None) is not None)

    @rule(cpu=st.integers(0, 8))
    def resize(self, cpu: int) -> None:
        self.quotas[""] = Resources.parse(cpu, 100, 0)
        self.tokens.resize(self.quotas[""])

    @invariant()
    def what_is_used_is_what_is_held(self) -> None:
        for namespace in self.quotas:
            assert self.tokens.used(namespace) == self.sum(namespace)
        assert self.tokens.held == {token: request for token, (_, _, request) in self.held.items()}


TestHolders = Holders.TestCase


def test_caps_that_come_later_count_what_is_held_already() -> None:
    tokens = Tokens(cores(9))
    tokens.allocate("a", cores(2), scope=("x",))
    tokens.cap(("x",), cores(2))
    assert tokens.allocate("b", ONE, scope=("x",)).status is EXCEEDED
    tokens.release("a")
    assert tokens.allocate("b", ONE, scope=("x",)).is_granted
