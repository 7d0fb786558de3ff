"""What the static table says of a command, in types that cost nothing to load."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["GROUPS", "Command", "Parameter"]

GROUPS = {"run": "Run", "look": "Look", "change": "Change", "more": "More"}


class Parameter(NamedTuple):
    """An option or an argument of a command.

    :param name: what the command's body calls it.
    :param kind: text, texts (any number of arguments), int, float or flag.
    :param default: its value where it is not given; None where it is an argument that has to be.
    :param flags: how it is written; none for an argument.
    :param off: for a flag, how it is denied.
    :param choices: the only values, where there are such.
    :param least: the least number.
    :param required: whether it has to be given.
    """

    name: str
    kind: str
    default: Any = None
    flags: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    least: float | None = None
    required: bool = False


class Command(NamedTuple):
    """A command.

    :param name: what users write.
    :param group: the key of its heading in the help.
    :param summary: one line for the help.
    :param body: module below `pdt.cli.commands` and function that do the work.
    :param needs: "nothing", a "pipeline" as it was loaded, one that is "open", or that and an event "loop".
    :param parameters: options and arguments, the latter in order.
    """

    name: str
    group: str
    summary: str
    body: str
    needs: str
    parameters: tuple[Parameter, ...]
