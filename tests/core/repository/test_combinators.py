"""Repositories made of others."""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import pickle
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pdt
from pdt.repository import Child, Combinator
from pdt.task.blocking import complete
from tests.core.repository.contract import write_and_fail

Memory = pdt.InProcessMetadataRepository
SETS = st.sets(st.sampled_from("abcdef"))


def memory(keys: Any) -> Memory:
    return Memory({key: f"info of {key}" for key in keys})


async def listed(repo: pdt.Repository) -> set[str]:
    """Return the jobs that a repository lists; contains and present have to agree."""
    jobs = {job async for job in repo}
    assert await repo.present([*"abcdef", *jobs]) == jobs
    assert {job for job in [*"abcdef", *jobs] if await repo.contains(job)} == jobs
    return jobs


class Slow(Memory):
    """A repository that suspends, as one behind a network does, and counts what it is asked."""

    inline = False

    def __init__(self, keys: Any = ()) -> None:
        super().__init__({key: f"info of {key}" for key in keys})
        self.calls: list[str] = []
        self.under_way = self.most = 0

    async def _wait(self, name: str) -> None:
        self.calls.append(name)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1

    async def keys(self) -> Any:
        await self._wait("keys")
        return await super().keys()

    async def info(self, job: str) -> Any:
        await self._wait("info")
        return await super().info(job)

    async def info_all(self) -> dict[str, Any]:
        await self._wait("info_all")
        return await super().info_all()

    async def contains(self, item: str) -> bool:
        await self._wait("contains")
        return await super().contains(item)


# And, or, unless: set algebra.


@given(SETS, SETS, SETS, st.booleans())
def test_and_or_unless_are_intersection_union_difference(a: set[str], b: set[str], c: set[str], slow: bool) -> None:
    make: Callable[[Any], pdt.Repository] = Slow if slow else memory
    conjunction = pdt.AggregateAndRepository(a=make(a), b=make(b), c=make(c))
    disjunction = pdt.AggregateOrRepository(a=make(a), b=make(b), c=make(c))
    nested = pdt.BlockingRepository(pdt.AggregateAndRepository(a=make(a), b=make(b)), make(c))
    expected = [(conjunction, a & b & c), (disjunction, a | b | c), (nested, (a & b) - c)]
    expected += [(pdt.BlockingRepository(make(a), make(b), by_listing), a - b) for by_listing in (True, False)]
    with asyncio.Runner() as runner:
        for repo, keys in expected:
            assert runner.run(listed(repo)) == keys


class Repeating(Memory):
    async def unfiltered_iter(self) -> Any:
        for key in ("a", "a", "b", "b"):
            yield key

    async def keys(self) -> Any:
        return {key async for key in self.unfiltered_iter()}


async def test_a_child_that_repeats_itself_counts_once() -> None:
    both = pdt.AggregateAndRepository(one=Repeating(), two=memory("b"))
    assert [job async for job in both] == ["b"]
    either = pdt.AggregateOrRepository(one=Repeating(), two=memory("b"))
    assert sorted([job async for job in either]) == ["a", "b"]


@pytest.mark.parametrize("kind", [pdt.AggregateAndRepository, pdt.AggregateOrRepository])
async def test_aggregates_name_their_children(kind: type[Any]) -> None:
    one, two = memory("ab"), memory("bc")
    repo = kind(one=one, two=two)
    assert await repo.info("b") == {"one": "info of b", "two": "info of b"}
    assert await repo.info("a") == {"one": "info of a", "two": {}}
    assert repo.children == (Child(one, "one"), Child(two, "two"))
    assert repr(repo) == f"{kind.__name__}(one={one!r}, two={two!r})"
    await repo.delete("b")
    assert (set(one.data), set(two.data)) == ({"a"}, {"c"})
    assert await kind(one=one).keys() == {"a"}


