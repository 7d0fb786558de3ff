"""What pdt logs, on stderr: a line each, without tracebacks, and without floods of one sort."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable

from . import output

__all__ = ["StderrHandler", "current_handler", "log_to_stderr"]

#: The handler that was set up last.
_current: list[StderrHandler] = []

#: Messages of one sort that are printed.
MOST_ALIKE = 10
COLOURS = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}


class StderrHandler(logging.Handler):
    """Prints what is logged on stderr.

    :param debug: whether to print tracebacks, and every message.
    """

    def __init__(self, debug: bool) -> None:
        super().__init__()
        self._debug = debug
        self._alike: Counter[str] = Counter()
        self._printed: set[str] = set()
        #: Called before something is printed: a progress display clears itself.
        self.before: list[Callable[[], None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message, unless it or many of its sort were, or the user has messages go elsewhere."""
        if logging.getLogger().handlers:
            return
        text = record.getMessage()
        # A key that several repositories skip is one thing to be told of.
        once = f"skipped {record.skipped_key!a}" if hasattr(record, "skipped_key") else text
        if once in self._printed:
            return
        sort = f"{record.name} {record.msg}"
        self._alike[sort] += 1
        count = self._alike[sort]
        if count > MOST_ALIKE and not self._debug:
            return
        self._printed.add(once)
        for clear in self.before:
            clear()
        level = record.levelname.lower()
        name = output.paint(f"{level}:", COLOURS.get(record.levelno, "dim"), sys.stderr)
        message, _, fix = text.partition("\nfix: ")
        output.note(f"{name} {output.indented(message)}")
        if fix:
            output.note(f"{output.paint('fix:', 'green', sys.stderr)} {output.indented(fix)}")
        if record.exc_info and self._debug:
            output.note(logging.Formatter().formatException(record.exc_info))
        if count == MOST_ALIKE and not self._debug:
            output.note("  (more of this sort are not shown; --debug shows them)")

    def hold(self, name: str, level: int) -> Callable[[], None]:
        """Keep messages of a logger and level back, and return what ends that."""

        def is_let_through(record: logging.LogRecord) -> bool:
            return self._debug or record.name != name or record.levelno != level

        self.addFilter(is_let_through)
        return lambda: self.removeFilter(is_let_through)


def log_to_stderr(*, debug: bool = False) -> StderrHandler:
    """Print what pdt logs on stderr from now on, and return the handler that does."""
    logger = logging.getLogger("pdt")
    while _current:
        logger.removeHandler(_current.pop())
    handler = StderrHandler(debug)
    _current.append(handler)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if debug else logging.WARNING)
    return handler


def current_handler() -> StderrHandler:
    """Return the handler that prints on stderr, set up now if it is not."""
    return _current[-1] if _current else log_to_stderr()
