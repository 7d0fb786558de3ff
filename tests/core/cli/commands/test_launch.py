"""`pdt launch` and `pdt update`: one job by hand, and one round."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pdt import (
    ExecutorTask,
    FileRepository,
    GroupRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    YamlMetadataFileRepository,
    launch,
    update,
)
from tests.core.cli.support import call, make_pipeline, run_pdt


def keys(pipeline: Pipeline, link: str) -> set[str]:
    """Return what a link of the example pipeline holds."""
    import asyncio

    task, _, name = link.partition(".")

    async def listed() -> set[str]:
        async with pipeline:
            return set(await pipeline.tasks[task].links[name].repo.keys())

    return asyncio.run(listed())


def test_a_ready_job_is_launched(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "launch", "count", "a") == 0
    assert capsys.readouterr() == ("", "")
    assert keys(pipeline, "count.done") == keys(pipeline, "count.counts") == {"a"}
    assert keys(pipeline, "make-report.out") == set()


def test_globs_stand_for_ready_jobs(pipeline: Pipeline) -> None:
    assert call(pipeline, "launch", "count", "a") == 0
    assert call(pipeline, "launch", "count", "[abc]") == 0
    assert keys(pipeline, "count.done") == {"a", "b"}


def test_a_job_that_is_not_ready_needs_force(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "launch", "count", "a") == 0
    assert call(pipeline, "launch", "count", "a", "b") == 1
    assert capsys.readouterr().err == ("a: Task is not ready to launch - use -f to force\n  pdt why count a says why\n")
    assert keys(pipeline, "count.done") == {"a"}
    assert call(pipeline, "launch", "-f", "count", "a", "b") == 0
    assert keys(pipeline, "count.done") == {"a", "b"}


def test_a_job_that_is_nowhere_is_not_found(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    (pipeline.tasks["make-report"].links["done"].repo).data["elsewhere"] = {}  # type: ignore[attr-defined]
    assert call(pipeline, "launch", "count", "dd") == 3
    assert capsys.readouterr().err == "error: there is no job 'dd' in this pipeline\nfix: did you mean d?\n"
    assert call(pipeline, "launch", "count", "elsewhere") == 1
    assert capsys.readouterr().err.startswith("elsewhere: Task is not ready to launch")
    assert call(pipeline, "launch", "count", "a", "nope", "elsewhere") == 3
    error, fix, warning, _ = capsys.readouterr().err.splitlines()
    assert error == "error: there is no job 'nope' in this pipeline"
    assert fix == "fix: there are a, b, d"
    assert warning.startswith("elsewhere: Task is not ready to launch")
    assert keys(pipeline, "count.done") == set()


def test_a_group_that_lacks_a_member_is_no_unknown_job(capsys: pytest.CaptureFixture[str]) -> None:
    names = InProcessMetadataRepository({"m1": "g", "m2": "g"})
    task = InProcessSyncTask("fan-in", InProcessMetadataRepository(), func=lambda job: None)
    task.link("groups", GroupRepository(InProcessMetadataRepository({"m1": {}}), names), is_input=True)
    assert call(Pipeline([task], name="p"), "launch", "fan-in", "g") == 1
    assert capsys.readouterr().err.startswith("g: Task is not ready to launch")


def test_without_metadata_nothing_is_recorded(pipeline: Pipeline) -> None:
    assert call(pipeline, "launch", "count", "a", "--no-meta") == 0
    assert keys(pipeline, "count.counts") == {"a"}
    assert keys(pipeline, "count.done") == set()


@pytest.mark.parametrize("meta", ["--meta", "--no-meta"])
def test_a_body_that_raises_is_shown(pipeline: Pipeline, capsys: pytest.CaptureFixture[str], meta: str) -> None:
    assert call(pipeline, "launch", "count", "d", meta) == 1
    text = capsys.readouterr().err
    assert text.startswith("error: count d: ValueError('boom')\n  Traceback (most recent call last):\n")
    assert keys(pipeline, "count.done") == ({"d"} if meta == "--meta" else set())


async def test_launch_as_a_function(pipeline: Pipeline) -> None:
    async with pipeline:
        await launch(pipeline, "count", "a", sync=True, meta=True, force=False)
        await launch(pipeline, "count", "a", False, True, False)
        assert await pipeline.tasks["count"].links["done"].repo.keys() == {"a"}


def test_another_controller_keeps_it_from_launching(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    other = make_pipeline(tmp_path)

    async def while_held() -> int:
        async with other:
            other.take_control()
            return await asyncio.to_thread(call, pipeline, "launch", "count", "a")

    assert asyncio.run(while_held()) == 6
    assert capsys.readouterr().err.startswith("error: another controller works on this pipeline: ")


@pytest.mark.parametrize("command", ["launch t x", "update", "run"])
def test_a_record_that_blocks_its_job_is_named_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # as in a process whose logging is not set up
    task = InProcessSyncTask("t", InProcessMetadataRepository())
    task.link("input", YamlMetadataFileRepository(tmp_path / "in"), is_input=True)

    @task
    async def body(job: str, input: YamlMetadataFileRepository) -> None:
        await input.info(job)

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.yaml").write_text("[")
    (tmp_path / "in" / "y.yaml").write_text("{}")
    pipeline = Pipeline([task], name="p", store=tmp_path / "store")
    assert call(pipeline, *command.split()) == 5
    error, fix, *rest = capsys.readouterr().err.splitlines()
    assert error.startswith(
        f"error: t x: record 'x' in {task.links['input'].repo!r}, file {tmp_path}/in/x.yaml, is corrupt: "
    )
    assert fix.startswith("fix: repair record 'x'")
    assert rest[:1] == ([] if command.startswith("launch") else ["t: 1 ok, 1 blocked"])


def pool_pipeline(directory: Path, executor: ThreadPoolExecutor) -> Pipeline:
    task = ExecutorTask("pool", executor, InProcessMetadataRepository())
    task.link("input", FileRepository(directory / "in", extension=".txt"), is_input=True)
    task.link("output", InProcessMetadataRepository(), is_output=True)

    @task
    def body(job: str, output: Any) -> None:
        time.sleep(0.05)
        output.dump(job, {})

    return Pipeline([task], name="p", store=directory / "store")


@pytest.mark.parametrize("line", ["update", "launch pool *", "launch --sync pool *"])
def test_jobs_in_an_executor_of_this_process_are_waited_for(project: Path, line: str) -> None:
    with ThreadPoolExecutor(2) as executor:
        pipeline = pool_pipeline(project, executor)
        assert call(pipeline, *line.split()) == 0
        links = pipeline.tasks["pool"].links
        assert set(links["done"].repo.data) == set(links["output"].repo.data) == {"a", "b", "d"}  # type: ignore[attr-defined]


def test_update_is_one_round(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "update") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["count: 2 ok, 1 failed", "last failure: count d: ValueError('boom')"]
    assert lines[-1] == "  every failure: pdt failures --group-by cause; again: pdt retry --failed, then pdt run"
    assert keys(pipeline, "make-report.out") == set()
    assert call(pipeline, "update", "-q") == 0
    assert capsys.readouterr() == ("", "")
    assert keys(pipeline, "make-report.out") == {"a", "b"}
    assert call(pipeline, "update") == 0
    assert capsys.readouterr().err == "nothing to do\n"


async def test_update_as_a_function(pipeline: Pipeline) -> None:
    async with pipeline:
        await update(pipeline)
        assert await pipeline.tasks["count"].links["done"].repo.keys() == {"a", "b", "d"}


class Unlaunchable(InProcessSyncTask):
    async def launch(self, job: str) -> None:
        raise ConnectionError("no route to host")


class Unlisted(InProcessMetadataRepository):
    async def keys(self) -> set[str]:
        raise ConnectionError("no route to host")


def test_update_tells_of_launches_and_listings_that_fail(capsys: pytest.CaptureFixture[str]) -> None:
    task = Unlaunchable("t", InProcessMetadataRepository(), func=lambda job: None)
    task.link("input", InProcessMetadataRepository({"a": {}}), is_input=True)
    assert call(Pipeline([task], name="p"), "update") == 1
    other = InProcessSyncTask("t", InProcessMetadataRepository(), func=lambda job: None)
    other.link("input", Unlisted(), is_input=True)
    assert call(Pipeline([other], name="p"), "update") == 5


def test_messages_of_the_engine_are_lines(project: Path) -> None:
    script = project / "pipeline.py"
    script.write_text(
        script.read_text().replace(
            "pipeline = pdt",
            "class Bad(pdt.InProcessMetadataRepository):\n"
            "    async def keys(self):\n        raise ConnectionError('no route')\n"
            "report.link('bad', Bad(), is_input=True)\npipeline = pdt",
        )
    )
    result = run_pdt("update", cwd=project)
    assert result.returncode == 1
    assert "warning: listing Bad(0 jobs) failed: ConnectionError: no route\n" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in run_pdt("update", "--debug", cwd=project).stderr