@pytest.mark.parametrize("kind", [pdt.AggregateAndRepository, pdt.AggregateOrRepository])
def test_aggregates_need_children_that_are_repositories(kind: type[Any]) -> None:
    with pytest.raises(pdt.ConfigurationError, match=rf"{kind.__name__}\(\) has no children\nfix: name at least one"):
        kind()
    with pytest.raises(pdt.ConfigurationError, match="'x' is dict, not a repository"):
        kind(x={})


async def test_children_are_asked_at_the_same_time() -> None:
    slow = Slow("ab")
    repo = pdt.AggregateOrRepository(**{f"c{number}": slow for number in range(10)})
    assert await repo.keys() == {"a", "b"}
    assert slow.most == 10
    assert not repo.inline
    assert pdt.AggregateOrRepository(a=memory("a")).inline


async def test_a_listing_asks_each_child_once() -> None:
    one, two = Slow("abc"), Slow("bc")
    repo = pdt.BlockingRepository(one, two)
    assert {job async for job in repo} == {"a"}
    assert (one.calls, two.calls) == (["keys"], ["keys"])


async def test_one_failing_child_fails_the_aggregate_and_says_why() -> None:
    class Broken(Memory):
        async def keys(self) -> Any:
            raise pdt.BackendError("the store is away")

    for kind in (pdt.AggregateAndRepository, pdt.AggregateOrRepository):
        with pytest.raises(pdt.BackendError, match="the store is away"):
            await kind(a=Slow("a"), b=Broken()).keys()


async def test_junk_is_reported_by_whoever_is_listed(caplog: pytest.LogCaptureFixture) -> None:
    repo = pdt.AggregateOrRepository(a=memory(["a", "../x"]), b=memory(["two words"]))
    for _ in range(2):
        assert [job async for job in repo] == ["a"]
    assert len([record for record in caplog.records if "valid job" in record.getMessage()]) == 2


class Slashes(Memory):
    CHARSET: ClassVar[str] = Memory.CHARSET + "/"


async def test_an_aggregate_takes_the_jobs_of_its_widest_child() -> None:
    wide, narrow = Slashes({"a/b": 1, "c": 1}), memory("cd")
    assert await listed(pdt.AggregateOrRepository(wide=wide, narrow=narrow)) == {"a/b", "c", "d"}
    assert await listed(pdt.BlockingRepository(wide, narrow)) == {"a/b"}


async def test_blocking_takes_its_source() -> None:
    source, unless = memory("abc"), memory("cd")
    repo = pdt.BlockingRepository(source=source, unless=unless)
    assert await repo.info("a") == await repo.info("a") == "info of a"
    assert await repo.info("c") == "info of c"
    await repo.delete("a")
    await repo.delete("c")
    assert (set(source.data), set(unless.data)) == ({"b"}, {"c", "d"})
    assert repr(repo).startswith("BlockingRepository(InProcessMetadataRepository(1 jobs), unless=")


async def test_unless_is_listed_or_asked_for_each_job() -> None:
    for enumerate_unless, calls in ((True, ["keys"]), (False, ["contains", "contains"])):

        class Asked(Slow):
            present = pdt.Repository.present

        unless = Asked("b")
        assert await pdt.BlockingRepository(memory("ab"), unless, enumerate_unless).keys() == {"a"}
        assert unless.calls == calls


# Map.


def shout(info: str) -> str:
    return info.upper()


async def shout_slowly(info: str) -> str:
    await asyncio.sleep(0)
    return info.upper()


def only_a(job: str) -> bool:
    return job == "a"


async def only_a_slowly(job: str) -> bool:
    await asyncio.sleep(0)
    return job == "a"


class OnlyA:
    async def __call__(self, job: str) -> bool:
        return job == "a"


@pytest.mark.parametrize("func", [shout, shout_slowly])
@pytest.mark.parametrize("filt", [only_a, only_a_slowly, OnlyA()])
async def test_map_passes_info_through_and_filters(
    func: Callable[..., Any], filt: Callable[[str], Awaitable[bool]]
) -> None:
    base = memory("ab")
    repo = base.map(func, filt)
    assert isinstance(repo, pdt.MapRepository)
    assert await listed(repo) == {"a"}
    assert await repo.info("a") == "INFO OF A"
    assert await repo.info("b") == "INFO OF B"  # also what is filtered out
    assert await repo.info_all() == await repo.items() == {"a": "INFO OF A"}
    assert await listed(base.map(func)) == {"a", "b"}
    assert base.data == {"a": "info of a", "b": "info of b"}


