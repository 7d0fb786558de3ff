"""The Pipeline object: making, opening and closing it, single rounds, the graph and the lock."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt.errors import BackendError, ConfigurationError, HeldError, PipelineNotOpenError
from pdt.repository.base import Repository
from pdt.store import Store
from tests.core.engine.samples import Stranger, amount, counting_task, jobs_of, memory, pipeline_of
from tests.support.ordinary_user import AsOrdinaryUser


def idle(name: str = "task", *jobs: str) -> pdt.InProcessSyncTask:
    """Return a task that does nothing for each of these jobs."""
    return counting_task(name, memory(*jobs))[0]


# Making one.


def test_the_signature_is_the_references_with_more_at_the_end() -> None:
    parameters = inspect.signature(pdt.Pipeline).parameters
    assert list(parameters)[:4] == ["tasks", "session", "resources", "priority"]
    for name, parameter in list(parameters.items())[4:]:
        assert parameter.kind is parameter.KEYWORD_ONLY, name
    assert parameters["priority"].default is None
    settings = inspect.signature(pdt.Pipeline.settings).parameters
    assert (settings["synchronous"].default, settings["metadata"].default) == (False, True)


def test_it_takes_the_arguments_of_the_reference_by_position() -> None:
    session, manager = pdt.Session(), pdt.ResourceManager(amount(1))
    pipeline = pdt.Pipeline([idle()], session, [manager], lambda task, job: 1)
    assert pipeline.session is session
    assert pipeline.resource_managers == [manager]
    assert pipeline.priority is not None
    assert pdt.Pipeline([idle()], session).resource_managers == []


def test_tasks_are_found_by_name_and_cannot_be_replaced() -> None:
    first, second = idle("first"), idle("second")
    pipeline = pdt.Pipeline(iter([first, second]), pdt.Session())
    assert dict(pipeline.tasks) == {"first": first, "second": second}
    with pytest.raises(TypeError):
        pipeline.tasks["first"] = second  # type: ignore[index]


def test_two_tasks_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"two tasks are named 'same'.*\n?fix: give each task"):
        pdt.Pipeline([idle("same"), idle("same")], pdt.Session())
    task = idle("same")
    assert len(pdt.Pipeline([task, task], pdt.Session()).tasks) == 1


@pytest.mark.parametrize("wrong", [5, "task", lambda job: None, pdt.Session(), pdt.InProcessMetadataRepository()])
def test_what_is_no_task_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="not a task"):
        pdt.Pipeline([wrong], pdt.Session())


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 64, "-a", "a/b", "a\n"])
def test_a_name_that_cannot_be_a_file_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot name a pipeline"):
        pdt.Pipeline([], pdt.Session(), name=name)


def test_durability_is_one_of_two() -> None:
    wrong: Any = "disk"
    with pytest.raises(ConfigurationError, match="neither 'power' nor 'process'"):
        pdt.Pipeline([], pdt.Session(), durability=wrong)


def test_the_store_and_the_name_come_from_the_script(tmp_path: Path) -> None:
    script = tmp_path / "my pipeline.v2.py"
    script.write_text(
        "import pdt\npipeline = pdt.Pipeline([], pdt.Session())\nprint(pipeline.name)\nprint(pipeline.store.path)\n"
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, cwd="/")
    assert run.stdout.splitlines() == ["my-pipeline.v2", str(tmp_path / ".pdt")]
    code = "import pdt; p = pdt.Pipeline([], pdt.Session()); print(p.name, p.store.path)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert run.stdout.split() == ["pipeline", str(tmp_path / ".pdt")]


def test_the_store_may_be_a_path_or_a_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "other")
    assert pdt.Pipeline([], pdt.Session(), store=store).store is store
    assert pdt.Pipeline([], pdt.Session(), store=str(tmp_path / "third")).store.path == tmp_path / "third"


def test_managers_are_found_from_tasks_each_once() -> None:
    shared, own, given = (pdt.ResourceManager(amount(1)) for _ in range(3))
    tasks = [
        counting_task(name, memory(), resource_manager=manager, job_resources=amount(1))[0]
        for name, manager in (("a", shared), ("b", shared), ("c", own))
    ]
    assert pdt.Pipeline(tasks, pdt.Session(), [given, shared]).resource_managers == [given, shared, own]


def test_settings_reach_every_task() -> None:
    first, second = idle("first"), Stranger("second", memory(), memory())
    pipeline = pipeline_of(first, second)
    pipeline.settings(True, False)
    assert [(task.synchronous, task.metadata) for task in (first, second)] == [(True, False)] * 2
    pipeline.settings()
    assert [(task.synchronous, task.metadata) for task in (first, second)] == [(False, True)] * 2


# Opening and closing.


class Noting(pdt.InProcessMetadataRepository):
    """Records in memory that take down what is done to them.

    :param log: takes it.
    """

    def __init__(self, name: str, log: list[str], *jobs: str) -> None:
        super().__init__({job: job for job in jobs})
        self.name = name
        self.log = log

    async def validate(self) -> None:
        self.log.append(f"validate {self.name}")

    def release(self) -> None:
        self.log.append(f"release {self.name}")


def noting_session(log: list[str], *names: str) -> pdt.Session:
    session = pdt.Session()
    for name in names:

        def resource(name: str = name) -> Any:
            async def manager() -> AsyncGenerator[str, None]:
                log.append(f"open {name}")
                try:
                    yield name
                finally:
                    log.append(f"close {name}")

            return manager

        session.resource(resource())
    return session


async def test_opening_opens_the_session_then_validates_tasks_then_repositories_once_each() -> None:
    log: list[str] = []

    class Task(Stranger):
        async def validate(self) -> None:
            log.append(f"validate task {self.name}")

    shared, inner, table, unless = (Noting(name, log) for name in ("shared", "inner", "table", "unless"))
    ready = Noting("ready", log)
    first = Task("first", Noting("live", log), Noting("done", log))
    first.link("shared", shared, is_input=True)
    first.link("related", pdt.RelatedItemRepository(inner, table), is_input=True)
    second = Task("second", memory(), memory(), ready=pdt.AggregateOrRepository(one=ready, two=shared))
    second.link("shared", shared, is_input=True)
    second.link("blocked", pdt.BlockingRepository(shared, unless, enumerate_unless=False), is_input=True)
    second.link("mapped", pdt.GroupRepository(inner, table.map(lambda info: info)), is_output=True)
    pipeline = pipeline_of(first, second, session=noting_session(log, "x", "y"))
    async with pipeline as entered:
        assert entered is pipeline
        assert (await asyncio.sleep(0, pipeline)).is_open
        assert log[:4] == ["open x", "open y", "validate task first", "validate task second"]
        validated = log[4:]
        names = ["shared", "inner", "table", "unless", "ready", "live", "done"]
        assert sorted(validated) == sorted(f"validate {name}" for name in names)
        log.clear()
    assert not pipeline.is_open
    assert Counter(log) == Counter([*(f"release {name}" for name in names), "close x", "close y"])
    assert log[-2:] == ["close y", "close x"]


@pytest.mark.parametrize("broken", ["session", "task", "repository", "ready"])
async def test_a_failed_opening_cleans_up_and_can_be_repeated(broken: str) -> None:
    log: list[str] = []
    fail = [True]

    class Repo(Noting):
        async def validate(self) -> None:
            await super().validate()
            if fail and broken == "repository":
                raise PermissionError("cannot write")

    class Task(Stranger):
        async def validate(self) -> None:
            if fail and broken == "task":
                raise ConfigurationError("wrong task")

    session = noting_session(log, "x")

    @session.resource
    async def second() -> AsyncGenerator[int, None]:
        if fail and broken == "session":
            raise ConnectionError("no server")
        yield 1

    task = Task("task", memory(), memory())
    if broken != "ready":
        task.link("input", Repo("input", log, "a"), is_input=True)
    pipeline = pipeline_of(task, session=session)
    errors = {"session": ConnectionError, "repository": PermissionError}
    with pytest.raises(errors.get(broken, ConfigurationError)):
        async with pipeline:
            pass
    assert not pipeline.is_open
    assert not session.is_open
    assert log.count("open x") == log.count("close x") == 1
    if broken == "repository":
        assert log.count("release input") == 1
    with pytest.raises(PipelineNotOpenError):
        await pipeline.update()
    fail.clear()
    if broken == "ready":
        task.link("input", Repo("input", log, "a"), is_input=True)
    async with pipeline:
        await pipeline.run()
    assert task.executions == Counter("a")


async def test_a_pipeline_can_be_opened_again_and_again() -> None:
    log: list[str] = []
    inputs = memory("a")
    task, done, _ = counting_task("task", inputs)
    pipeline = pipeline_of(task, session=noting_session(log, "x"))
    for job in ("a", "b", "c"):
        inputs.data[job] = {}
        await pipeline.open()
        await pipeline.run()
        await pipeline.close()
        await pipeline.close()
    assert set(done.data) == {"a", "b", "c"}
    assert log == ["open x", "close x"] * 3


async def test_opening_twice_is_refused_and_leaves_it_open() -> None:
    pipeline = pipeline_of(idle("task", "a"))
    async with pipeline:
        with pytest.raises(ConfigurationError, match="pipeline 'tested' is open already"):
            await pipeline.open()
        assert (await pipeline.run()).exit_code == 0


async def test_a_closed_pipeline_says_how_to_use_it() -> None:
    task = idle("task", "a")
    pipeline = pipeline_of(task)
    uses: list[Callable[[], Awaitable[object]]] = [
        pipeline.update,
        pipeline.update_only_update,
        pipeline.update_only_launch,
        pipeline.run,
        lambda: pipeline.gather_ready_jobs(task),
        lambda: pipeline.explain(task, "a"),
    ]
    for use in uses:
        with pytest.raises(PipelineNotOpenError, match=r"(?s)'tested' is not open.*async with pipeline"):
            await use()
    with pytest.raises(PipelineNotOpenError):
        pipeline.take_control()
    pipeline.stop()


async def test_an_error_of_the_block_is_raised_after_closing() -> None:
    log: list[str] = []
    with pytest.raises(ZeroDivisionError):
        async with pipeline_of(idle(), session=noting_session(log, "x")):
            raise ZeroDivisionError
    assert log == ["open x", "close x"]


@pytest.mark.parametrize("missing", ["required", "inhibiting"])
async def test_a_task_that_could_never_or_always_start_is_refused_at_opening(missing: str) -> None:
    class Bare(pdt.Task):
        async def update(self) -> bool:
            return False

        async def launch(self, job: str) -> None:
            return None

    task = Bare("bare")
    if missing == "inhibiting":
        task.link("input", memory(), is_input=True)
    with pytest.raises(ConfigurationError, match="task 'bare' has no"):
        async with pipeline_of(task):
            pass


@pytest.mark.parametrize("disabled", [False, True])
async def test_two_tasks_do_not_write_their_records_to_one_repository(disabled: bool) -> None:
    shared = memory()
    first, _, _ = counting_task("first", memory("a"), done=shared)
    second, _, _ = counting_task("second", memory("a"), done=shared, disabled=disabled)
    pipeline = pipeline_of(first, second)
    if not disabled:
        with pytest.raises(ConfigurationError, match=r"(?s)tasks 'first' and 'second' both write .*fix: .*'second'\)"):
            await pipeline.open()
        assert not pipeline.is_open
        second.done = second.links["done"].repo = memory()
    async with pipeline:
        assert (await pipeline.run()).exit_code == 0


async def test_a_plugged_done_is_not_taken_for_a_tasks_own() -> None:
    first, done, _ = counting_task("first", memory("a"))
    second, _, _ = counting_task("second", memory("a"))
    second.plug(first)
    assert second.links["first_done"].repo is done
    async with pipeline_of(first, second) as pipeline:
        assert (await pipeline.run()).exit_code == 0


def over(directory: Path) -> pdt.Pipeline:
    """Return a pipeline with a directory that is read, one that is written to, and records in a file."""
    task = pdt.InProcessSyncTask(
        "task", pdt.SqliteMetadataRepository(directory / "made" / "records.sqlite", "done"), func=lambda job: None
    )
    task.link("input", pdt.FileRepository(directory / "in"), is_input=True)
    task.link("output", pdt.DirectoryRepository(directory / "out"), is_output=True)
    return pipeline_of(task, store=directory / "store")


async def test_what_is_only_looked_at_is_not_made(tmp_path: Path) -> None:
    pipeline = over(tmp_path)
    await pipeline.open(only_look=True)
    repos = [link.repo for link in pipeline.tasks["task"].links.values()]
    for repo in repos:
        assert await repo.keys() == set()
        assert not await repo.contains("a")
        assert await repo.info_all() == {}
        assert repo.stamp() is None
    assert await pipeline.gather_ready_jobs(pipeline.tasks["task"]) == set()
    with pytest.raises(ConfigurationError, match="was opened only to look"):
        await pipeline.run()
    await pipeline.close()
    assert list(tmp_path.iterdir()) == []
    async with pipeline:
        assert {path.name for path in tmp_path.iterdir()} == {"in", "out", "made"}


async def test_a_directory_that_vanishes_from_a_run_is_not_taken_for_empty(tmp_path: Path) -> None:
    async with over(tmp_path) as pipeline:
        (tmp_path / "in").rmdir()
        with pytest.raises(BackendError, match="No such file or directory"):
            await pipeline.gather_ready_jobs(pipeline.tasks["task"])


def test_an_input_need_not_be_writable(tmp_path: Path, as_ordinary_user: AsOrdinaryUser) -> None:
    async def run() -> int:
        pipeline = over(tmp_path)
        async with pipeline:
            code = (await pipeline.run()).exit_code
        with pytest.raises(PermissionError):  # nobody has said that it is only read
            await pipeline.tasks["task"].links["input"].repo.validate()
        return code

    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "in" / "a").touch()
    (tmp_path / "in").chmod(0o500)
    assert as_ordinary_user(lambda: asyncio.run(run())) == 0
    for name, mode, what in (("in", 0o300, "read"), ("out", 0o500, "write")):
        (tmp_path / name).chmod(mode)
        with pytest.raises(PermissionError, match=f"Permission to {what} denied") as raised:
            as_ordinary_user(lambda: asyncio.run(run()))
        assert any(note.startswith(f"task.{name}put: ") for note in raised.value.__notes__)
        (tmp_path / name).chmod(0o700)


def test_a_store_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").touch()

    async def run() -> None:
        async with over(tmp_path) as pipeline:
            await pipeline.run()

    with pytest.raises(BackendError, match=r"(?s)the store .*/store of pipeline 'tested' cannot be used.*fix: "):
        asyncio.run(run())


async def test_the_database_of_records_is_closed_with_the_pipeline(tmp_path: Path) -> None:
    database = tmp_path / "records.sqlite"
    task, _, _ = counting_task("task", memory("a"), done=pdt.SqliteMetadataRepository(database, "task"))
    async with pipeline_of(task, store=tmp_path / "store") as pipeline:
        await pipeline.run()
    held = {
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{fd}")
    }
    assert not [path for path in held if path.startswith(str(tmp_path))]


# Single rounds.


async def test_update_says_whether_there_was_any_activity() -> None:
    task, done, _ = counting_task("task", memory("a"))
    async with pipeline_of(task) as pipeline:
        assert await pipeline.update() is True
        assert set(done.data) == {"a"}
        assert await pipeline.update() is False


async def test_the_halves_of_a_round_say_what_they_did() -> None:
    live, done = memory(), memory()
    task = Stranger("task", live, done, seconds=0.1)
    task.link("input", memory("a"), is_input=True)
    async with pipeline_of(task) as pipeline:
        assert await pipeline.update_only_update() is False
        assert not task.executions
        assert await pipeline.update_only_launch() is True
        assert task.executions == Counter("a")
        assert await pipeline.update_only_launch() is False
        assert await pipeline.update_only_update() is True
        while await pipeline.update_only_update():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert set(done.data) == {"a"}
        assert await pipeline.update() is False


async def test_update_launches_one_stage_after_the_other() -> None:
    first, first_done, _ = counting_task("first", memory("a", "b"))
    second, second_done, _ = counting_task("second", memory("a"))
    second.plug(first)
    async with pipeline_of(first, second) as pipeline:
        assert await pipeline.update()
        assert (len(first_done.data), len(second_done.data)) == (2, 0)
        assert await pipeline.update()
        assert len(second_done.data) == 1
        assert not await pipeline.update()


async def test_a_launch_that_failed_counts_as_ready_until_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """`while await pipeline.update()` ends neither before it is tried again, nor never."""
    monkeypatch.setattr("pdt.engine.launch.FIRST_DELAY", 0.01)
    launches = 0

    class Failing(Stranger):
        async def launch(self, job: str) -> None:
            nonlocal launches
            launches += 1
            raise ConnectionError("away")

    task = Failing("task", memory(), memory())
    task.link("input", memory("a"), is_input=True)
    async with pipeline_of(task) as pipeline, asyncio.timeout(10):
        while await pipeline.update():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        verdict = await pipeline.explain(task, "a")
        assert (verdict.kind.value, verdict.reason) == ("blocked", "it could not be launched: ConnectionError: away")
    assert launches == 5


async def test_ready_jobs_are_those_of_the_definition() -> None:
    task, done, calls = counting_task("task", memory("a", "b", "c", "not/valid"))
    done.data["b"] = {}
    task.link("held", memory("c"), inhibits_start=True)
    async with pipeline_of(task) as pipeline:
        assert await pipeline.gather_ready_jobs(task) == {"a"}
        assert not calls
        task.disabled = True
        assert await pipeline.gather_ready_jobs(task) == set()


async def test_ready_jobs_that_cannot_be_found_out_are_an_error() -> None:
    class Broken(pdt.InProcessMetadataRepository):
        async def keys(self) -> Any:
            raise PermissionError("no entry")

    task, _, _ = counting_task("task", Broken())
    async with pipeline_of(task) as pipeline:
        with pytest.raises(BackendError, match="PermissionError: no entry"):
            await pipeline.gather_ready_jobs(task)


async def test_a_task_that_is_disabled_while_it_is_open_starts_nothing_more() -> None:
    inputs = memory("a")
    task, done, _ = counting_task("task", inputs)
    async with pipeline_of(task) as pipeline:
        await pipeline.run()
        task.disabled = True
        inputs.data["b"] = {}
        await pipeline.run()
        assert set(done.data) == {"a"}
        task.disabled = False
        await pipeline.run()
        assert set(done.data) == {"a", "b"}


# The graph.


def graph_of() -> tuple[pdt.Pipeline, dict[str, Any]]:
    source, words, live, done, notes, held = (memory() for _ in range(6))
    nodes: dict[str, Any]
    second_done = memory()
    first = Stranger("first", live, done)
    first.link("source", source, is_input=True)
    first.link("words", words, is_output=True)
    first.link("notes", notes)
    second, _, _ = counting_task("second", memory(), done=second_done)
    second.plug(first)
    second.link("held", held, inhibits_start=True)
    nodes = {"source": source, "words": words, "live": live, "done": done, "notes": notes, "held": held}
    nodes |= {"second_done": second_done, "input": second.links["input"].repo, "first": first, "second": second}
    return pipeline_of(first, second), nodes


def test_an_edge_leads_from_what_is_read_to_what_depends_on_it() -> None:
    pipeline, nodes = graph_of()
    names = {node: name for name, node in nodes.items()}
    graph = pipeline.graph()
    assert {names[node] for node in graph} == set(nodes)
    edges = {(names[start], names[end]) for start, end in graph.edges}
    assert edges == {
        ("source", "first"),
        ("first", "words"),
        ("first", "notes"),
        ("live", "first"),
        ("first", "live"),
        ("done", "first"),
        ("first", "done"),
        ("words", "second"),
        ("live", "second"),
        ("done", "second"),
        ("held", "second"),
        ("input", "second"),
        ("second_done", "second"),
        ("second", "second_done"),
    }


def test_a_task_without_links_is_in_the_graph() -> None:
    done = memory()
    task = pdt.InProcessSyncTask("task", done)
    task.links.clear()
    assert list(pipeline_of(task).graph()) == [task]


def test_dependants_begin_with_the_node_itself() -> None:
    pipeline, nodes = graph_of()
    names = {node: name for name, node in nodes.items()}

    def dependants(name: str, recursive: bool) -> list[str]:
        return [names[node] for node in pipeline.dependants(nodes[name], recursive)]

    assert dependants("source", False) == ["source", "first"]
    assert dependants("first", False)[0] == "first"
    assert set(dependants("first", False)) == {"first", "words", "notes", "live", "done"}
    assert dependants("source", True)[:2] == ["source", "first"]
    assert set(dependants("source", True)) == set(nodes) - {"held", "input"}
    assert set(dependants("held", True)) == {"held", "second", "second_done"}
    assert dependants("notes", True) == ["notes"]


def test_dependants_of_a_stranger_are_refused() -> None:
    pipeline, _ = graph_of()
    for recursive in (True, False):
        with pytest.raises(pdt.errors.NotFoundError, match="is not part of pipeline 'tested'"):
            list(pipeline.dependants(memory(), recursive))


# The lock.


HOLDER = """
import asyncio, sys
import pdt

