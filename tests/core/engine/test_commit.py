"""Group commit: outputs are durable before their records, and a store that refuses costs no job of another."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt import localfs
from pdt.attempts.book import AttemptBook, Decision
from pdt.engine import commit
from pdt.engine.commit import Syncer
from tests.core.engine.samples import counting_task, jobs_of, memory, pipeline_of, run, until
from tests.core.task.scripts import Place


def recorded(path: Path) -> set[str]:
    """Return the jobs that another process would see as done."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT job FROM records").fetchall()
    connection.close()
    return {row[0] for row in rows}


def writing(
    tmp_path: Path, done: pdt.MetadataRepository, jobs: int
) -> tuple[pdt.InProcessSyncTask, pdt.FileRepository]:
    """Return a task whose jobs write a file each."""
    outputs = pdt.FileRepository(tmp_path / "out", ".txt")

    async def write(job: str, out: pdt.FileRepository) -> None:
        async with out.open(job, "w") as file:
            await file.write(job)

    task = pdt.InProcessSyncTask("task", done, func=write)
    task.link("input", memory(*jobs_of(jobs)), is_input=True)
    task.link("out", outputs, is_output=True)
    return task, outputs


class Disk:
    """What has been made durable, as the hooked functions tell."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root = root
        self.syncs: list[str] = []
        self.durable: set[str] = set()
        self.fail: Callable[[str], BaseException | None] = lambda path: None
        self._filesystem, self._path = localfs.sync_filesystem, localfs.sync_path
        monkeypatch.setattr(localfs, "sync_filesystem", self.sync_filesystem)
        monkeypatch.setattr(localfs, "sync_path", self.sync_path)

    def sync_filesystem(self, path: str) -> None:
        self._note(path)
        found = {entry.name for entry in self._root.rglob("*") if not entry.name.startswith(".")}
        self._filesystem(path)
        self.durable |= found

    def sync_path(self, path: str) -> None:
        self._note(path)
        self._path(path)
        self.durable.add(os.path.basename(path))

    def _note(self, path: str) -> None:
        self.syncs.append(path)
        error = self.fail(path)
        if error is not None:
            raise error


@pytest.mark.parametrize("kind", ["sqlite", "yaml", "memory"])
async def test_no_record_is_written_before_what_its_job_wrote_is_durable(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    early: list[str] = []

    def check(jobs: Mapping[str, Any]) -> None:
        early.extend(job for job in jobs if f"{job}.txt" not in disk.durable)

    class Sqlite(pdt.SqliteMetadataRepository):
        def dump_durably(self, records: Mapping[str, Any], durable: bool = True) -> None:
            check(records)
            super().dump_durably(records, durable)

    class Yaml(pdt.YamlMetadataFileRepository):
        async def dump_all(self, records: Mapping[str, Any]) -> None:
            check(records)
            await super().dump_all(records)

    class Memory(pdt.InProcessMetadataRepository):
        async def dump_all(self, records: Mapping[str, Any]) -> None:
            check(records)
            await super().dump_all(records)

    stores: dict[str, Callable[[], pdt.MetadataRepository]] = {
        "sqlite": lambda: Sqlite(tmp_path / "records.sqlite", "task"),
        "yaml": lambda: Yaml(tmp_path / "done"),
        "memory": Memory,
    }
    done = stores[kind]()
    task, _ = writing(tmp_path, done, 500)
    report = await run(task, store=tmp_path / "store")
    assert report.succeeded == Counter(task=500)
    assert early == []
    assert len(disk.durable) >= 500
    if kind == "yaml":  # the records are files themselves
        assert {f"{job}.yaml" for job in jobs_of(500)} <= disk.durable


async def test_done_is_visible_to_others_only_after_the_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(tmp_path, monkeypatch)
    database = tmp_path / "records.sqlite"
    seen: list[set[str]] = []
    release = threading.Event()

    def hold(path: str) -> None:
        seen.append(recorded(database))
        release.wait(10)

    disk.fail = hold
    task, outputs = writing(tmp_path, pdt.SqliteMetadataRepository(database, "task"), 30)
    async with pipeline_of(task, store=tmp_path / "store") as pipeline, asyncio.TaskGroup() as group:
        group.create_task(pipeline.run())
        await until(lambda: seen)
        assert recorded(database) == set()
        assert await outputs.keys() == set(jobs_of(30))
        release.set()
    assert recorded(database) == set(jobs_of(30))
    assert seen[0] == set()


async def test_durability_of_the_process_syncs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(tmp_path, monkeypatch)
    database = tmp_path / "records.sqlite"
    task, outputs = writing(tmp_path, pdt.SqliteMetadataRepository(database, "task"), 200)
    await run(task, store=tmp_path / "store", durability="process")
    assert disk.syncs == []
    assert recorded(database) == await outputs.keys() == set(jobs_of(200))


async def test_what_bodies_write_in_other_threads_is_made_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    outputs = pdt.FileRepository(tmp_path / "out", ".txt")

    def write(job: str, out: Any) -> None:
        with out.open(job, "w") as file:
            file.write(job)

    with ThreadPoolExecutor(4) as threads:
        plain = pdt.InProcessSyncTask("plain", memory(), func=write)
        executor = pdt.ExecutorTask("executor", threads, memory(), func=write)
        for task in (plain, executor):
            task.link("input", memory(*jobs_of(20, task.name[0])), is_input=True)
            task.link("out", outputs, is_output=True)
        await run(plain, executor, store=tmp_path / "store")
    names = {f"{job}.txt" for job in (*jobs_of(20, "p"), *jobs_of(20, "e"))}
    assert names <= disk.durable


@pytest.mark.parametrize("wrapped", ["plain", "mapped", "related", "grouped"])
async def test_outputs_that_pdt_does_not_see_written_are_made_durable(
    wrapped: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory is filled by the body itself, whatever the link to it is wrapped in."""
    disk = Disk(tmp_path, monkeypatch)
    directories = pdt.DirectoryRepository(tmp_path / "out")
    identity = pdt.InProcessMetadataRepository({job: job for job in jobs_of(5)})
    outputs: dict[str, pdt.Repository] = {
        "plain": directories,
        "mapped": directories.map(lambda info: info),
        "related": pdt.RelatedItemRepository(directories, identity),
        "grouped": pdt.AggregateOrRepository(one=directories),
    }

    async def write(job: str) -> None:
        await directories.mkdir(job)
        (directories.fullpath(job) / "part").write_text(job)

    task, _, _ = counting_task("task", memory(*jobs_of(5)), write)
    task.link("out", outputs[wrapped], is_output=True)
    await run(task, store=tmp_path / "store")
    assert set(jobs_of(5)) <= disk.durable


