"""`pdt run`: to the end, with a summary, and an exit status that says how it went."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Set
from pathlib import Path

import pytest

from pdt import (
    FileRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    ResourceManager,
    Resources,
    run,
)
from tests.core.cli.support import PROJECT, TEXTS, call, make_pipeline, run_pdt, write_project


def test_a_run_goes_to_the_end_and_says_what_was_done(project: Path) -> None:
    result = run_pdt("run", cwd=project)
    assert (result.returncode, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert lines[:3] == ["count: 2 ok, 1 failed", "make-report: 2 ok", "last failure: count d: ValueError('boom')"]
    assert re.fullmatch(rf'  \|   File "{re.escape(str(project))}/pipeline.py", line \d+, in count_words', lines[3])
    assert lines[4:7] == [
        '  |     raise ValueError("boom")',
        "  all of it: pdt logs count d",
        "  every failure: pdt failures --group-by cause; again: pdt retry --failed, then pdt run",
    ]
    assert re.fullmatch(r"done after 0:0\d", lines[7])
    assert (project / "out" / "a.txt").read_text() == "a has 2 words\n"
    again = run_pdt("run", cwd=project)
    assert (again.returncode, again.stderr) == (0, "nothing to do\n")


def test_quiet_prints_nothing_of_it(project: Path) -> None:
    assert run_pdt("run", "-q", cwd=project).stderr == ""
    assert run_pdt("run", "-q", cwd=project).stderr == ""


def test_skipped_keys_are_told_of(project: Path) -> None:
    (project / "in" / "two words.txt").touch()
    for _ in range(2):
        lines = run_pdt("run", cwd=project).stderr.splitlines()
        assert "count: 1 skipped: 'two words' (not a valid job id)" in lines
        assert len([line for line in lines if line.startswith("warning: Skipping 'two words'")]) <= 1


def test_launch_once_launches_what_is_ready_at_first(project: Path) -> None:
    assert run_pdt("run", "--launch-once", cwd=project).returncode == 1
    assert not list((project / "out").iterdir())
    assert run_pdt("run", "--launch-once", cwd=project).returncode == 0
    assert len(list((project / "out").iterdir())) == 2


def test_fail_fast_starts_nothing_after_a_failure(tmp_path: Path) -> None:
    write_project(tmp_path, {"a": "boom", **{f"j{number}": "x" for number in range(500)}})
    assert run_pdt("run", "--fail-fast", cwd=tmp_path).returncode == 1
    assert not list((tmp_path / "out").iterdir())


def test_durability_is_the_pipelines_unless_it_is_given(project: Path, pipeline: Pipeline) -> None:
    found = [pipeline.durability]
    assert call(pipeline, "run", "--durability", "process") == 1
    assert [*found, pipeline.durability] == ["power", "process"]


SLOW = PROJECT.replace(
    "async with input.open(job)", "await __import__('asyncio').sleep(60)\n    async with input.open(job)"
)


def test_a_timeout_ends_it_and_it_goes_on_later(tmp_path: Path) -> None:
    write_project(tmp_path, {"a": "x"}, SLOW)
    result = run_pdt("run", "--timeout", "0.3", cwd=tmp_path)
    assert result.returncode == 4
    assert result.stderr.startswith("error: the pipeline was not done after 0.3 s\nfix: run it again")
    write_project(tmp_path, {"a": "x"})
    assert run_pdt("run", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_timeout_does_not_wait_for_functions_that_cannot_be_stopped(tmp_path: Path, kind: str) -> None:
    made = {
        "thread": 'pdt.InProcessSyncTask("t", done)',
        "process": 'pdt.ExecutorTask("t", __import__("concurrent.futures").futures.ProcessPoolExecutor(1), done)',
    }[kind]
    source = f"""
import os, time
import pdt
HERE = os.path.dirname(os.path.abspath(__file__))
done = pdt.SqliteMetadataRepository(HERE + "/.pdt/records.sqlite", "done")
task = {made}
task.link("input", pdt.FileRepository(HERE + "/in", extension=".txt"), is_input=True)

@task
def body(job):
    with open(HERE + "/pid", "w") as file:
        file.write(str(os.getpid()))
    time.sleep(300)