async def test_map_deletes_only_if_it_may() -> None:
    base = memory("ab")
    await base.map(shout).delete("a")
    await base.map(shout, None, False).delete("a")
    assert base.data.keys() == {"a", "b"}
    await base.map(shout, only_a, allow_deletes=True).delete("b")
    assert base.data.keys() == {"a"}


async def test_map_does_not_change_what_its_base_returned() -> None:
    class Cached(Memory):
        async def info_all(self) -> dict[str, Any]:
            return self.data

    base = Cached({"a": "x", "b": "y"})
    assert await base.map(shout, only_a).info_all() == {"a": "X"}
    assert base.data == {"a": "x", "b": "y"}


async def test_the_functions_of_a_map_never_see_what_is_no_job(caplog: pytest.LogCaptureFixture) -> None:
    seen = []

    def filt(job: str) -> bool:
        seen.append(job)
        return True

    repo = memory(["a", "../x", ""]).map(shout, filt)
    assert [job async for job in repo] == ["a"]
    assert not await repo.contains("../x")
    assert await repo.present(["a", "../x"]) == {"a"}
    assert set(seen) == {"a"}
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 2


async def test_one_info_that_the_function_cannot_take_does_not_hide_the_others() -> None:
    base = Memory({"a": {"parent": "x"}, "b": {}, "c": {"parent": "z"}})
    repo = base.map(lambda info: info["parent"])
    items = await repo.items()
    assert (items["a"], items["c"]) == ("x", "z")
    assert isinstance(items["b"], pdt.CorruptRecordError)
    assert "record 'b' in MapRepository(" in str(items["b"])
    assert "its function raised KeyError: 'parent'" in str(items["b"])
    with pytest.raises(KeyError):
        await repo.info_all()


async def test_a_broken_record_stays_one(tmp_path: Path) -> None:
    base = pdt.YamlMetadataFileRepository(tmp_path)
    await base.dump("a", "x")
    (tmp_path / "b.yaml").write_text("{")
    for repo in (base.map(shout), base.map(shout_slowly)):
        items = await repo.items()
        assert items["a"] == "X"
        assert "line 2, column 1" in str(items["b"])


async def test_slow_functions_are_called_side_by_side() -> None:
    under_way, most = 0, 0

    async def func(info: str) -> str:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return info

    repo = memory([f"j{number}" for number in range(40)]).map(func)
    assert len(await repo.info_all()) == len(await repo.items()) == 40
    assert most == 16


# Nature, copies.


NATURES = [
    (lambda path: pdt.DirectoryRepository(path), False, False),
    (lambda path: pdt.FileRepository(path), True, False),
    (lambda path: pdt.SqliteMetadataRepository(path / "r", "n"), False, True),
    (lambda path: pdt.YamlMetadataFileRepository(path), True, True),
]


def upper(info: Any) -> str:
    return str(info).upper()


@pytest.mark.parametrize(("make", "blob", "metadata"), NATURES)
async def test_the_nature_of_the_base_is_kept(
    make: Callable[[Path], pdt.Repository], blob: bool, metadata: bool, tmp_path: Path
) -> None:
    base, translator = make(tmp_path), pdt.YamlMetadataFileRepository(tmp_path / "t")
    await translator.validate()
    await translator.dump("job", "a")
    mapped, related = base.map(upper), pdt.RelatedItemRepository(base, translator, prefetch_lookup=False)
    for repo in (mapped, related, related.map(upper), pdt.RelatedItemRepository(mapped, translator)):
        kinds = (pdt.MapRepository, pdt.RelatedItemRepository)
        for one in (repo, copy.copy(repo), copy.deepcopy(repo), pickle.loads(pickle.dumps(repo))):
            assert isinstance(one, pdt.BlobRepository) is blob
            assert isinstance(one, pdt.MetadataRepository) is metadata
            assert isinstance(one, kinds)
            assert isinstance(one, Combinator)
            assert type(one) is type(repo)
            assert hasattr(one, "open") is blob
            assert hasattr(one, "dump") is metadata
            assert repr(one) == repr(repo)
    base.release()


