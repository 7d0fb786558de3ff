"""Help and mistakes on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdt import Pipeline
from pdt.cli.mistakes import find_mistake, misplaced
from pdt.cli.quick import command_index
from pdt.cli.spec import Command
from pdt.cli.table import COMMANDS
from tests.core.cli.support import call, run_pdt
from tests.core.cli.test_quick import by_typer, command_lines


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
        ("--bogus", "script.py has no option --bogus", "its options are: --debug"),
        ("--debug", "no command was given", "see script.py --help"),
        ("run --fail-fat", "script.py run has no option --fail-fat", "did you mean --fail-fast?"),
        ("run -z", "script.py run has no option -z", "its options are: --forever, "),
        ("cat count.input", "script.py cat needs JOB...", "write: script.py cat TASK.LINK JOB..."),
        ("status -o toml", "-o takes one of table, json, jsonl, yaml, name, not 'toml'", "for example: -o table"),
        ("status -aojs", "-o takes one of table, json, jsonl, yaml, name, not 'js'", "for example: -o table"),
        ("status extra", "script.py status does not take 'extra'", "write: script.py status"),
        (
            "inject a.b c d -- -e",
            "script.py inject does not take '-e'",
            "write: script.py inject TASK.LINK [JOB] [FILE]",
        ),
        ("run --timeout -1", "--timeout takes a number of at least 0, not '-1'", "for example: --timeout 2.5"),
        ("run --timeout abc", "--timeout takes a number of at least 0, not 'abc'", "for example: --timeout 2.5"),
        ("run --timeout", "--timeout needs a number of at least 0", "for example: --timeout 2.5"),
        ("status -n=x", "-n takes a number of at least 0.1, not 'x'", "for example: -n 2.5"),
        ("plan --limit 1.5", "--limit takes a whole number of at least 0, not '1.5'", "for example: --limit 10"),
        ("run --progress=3", "--progress takes no value, and '3' was given", "write --progress alone"),
        ("completion tcsh", "script.py completion takes one of bash, zsh, fish, not 'tcsh'", "write: script.py compl"),
        ("-o json status -a", "-o is an option of status, and stands before it", "write it after status: script.py "),
        (
            "--output=json plan",
            "--output is an option of plan, and stands before it",
            "write it after plan: script.py ",
        ),
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


def test_what_is_said_to_write_instead_works(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "--debug", "-o", "json", "status", "-a") == 2
    command = capsys.readouterr().err.partition("script.py ")[2].split()
    assert command == ["--debug", "status", "-a", "-o", "json"]
    assert call(pipeline, *command) == 0


@given(words=command_lines(), with_file=st.booleans())
@settings(max_examples=200, deadline=None)
def test_typers_own_words_are_never_shown(words: list[str], with_file: bool) -> None:
    if by_typer(words, with_file=with_file) is None and not {"-h", "--help", "--version"} & set(words):
        name = words[command_index(words, with_file=with_file) or 0]
        wrong = misplaced(words, "pdt", with_file=with_file)
        assert name not in COMMANDS or wrong or find_mistake(words, name, "pdt", with_file=with_file)