async def test_a_disk_that_fails_records_nothing_as_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(tmp_path, monkeypatch)
    disk.fail = lambda path: OSError(errno.EIO, os.strerror(errno.EIO))
    database = tmp_path / "records.sqlite"
    task, _ = writing(tmp_path, pdt.SqliteMetadataRepository(database, "task"), 100)
    report = await run(task, store=tmp_path / "store", deadline=15)
    assert recorded(database) == set()
    assert report.exit_code == 5
    assert "could not be made durable" in next(iter(report.problems))
    disk.fail = lambda path: None
    report = await run(task, store=tmp_path / "store", deadline=15)
    assert recorded(database) == set(jobs_of(100))
    assert report.exit_code == 0


async def test_a_disk_that_fails_at_the_very_end_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(tmp_path, monkeypatch)
    task, _ = writing(tmp_path, pdt.YamlMetadataFileRepository(tmp_path / "done"), 10)

    def fail_for_records(path: str) -> OSError | None:
        return OSError(errno.EIO, "the disk is gone") if any((tmp_path / "done").iterdir()) else None

    disk.fail = fail_for_records
    report = await run(task, store=tmp_path / "store", deadline=15)
    assert report.exit_code == 5
    assert any("the disk is gone" in problem for problem in report.problems)


class Refusing(pdt.InProcessMetadataRepository):
    """Records in memory that are refused while `refuses` says so.

    :param refuses: called with a job.
    """

    def __init__(self, refuses: Callable[[str], bool], *, inline: bool = True) -> None:
        super().__init__()
        self._refuses = refuses
        self.asked = 0
        self.inline = inline

    async def dump(self, job: str, data: Any) -> None:
        self.asked += 1
        if self._refuses(job):
            raise PermissionError("read-only store")
        await super().dump(job, data)

    async def dump_all(self, records: Mapping[str, Any]) -> None:
        for job, data in records.items():
            await self.dump(job, data)


