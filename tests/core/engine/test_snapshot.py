"""Snapshots: each repository is listed once a round, what jobs leave before the rest, and failures stay apart."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Hashable, Mapping, Set
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt.engine.look import look_once
from pdt.engine.snapshot import Lister, ListingError, leaves_of, transient_leaves
from pdt.repository.base import Repository
from tests.core.engine.samples import Counting, Delayed, Stranger, counting_task, memory, pipeline_of, run


def lister() -> tuple[Lister, list[tuple[Repository, str]]]:
    """Return a lister and what it reports."""
    errors: list[tuple[Repository, str]] = []
    return Lister(lambda repo, error: errors.append((repo, f"{type(error).__name__}: {error}"))), errors


async def take(*wanted: Repository, first: Set[Repository] = frozenset()) -> Any:
    found, errors = lister()
    snapshot = await found.take(wanted, first)
    assert not errors
    return snapshot


@pytest.mark.parametrize("inline", [True, False])
async def test_each_repository_is_listed_once_however_many_tasks_link_it(inline: bool) -> None:
    log: list[str] = []
    shared = Counting("shared", log, ["a", "b"], inline=inline)
    held = Counting("held", log, inline=inline)
    table = Counting("table", log, inline=inline)
    table.data.update(a="a", b="b")
    tasks = {}
    for number in range(7):
        name = f"task{number}"
        done = Counting(f"done{number}", log, inline=inline)
        task, _, _ = counting_task(name, shared, done=done)
        task.link("held", held, inhibits_start=True)
        task.link("related", pdt.RelatedItemRepository(shared, table), required_for_start=True)
        task.link("group", pdt.GroupRepository(shared, table), inhibits_start=True)
        task.link("mapped", shared.map(lambda info: info), required_for_start=True)
        task.link("nested", pdt.AggregateOrRepository(one=held, two=pdt.BlockingRepository(shared, held)))
        tasks[name] = task
    await look_once(tasks)
    assert Counter(log) == Counter(["shared", "held", "table", *(f"done{number}" for number in range(7))])


async def test_a_round_of_a_pipeline_lists_each_repository_once() -> None:
    log: list[str] = []
    shared = Counting("shared", log)
    first, _, _ = counting_task("first", shared, done=Counting("first done", log))
    second, _, _ = counting_task("second", shared, done=Counting("second done", log))
    second.plug(first)
    async with pipeline_of(first, second) as pipeline:
        await pipeline.update()
    assert Counter(log) == Counter(["shared", "first done", "second done"])


async def test_what_is_needed_with_infos_is_not_listed_for_its_keys_as_well() -> None:
    log: list[str] = []
    table = Counting("table", log)
    table.data.update(a="x", b="y")
    both = pdt.AggregateAndRepository(keys=table, related=pdt.RelatedItemRepository(memory("x"), table))
    snapshot = await take(both)
    assert log == ["table"]
    assert snapshot.keys_of(both) == {"a"}


async def test_what_jobs_leave_is_listed_before_what_they_enter() -> None:
    order: list[str] = []

    class Timed(Delayed):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        async def keys(self) -> Set[str]:
            order.append(f"{self.name} begins")
            found = await super().keys()
            order.append(f"{self.name} ends")
            return found

    live, done = Timed("live"), Timed("done")
    stranger = Stranger("stranger", live, done)
    stranger.link("input", memory(), is_input=True)
    after, _, _ = counting_task("after", memory())
    after.plug(stranger)
    assert transient_leaves([stranger, after]) == {live}
    await look_once({"stranger": stranger, "after": after})
    assert order.index("live ends") < order.index("done begins")


async def test_the_rest_is_listed_at_once() -> None:
    together = 0
    most = 0

    class Watched(pdt.InProcessMetadataRepository):
        inline = False

        async def keys(self) -> Set[str]:
            nonlocal together, most
            together += 1
            most = max(most, together)
            await asyncio.sleep(0.01)
            together -= 1
            return set()

    await take(*(Watched() for _ in range(5)))
    assert most == 5


def test_the_leaves_of_a_combination_are_what_has_to_be_asked() -> None:
    one, two, table, unless = memory(), memory(), memory(), memory()
    related = pdt.RelatedItemRepository(one, table)
    lookup = pdt.RelatedItemRepository(one, two, prefetch_lookup=False)
    blocked = pdt.BlockingRepository(two, unless, enumerate_unless=False)
    found = leaves_of([pdt.AggregateOrRepository(a=related, b=lookup), blocked])
    assert found == {one: False, table: True, two: False}


def test_a_mapped_translator_is_asked_as_a_whole() -> None:
    base, table = memory(), memory()
    mapped = table.map(lambda info: info)
    assert leaves_of([pdt.RelatedItemRepository(base, mapped)]) == {base: False, mapped: True}


def test_deep_diamonds_are_walked_once() -> None:
    repo: Repository = memory()
    for _ in range(60):
        repo = pdt.AggregateAndRepository(left=repo, right=repo)
    started = time.monotonic()
    assert len(leaves_of([repo])) == 1
    assert time.monotonic() - started < 1


async def test_deep_diamonds_are_combined_once() -> None:
    leaf = memory("a")
    repo: Repository = leaf
    for _ in range(60):
        repo = pdt.AggregateAndRepository(left=repo, right=repo)
    async with asyncio.timeout(5):
        snapshot = await take(repo)
    assert snapshot.keys_of(repo) == {"a"}


# Failures.


class Failing(pdt.InProcessMetadataRepository):
    """Records in memory whose listing raises.

    :param error: what.
    """

    def __init__(self, error: Exception, *, inline: bool) -> None:
        super().__init__()
        self._error = error
        self.inline = inline

    async def keys(self) -> Set[str]:
        raise self._error

    async def items(self) -> Mapping[str, Any]:
        raise self._error


@pytest.mark.parametrize("inline", [True, False])
async def test_a_listing_that_fails_leaves_the_others_alone(inline: bool) -> None:
    bad = Failing(PermissionError("no entry"), inline=inline)
    good = Counting("good", [], ["a"], inline=inline)
    over_bad = pdt.AggregateAndRepository(bad=bad, good=good)
    related = pdt.RelatedItemRepository(good, bad)
    found, errors = lister()
    snapshot = await found.take([over_bad, related, good], frozenset())
    assert [repo for repo, _ in errors] == [bad]
    assert snapshot.keys_of(good) == {"a"}
    for repo in (over_bad, related, bad):
        with pytest.raises(ListingError, match="PermissionError: no entry") as caught:
            snapshot.keys_of(repo)
        assert caught.value.repo is bad


async def test_a_repository_that_was_not_asked_is_said_so() -> None:
    snapshot = await take(memory())
    with pytest.raises(ListingError, match="it was not listed"):
        snapshot.keys_of(memory())


async def test_a_slow_listing_is_left_to_itself_and_taken_when_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdt.engine.snapshot.LISTING_PATIENCE", 0.5)
    release = asyncio.Event()
    begun = 0

    class Slow(pdt.InProcessMetadataRepository):
        inline = False

        async def keys(self) -> Set[str]:
            nonlocal begun
            begun += 1
            await release.wait()
            return {"late"}

    slow, good = Slow(), Counting("good", [], ["a"], inline=False)
    found, errors = lister()
    snapshot = await found.take([slow, good], frozenset())
    assert snapshot.keys_of(good) == {"a"}
    with pytest.raises(ListingError, match="under way"):
        snapshot.keys_of(slow)
    started = time.monotonic()
    for _ in range(5):  # nobody waits for it again
        await found.take([slow, good], frozenset())
    assert time.monotonic() - started < 1
    release.set()
    await asyncio.sleep(0)
    snapshot = await found.take([slow], frozenset())
    assert snapshot.keys_of(slow) == {"late"}
    assert begun == 1
    assert not errors


async def test_listings_that_are_under_way_are_stopped_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdt.engine.snapshot.LISTING_PATIENCE", 0.02)
    stopped = []

    class Endless(pdt.InProcessMetadataRepository):
        inline = False

        async def keys(self) -> Set[str]:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.append("keys")
            raise AssertionError

    found, _ = lister()
    await found.take([Endless()], frozenset())
    await found.close()
    assert stopped == ["keys"]


async def test_a_cancelled_listing_is_no_answer() -> None:
    class Cancelled(pdt.InProcessMetadataRepository):
        inline = False

        async def keys(self) -> Set[str]:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
            raise AssertionError

    found, _ = lister()
    repo = Cancelled()
    snapshot = await found.take([repo], frozenset())
    with pytest.raises(ListingError, match="cancelled"):
        snapshot.keys_of(repo)


# What is remembered.


class Stamped(pdt.InProcessMetadataRepository):
    """Records in memory with a stamp that the test sets."""

    def __init__(self, *jobs: str) -> None:
        super().__init__({job: {} for job in jobs})
        self.current: Hashable | None = None
        self.listed = 0

    def stamp(self) -> Hashable | None:
        return self.current

    async def keys(self) -> Set[str]:
        self.listed += 1
        return set(self.data)


async def test_a_listing_is_repeated_only_when_its_stamp_has_changed() -> None:
    repo = Stamped("a")
    found, _ = lister()
    for stamp, listings in ((None, 1), (None, 2), (1, 3), (1, 3), (2, 4), (None, 5), (2, 5)):
        repo.current = stamp
        snapshot = await found.take([repo], frozenset())
        assert repo.listed == listings
        assert snapshot.keys_of(repo) == {"a"}


async def test_a_change_during_the_listing_is_not_missed() -> None:
    class Changing(Stamped):
        async def keys(self) -> Set[str]:
            found = await super().keys()
            self.data["b"], self.current = {}, 2
            return found

    repo = Changing("a")
    repo.current = 1
    found, _ = lister()
    assert (await found.take([repo], frozenset())).keys_of(repo) == {"a"}
    assert (await found.take([repo], frozenset())).keys_of(repo) == {"a", "b"}


@pytest.mark.parametrize("clock_granularity", ["fine", "coarse"])
async def test_no_file_is_ever_missed_however_close_in_time_it_was_made(
    clock_granularity: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = pdt.FileRepository(tmp_path / "files")
    await repo.validate()
    if clock_granularity == "coarse":  # as on kernels that tie what happens within a tick
        monkeypatch.setitem(repo.__dict__, "_has_exact_stamps", False)
    found, _ = lister()
    for number in range(50):
        (tmp_path / "files" / f"f{number}").write_text("")
        if clock_granularity == "coarse":
            os.utime(tmp_path / "files", ns=(0, time.time_ns() // 10**9 * 10**9))
        snapshot = await found.take([repo], frozenset())
        assert len(snapshot.keys_of(repo)) == number + 1


async def test_an_old_directory_is_listed_once(tmp_path: Path) -> None:
    listed = 0

    class Counted(pdt.FileRepository):
        def _list(self) -> set[str]:
            nonlocal listed
            listed += 1
            return super()._list()

    repo = Counted(tmp_path / "files")
    await repo.validate()
    (tmp_path / "files" / "a").write_text("")
    old = time.time_ns() - 60 * 10**9
    os.utime(tmp_path / "files", ns=(old, old))
    found, _ = lister()
    for _ in range(5):
        snapshot = await found.take([repo], frozenset())
        assert snapshot.keys_of(repo) == {"a"}
    assert listed <= 2
    (tmp_path / "files" / "b").write_text("")
    assert (await found.take([repo], frozenset())).keys_of(repo) == {"a", "b"}


async def test_a_directory_that_vanished_is_a_failed_listing(tmp_path: Path) -> None:
    repo = pdt.FileRepository(tmp_path / "files")
    found, errors = lister()
    snapshot = await found.take([repo], frozenset())
    assert errors[0][1].startswith("FileNotFoundError")
    with pytest.raises(ListingError):
        snapshot.keys_of(repo)


# Updates that are slow.


async def test_a_slow_update_is_said_to_be_slow(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pdt.engine.look.UPDATE_PATIENCE", 0.05)

    class Slow(Stranger):
        async def update(self) -> bool:
            await asyncio.sleep(0.3)
            return False

    task = Slow("slow", memory(), memory())
    task.link("input", memory(), is_input=True)
    with caplog.at_level(logging.WARNING, "pdt.engine"):
        report = await run(task)
    assert report.exit_code == 0
    assert [record.getMessage() for record in caplog.records] == ["update of task slow has not returned for 0.05 s"]