done = pdt.SqliteMetadataRepository(sys.argv[1] + "/records.sqlite", "task")

async def body(job):
    print("running", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)

task = pdt.InProcessSyncTask("task", done, func=body)
task.link("input", pdt.InProcessMetadataRepository({"a": {}}), is_input=True)

async def main():
    async with pdt.Pipeline([task], pdt.Session(), name=sys.argv[2], store=sys.argv[1]) as pipeline:
        await pipeline.run()

asyncio.run(main())
"""


async def test_a_second_process_is_told_who_works_on_the_pipeline(tmp_path: Path) -> None:
    task, _, calls = counting_task(
        "task", memory("a", "b"), done=pdt.SqliteMetadataRepository(tmp_path / "records.sqlite", "task")
    )
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(tmp_path), "tested",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"running\n"
    async with pipeline_of(task, store=tmp_path) as pipeline:
        assert await pipeline.gather_ready_jobs(task) == {"a", "b"}  # looking is allowed
        for use in (pipeline.update, pipeline.run, pipeline.update_only_launch, pipeline.update_only_update):
            with pytest.raises(HeldError, match=f"process {holder.pid} on ") as caught:
                await use()
            assert caught.value.exit_code == 6
        assert not calls
        other, _, other_calls = counting_task(
            "task", memory("x"), done=pdt.SqliteMetadataRepository(tmp_path / "o.sqlite", "t")
        )
        async with pipeline_of(other, store=tmp_path, name="other") as another:
            await another.run()
        assert other_calls == Counter("x")
        await holder.communicate(b"\n")
        await pipeline.run()
        assert calls == Counter("b")


async def test_two_pipelines_of_one_process_share_no_lock_either(tmp_path: Path) -> None:
    def make() -> pdt.Pipeline:
        task, _, _ = counting_task("task", memory("a"), done=pdt.SqliteMetadataRepository(tmp_path / "r.sqlite", "t"))
        return pipeline_of(task, store=tmp_path)

    async with make() as first:
        await first.update()
        async with make() as second:
            with pytest.raises(HeldError, match="this process"):
                await second.update()
    async with make() as third:
        assert await third.update() is False


async def test_a_pipeline_in_memory_needs_no_lock_and_no_store() -> None:
    tasks = [idle("task", *jobs_of(3)) for _ in range(2)]
    async with (
        pipeline_of(tasks[0], store="/proc/nowhere") as first,
        pipeline_of(tasks[1], store="/proc/nowhere") as second,
    ):
        await first.run()
        await second.run()
    assert not Path("/proc/nowhere").exists()


async def test_the_store_is_made_with_a_gitignore_of_its_own(tmp_path: Path) -> None:
    task, _, _ = counting_task("task", memory("a"), done=pdt.YamlMetadataFileRepository(tmp_path / "done"))
    async with pipeline_of(task, store=tmp_path / "deep" / ".pdt") as pipeline:
        assert not (tmp_path / "deep").exists()
        await pipeline.run()
    assert (tmp_path / "deep" / ".pdt" / ".gitignore").read_text().splitlines()[-1] == "*"


async def test_the_lock_is_free_after_a_failed_run(tmp_path: Path) -> None:
    def make() -> pdt.Pipeline:
        task, _, _ = counting_task(
            "task",
            memory("a"),
            lambda job: asyncio.Event().wait(),
            done=pdt.SqliteMetadataRepository(tmp_path / "r.sqlite", "t"),
        )
        return pipeline_of(task, store=tmp_path)

    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), make() as pipeline:
                await pipeline.run()


def test_it_shows_its_tasks_and_name() -> None:
    assert repr(pipeline_of(idle("count"), idle("report"))) == "Pipeline(count, report, name='tested')"


def test_repositories_are_those_of_links_and_what_they_are_made_of_each_once() -> None:
    shared, other = memory(), memory()
    first, second = idle("first"), idle("second")
    combined: Repository = pdt.AggregateOrRepository(one=shared, two=other)
    first.link("combined", combined)
    second.link("shared", shared)
    found = pipeline_of(first, second).repositories
    assert len(found) == len(set(found))
    assert {shared, other, combined} < set(found)
