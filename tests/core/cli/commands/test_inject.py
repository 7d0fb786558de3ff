"""`pdt inject`: all of it or nothing."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from pdt import (
    InProcessBlobRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    YamlMetadataFileRepository,
)
from tests.core.cli.support import call, pdt_command, run_pdt


@pytest.fixture
def memory(tmp_path: Path) -> Pipeline:
    """Return a pipeline with a link of each kind."""
    task = InProcessSyncTask("t", InProcessMetadataRepository(), func=lambda job: None)
    task.link("blob", InProcessBlobRepository(), is_input=True)
    task.link("record", InProcessMetadataRepository(), is_input=True)
    task.link("file", YamlMetadataFileRepository(tmp_path / "records"), is_input=True)
    return Pipeline([task], name="p")


def data(pipeline: Pipeline, link: str) -> dict[str, object]:
    found: dict[str, object] = pipeline.tasks["t"].links[link].repo.data  # type: ignore[attr-defined]
    return found


def test_a_value(memory: Pipeline) -> None:
    assert call(memory, "inject", "t.blob", "a", "--value", "text: 1") == 0
    assert call(memory, "inject", "t.blob", "empty", "--value", "") == 0
    assert call(memory, "inject", "t.record", "a", "--value", "n: [1, 2]") == 0
    assert data(memory, "blob") == {"a": b"text: 1", "empty": b""}
    assert data(memory, "record") == {"a": {"n": [1, 2]}}


def test_a_file(memory: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"raw\xff" * 100_000)
    assert call(memory, "inject", "t.blob", "a", str(tmp_path / "x")) == 0
    assert data(memory, "blob") == {"a": b"raw\xff" * 100_000}


def test_stdin(project: Path) -> None:
    result = run_pdt("inject", "count.input", "new", cwd=project, stdin=b"three words \xff")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (project / "in" / "new.txt").read_bytes() == b"three words \xff"
    assert run_pdt("inject", "count.input", "b", "-", cwd=project, stdin=b"").returncode == 0
    assert (project / "in" / "b.txt").read_bytes() == b""
    assert run_pdt("inject", "count.counts", "new", cwd=project, stdin="words: 7").returncode == 0
    assert run_pdt("cat", "count.counts", "new", cwd=project).stdout == "words: 7\n"


def test_yaml_files_keep_what_they_are_given(memory: Pipeline, tmp_path: Path) -> None:
    assert call(memory, "inject", "t.file", "a", "--value", "n: 1 # why\n") == 0
    assert (tmp_path / "records" / "a.yaml").read_text() == "n: 1 # why\n"


def test_a_directory(memory: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    for name in ("a.txt", "v1.2.json", "plain", ".hidden"):
        (source / name).write_text(name)
    assert call(memory, "inject", "t.blob", "--from-dir", str(source)) == 0
    assert data(memory, "blob") == {"a": b"a.txt", "v1.2": b"v1.2.json", "plain": b"plain"}
    assert capsys.readouterr() == ("", "t.blob: 3 jobs\n")


def test_a_directory_of_the_repositorys_own_files(memory: Pipeline, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "v1.2.yaml").write_text("n: 1")
    assert call(memory, "inject", "t.file", "--from-dir", str(source)) == 0
    assert os.listdir(tmp_path / "records") == ["v1.2.yaml"]


@pytest.mark.parametrize(
    ("files", "status", "text"),
    [
        ({"a.txt": "n: 1", "b.txt": "n: ["}, 2, "what was given for record 'b' of t.record is no YAML: "),
        ({"a.txt": "n: 1", "a.md": "n: 1"}, 2, ""),
        ({"a.txt": "n: 1", "two words.txt": "n: 1"}, 2, "'two words' is not a valid job id: "),
        ({"a.txt": "n: 1", "b.txt": "\n"}, 2, "nothing was given for record 'b' of t.record"),
        ({}, 2, "there is no file in "),
    ],
)
def test_a_directory_with_one_mistake_leaves_nothing(
    memory: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str], status: int, text: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, content in files.items():
        (source / name).write_text(content)
    assert call(memory, "inject", "t.record", "--from-dir", str(source)) == status
    assert data(memory, "record") == {}
    assert capsys.readouterr().err.startswith(f"error: {text}")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["t.record", "a", "--value", "n: ["], 2, "what was given for record 'a' of t.record is no YAML: line "),
        (["t.record", "a", "--value", " "], 2, "nothing was given for record 'a' of t.record"),
        (["t.record", "a", "--value", "!!python/object:os.system {}"], 2, "what was given for record 'a'"),
        (["t.file", "a", "--value", "n: ["], 2, "what was given for record 'a' of t.file is no YAML"),
        (["t.blob"], 2, "no job id was given"),
        (["t.blob", "a", "nowhere"], 3, "there is no file nowhere"),
        (["t.blob", "a", "x", "--value", "y"], 2, "both a file and --value were given"),
        (["t.blob", "a", "--from-dir", "."], 2, "--from-dir names its jobs itself"),
        (["t.blob", "--from-dir", "nowhere"], 3, "there is no directory nowhere"),
        (["t.blob", "../a", "--value", "y"], 2, "'../a' is not a valid job id"),
        (["t.bolb", "a", "--value", "y"], 3, "task 't' has no link 'bolb'"),
    ],
)
def test_mistakes_leave_nothing(
    memory: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int, text: str
) -> None:
    assert call(memory, "inject", *words) == status
    assert data(memory, "blob") == data(memory, "record") == {}
    assert not list((tmp_path / "records").glob("*"))
    assert capsys.readouterr().err.startswith(f"error: {text}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("link", ["count.input", "count.counts"])
def test_an_interrupted_stream_leaves_nothing(project: Path, link: str, number: signal.Signals) -> None:
    with subprocess.Popen(
        pdt_command("inject", link, "new"), cwd=project, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"words: 1\n" + b"# more\n" * 500_000)  # more than a pipe holds: it is being read
        process.stdin.flush()
        process.send_signal(number)
        assert process.stderr is not None
        errors = process.stderr.read()
    assert process.returncode == (130 if number is signal.SIGINT else -number)
    assert b"Traceback" not in errors
    assert run_pdt("ls", link, cwd=project).stdout == run_pdt("ls", f"{link} - count.done", cwd=project).stdout
    assert "new" not in run_pdt("ls", link, cwd=project).stdout.split()
    assert not [name for name in os.listdir(project / "in") if name.startswith("new")]
