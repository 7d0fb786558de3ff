"""What goes wrong in a template, and where."""

from __future__ import annotations

from ..errors import ConfigurationError

__all__ = ["Refused", "RefusedScript", "RefusedValue", "TemplateError"]


class TemplateError(ConfigurationError):
    """A template is wrong, or a value cannot be written at the place where it is printed.

    :param name: the file, or the name that the template was given.
    :param line: where in it, counted from 1, as far as it is known.
    :param column: likewise.
    """

    def __init__(
        self, message: str, *, name: str, line: int | None = None, column: int | None = None, fix: str | None = None
    ) -> None:
        where = ":".join(str(part) for part in (name, line, column) if part is not None)
        super().__init__(f"{where}: {message}", fix=fix)
        self.name = name
        self.line = line
        self.column = column


class Refused(Exception):
    """A value or a text is not acceptable, said by what does not know where in the template it is."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class RefusedValue(Refused):
    """A value cannot be written at its place.

    :param number: which of the values that were printed.
    """

    def __init__(self, number: int, message: str, fix: str | None = None) -> None:
        super().__init__(message, fix)
        self.number = number


class RefusedScript(Refused):
    """A script cannot be read, or values have no place in it.

    :param offset: where in the text with placeholders.
    """

    def __init__(self, offset: int, message: str, fix: str | None = None) -> None:
        super().__init__(message, fix)
        self.offset = offset
