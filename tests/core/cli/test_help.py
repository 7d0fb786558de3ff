"""Help and mistakes on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdt import Pipeline
from pdt.cli.spec import Command
from pdt.cli.table import COMMANDS
from tests.core.cli.support import call, run_pdt


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--debug", "--help"]])
def test_the_overview_names_every_command(tmp_path: Path, words: list[str]) -> None:
    result = run_pdt(*words, cwd=tmp_path)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    for command in COMMANDS.values():
        assert any(line.split(None, 1) == [command.name, command.summary] for line in lines)
    assert any(line.strip().startswith("-f, --file") for line in lines)
    assert max(map(len, lines)) <= 100
    assert result.stderr == ""


def test_no_command_is_a_mistake(tmp_path: Path) -> None:
    result = run_pdt(cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("usage: pdt ")


def test_a_script_has_no_file_option(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "--help") == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: script.py ")
    assert "--file" not in text
    assert call(pipeline, "status", "--help") == 0
    assert "--file" not in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_each_command_explains_itself(command: Command, pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    name = command.name
    assert call(pipeline, name, "--help") == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: script.py {name} ")
    for parameter in command.parameters:
        for flag in (*parameter.flags, *parameter.off):
            assert flag in text


@pytest.mark.parametrize(
    ("line", "message", "fix"),
    [
        ("statu", "there is no command 'statu'", "did you mean status?"),
        ("qqq", "there is no command 'qqq'", "see script.py --help"),
        ("--bogus", "No such option: --bogus", "see script.py --help"),
        ("run --fail-fat", "No such option: --fail-fat", "see script.py run --help"),
        ("cat count.input", "Missing argument 'JOB'", "see script.py cat --help"),
        ("status -o toml", "Invalid value for '-o' / '--output'", "see script.py status --help"),
        ("status extra", "Got unexpected extra argument", "see script.py status --help"),
        ("run --timeout -1", "Invalid value for '--timeout'", "see script.py run --help"),
    ],
)
def test_mistakes_are_explained(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], line: str, message: str, fix: str
) -> None:
    assert call(pipeline, *line.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {message}")
    assert f"fix: {fix}" in captured.err