async def test_a_map_writes_where_its_base_does(tmp_path: Path) -> None:
    repo = pdt.YamlMetadataFileRepository(tmp_path).map(upper)
    assert isinstance(repo, pdt.MetadataRepository)
    assert isinstance(repo, pdt.BlobRepository)
    await repo.dump("a", "x")
    async with repo.open("b", "w") as stream:
        await stream.write("y")
    assert await repo.info_all() == {"a": "X", "b": "Y"}


class MyMap(pdt.MapRepository):
    """A stranger's subclass."""


class MyRelated(pdt.RelatedItemRepository):
    """A stranger's subclass."""


async def test_subclasses_stay_what_they_are(tmp_path: Path) -> None:
    base = pdt.FileRepository(tmp_path)
    for repo in (MyMap(base, upper, allow_deletes=True), MyRelated(base, base, True, False)):
        for one in (copy.copy(repo), pickle.loads(pickle.dumps(repo))):
            assert type(one) is type(repo)
            assert one.allow_deletes
            assert repr(one.children[0].repo) == repr(base)
    assert not copy.copy(MyRelated(base, base, True, False)).prefetch_lookup


async def test_repositories_of_this_process_can_be_copied_with_what_they_stand_on() -> None:
    base, translator = memory("x"), Memory({"a": "x"})
    one = copy.copy(pdt.RelatedItemRepository(base, translator))
    assert one.base_repository is base
    assert await listed(one) == {"a"}
    with pytest.raises(TypeError, match="lives in this process only"):
        pickle.dumps(one)


# Related.


def related(**options: Any) -> tuple[pdt.RelatedItemRepository, Memory, Memory]:
    base = memory(["x", "y", "orphan"])
    lookup: dict[str, Any] = {"a": "x", "b": "y", "c": "missing", "d": None, "e": {"no": "text"}, "f": "not a job"}
    translator = Memory(lookup)
    return pdt.RelatedItemRepository(base, translator, **options), base, translator


@pytest.mark.parametrize("prefetch_lookup", [True, False])
async def test_related_looks_jobs_up(prefetch_lookup: bool) -> None:
    repo, base, _ = related(prefetch_lookup=prefetch_lookup)
    assert await listed(repo) == {"a", "b"}
    assert await repo.info("a") == "info of x"
    assert await repo.info("c") == {}
    assert await repo.info_all() == {"a": "info of x", "b": "info of y"}
    assert isinstance(repo, pdt.MetadataRepository)
    await repo.dump("c", "new")
    assert base.data["missing"] == "new"
    assert await listed(repo) == {"a", "b", "c"}


async def test_prefetching_is_the_default_and_asks_once() -> None:
    for prefetch_lookup, calls in ((True, ["info_all"]), (False, ["keys", "info", "info", "info"])):
        translator = Slow(["a", "b", "c"])
        repo = pdt.RelatedItemRepository(memory("x"), translator, False, prefetch_lookup)
        await repo.keys()
        assert translator.calls == calls
    assert related()[0].prefetch_lookup


@pytest.mark.parametrize("prefetch_lookup", [True, False])
async def test_a_changed_translation_is_noticed(prefetch_lookup: bool) -> None:
    repo, _, translator = related(prefetch_lookup=prefetch_lookup)
    assert await listed(repo) == {"a", "b"}
    translator.data.update(a="missing", new="y")
    assert await listed(repo) == {"b", "new"}
    assert await repo.info("new") == "info of y"


async def test_one_without_a_translation_is_a_lookup_error_that_says_so() -> None:
    repo, _, _ = related()
    assert isinstance(repo, pdt.MetadataRepository)
    for job in ("d", "e", "f", "unknown"):
        assert not await repo.contains(job)
        for operation in (repo.info(job), repo.dump(job, 1)):
            with pytest.raises(
                LookupError, match=f"job '{job}' has no translation in InProcessMetadataRepository"
            ) as caught:
                await operation
            assert isinstance(caught.value, pdt.NotFoundError)
        await repo.delete(job)


