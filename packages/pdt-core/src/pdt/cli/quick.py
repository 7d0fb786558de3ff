"""Parses ordinary command lines by the static table, without typer; anything unusual it leaves to typer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .spec import Command, Parameter
from .table import COMMANDS, GLOBALS

__all__ = ["Parsed", "command_index", "parameters_of", "parse"]

MOST_DIGITS = 9


class Parsed(NamedTuple):
    """A command line that was understood.

    :param parameters: what the command's body is called with.
    :param file: which pipeline was named.
    :param debug: whether tracebacks are wanted.
    """

    command: Command
    parameters: dict[str, Any]
    file: str | None
    debug: bool


def parse(words: Sequence[str], *, with_file: bool) -> Parsed | None:
    """Return what typer would make of a command line, or None where only typer can tell.

    :param words: what follows the program's name.
    :param with_file: whether the pipeline is named on the command line.
    """
    index = command_index(words, with_file=with_file)
    if index is None or words[index] not in COMMANDS:
        return None
    command = COMMANDS[words[index]]
    before = _read(words[:index], GLOBALS if with_file else GLOBALS[1:])
    after = _read(words[index + 1 :], parameters_of(command, with_file=with_file))
    if before is None or after is None:
        return None
    values = {**before, **after}
    return Parsed(
        command,
        {parameter.name: after[parameter.name] for parameter in command.parameters},
        after.get("file") if after.get("file") is not None else before.get("file"),
        bool(before["debug"] or values["debug"]),
    )


def command_index(words: Sequence[str], *, with_file: bool) -> int | None:
    """Return where the command's name stands, or None where there is none."""
    valued = {flag for parameter in GLOBALS if with_file and parameter.kind != "flag" for flag in parameter.flags}
    index = 0
    while index < len(words) and words[index].startswith("-"):
        index += 2 if words[index] in valued else 1
    return index if index < len(words) else None


def parameters_of(command: Command, *, with_file: bool) -> list[Parameter]:
    """Return what may follow a command; its own option is meant where a global one is written alike."""
    own = {flag for parameter in command.parameters for flag in parameter.flags}
    shared = GLOBALS if with_file else GLOBALS[1:]
    free = [
        parameter._replace(flags=tuple(flag for flag in parameter.flags if flag not in own)) for parameter in shared
    ]
    return [*command.parameters, *free]


def _read(words: Sequence[str], parameters: Sequence[Parameter]) -> dict[str, Any] | None:
    """Return the value of each parameter, or None where anything is wrong or unusual."""
    by_flag = {flag: parameter for parameter in parameters for flag in parameter.flags}
    denied = {flag: parameter for parameter in parameters for flag in parameter.off}
    given: dict[str, Any] = {}
    loose: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if not word.startswith("-") or word == "-":
            loose.append(word)
            continue
        flag, equals, text = word.partition("=") if word.startswith("--") else (word, "", "")
        parameter = by_flag.get(flag) or denied.get(flag)
        if parameter is None:
            return None
        if parameter.kind == "flag":
            if equals:
                return None
            given[parameter.name] = flag in by_flag
            continue
        value = _value(parameter, text if equals else next(waiting, "-"))
        if value is None or parameter.name in given:
            return None
        given[parameter.name] = value
    return _place(loose, given, parameters)


def _place(loose: list[str], given: dict[str, Any], parameters: Sequence[Parameter]) -> dict[str, Any] | None:
    """Give the loose words to the arguments, in order, and the defaults to what was not given."""
    for parameter in parameters:
        if parameter.flags or parameter.kind == "flag":
            continue
        if parameter.kind == "texts":
            given[parameter.name], loose = loose, []
            if parameter.required and not given[parameter.name]:
                return None
        elif loose:
            given[parameter.name] = _value(parameter, loose.pop(0))
            if given[parameter.name] is None:
                return None
        elif parameter.required:
            return None
    if loose:
        return None
    return {parameter.name: given.get(parameter.name, parameter.default) for parameter in parameters}


def _value(parameter: Parameter, text: str) -> Any:
    """Return the value that a text stands for, or None where that takes a closer look."""
    if parameter.kind == "text":
        if text[:1] == "-" and parameter.flags:
            return None
        return text if not parameter.choices or text in parameter.choices else None
    whole, point, part = text.partition(".")
    digits = whole + part if point and part and parameter.kind == "float" else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS and whole):
        return None
    number = float(text) if parameter.kind == "float" else int(text)
    return None if parameter.least is not None and number < parameter.least else number
