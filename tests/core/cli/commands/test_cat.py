"""`pdt cat`: blobs as they are, records as YAML."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from pdt import (
    GroupRepository,
    InProcessBlobRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    YamlMetadataFileRepository,
    cat_data,
)
from tests.core.cli.support import call, run_pdt

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def memory(tmp_path: Path) -> Pipeline:
    """Return a pipeline with a link of each kind."""
    blobs = InProcessBlobRepository({"a": b"one\n", "b": b"two\xff"})
    records = InProcessMetadataRepository({"a": {"n": 1, "at": MOMENT}, "b": "text"})
    task = InProcessSyncTask("t", InProcessMetadataRepository(), func=lambda job: None)
    task.link("blob", blobs, is_input=True)
    task.link("record", records, is_input=True)
    task.link("group", GroupRepository(records, InProcessMetadataRepository({"a": "g"})), is_input=True)
    task.link("file", YamlMetadataFileRepository(tmp_path / "records"), is_output=True)
    return Pipeline([task], name="p")


def test_a_blob_is_printed_as_it_is(memory: Pipeline, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert call(memory, "cat", "t.blob", "b") == 0
    assert capfdbinary.readouterr().out == b"two\xff"
    assert call(memory, "cat", "t.blob", "*") == 0
    assert capfdbinary.readouterr().out == b"one\ntwo\xff"


def test_a_large_blob_is_copied(project: Path) -> None:
    text = "line of text\n" * 400_000
    (project / "in" / "large.txt").write_text(text)
    assert run_pdt("cat", "count.input", "large", cwd=project).stdout == text


def test_a_record_is_printed_as_yaml(memory: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(memory, "cat", "t.record", "a") == 0
    assert yaml.safe_load(capsys.readouterr().out) == {"n": 1, "at": MOMENT}
    assert call(memory, "cat", "t.record", "a", "b") == 0
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == [{"n": 1, "at": MOMENT}, "text"]


async def test_cat_data(memory: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    async with memory:
        await cat_data(memory, "t.record", "a")
        assert yaml.safe_load(capsys.readouterr().out) == {"n": 1, "at": MOMENT}
        await cat_data(memory, "t.blob", "a")
    assert capsys.readouterr().out == "one\n"


def test_yaml_files_keep_their_comments(memory: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "x.yaml").write_text("# why\nn: 1\n")
    assert call(memory, "cat", "t.file", "x") == 0
    assert capsys.readouterr().out == "# why\nn: 1\n"
    assert call(memory, "cat", "t.file", "x", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == {"n": 1}


def test_yaml_files_are_documents_of_one_stream(
    memory: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "records").mkdir()
    for job, text in {
        "a": "n: 1",
        "b": "---\nn: 2\n",
        "c": "%YAML 1.1\n---\nn: 3\n",
        "d": "",
        "e": "# why\nn: 4\n",
    }.items():
        (tmp_path / "records" / f"{job}.yaml").write_text(text)
    assert call(memory, "cat", "t.file", "*") == 0
    printed = capsys.readouterr().out
    assert list(yaml.safe_load_all(printed)) == [{"n": 1}, {"n": 2}, {"n": 3}, None, {"n": 4}]
    assert printed.endswith("---\n# why\nn: 4\n")


def test_formats(memory: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(memory, "cat", "t.record", "a", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == {"n": 1, "at": MOMENT.isoformat()}
    assert call(memory, "cat", "t.record", "*", "-o", "jsonl") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["job"] for line in lines] == ["a", "b"]
    assert lines[1]["value"] == "text"
    assert call(memory, "cat", "t.blob", "b", "-o", "yaml") == 0
    assert yaml.safe_load(capsys.readouterr().out) == "two\\xff"
    assert call(memory, "cat", "t.blob", "*", "-o", "name") == 0
    assert capsys.readouterr().out == "a\nb\n"


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["t.blob", "c"], 3, "error: there is no job 'c' in t.blob\n"),
        (["t.record", "q*"], 3, "error: no job matches 'q*'\n"),
        (["t.group", "g"], 2, "error: t.group holds neither blobs nor records"),
        (["t", "a"], 2, "error: t is a task, and a link is wanted"),
        (["t.blob", "a", "zz"], 3, "error: there is no job 'zz' in t.blob\n"),
    ],
)
def test_mistakes_print_no_data(
    memory: Pipeline, capsys: pytest.CaptureFixture[str], words: list[str], status: int, text: str
) -> None:
    assert call(memory, "cat", *words) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(text)


@pytest.mark.parametrize("options", [[], ["-o", "json"]])
def test_a_broken_record_is_named(
    memory: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "x.yaml").write_text("n: [1\n")
    assert call(memory, "cat", "t.file", "x", *options) == 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: record 'x' in YamlMetadataFileRepository(")
    assert f", file {tmp_path / 'records' / 'x.yaml'}, is corrupt: " in captured.err
    assert "fix: repair record 'x'" in captured.err