async def test_related_deletes_only_if_it_may_and_only_from_the_base() -> None:
    repo, base, translator = related()
    await repo.delete("a")
    assert "x" in base.data
    repo, base, translator = related(allow_deletes=True)
    await repo.delete("a")
    await repo.delete("c")
    assert base.data.keys() == {"y", "orphan"}
    assert "a" in translator.data
    assert await listed(repo) == {"b"}


@pytest.mark.parametrize("prefetch_lookup", [True, False])
async def test_junk_on_either_side_is_absent(prefetch_lookup: bool, caplog: pytest.LogCaptureFixture) -> None:
    base = memory(["x", "../x", ""])
    translator = Memory({"a": "x", "b": "../x", "c": "", "../d": "x", "two words": "x"})
    repo = pdt.RelatedItemRepository(base, translator, True, prefetch_lookup)
    assert await listed(repo) == {"a"}
    await repo.delete("b")
    assert base.data.keys() == {"x", "../x", ""}


@pytest.mark.parametrize("prefetch_lookup", [True, False])
async def test_a_broken_translation_is_absent_and_others_are_not(prefetch_lookup: bool, tmp_path: Path) -> None:
    translator = pdt.YamlMetadataFileRepository(tmp_path)
    await translator.dump("a", "x")
    (tmp_path / "b.yaml").write_text("{")
    repo = pdt.RelatedItemRepository(memory("x"), translator, prefetch_lookup=prefetch_lookup)
    assert await repo.keys() == {"a"}
    assert await repo.present(["a", "b"]) == {"a"}
    with pytest.raises(pdt.CorruptRecordError, match="record 'b'"):
        await repo.info("b")


@pytest.mark.parametrize("prefetch_lookup", [True, False])
async def test_translators_may_be_chained_and_mapped(prefetch_lookup: bool) -> None:
    parents = Memory({"a": {"parent": "p"}, "b": {"parent": "q"}, "c": {}, "d": {"parent": "unknown"}})
    of_parent = parents.map(lambda info: info["parent"])
    groups = pdt.RelatedItemRepository(Memory({"p": "x", "q": "y"}), of_parent, prefetch_lookup=prefetch_lookup)
    repo = pdt.RelatedItemRepository(memory(["x", "z"]), groups, prefetch_lookup=prefetch_lookup)
    assert await listed(repo) == {"a"}
    assert await repo.info("a") == "info of x"
    for job in ("c", "d", "unknown"):
        assert not await repo.contains(job)
        with pytest.raises(LookupError):
            await repo.info(job)


async def test_related_offers_what_its_base_has(tmp_path: Path) -> None:
    base = pdt.DirectoryRepository(tmp_path, ".d")
    repo = pdt.RelatedItemRepository(base, Memory({"a": "x"}), allow_deletes=True)
    await repo.mkdir("a")
    assert os.listdir(tmp_path) == ["x.d"]
    assert await repo.info("a") == f"{tmp_path}/x.d"
    assert (repo.basedir, repo.extension, repo.discard_empty) == (tmp_path, ".d", False)
    with pytest.raises(LookupError):
        await repo.mkdir("unknown")
    with pytest.raises(
        AttributeError, match=r"'fullpath' of DirectoryRepository.* cannot be called by a translated job"
    ):
        repo.fullpath  # noqa: B018
    with pytest.raises(AttributeError, match="nonsense"):
        repo.nonsense  # noqa: B018
    with pytest.raises(AttributeError, match="_private"):
        repo._private  # noqa: B018


