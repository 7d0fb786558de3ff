"""The quick parser agrees with typer on everything that it understands."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pdt.cli import quick
from pdt.cli.app import build
from pdt.cli.invocation import Invocation
from pdt.cli.spec import Parameter
from pdt.cli.table import COMMANDS, GLOBALS

Outcome = tuple[str, dict[str, Any], str | None, bool] | None

_calls: list[tuple[str, dict[str, Any]]] = []


def _handle(name: str, parameters: dict[str, Any]) -> int:
    _calls.append((name, parameters))
    return 0


GROUPS = {with_file: typer.main.get_command(build(_handle, with_file=with_file)) for with_file in (True, False)}


def by_typer(words: list[str], *, with_file: bool) -> Outcome:
    """Return what typer makes of a command line, or None where it refuses."""
    invocation = Invocation("pdt")
    _calls.clear()
    try:
        GROUPS[with_file].main(list(words), prog_name="pdt", standalone_mode=False, obj=invocation)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return None
    return (*_calls[0], invocation.file, invocation.debug) if _calls else None


def by_table(words: list[str], *, with_file: bool) -> Outcome:
    parsed = quick.parse(words, with_file=with_file)
    return (parsed.command.name, parsed.parameters, parsed.file, parsed.debug) if parsed is not None else None


FLAGS = sorted(
    {
        flag
        for parameters in (GLOBALS, *(command.parameters for command in COMMANDS.values()))
        for parameter in parameters
        for flag in (*parameter.flags, *parameter.off)
    }
)
VALUES = [
    "json",
    "table",
    "show",
    "bash",
    "1",
    "0",
    "2.5",
    "-1",
    "1e3",
    " 7",
    "1_0",
    "+3",
    ".5",
    "5.",
    "",
    "a.b",
    "-",
    "--",
]
WORDS = st.one_of(
    st.sampled_from(sorted(COMMANDS)),
    st.sampled_from(FLAGS),
    st.sampled_from(VALUES),
    st.text(max_size=4),
    st.builds("{}={}".format, st.sampled_from(FLAGS), st.sampled_from(VALUES)),
    st.builds("{}{}".format, st.sampled_from(FLAGS), st.sampled_from(VALUES)),
)


def written(parameter: Parameter) -> st.SearchStrategy[list[str]]:
    """Return ways to write a parameter, most of them right."""
    value = st.one_of(st.sampled_from(parameter.choices or ("x.py", "a*", "3", "2.5")), st.sampled_from(VALUES))
    if not parameter.flags:
        return st.lists(value, max_size=2 if parameter.kind == "texts" else 1)
    flag = st.sampled_from([*parameter.flags, *parameter.off])
    return st.builds(lambda *words: list(words), flag) if parameter.kind == "flag" else st.builds(_pair, flag, value)


def _pair(flag: str, value: str) -> list[str]:
    return [flag, value]


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Draw a command line that may be right: some of the command's parameters, in any order."""
    command = draw(st.sampled_from(sorted(COMMANDS.values())))
    before = draw(st.sampled_from([[], [], ["--debug"], ["-f", "x.py"], ["--file=m:a"]]))
    parameters = draw(st.lists(st.sampled_from([*command.parameters, *GLOBALS]), max_size=5))
    required = [draw(written(parameter)) for parameter in command.parameters if parameter.required]
    parts = draw(st.permutations([*required, *(draw(written(parameter)) for parameter in parameters)]))
    return [*before, command.name, *(word for part in parts for word in part)]


@given(
    words=st.one_of(
        command_lines(),
        st.builds(
            lambda before, command, after: [*before, command, *after],
            st.lists(WORDS, max_size=2),
            st.sampled_from(sorted(COMMANDS)),
            st.lists(WORDS, max_size=5),
        ),
    ),
    with_file=st.booleans(),
)
@example(["-f", "x.py", "launch", "t", "j", "-f", "--no-meta"], True)
@example(["status", "-n", "0.05"], True)
@example(["plan", "--limit", "00"], True)
@settings(max_examples=400, deadline=None)
def test_it_agrees_with_typer_or_leaves_it_alone(words: list[str], with_file: bool) -> None:
    found = by_table(words, with_file=with_file)
    assert found is None or found == by_typer(words, with_file=with_file)


@pytest.mark.parametrize(
    "line",
    [
        "run",
        "run --forever --launch-once --fail-fast -q --no-progress",
        "run --timeout 2.5 --durability process",
        "run --timeout=10",
        "-f other.py run",
        "run --file pkg.module:pipeline --debug",
        "update --quiet",
        "launch count a b --sync --no-meta -f",
        "status",
        "status -a -o json",
        "status --watch -n 5",
        "trace a b - -a",
        "why count a",
        "plan --limit 3 -o jsonl",
        "ls count.input - count.done",
        "cat count.done a --output yaml",
        "graph --format svg",
        "inject count.input a notes.txt",
        "inject count.input --from-dir data",
        "rm count -r a* -n",
        "rm count.done --all -y",
        "shell",
        "plugins --json",
        "plugins show repository sqlite",
        "completion bash",
    ],
)
def test_ordinary_command_lines_need_no_typer(line: str) -> None:
    words = line.split()
    found = by_table(words, with_file=True)
    assert found is not None
    assert found == by_typer(words, with_file=True)


@pytest.mark.parametrize(
    "line",
    ["", "run --help", "nothing", "run --bogus", "run --time 3", "cat a.b", "plan --limit x", "status -o toml", "ls"],
)
def test_what_is_unusual_is_left_to_typer(line: str) -> None:
    assert quick.parse(line.split(), with_file=True) is None


def test_a_script_has_no_file_option() -> None:
    assert quick.parse(["-f", "x.py", "run"], with_file=False) is None
    assert quick.parse(["run"], with_file=False) is not None