@pytest.fixture
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "FIRST_DELAY", 0.005)


@pytest.mark.usefixtures("short_delays")
@pytest.mark.parametrize("inline", [False, True])
async def test_a_store_that_refuses_records_is_a_problem_of_its_own_task_only(inline: bool) -> None:
    refusing = Refusing(lambda job: True, inline=inline)
    bad, _, bad_calls = counting_task("bad", memory(*jobs_of(30)), done=refusing)
    good, good_done, _ = counting_task("good", memory(*jobs_of(300)))
    report = await run(bad, good)
    assert len(good_done.data) == 300
    assert bad_calls == Counter(jobs_of(30))
    assert report.exit_code == 5
    [problem] = report.problems
    assert "PermissionError: read-only store" in problem
    assert "Refusing" in problem


@pytest.mark.usefixtures("short_delays")
async def test_one_record_that_is_refused_costs_no_other_job_its_record(tmp_path: Path) -> None:
    done = pdt.YamlMetadataFileRepository(tmp_path / "done")
    (tmp_path / "done" / "j00007.yaml" / "in the way").mkdir(parents=True)
    task, _, _ = counting_task("task", memory(*jobs_of(100)), done=done)
    report = await run(task, store=tmp_path / "store")
    assert {job for job in jobs_of(100) if await done.contains(job)} == set(jobs_of(100)) - {"j00007"}
    assert report.succeeded == Counter(task=99)
    assert report.exit_code == 5


@pytest.mark.usefixtures("short_delays")
async def test_a_store_that_is_away_for_a_moment_loses_no_record() -> None:
    left = [3]

    def away(job: str) -> bool:
        left[0] -= 1
        return left[0] >= 0

    done = Refusing(away, inline=False)
    task, _, calls = counting_task("task", memory(*jobs_of(10)), done=done)
    report = await run(task)
    assert set(done.data) == set(jobs_of(10))
    assert set(calls.values()) == {1}
    assert report.exit_code == 0


async def test_a_slow_store_lets_other_stores_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    release = asyncio.Event()

    class Slow(pdt.InProcessMetadataRepository):
        inline = False

        async def dump_all(self, records: Mapping[str, Any]) -> None:
            await release.wait()
            await super().dump_all(records)

    slow, slow_done, _ = counting_task("slow", memory(*jobs_of(5)), done=Slow())
    first, _, _ = counting_task("first", memory(*jobs_of(5)))
    second, _, _ = counting_task("second", memory(*jobs_of(4)))
    second.plug(first)

    async def end(job: str) -> None:
        release.set()

    third, _, _ = counting_task("third", memory("j00000"), end)
    third.plug(second)
    report = await run(slow, first, second, third, deadline=10)
    assert len(slow_done.data) == 5
    assert report.exit_code == 0


