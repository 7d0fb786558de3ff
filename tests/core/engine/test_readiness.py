"""Readiness: what the engine computes is the definition, and what it says of one job is what it does with all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pdt
from pdt.engine.readiness import Readiness, judge, ready_jobs, writers_of
from pdt.engine.snapshot import Lister, Snapshot
from pdt.engine.verdict import Lookup, Verdict, VerdictKind
from pdt.repository.base import Repository

JOBS = ("a", "b", "c", "d")
KEYS = (*JOBS, "not/valid", "")
VALUES: tuple[Any, ...] = (*JOBS, "not/valid", 5, None)


@dataclass(frozen=True)
class Node:
    """A repository and, independently of it, what it should hold."""

    repo: Repository

    def holds(self, key: str) -> bool:
        raise NotImplementedError


@dataclass(frozen=True)
class Leaf(Node):
    repo: pdt.InProcessMetadataRepository

    def holds(self, key: str) -> bool:
        return key in self.repo.data


@dataclass(frozen=True)
class And(Node):
    parts: tuple[Node, ...]

    def holds(self, key: str) -> bool:
        return all(part.holds(key) for part in self.parts)


@dataclass(frozen=True)
class Or(Node):
    parts: tuple[Node, ...]

    def holds(self, key: str) -> bool:
        return any(part.holds(key) for part in self.parts)


@dataclass(frozen=True)
class Blocked(Node):
    source: Node
    unless: Node

    def holds(self, key: str) -> bool:
        return self.source.holds(key) and not self.unless.holds(key)


@dataclass(frozen=True)
class Kept(Node):
    base: Node
    keep: frozenset[str]

    def holds(self, key: str) -> bool:
        return self.base.holds(key) and (key in self.keep or key not in JOBS)


@dataclass(frozen=True)
class Related(Node):
    base: Node
    table: dict[str, Any]

    def holds(self, key: str) -> bool:
        other = self.table.get(key)
        return key in JOBS and other in JOBS and self.base.holds(other)


@dataclass(frozen=True)
class Grouped(Node):
    source: Node
    table: dict[str, Any]

    def holds(self, key: str) -> bool:
        members = [member for member, group in self.table.items() if group == key and member in JOBS]
        return bool(members) and all(self.source.holds(member) for member in members)


@st.composite
def leaves(draw: st.DrawFn) -> Leaf:
    return Leaf(pdt.InProcessMetadataRepository(draw(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES)))))


@st.composite
def translators(draw: st.DrawFn, pool: list[Leaf]) -> tuple[Repository, dict[str, Any]]:
    leaf = draw(st.sampled_from(pool))
    if draw(st.booleans()):
        return leaf.repo, leaf.repo.data
    shift = {"a": "b", "b": "c", "c": "d", "d": "a"}
    mapped = leaf.repo.map(lambda info: shift.get(info, info) if isinstance(info, str) else info)
    table = {key: shift.get(info, info) if isinstance(info, str) else info for key, info in leaf.repo.data.items()}
    return mapped, table


@st.composite
def nodes(draw: st.DrawFn, pool: list[Leaf], depth: int) -> Node:
    kind = draw(st.sampled_from(["leaf", "and", "or", "block", "kept", "related", "group"] if depth else ["leaf"]))
    if kind == "leaf":
        return draw(st.sampled_from(pool))
    below = nodes(pool, depth - 1)
    if kind in ("and", "or"):
        parts = tuple(draw(st.lists(below, min_size=1, max_size=3)))
        named = {f"part{index}": part.repo for index, part in enumerate(parts)}
        if kind == "and":
            return And(pdt.AggregateAndRepository(**named), parts)
        return Or(pdt.AggregateOrRepository(**named), parts)
    base = draw(below)
    if kind == "block":
        unless = draw(below)
        return Blocked(pdt.BlockingRepository(base.repo, unless.repo, draw(st.booleans())), base, unless)
    if kind == "kept":
        keep = draw(st.frozensets(st.sampled_from(KEYS)))
        asynchronous = draw(st.booleans())

        async def ask(key: str) -> bool:
            return key in keep

        filt: Any = ask if asynchronous else keep.__contains__
        return Kept(base.repo.map(lambda info: info, filt), base, keep)
    translator, table = draw(translators(pool))
    if kind == "related":
        prefetch = draw(st.booleans())
        return Related(pdt.RelatedItemRepository(base.repo, translator, prefetch_lookup=prefetch), base, table)
    return Grouped(pdt.GroupRepository(base.repo, translator), base, table)


class Idle(pdt.Task):
    """A task that does nothing."""

    async def update(self) -> bool:
        return False

    async def launch(self, job: str) -> None:
        return None


@dataclass
class Case:
    """A task, and what it is made of."""

    task: pdt.Task
    required: dict[str, Node]
    inhibiting: dict[str, Node]
    override: Node | None

    def is_ready(self, job: str) -> bool:
        if self.override is not None:
            return self.override.holds(job)
        required = all(node.holds(job) for node in self.required.values())
        return required and not any(node.holds(job) for node in self.inhibiting.values())


@st.composite
def cases(draw: st.DrawFn) -> list[Case]:
    pool = draw(st.lists(leaves(), min_size=2, max_size=4))
    found = []
    for number in range(draw(st.integers(1, 3))):
        override = draw(st.none() | nodes(pool, 2))
        task = Idle(f"task{number}", None if override is None else override.repo, draw(st.integers(0, 9)) == 0)
        required = {
            f"in{index}": node for index, node in enumerate(draw(st.lists(nodes(pool, 2), min_size=1, max_size=2)))
        }
        inhibiting = {
            f"un{index}": node for index, node in enumerate(draw(st.lists(nodes(pool, 2), min_size=1, max_size=2)))
        }
        for name, node in required.items():
            task.link(name, node.repo, is_input=draw(st.booleans()), required_for_start=True)
        for name, node in inhibiting.items():
            task.link(name, node.repo, is_status=draw(st.booleans()), inhibits_start=True)
        task.link("neither", draw(st.sampled_from(pool)).repo, is_output=True)
        found.append(Case(task, required, inhibiting, override))
    return found


LOOP = asyncio.Runner()


def look(tasks: list[pdt.Task]) -> tuple[Snapshot, dict[str, Repository]]:
    """Take one snapshot for these tasks."""
    ready = {task.name: task.ready for task in tasks}
    errors: list[BaseException] = []
    lister = Lister(lambda repo, error: errors.append(error))
    snapshot = LOOP.run(lister.take(ready.values(), set()))
    assert not errors
    return snapshot, ready


@settings(max_examples=150, deadline=None)
@given(cases())
def test_ready_is_in_everything_required_and_in_nothing_that_inhibits(found: list[Case]) -> None:
    snapshot, ready = look([case.task for case in found])
    for case in found:
        answer = ready_jobs(case.task, ready[case.task.name], snapshot)
        assert answer.jobs == (set() if case.task.disabled else {job for job in JOBS if case.is_ready(job)})
        assert answer.skipped <= set(KEYS) - set(JOBS)
        assert answer.failure is None


@settings(max_examples=120, deadline=None)
@given(cases(), st.sets(st.sampled_from(JOBS)))
def test_what_is_said_of_one_job_is_what_is_done_with_all(found: list[Case], busy: set[str]) -> None:
    tasks = [case.task for case in found]
    snapshot, ready = look(tasks)
    writers = writers_of(tasks)
    for case in found:
        answer = ready_jobs(case.task, ready[case.task.name], snapshot, busy)
        for job in (*KEYS, "elsewhere"):
            verdict = judge(case.task, job, ready[case.task.name], snapshot, writers, busy)
            assert (verdict.task, verdict.job) == (case.task.name, job)
            assert verdict.is_ready == (job in answer.jobs)
            assert verdict.reason
            check_verdict(case, verdict, busy)


def check_verdict(case: Case, verdict: Verdict, busy: set[str]) -> None:
    """Check that a verdict names the first thing that decides, and proves it."""
    job, kind = verdict.job, verdict.kind
    if case.task.disabled:
        assert kind is VerdictKind.DISABLED
    elif job not in (*JOBS, "elsewhere"):
        assert kind is VerdictKind.INVALID
    elif job in busy:
        assert kind is VerdictKind.RUNNING
    elif case.is_ready(job):
        assert kind is VerdictKind.READY
    elif case.override is not None:
        assert (kind, verdict.link) == (VerdictKind.MISSING, "ready")
        check_proof(verdict, case.override, False)
    elif missing := [name for name, node in case.required.items() if not node.holds(job)]:
        assert (kind, verdict.link) == (VerdictKind.MISSING, missing[0])
        check_proof(verdict, case.required[missing[0]], False)
    else:
        inhibits = [name for name, node in case.inhibiting.items() if node.holds(job)]
        assert (kind, verdict.link) == (VerdictKind.INHIBITED, inhibits[0])
        check_proof(verdict, case.inhibiting[inhibits[0]], True)


def check_proof(verdict: Verdict, node: Node, present: bool) -> None:
    [proof] = verdict.proof
    assert proof.present is present
    check_lookup(proof, node)


def check_lookup(lookup: Lookup, node: Node) -> None:
    """Check that a step says the truth, and that the steps below it are enough to know it."""
    assert lookup.repository == repr(node.repo)
    assert lookup.present is node.holds(lookup.key)
    below = [step.present for step in lookup.because]
    match node:
        case Leaf():
            assert not below
        case And():
            assert lookup.present is all(below)
            check_below(lookup, node.parts)
        case Or():
            assert lookup.present is any(below)
            check_below(lookup, node.parts)
        case Blocked():
            if node.repo.enumerate_unless:  # type: ignore[attr-defined]
                assert lookup.present is (below[0] and not below[1])
                check_below(lookup, (node.source, node.unless))
            else:  # the rest was asked of the store itself
                assert below[0] or not lookup.present
                check_below(lookup, (node.source,))
        case Kept():
            assert below[0] or not lookup.present
            check_below(lookup, (node.base,))
        case Related():
            assert None not in below
            if len(below) == 2:
                assert lookup.present is all(below)
                check_lookup(lookup.because[1], node.base)
        case Grouped():
            assert lookup.present is (bool(below) and all(below))
            for step in lookup.because:
                check_lookup(step, node.source)


def check_below(lookup: Lookup, parts: tuple[Node, ...]) -> None:
    assert len(lookup.because) == len(parts)
    for step, part in zip(lookup.because, parts, strict=True):
        check_lookup(step, part)


def test_keys_that_are_no_job_ids_are_skipped_where_they_would_be_ready() -> None:
    task = Idle("task")
    source = pdt.InProcessMetadataRepository(dict.fromkeys(["a", "not/valid", "", "x" * 64]))
    task.link("source", pdt.AggregateOrRepository(one=source), is_input=True)
    task.link("done", pdt.InProcessMetadataRepository({"": {}}), inhibits_start=True)
    snapshot, ready = look([task])
    assert ready_jobs(task, ready["task"], snapshot) == Readiness({"a"}, {"not/valid", "x" * 64})


@pytest.fixture
def chain() -> tuple[pdt.Task, pdt.Task, pdt.InProcessMetadataRepository]:
    source, middle = pdt.InProcessMetadataRepository({"a": {}}), pdt.InProcessMetadataRepository()
    first, second = Idle("first"), Idle("second")
    first.link("source", source, is_input=True)
    first.link("middle", middle, is_output=True, inhibits_start=True)
    second.plug(first)
    second.link("done", pdt.InProcessMetadataRepository(), is_status=True, inhibits_start=True)
    return first, second, middle


def test_a_missing_key_is_traced_to_who_would_write_it(
    chain: tuple[pdt.Task, pdt.Task, pdt.InProcessMetadataRepository],
) -> None:
    first, second, middle = chain
    snapshot, ready = look([first, second])
    verdict = judge(second, "a", ready["second"], snapshot, writers_of([first, second]))
    assert verdict.kind is VerdictKind.MISSING
    assert verdict.link == "middle"
    assert verdict.reason == f"middle waits: {middle!r} lacks it, which first would write"
    assert verdict.proof == (Lookup("middle", repr(middle), "a", False, ("first",)),)


def test_a_group_is_traced_to_the_members_that_are_missing() -> None:
    source = pdt.InProcessMetadataRepository({"m1": {}})
    by = pdt.InProcessMetadataRepository({"m1": "g", "m2": "g", "m3": "other"})
    writer, reader = Idle("writer"), Idle("reader")
    writer.link("out", source, is_output=True)
    group = pdt.GroupRepository(source, by)
    reader.link("members", group, is_input=True)
    reader.link("done", pdt.InProcessMetadataRepository(), inhibits_start=True)
    snapshot, ready = look([reader])
    verdict = judge(reader, "g", ready["reader"], snapshot, writers_of([writer, reader]))
    assert verdict.reason == f"members waits: {source!r} lacks key 'm2', which writer would write"
    [proof] = verdict.proof
    assert [(step.key, step.present) for step in proof.because] == [("m2", False), ("m1", True)]


def test_a_translation_by_a_mapped_repository_is_proved() -> None:
    table = pdt.InProcessMetadataRepository({"a": "x"})
    base = pdt.InProcessMetadataRepository()
    task = Idle("task")
    task.link("related", pdt.RelatedItemRepository(base, table.map(str.upper)), is_input=True)
    task.link("done", pdt.InProcessMetadataRepository(), inhibits_start=True)
    snapshot, ready = look([task])
    verdict = judge(task, "a", ready["task"], snapshot, {})
    [proof] = verdict.proof
    assert [(step.key, step.present) for step in proof.because] == [("a", True), ("X", False)]
    assert verdict.reason == f"related waits: {base!r} lacks key 'X'"


def test_a_listing_that_failed_blocks_what_depends_on_it_and_nothing_else() -> None:
    class Broken(pdt.InProcessMetadataRepository):
        async def keys(self) -> Any:
            raise PermissionError("no entry")

    good, bad = Idle("good"), Idle("bad")
    for task, repo in ((good, pdt.InProcessMetadataRepository({"a": {}})), (bad, Broken())):
        task.link("input", repo, is_input=True)
        task.link("done", pdt.InProcessMetadataRepository(), inhibits_start=True)
    ready = {task.name: task.ready for task in (good, bad)}
    failed: list[str] = []
    snapshot = LOOP.run(Lister(lambda repo, error: failed.append(str(error))).take(ready.values(), set()))
    assert failed == ["no entry"]
    assert ready_jobs(good, ready["good"], snapshot) == Readiness({"a"})
    broken = ready_jobs(bad, ready["bad"], snapshot)
    assert not broken.jobs
    assert "PermissionError: no entry" in str(broken.failure)
    verdict = judge(bad, "a", ready["bad"], snapshot, {})
    assert verdict.kind is VerdictKind.BLOCKED
    assert "PermissionError: no entry" in verdict.reason
