"""One call of the command line: what was said apart from the command, and the pipeline that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..pipeline import Pipeline
    from .instrument import Commands

__all__ = ["Invocation"]


class Invocation:
    """What a command is called in; a plugin's typer command finds it as its context's `obj`.

    :param program: what the user calls this command line.
    :param pipeline: the pipeline, where a script gave it rather than the command line.
    :param extra: the commands that the script adds.
    """

    def __init__(self, program: str, pipeline: Pipeline | None = None, extra: Commands | None = None) -> None:
        self.program = program
        self.extra = extra
        self.file: str | None = None
        self.debug = False
        self._given = pipeline
        self._pipeline = pipeline

    @property
    def with_file(self) -> bool:
        """Whether the pipeline is named on the command line."""
        return self._given is None

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline, loaded when it is first asked for.

        :raises ConfigurationError: if it cannot be loaded.
        """
        if self._pipeline is None:
            from .load import load

            self._pipeline = load(self.file)
        return self._pipeline

    def note(self, file: str | None, debug: bool) -> None:
        """Take the options that every command has; a later mention of the file counts."""
        if file is not None:
            self.file = file
        self.debug = self.debug or debug
