"""What is wrong with a command line, in words of pdt's own; loaded only where something is."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, get_args, get_type_hints

from .names import suggestion
from .quick import command_index, parameters_of
from .spec import Command, Parameter
from .table import COMMANDS, GLOBALS

__all__ = ["Mistake", "find_mistake", "misplaced"]

HELP = ("-h", "--help", "--version")


class Mistake(NamedTuple):
    """What is wrong, and how to write it."""

    message: str
    fix: str


def misplaced(words: Sequence[str], program: str, *, with_file: bool) -> Mistake | None:
    """Return what is wrong where options of a command stand before it, or None where none do.

    :param program: what the user calls this command line.
    :param with_file: whether the pipeline is named on the command line.
    """
    for index, word in enumerate(words):
        if word in COMMANDS:
            split = _split(words[:index], COMMANDS[word], with_file=with_file)
            if split is not None and split[1]:
                kept, moved = split
                right = [*kept, word, *words[index + 1 :], *moved]
                return Mistake(
                    f"{moved[0].partition('=')[0]} is an option of {word}, and stands before it",
                    f"write it after {word}: {program} {shlex.join(right)}",
                )
    return None


def _split(words: Sequence[str], command: Command, *, with_file: bool) -> tuple[list[str], list[str]] | None:
    """Return which words before a command may stand there and which belong after it; None where any is neither."""
    shared = _by_flag(GLOBALS if with_file else GLOBALS[1:])
    own = _by_flag(command.parameters)
    kept: list[str] = []
    moved: list[str] = []
    waiting = iter(words)
    for word in waiting:
        flag = word.partition("=")[0]
        part, parameter = (kept, shared[flag]) if flag in shared else (moved, own.get(flag))
        if parameter is None:
            return None
        part.append(word)
        if parameter.kind != "flag" and flag == word:
            value = next(waiting, None)
            if value is None:
                return None
            part.append(value)
    return kept, moved


def _by_flag(parameters: Iterable[Parameter]) -> dict[str, Parameter]:
    return {flag: parameter for parameter in parameters for flag in (*parameter.flags, *parameter.off)}


def find_mistake(words: Sequence[str], name: str | None, program: str, *, with_file: bool) -> Mistake | None:
    """Return the first mistake in a command line that typer refused, or None where it is not known.

    :param name: the command that is named, if one is.
    :param program: what the user calls this command line.
    :param with_file: whether the pipeline is named on the command line.
    """
    shared = GLOBALS if with_file else GLOBALS[1:]
    found = command_index(words, with_file=with_file)
    index = len(words) if found is None else found
    before = _Reader(program, f"see {program} --help", shared).mistake(words[:index])
    if before is not None or name is None:
        return before or Mistake("no command was given", f"see {program} --help")
    if name not in COMMANDS:
        return None
    command = COMMANDS[name]
    program = f"{program} {name}"
    arguments = _arguments_of(command)
    usage = " ".join([program, *arguments.values()])
    reader = _Reader(program, f"write: {usage}", parameters_of(command, with_file=with_file), arguments)
    return reader.mistake(words[index + 1 :])


def _arguments_of(command: Command) -> dict[str, str]:
    """Return a command's arguments as its help has them."""
    from .app import DECLARED

    function = next(declared.function for declared in DECLARED if declared.name == command.name)
    hints = get_type_hints(function, include_extras=True)
    arguments = {}
    for parameter in command.parameters:
        if not parameter.flags:
            text = str(get_args(hints[parameter.name])[1].metavar)
            more = "..." if parameter.kind == "texts" else ""
            arguments[parameter.name] = f"{text}{more}" if parameter.required else f"[{text}]{more}"
    return arguments


class _Reader:
    """Reads words as typer does, up to the first that is wrong.

    :param program: the program, and the command if it is one's words that are read.
    :param usage: how to write it.
    :param parameters: what may be written.
    :param arguments: the arguments among them as the help has them, by name.
    """

    def __init__(
        self, program: str, usage: str, parameters: Sequence[Parameter], arguments: Mapping[str, str] | None = None
    ) -> None:
        self._program = program
        self._usage = usage
        self._parameters = parameters
        self._named = arguments or {}
        self._flags = _by_flag(parameters)

    def mistake(self, words: Sequence[str]) -> Mistake | None:
        """Return the first mistake in the words, or None."""
        loose: list[str] = []
        waiting = list(words)
        while waiting:
            word = waiting.pop(0)
            if word == "--":
                loose += waiting
                break
            if not word.startswith("-") or word == "-":
                loose.append(word)
            elif word not in HELP:
                found = self._option(word, waiting)
                if found is not None:
                    return found
        return self._arguments(loose)

    def _option(self, word: str, waiting: list[str]) -> Mistake | None:
        """Read an option, with its value from what waits where that is separate."""
        if word.startswith("--"):
            flag, equals, text = word.partition("=")
        else:
            flag, text = word[:2], word[2:].removeprefix("=")
            equals = "=" if word[2:] else ""
        parameter = self._flags.get(flag)
        if parameter is None:
            return Mistake(f"{self._program} has no option {flag}", suggestion(flag, self._flags, self._options()))
        if parameter.kind == "flag":
            if equals and not word.startswith("--"):
                waiting.insert(0, f"-{text}")  # several short ones in one word
            elif equals:
                return Mistake(f"{flag} takes no value, and {text!r} was given", f"write {flag} alone")
            return None
        if not equals:
            if not waiting:
                return Mistake(f"{flag} needs {_wanted(parameter)}", f"for example: {flag} {_example(parameter)}")
            text = waiting.pop(0)
        if not _fits(parameter, text):
            return Mistake(
                f"{flag} takes {_wanted(parameter)}, not {text!r}", f"for example: {flag} {_example(parameter)}"
            )
        return None

    def _options(self) -> str:
        return f"its options are: {', '.join(flag for flag in self._flags if flag.startswith('--')) or 'none'}"

    def _arguments(self, loose: list[str]) -> Mistake | None:
        for parameter in self._parameters:
            if parameter.flags:
                continue
            if not loose:
                if parameter.required:
                    return Mistake(f"{self._program} needs {self._named[parameter.name]}", self._usage)
                continue
            taken, loose = (loose, []) if parameter.kind == "texts" else (loose[:1], loose[1:])
            if not all(_fits(parameter, text) for text in taken):
                return Mistake(f"{self._program} takes {_wanted(parameter)}, not {taken[0]!r}", self._usage)
        if loose:
            return Mistake(f"{self._program} does not take {' '.join(map(repr, loose))}", self._usage)
        return None


def _wanted(parameter: Parameter) -> str:
    """Say what a value has to be."""
    if parameter.choices:
        return f"{'one of ' if len(parameter.choices) > 1 else ''}{', '.join(parameter.choices)}"
    kinds = {"int": "a whole number", "float": "a number"}
    least = "" if parameter.least is None else f" of at least {parameter.least:g}"
    return kinds.get(parameter.kind, "a value") + least


def _example(parameter: Parameter) -> str:
    if parameter.choices:
        return parameter.choices[0]
    return {"int": "10", "float": "2.5"}.get(parameter.kind, parameter.name.upper())


def _fits(parameter: Parameter, text: str) -> bool:
    if parameter.choices:
        return text in parameter.choices
    if parameter.kind not in ("int", "float"):
        return True
    try:
        number = int(text) if parameter.kind == "int" else float(text)
    except ValueError:
        return False
    return parameter.least is None or number >= parameter.least
