"""The static table is what typer declares, and fits the bodies that it names."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from pdt.cli import generate
from pdt.cli.spec import GROUPS, Command
from pdt.cli.table import COMMANDS
from pdt.plugins.known import CORE_COMMANDS


def test_the_table_is_fresh() -> None:
    assert generate.TABLE.read_text() == generate.table_text(), "run: python -m pdt.cli.generate docs/cli.md"


def test_the_names_are_reserved_for_core() -> None:
    assert set(COMMANDS) == CORE_COMMANDS


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_a_body_takes_what_is_declared(command: Command) -> None:
    module, _, name = command.body.partition(":")
    body = getattr(import_module(f"pdt.cli.commands.{module}"), name)
    parameters = list(inspect.signature(body).parameters.values())
    if command.needs != "nothing":
        assert parameters.pop(0).name == "pipeline"
    assert {parameter.name for parameter in parameters} == {parameter.name for parameter in command.parameters}
    assert inspect.iscoroutinefunction(body) == (command.needs in ("open", "loop"))
    assert command.group in GROUPS
    assert command.summary.endswith(".")
    defaults = {parameter.name: parameter.default for parameter in command.parameters if not parameter.required}
    for parameter in parameters:
        if parameter.default is not parameter.empty:
            assert parameter.default == defaults[parameter.name], parameter.name