async def test_jobs_wait_for_a_disk_that_is_far_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has ended and is not recorded yet stays bounded: that much is done again after a kill."""
    monkeypatch.setattr(commit, "MOST_PENDING", 256)
    disk = Disk(tmp_path, monkeypatch)
    release = threading.Event()
    disk.fail = lambda path: None if release.wait(10) else OSError("too late")
    task, _ = writing(tmp_path, pdt.SqliteMetadataRepository(tmp_path / "records.sqlite", "task"), 2000)
    async with pipeline_of(task, store=tmp_path / "store") as pipeline, asyncio.TaskGroup() as group:
        running = group.create_task(pipeline.run())
        records = pipeline.runner.launcher.commit
        try:
            await until(lambda: records.waiting >= 256)
            await asyncio.sleep(0.1)
            assert records.waiting < 256 + 2 * commit.BATCH
        finally:
            release.set()
        assert (await running).succeeded == Counter(task=2000)


def test_files_that_vanished_need_no_sync(tmp_path: Path) -> None:
    syncer = Syncer()
    gone = str(tmp_path / "gone" / "file")
    syncer.sync([gone], [str(tmp_path / "other")], True)
    syncer._syncfs_seconds = 1e9
    syncer.sync([gone], [], False)


def test_a_slow_file_system_is_synced_file_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Syncing a file system waits for what strangers write to it, too."""
    disk = Disk(tmp_path, monkeypatch)
    paths = [str(tmp_path / f"file{number}") for number in range(5)]
    for path in paths:
        Path(path).write_text("x")
    syncer = Syncer()
    syncer.sync(paths, [], False)
    assert disk.syncs == [str(tmp_path)]
    syncer._syncfs_seconds = 100.0
    syncer.sync(paths, [], False)
    assert set(disk.syncs[1:]) == {*paths, str(tmp_path)}
    syncer._syncfs_seconds = 100.0
    syncer.sync(paths, [str(tmp_path)], True)
    assert disk.syncs[-1] == str(tmp_path)


async def test_two_pipelines_at_once_take_only_their_own_place_from_the_list_of_listeners(tmp_path: Path) -> None:
    before = list(localfs.on_written)
    pipelines = []
    for name in ("one", "two"):
        task, _ = writing(tmp_path / name, pdt.SqliteMetadataRepository(tmp_path / f"{name}.sqlite", "t"), 50)
        pipelines.append(pipeline_of(task, name=name, store=tmp_path / "store"))
    async with pipelines[0], pipelines[1], asyncio.TaskGroup() as group:
        for pipeline in pipelines:
            group.create_task(pipeline.run())
    assert localfs.on_written == before
    assert recorded(tmp_path / "one.sqlite") == recorded(tmp_path / "two.sqlite") == set(jobs_of(50))


# Attempts: what is decided, then published, then recorded.


def making(place: Place, script: str, *jobs: str, **options: Any) -> tuple[pdt.ProcessTask, pdt.FileRepository]:
    """Return a task whose scripts write a file each."""
    outputs = place.files("out", ".txt")
    task = place.task(script, *jobs, **options)
    task.link("out", outputs, is_output=True)
    return task, outputs


async def test_what_is_decided_is_durable_and_what_is_recorded_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    disk = Disk(tmp_path, monkeypatch)
    early: list[str] = []
    decide = AttemptBook.decide

    async def check_decisions(self: AttemptBook, decisions: Iterable[Decision]) -> set[str]:
        decisions = list(decisions)
        for decision in decisions:
            [(staged, target)] = decision.moves
            if os.path.basename(staged) not in disk.durable or os.path.exists(target):
                early.append(f"decided {decision.job}")
        return await decide(self, decisions)

    class Checked(pdt.InProcessMetadataRepository):
        async def dump_all(self, records: Mapping[str, Any]) -> None:
            decided = await pipeline.ledger.list("commit/")
            early.extend(
                f"recorded {job}"
                for job in records
                if f"commit/task/{job}" not in decided or f"{job}.txt" not in disk.durable
            )
            await super().dump_all(records)

    monkeypatch.setattr(AttemptBook, "decide", check_decisions)
    task, outputs = making(place, "echo {{job}} >{{out}}", *jobs_of(100), done=Checked())
    async with place.pipeline(task) as pipeline:
        report = await pipeline.run()
        assert await pipeline.ledger.list() == []
    assert early == []
    assert report.succeeded == Counter(task=100)
    assert await outputs.keys() == set(jobs_of(100))