async def test_blobs_are_opened_by_the_translated_job(tmp_path: Path) -> None:
    repo = pdt.RelatedItemRepository(pdt.FileRepository(tmp_path), Memory({"a": "x"}))
    assert isinstance(repo, pdt.BlobRepository)
    async with repo.open("a", "w") as stream:
        await stream.write("content")
    assert os.listdir(tmp_path) == ["x"]
    async with await repo.open("a") as text:
        assert await text.read() == "content"
    with pytest.raises(LookupError):
        await repo.open("unknown")
    with pytest.raises(ZeroDivisionError):
        await write_and_fail(repo.open("a", "w"), "half")
    assert (tmp_path / "x").read_text() == "content"


class Own(Memory):
    @pdt.job_getter
    async def size(self, job: str, unit: str = "b") -> str:
        return f"{len(await self.info(job))} {unit}"


async def test_a_strangers_method_of_a_job_is_translated_too() -> None:
    repo = pdt.RelatedItemRepository(Own({"x": "four"}), Memory({"a": "x"}))
    assert await repo.size("a", unit="kb") == "4 kb"
    assert repo.data == {"x": "four"}


# What the engine asks.


async def test_lookups_say_which_key_of_which_child_decides() -> None:
    repo, base, translator = related()
    answers = [await base.keys(), await translator.items()]
    assert repo.combine(answers) == await repo.keys()
    assert [child.name for child in repo.children] == ["base", "translator"]
    assert repo.lookups("a", answers) == [(1, "a"), (0, "x")]
    assert repo.lookups("d", answers) == [(1, "d")]
    both = pdt.AggregateAndRepository(one=memory("a"), two=memory("b"))
    assert both.lookups("a", [{"a"}, {"b"}]) == [(0, "a"), (1, "a")]


def test_combining_asks_nothing() -> None:
    class Never(Memory):
        async def keys(self) -> Any:
            pytest.fail("asked")

        contains = info = keys  # type: ignore[assignment]

    never = Never()
    assert pdt.AggregateAndRepository(a=never, b=never).combine([{"a", "b"}, {"b", "c"}]) == {"b"}
    assert pdt.AggregateOrRepository(a=never, b=never).combine([{"a"}, {"c"}]) == {"a", "c"}
    assert pdt.BlockingRepository(never, never).combine([{"a", "b"}, {"b"}]) == {"a"}
    assert pdt.MapRepository(never, upper).combine([{"a"}]) == {"a"}
    assert pdt.RelatedItemRepository(never, never).combine([{"x"}, {"a": "x", "b": "y"}]) == {"a"}


def test_what_is_inline_and_shared_follows_from_the_children(tmp_path: Path) -> None:
    files, slow = pdt.FileRepository(tmp_path), Slow()
    assert pdt.AggregateOrRepository(a=files, b=memory("")).inline
    assert not pdt.AggregateOrRepository(a=files, b=slow).inline
    assert not pdt.BlockingRepository(files, slow, enumerate_unless=False).inline
    assert pdt.AggregateOrRepository(a=files, b=memory("")).shared
    assert not pdt.AggregateOrRepository(a=memory("")).shared
    assert not files.map(upper).inline  # the function is the user's


def test_inline_combinations_need_no_event_loop(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    files = pdt.FileRepository(tmp_path)
    repo = pdt.BlockingRepository(pdt.AggregateOrRepository(f=files, m=memory("ab")), memory("b"))
    assert complete(repo.keys()) == {"a"}
    assert complete(repo.info("a")) == {"f": f"{tmp_path}/a", "m": "info of a"}
    translated = pdt.RelatedItemRepository(files, Memory({"j": "a"}), prefetch_lookup=False)
    assert complete(translated.keys()) == {"j"}


def test_parts_are_all_that_has_to_be_opened_and_closed() -> None:
    source, unless = memory("a"), memory("b")
    for enumerate_unless in (True, False):
        assert pdt.BlockingRepository(source, unless, enumerate_unless).parts == (source, unless)
    assert source.parts == ()
    both = pdt.AggregateAndRepository(one=source, two=unless)
    task = pdt.InProcessSyncTask("t", memory(""), ready=pdt.BlockingRepository(both, unless, enumerate_unless=False))
    task.func = upper
    assert {*pdt.Pipeline([task]).repositories} >= {source, unless, both}
