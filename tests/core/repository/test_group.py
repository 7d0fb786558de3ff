"""Fan-in: groups, and when they are there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pdt
from pdt.task.blocking import complete

Memory = pdt.InProcessMetadataRepository
MEMBERS = [f"m{number}" for number in range(6)]


async def listed(repo: pdt.Repository) -> set[str]:
    jobs = {job async for job in repo}
    assert await repo.present([*jobs, "g1", "g2", "x", "nobody"]) == jobs
    for job in {*jobs, "g1", "g2", "x", "nobody"}:
        assert await repo.contains(job) is (job in jobs)
    return jobs


@pytest.fixture
def source() -> Memory:
    return Memory({"m1": 1, "m2": 2, "m3": 3, "stranger": 0})


@pytest.fixture
def by() -> Memory:
    return Memory({"m1": "g1", "m2": "g1", "m3": "g2", "m4": "g2", "m5": None, "m6": {"not": "text"}})


async def test_a_group_is_there_when_every_member_is(source: Memory, by: Memory) -> None:
    repo = pdt.GroupRepository(source, by)
    assert await listed(repo) == {"g1"}
    await source.dump("m4", 4)
    assert await listed(repo) == {"g1", "g2"}
    await source.delete("m1")
    assert await listed(repo) == {"g2"}


async def test_a_member_added_later_makes_its_group_absent_until_it_is_there(source: Memory, by: Memory) -> None:
    repo = pdt.GroupRepository(source=source, by=by)
    await by.dump("late", "g1")
    assert await listed(repo) == set()
    await source.dump("late", 9)
    assert await listed(repo) == {"g1"}
    assert await repo.info("g1") == {"late": 9, "m1": 1, "m2": 2}
    await by.delete("late")
    assert await repo.members("g1") == ["m1", "m2"]


@given(st.dictionaries(st.sampled_from(MEMBERS), st.sampled_from(["x", "y", "z"])), st.sets(st.sampled_from(MEMBERS)))
def test_it_is_what_its_definition_says(groups: dict[str, str], there: set[str]) -> None:
    repo = pdt.GroupRepository(Memory(dict.fromkeys(there)), Memory(groups))
    members = {group: {member for member in groups if groups[member] == group} for group in groups.values()}
    expected = {group for group in members if members[group] <= there}
    assert complete(repo.keys()) == expected
    assert complete(repo.present("xyz")) == expected


async def test_info_maps_each_member_to_its_info(source: Memory, by: Memory) -> None:
    repo = pdt.GroupRepository(source, by)
    assert await repo.info("g1") == {"m1": 1, "m2": 2}
    assert await repo.info("g2") == {"m3": 3, "m4": {}}
    assert await repo.info("nobody") == {}
    assert await repo.info_all() == {"g1": {"m1": 1, "m2": 2}}
    assert await repo.members("g2") == ["m3", "m4"]


async def test_open_iterates_the_members(tmp_path: Path, by: Memory) -> None:
    files = pdt.FileRepository(tmp_path, ".txt")
    repo = pdt.GroupRepository(files, by)
    async for member, opening in repo.open("g1", "w"):
        async with opening as stream:
            await stream.write(f"content of {member}")
    assert await listed(repo) == {"g1"}
    contents = {}
    async for member, opening in repo.open("g1"):
        async with opening as stream:
            contents[member] = await stream.read()
    assert contents == {"m1": "content of m1", "m2": "content of m2"}
    assert [member async for member, _ in repo.open("nobody")] == []
    assert not issubclass(pdt.GroupRepository, pdt.BlobRepository)


async def test_records_are_not_opened(source: Memory, by: Memory) -> None:
    with pytest.raises(TypeError, match=r"has no blobs to open; use info\('g1'\)"):
        async for _ in pdt.GroupRepository(source, by).open("g1"):
            pass


async def test_deletes_only_if_it_may_and_only_the_members(source: Memory, by: Memory) -> None:
    await pdt.GroupRepository(source, by).delete("g1")
    assert "m1" in source.data
    repo = pdt.GroupRepository(source, by, allow_deletes=True)
    await repo.delete("g1")
    await repo.delete("g1")
    assert source.data.keys() == {"m3", "stranger"}
    assert "m1" in by.data
    assert await listed(repo) == set()


@pytest.mark.parametrize("role", ["source", "by"])
def test_is_made_of_repositories(role: str, source: Memory) -> None:
    arguments: dict[str, Any] = {"source": source, "by": source, role: {}}
    with pytest.raises(pdt.ConfigurationError, match=f"GroupRepository: {role} is dict, not a repository"):
        pdt.GroupRepository(**arguments)


async def test_what_is_no_job_id_names_no_group(caplog: pytest.LogCaptureFixture) -> None:
    source = Memory(dict.fromkeys(["m1", "m2", "m3", "m4"]))
    by = Memory({"m1": "../x", "m2": "", "m3": "two words", "m4": "fine", "../m5": "fine"})
    repo = pdt.GroupRepository(source, by)
    assert await listed(repo) == {"fine"}
    assert not await repo.contains("../x")
    assert len([record for record in caplog.records if "in GroupRepository" in record.getMessage()]) == 3


async def test_an_unreadable_membership_makes_no_group_complete(tmp_path: Path) -> None:
    by = pdt.YamlMetadataFileRepository(tmp_path)
    await by.dump("m1", "g1")
    (tmp_path / "m2.yaml").write_text("{")
    repo = pdt.GroupRepository(Memory({"m1": 1, "m2": 2}), by)
    for operation in (repo.keys(), repo.contains("g1"), repo.info("g1"), repo.present(["g1"])):
        with pytest.raises(pdt.CorruptRecordError, match="record 'm2'"):
            await operation
    await by.dump("m2", "g1")
    assert await listed(repo) == {"g1"}


async def test_the_mapped_info_of_members_may_name_the_group() -> None:
    members = Memory({"a1": {"size": 1}, "a2": {"size": 2}, "b1": {"size": 1}})
    by = members.map(lambda info: f"size-{info['size']}")
    repo = pdt.GroupRepository(Memory(dict.fromkeys(["a1", "b1"])), by)
    assert await listed(repo) == {"size-1"}
    assert await repo.members("size-1") == ["a1", "b1"]


async def test_groups_of_groups() -> None:
    inner = pdt.GroupRepository(Memory(dict.fromkeys("abc")), Memory({"a": "g1", "b": "g1", "c": "g2", "d": "g3"}))
    outer = pdt.GroupRepository(inner, Memory({"g1": "all", "g2": "all"}))
    assert {job async for job in outer} == {"all"}
    assert await outer.info("all") == {"g1": {"a": None, "b": None}, "g2": {"c": None}}


async def test_lookups_name_the_members_missing_ones_first(source: Memory, by: Memory) -> None:
    repo = pdt.GroupRepository(source, by)
    answers = [await source.keys(), await by.items()]
    assert repo.combine(answers) == {"g1"}
    assert repo.lookups("g2", answers) == [(0, "m4"), (0, "m3")]
    assert repo.lookups("nobody", answers) == []
    assert [child.name for child in repo.children] == ["source", "by"]
    assert repr(repo).startswith("GroupRepository(InProcessMetadataRepository(4 jobs), by=")


async def test_infos_are_loaded_side_by_side(by: Memory) -> None:
    class Slow(Memory):
        inline = False
        under_way = most = 0

        async def info(self, job: str) -> Any:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            await asyncio.sleep(0.001)
            self.under_way -= 1
            return job

    source = Slow()
    groups = Memory({f"m{number}": "g" for number in range(40)})
    assert len(await pdt.GroupRepository(source, groups).info("g")) == 40
    assert source.most == 16