async def test_a_superseded_attempt_publishes_nothing(tmp_path: Path) -> None:
    """Whoever decided first about a job has the say; what another attempt wrote stays aside."""
    place = Place(tmp_path)
    gate, begun = tmp_path / "gate", tmp_path / "begun"
    script = f"echo x >{{{{out}}}}; : >{begun}-$PDT_JOB; until test -e {gate}; do sleep 0.02; done"
    task, outputs = making(place, script, "a", "b")
    async with place.pipeline(task) as pipeline, asyncio.timeout(20):
        running = asyncio.get_running_loop().create_task(pipeline.run())
        await until(lambda: all((tmp_path / f"begun-{job}").exists() for job in "ab"))
        other = {"format": 1, "token": "f" * 32, "outcome": {}, "failed": False, "moves": [], "streams": []}
        assert await pipeline.ledger.insert("commit/task/a", other)
        gate.touch()
        report = await running
        entry = await pipeline.ledger.get("commit/task/a")
        assert entry is not None
        assert entry["token"] == "f" * 32
    assert await outputs.keys() == {"b"}
    assert await place.done.keys() == {"b"}
    assert any("another attempt's results count" in problem for problem in report.problems)
    assert report.exit_code == 5


async def test_an_output_that_cannot_be_put_in_place_is_not_recorded(tmp_path: Path) -> None:
    """And keeps no other from it; it is published by the next run, and its script is not run again."""
    place = Place(tmp_path)
    task, outputs = making(place, f"echo {{{{job}}}} >>{tmp_path}/log; echo {{{{job}}}} >{{{{out}}}}", "a", "b", "c")
    obstacle = outputs.fullpath("b") / "in the way"
    obstacle.mkdir(parents=True)
    async with place.pipeline(task) as pipeline, asyncio.timeout(20):
        report = await pipeline.run()
    assert await place.done.keys() == {"a", "c"}
    assert any("could not be published" in problem for problem in report.problems)
    obstacle.rmdir()
    obstacle.parent.rmdir()
    report = await place.run(task)
    assert await place.done.keys() == await outputs.keys() == {"a", "b", "c"}
    assert report.exit_code == 0
    assert sorted((tmp_path / "log").read_text().split()) == ["a", "b", "c"]


@pytest.mark.usefixtures("short_delays")
async def test_jobs_without_a_record_are_published_and_settled(tmp_path: Path) -> None:
    place = Place(tmp_path)
    task, outputs = making(place, "echo {{job}} >{{out}}", *jobs_of(30), done=None)
    task.link("made", outputs, inhibits_start=True)
    report = await place.run(task)
    assert report.succeeded == Counter(task=30)
    assert await outputs.keys() == set(jobs_of(30))


@pytest.mark.usefixtures("short_delays")
async def test_a_record_that_is_refused_is_written_by_the_next_run(tmp_path: Path) -> None:
    """The decision stands: the script is not run again."""
    place = Place(tmp_path)
    refuses = [True]
    done = Refusing(lambda job: refuses[0])
    task, outputs = making(place, f"echo {{{{job}}}} >>{tmp_path}/log; echo x >{{{{out}}}}", "a", done=done)
    async with place.pipeline(task) as pipeline, asyncio.timeout(20):
        report = await pipeline.run()
    assert (report.exit_code, done.data) == (5, {})
    refuses[0] = False
    report = await place.run(task)
    assert done.data["a"]["success"]
    assert done.data["a"]["start_time"].utcoffset() is not None
    assert await outputs.keys() == {"a"}
    assert (tmp_path / "log").read_text() == "a\n"
