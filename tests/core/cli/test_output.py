"""What is printed, in every format and to every kind of reader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from pdt.cli import output
from tests.core.cli.support import pdt_command, run_pdt

ROWS = [{"name": "a", "n": 1, "x": None}, {"name": "b\x1b[31m", "n": 22, "x": ["p", "q"]}]


def emitted(form: str, capsys: pytest.CaptureFixture[str]) -> str:
    output.emit(ROWS, form, ("name", "n", "x"), "name")
    return capsys.readouterr().out


def test_tables_are_aligned_and_safe_for_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert emitted("table", capsys).splitlines() == [
        "NAME       N   X",
        "a          1   -",
        "b\\x1b[31m  22  p q",
    ]


def test_names_are_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert emitted("name", capsys) == "a\nb\\x1b[31m\n"


def test_structured_formats_keep_the_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(emitted("json", capsys)) == ROWS
    assert [json.loads(line) for line in emitted("jsonl", capsys).splitlines()] == ROWS
    assert yaml.safe_load(emitted("yaml", capsys)) == ROWS


def test_values_without_a_word_in_json_are_described(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    value = {"when": moment, "raw": b"\xff", "set": {1}, 3: ValueError("x"), "odd": Path}
    output.emit_value(value, "json")
    found = json.loads(capsys.readouterr().out)
    assert found == {"when": "2026-01-02T00:00:00+00:00", "raw": "\\xff", "set": [1], "3": "x", "odd": repr(Path)}
    output.emit_value({"when": moment}, "yaml")
    assert yaml.safe_load(capsys.readouterr().out) == {"when": moment}


def test_lone_surrogates_are_printed_escaped() -> None:
    code = "from pdt.cli import output; output.write('a\\udcff\\n'); output.fail('b\\ud800')"
    for encoding in ("utf-8", "ascii", "latin-1"):
        env = {**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"}
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, timeout=50)
        assert (result.stdout, result.returncode) == (b"a\\udcff\n", 0)
        assert result.stderr == b"error: b\\ud800\n"


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for index in range(20_000):
        (tmp_path / "in" / f"job-with-a-long-name-{index}.txt").touch()
    (tmp_path / "pipeline.py").write_text(
        "import pdt\n"
        "task = pdt.InProcessSyncTask('t', pdt.InProcessMetadataRepository(), func=lambda job: None)\n"
        "task.link('input', pdt.FileRepository('in', extension='.txt'), is_input=True)\n"
        "pipeline = pdt.Pipeline([task])\n"
    )
    with subprocess.Popen(
        pdt_command("ls", "t.input"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, b"")


def test_nothing_is_coloured_off_a_terminal(project: Path) -> None:
    for words in (["status"], ["bogus"], ["run"]):
        result = run_pdt(*words, cwd=project, env={"TERM": "xterm-256color"})
        assert "\x1b" not in result.stdout + result.stderr


class _Terminal:
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.is_colourful(terminal)  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.is_colourful(terminal)  # type: ignore[arg-type]
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not output.is_colourful(terminal)  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "text"), [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs")])
def test_counted(count: int, text: str) -> None:
    assert output.counted(count, "job") == text
