"""A template of a script: what it needs to know, and the script that it makes."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import RefusedScript, RefusedValue, TemplateError
from .language import SHELL, lexed, shell_of

if TYPE_CHECKING:
    from .render import Printed, Program
    from .script import Script

__all__ = ["Template"]

MOST_SCRIPTS = 64


class Template:
    """A Jinja template of a script, which writes each value so that the script sees exactly that value.

    Nothing but the text is looked at until it is needed.

    :param source: the file, if there is one of this path, else the text itself; a `Path` is always a file.
    :param name: what errors call the template, if it is not a file.
    :param language: "shell" or "other"; by default what the `#!` line says, and "shell" without one.
    :raises TemplateError: the file cannot be read.
    """

    def __init__(self, source: str | os.PathLike[str], *, name: str = "template", language: str | None = None) -> None:
        self.path: Path | None = None
        if not isinstance(source, str) or os.path.isfile(source):
            self.path = Path(source)
            name = str(self.path)
        self.name = name
        self.text = str(source) if self.path is None else _text_of(self.path)
        if language not in (None, SHELL, "other"):
            raise TemplateError(f"there is no language {language!r}", name=name, fix="say 'shell' or 'other'")
        self._guessed = language is None
        self.language = language or (SHELL if shell_of(self.text) else "other")
        self._scripts: dict[str, Script] = {}

    def __repr__(self) -> str:
        return f"<Template {self.name} ({self.language})>"

    @property
    def names(self) -> frozenset[str]:
        """The names that it takes from the values it is rendered with."""
        return self._program.names

    @property
    def links(self) -> Mapping[str, frozenset[str] | None]:
        """Which members it uses of `inputs`, `outputs` and `status`; None where that cannot be told."""
        return self._program.links

    @property
    def raw_places(self) -> list[tuple[int, int]]:
        """The line and column of each `| raw`."""
        return list(self._program.raw_places)

    def render(self, values: Mapping[str, Any]) -> str:
        """Return the script.

        :raises TemplateError: it cannot be made from these values.
        """
        program = self._program
        text, printed = program.run(values)
        script = self._scripts.get(text)
        if script is None:
            script = self._lexed(text, values, printed)
        try:
            return script.fill(printed.values)
        except RefusedValue as error:
            raise program.error_at(printed.sites[error.number], error) from None

    def check(self, names: Collection[str], links: Mapping[str, Collection[str]]) -> None:
        """Find what is wrong with it whatever the values are.

        :param names: the names that it may use.
        :param links: the members of `inputs`, `outputs` and `status`.
        :raises TemplateError: it is no template, it uses a name that there is not, or values have no place in it.
        """
        from .check import check

        check(self, self._program, names, links)

    @cached_property
    def _program(self) -> Program:
        from .render import Program

        return Program(self.text, name=self.name, shell=self.language == SHELL, prefix=self._prefix)

    @cached_property
    def _prefix(self) -> str:
        import hashlib

        prefix = f"pdt{hashlib.sha256(self.text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}x"
        while prefix in self.text:
            prefix += "x"
        return prefix

    def _lexed(self, text: str, values: Mapping[str, Any], printed: Printed) -> Script:
        try:
            return self.read(text, printed.sites)
        except RefusedScript as error:
            line, column = self._program.locate(values, text, error.offset)
            raise TemplateError(error.message, name=self.name, line=line, column=column, fix=error.fix) from None

    def read(self, text: str, sites: Sequence[int]) -> Script:
        """Return the script that a text with placeholders is, and keep it for the next job.

        :param sites: by its number, the place in the template that printed a placeholder.
        :raises TemplateError: a value cannot be written at its place.
        :raises RefusedScript: something else is wrong with the text.
        """
        placeholder = re.compile(rf"{self._prefix}(\d+)z")
        try:
            shell = shell_of(text)
            if self._guessed and (shell is not None) != (self.language == SHELL):
                raise RefusedScript(0, "the #! line is not the first thing in the template", "begin the file with it")
            script = lexed(text, placeholder, self.language, shell)
        except RefusedScript as error:
            match = placeholder.match(text, error.offset)
            if match is None:
                raise
            raise self._program.error_at(sites[int(match[1])], error) from None
        while len(self._scripts) >= MOST_SCRIPTS:
            self._scripts.pop(next(iter(self._scripts)), None)
        self._scripts[text] = script
        return script


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TemplateError(
            f"this file cannot be read: {error.strerror or error}",
            name=str(path),
            fix="give the template's text or path",
        ) from None
    except UnicodeDecodeError as error:
        raise TemplateError(f"this file is not UTF-8: {error.reason}", name=str(path), fix="save it as UTF-8") from None
