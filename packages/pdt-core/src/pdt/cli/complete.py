"""What may follow what is typed, for the scripts of `pdt completion`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from . import exits, output, quick
from .invocation import Invocation
from .spec import Command, Parameter
from .table import COMMANDS, GLOBALS

__all__ = ["candidates", "complete"]

#: The commands that mean something else by -f than which pipeline.
OWN_F = {name for name, command in COMMANDS.items() if any("-f" in parameter.flags for parameter in command.parameters)}


def complete(words: Sequence[str]) -> int:
    """Print what the last of some words may become, a line each with a remark after a tab.

    :param words: what is typed after `pdt`, up to the cursor; the last word may be empty.
    """
    try:
        for text, remark in candidates(words):
            output.write(f"{text}\t{remark}\n")
        output.flush()
    except output.OutputClosedError:
        pass  # the shell has seen enough
    return exits.OK


def candidates(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what the last word may become, and a remark on it."""
    *before, word = words or [""]
    index = quick.command_index(before, with_file=True)
    command = COMMANDS.get(before[index]) if index is not None else None
    if index is not None and command is None:
        return
    parameters = list(GLOBALS) if command is None else quick.parameters_of(command, with_file=True)
    valued = _awaiting_value(before, parameters)
    found: Iterable[tuple[str, str]]
    if valued is not None:
        found = ((choice, "") for choice in valued.choices)
    elif word.startswith("-"):
        flags = [flag for parameter in parameters for flag in (*parameter.flags, *parameter.off)]
        found = ((flag, "") for flag in [*flags, "--help"])
    elif command is None:
        found = ((known.name, known.summary) for known in COMMANDS.values())
    else:
        found = _arguments(command, before, len(_loose(before[(index or 0) + 1 :], parameters)))
    yield from (item for item in found if item[0].startswith(word))


def _awaiting_value(before: Sequence[str], parameters: Sequence[Parameter]) -> Parameter | None:
    """Return the option whose value comes next, if one does."""
    for parameter in parameters:
        if before and parameter.kind != "flag" and before[-1] in parameter.flags:
            return parameter
    return None


def _loose(words: Sequence[str], parameters: Sequence[Parameter]) -> list[str]:
    """Return the words that are neither options nor their values."""
    valued = {flag for parameter in parameters if parameter.kind != "flag" for flag in parameter.flags}
    found = []
    waiting = iter(words)
    for word in waiting:
        if word in valued:
            next(waiting, None)
        elif not word.startswith("-") or word == "-":
            found.append(word)
    return found


def _arguments(command: Command, before: Sequence[str], position: int) -> Iterator[tuple[str, str]]:
    """Yield what the argument at a position may be, as far as the pipeline's names go."""
    arguments = [parameter for parameter in command.parameters if not parameter.flags]
    argument = arguments[min(position, len(arguments) - 1)] if arguments else None
    if argument is None:
        return
    if argument.choices:
        yield from ((choice, "") for choice in argument.choices)
    elif argument.name in ("task", "tasks", "data"):
        with_links = argument.name == "data"
        yield from _names(before, with_links=with_links, with_tasks=not with_links or command.name == "rm")


def _names(before: Sequence[str], *, with_links: bool, with_tasks: bool) -> Iterator[tuple[str, str]]:
    """Yield the tasks and links of the pipeline that is named, if it can be loaded."""
    invocation = Invocation("pdt")
    flags = GLOBALS[0].flags
    for index, word in enumerate(before[:-1]):
        if word in flags and not (word == "-f" and OWN_F.intersection(before[:index])):
            invocation.file = before[index + 1]
    try:
        tasks = invocation.pipeline.tasks
    except Exception:  # a broken pipeline is reported when a command is run, not while one is typed
        return
    for task in tasks.values():
        if with_tasks:
            yield task.name, "task"
        if with_links:
            for name, link in task.links.items():
                yield f"{task.name}.{name}", repr(link.repo)
