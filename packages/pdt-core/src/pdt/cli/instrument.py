"""Commands that a script adds through `pdt.main(pipeline, instrument)`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .invocation import Invocation
from .log import log_to_stderr
from .table import COMMANDS

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from typer import Typer

__all__ = ["Commands", "Subparsers"]


class Subparsers:
    """What `instrument` is given: it adds commands as argparse's subparsers do.

    :param program: what the user calls the script.
    """

    def __init__(self, program: str) -> None:
        self.parsers: dict[str, ArgumentParser] = {}
        self.summaries: dict[str, str] = {}
        self._program = program

    def add_parser(
        self, name: str, *, help: str | None = None, aliases: Sequence[str] = (), **kwargs: Any
    ) -> ArgumentParser:
        """Add a command and return its parser, which has to get `set_defaults(func=...)`.

        :param help: one line for the overall help.
        :param aliases: other names.
        :param kwargs: what argparse.ArgumentParser takes.
        :raises ConfigurationError: if there is such a command already.
        """
        from argparse import ArgumentParser

        for each in (name, *aliases):
            if each in COMMANDS or each in self.parsers:
                raise ConfigurationError(f"there is a command {each!r} already", fix="give yours another name")
        parser = ArgumentParser(**{"prog": f"{self._program} {name}", **kwargs})
        self.parsers.update(dict.fromkeys((name, *aliases), parser))
        self.summaries[name] = help or ""
        return parser


class Commands:
    """The commands that a script adds.

    :param instrument: called with the subparsers; or a typer app, whose commands find the pipeline as
        `obj.pipeline` of their context.
    :param program: what the user calls the script.
    """

    def __init__(self, instrument: Callable[[Any], object] | Typer, program: str) -> None:
        self.result: Any = None
        self.app: Typer | None = None
        self._subparsers = Subparsers(program)
        typer = sys.modules.get("typer")
        if typer is not None and isinstance(instrument, typer.Typer):
            self.app = instrument
        elif callable(instrument):
            instrument(self._subparsers)
        else:
            raise ConfigurationError(
                f"instrument is {type(instrument).__name__}",
                fix="pass a function that takes argparse's subparsers",
            )

    def __contains__(self, name: object) -> bool:
        return name in self._subparsers.parsers

    def __iter__(self) -> Iterator[str]:
        yield from (name for name, _ in self.summaries())

    def summaries(self) -> list[tuple[str, str]]:
        """Return the commands, and what they are for."""
        found = list(self._subparsers.summaries.items())
        if self.app is not None:
            for command in self.app.registered_commands:
                function = command.callback
                name = command.name or (function.__name__.replace("_", "-") if function is not None else "")
                text = command.help or (inspect.getdoc(function) if function is not None else None) or ""
                found.append((name, text.partition("\n")[0]))
        return found

    def run(self, name: str, words: Sequence[str], invocation: Invocation) -> int:
        """Parse the words with the command's own parser and call its function; keep what it returns."""
        log_to_stderr(debug=invocation.debug)
        parser = self._subparsers.parsers[name]
        namespace = vars(parser.parse_args(list(words)))
        func = namespace.pop("func", None)
        if func is None:
            raise ConfigurationError(
                f"the command {name!r} has no function", fix="call set_defaults(func=...) on its parser"
            )
        result = func(invocation.pipeline, **namespace)
        if inspect.isawaitable(result):
            from .drive import drive

            awaitable = result
            result = drive(invocation.pipeline, lambda pipeline: awaitable, loop=True)
        self.result = result
        return 0