pipeline = pdt.Pipeline([task])
"""
    write_project(tmp_path, {"a": "x"}, source)
    since = time.monotonic()
    assert run_pdt("run", "--timeout", "2", cwd=tmp_path).returncode == 4
    assert time.monotonic() - since < 30
    worker = int((tmp_path / "pid").read_text())
    while is_running(worker):
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Tell whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_run_as_a_function(pipeline: Pipeline) -> None:
    async with pipeline:
        report = await run(pipeline, False, False, None)
    assert (report.succeeded["count"], report.failed["count"]) == (2, 1)


async def test_run_as_a_function_raises_on_timeout() -> None:
    task = InProcessSyncTask("t", InProcessMetadataRepository())
    task.link("input", InProcessMetadataRepository({"a": {}}), is_input=True)

    @task
    async def body(job: str) -> None:
        await asyncio.sleep(60)

    async with Pipeline([task], name="p") as pipeline:
        with pytest.raises(TimeoutError, match=r"^Pipeline run timeout$"):
            await run(pipeline, True, False, 0.05)


class Unlisted(InProcessMetadataRepository):
    async def keys(self) -> Set[str]:
        raise ConnectionError("no route to host")


def test_a_store_that_fails_is_told_of_and_the_rest_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    broken = InProcessSyncTask("broken", InProcessMetadataRepository(), func=lambda job: None)
    broken.link("input", Unlisted(), is_input=True)
    fine = InProcessSyncTask("fine", InProcessMetadataRepository(), func=lambda job: None)
    fine.link("input", InProcessMetadataRepository({"a": {}}), is_input=True)
    assert call(Pipeline([broken, fine], name="p"), "run") == 5
    text = capsys.readouterr().err
    assert "error: Unlisted(0 jobs) could not be listed: ConnectionError: no route to host\n" in text
    assert "fine: 1 ok\n" in text


@pytest.mark.parametrize("command", ["run", "plan"])
def test_what_can_never_start_is_told_of(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    manager = ResourceManager(Resources.parse(1, "1Gi"))
    task = InProcessSyncTask(
        "huge",
        InProcessMetadataRepository(),
        func=lambda job: None,
        resource_manager=manager,
        job_resources=Resources.parse(8, "1Mi", 1),
    )
    task.link("input", InProcessMetadataRepository({"a": {}}), is_input=True)
    status = call(Pipeline([task], name="p"), command)
    captured = capsys.readouterr()
    if command == "run":
        assert status == 1
        assert "error: 1 jobs of task 'huge' can never start: one job wants 8 of CPU" in captured.err
    else:
        assert status == 0
        assert "never-fits  one job wants 8 of CPU, and the quota is 1 in all" in captured.out


def test_another_controller_is_respected(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_pipeline(tmp_path)

    async def while_held() -> int:
        async with other:
            other.take_control()
            return await asyncio.to_thread(call, pipeline, "run")

    assert asyncio.run(while_held()) == 6
    assert capsys.readouterr().err.startswith("error: another controller works on this pipeline: ")


def test_a_pipeline_may_be_shared(project: Path) -> None:
    ended = run_pdt("run", "--shared", cwd=project)
    assert ended.returncode == 1  # d fails
    assert "count: 2 ok, 1 failed" in ended.stderr
    again = run_pdt("run", "--shared", cwd=project)
    assert (again.returncode, again.stderr) == (0, "nothing to do\n")


def test_what_lives_in_memory_cannot_be_shared(tmp_path: Path) -> None:
    in_memory = PROJECT.replace(
        'pdt.SqliteMetadataRepository(RECORDS, "count-done")', "pdt.InProcessMetadataRepository()"
    )
    write_project(tmp_path, TEXTS, in_memory)
    ended = run_pdt("run", "--shared", cwd=tmp_path)
    assert ended.returncode == 2
    assert "error: task 'count' cannot be shared by several controllers: its done lives in this process" in ended.stderr
    assert "or run without --shared" in ended.stderr


def test_progress_can_be_asked_for_off_a_terminal(project: Path) -> None:
    slow = PROJECT.replace(
        "async with input.open(job)", "await __import__('asyncio').sleep(0.4)\n    async with input.open(job)"
    )
    write_project(project, {}, slow)
    assert "count       [" not in run_pdt("run", "--no-progress", cwd=project).stderr
    run_pdt("rm", "-r", "count", "--all", cwd=project)
    assert "0/3 jobs" in run_pdt("run", "--progress", cwd=project).stderr


def test_a_run_in_a_script(project: Path) -> None:
    result = run_pdt("run", cwd=project, command=[sys.executable, "pipeline.py"])
    assert result.returncode == 1
    assert result.stderr.startswith("count: 2 ok, 1 failed\n")


def test_a_link_on_a_directory_that_vanishes(project: Path, pipeline: Pipeline) -> None:
    repo = pipeline.tasks["make-report"].links["out"].repo
    assert isinstance(repo, FileRepository)
    assert call(pipeline, "run", "-q") == 1
    assert sorted(path.stem for path in repo.basedir.iterdir()) == ["a", "b"]
