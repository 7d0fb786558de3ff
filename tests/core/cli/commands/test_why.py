"""`pdt why`: one proof tree for a job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pdt import (
    GroupRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    ResourceManager,
    Resources,
    YamlMetadataFileRepository,
)
from tests.core.cli.support import call


def explained(pipeline: Pipeline, capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> list[str]:
    assert call(pipeline, "why", *words) == status
    return capsys.readouterr().out.splitlines()


def test_a_ready_job(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert explained(pipeline, capsys, "count", "a") == [
        "count a: ready: everything that it requires is there, and nothing inhibits it"
    ]


def test_a_job_that_waits_for_another_task(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    lines = explained(pipeline, capsys, "make-report", "a")
    assert lines[0].startswith("make-report a: missing: ")
    assert lines[0].endswith(" lacks it, which count would write")
    assert lines[1].startswith("  count_done: SqliteMetadataRepository(")
    assert lines[1].endswith(" lacks 'a' (written by count)")
    assert lines[2] == "  count a: ready: everything that it requires is there, and nothing inhibits it"


def test_a_job_that_failed_upstream(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "run", "-q") == 1
    lines = explained(pipeline, capsys, "make-report", "d")
    assert lines[2].startswith("  count d: inhibited: done holds it (")
    assert lines[3:5] == ["    it failed: ValueError('boom')", "    to run it again: pdt retry count d"]


def test_a_job_that_is_done(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "run", "-q") == 1
    lines = explained(pipeline, capsys, "count", "[ab]")
    assert [line.split(":")[0] for line in lines if not line.startswith(" ")] == ["count a", "count b"]
    assert lines[1].startswith("  it succeeded, at 20")


def test_structured(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "why", "make-report", "a", "-o", "json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["task"], row["job"], row["verdict"], row["link"]) == ("make-report", "a", "missing", "count_done")
    assert row["proof"][0]["writers"] == ["count"]
    assert row["upstream"][0]["verdict"] == "ready"
    assert call(pipeline, "why", "make-report", "a", "-o", "table") == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["TASK", "JOB", "VERDICT", "REASON"]


def test_a_job_that_is_nowhere(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "why", "make-report", "zz") == 3
    captured = capsys.readouterr()
    assert captured.out.startswith("make-report zz: missing: ")
    assert captured.err == "error: there is no job 'zz' in this pipeline\nfix: there are a, b, d\n"
    assert call(pipeline, "why", "make-reprot", "a") == 3
    assert "did you mean make-report?" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "verdict"), [("[", "blocked"), ("{}", "ready")])
def test_a_ready_job_whose_record_is_corrupt_is_blocked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, verdict: str
) -> None:
    async def body(job: str, read: YamlMetadataFileRepository) -> None:
        return None

    task = InProcessSyncTask("t", InProcessMetadataRepository(), func=body)
    for name in ("read", "only_there"):
        task.link(name, YamlMetadataFileRepository(tmp_path / name), is_input=True)
        (tmp_path / name).mkdir()
    (tmp_path / "only_there" / "x.yaml").write_text("[")
    (tmp_path / "read" / "x.yaml").write_text(text)
    assert call(Pipeline([task], name="p"), "why", "t", "x", "-o", "json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["verdict"] == verdict
    if verdict == "blocked":
        assert row["reason"].startswith(
            f"read cannot be read: record 'x' in YamlMetadataFileRepository('{tmp_path}/read'"
        )
        assert f", file {tmp_path}/read/x.yaml, is corrupt: " in row["reason"]
        assert row["remarks"][0].startswith("fix: repair record 'x'")


def grouped() -> Pipeline:
    members = InProcessMetadataRepository({"m1": {}})
    names = InProcessMetadataRepository({"m1": "g", "m2": "g"})
    maker = InProcessSyncTask("maker", InProcessMetadataRepository(), func=lambda job: None)
    maker.link("input", InProcessMetadataRepository({"m1": {}}), is_input=True)
    maker.link("members", members, is_output=True)
    task = InProcessSyncTask("fan-in", InProcessMetadataRepository(), func=lambda job: None)
    task.link("groups", GroupRepository(members, names), is_input=True)
    return Pipeline([maker, task], name="p")


def test_the_missing_member_of_a_group_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    lines = explained(grouped(), capsys, "fan-in", "g")
    assert "lacks key 'm2', which maker would write" in lines[0]
    assert any(line.strip().startswith("maker m2: missing: ") for line in lines)


def test_a_limit_is_named_with_its_amounts(capsys: pytest.CaptureFixture[str]) -> None:
    task = InProcessSyncTask(
        "huge",
        InProcessMetadataRepository(),
        func=lambda job: None,
        resource_manager=ResourceManager(Resources.parse(1, "1Gi")),
        job_resources=Resources.parse(8, "1Mi", 1),
    )
    task.link("input", InProcessMetadataRepository({"a": {}}), is_input=True)
    lines = explained(Pipeline([task], name="p"), capsys, "huge", "a")
    assert lines[0].startswith("huge a: never-fits: ")
    assert lines[1] == "  quota of cpu: wanted 8, cap 1"


def test_a_group_without_any_member_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = grouped()
    pipeline.tasks["maker"].links["members"].repo.data.clear()  # type: ignore[attr-defined]
    lines = explained(pipeline, capsys, "fan-in", "g")
    assert lines[0].startswith("fan-in g: missing: ")
    assert explained(pipeline, capsys, "fan-in", "h", status=3)
