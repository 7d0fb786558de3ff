"""How a command ends: whatever is raised becomes a few lines for a person and an exit status."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType

from .. import errors
from ..errors import PdtError
from . import exits, output
from .oserrors import fix_of, reason_of

__all__ = ["Aborted", "guard", "is_users_own", "report"]

PACKAGE = os.path.join(os.path.dirname(errors.__file__), "")
STDLIB = os.path.join(os.path.dirname(os.__file__), "")
LIBRARIES = ("site-packages", "dist-packages")


class Aborted(Exception):
    """The user was asked, and said no."""


def guard(func: Callable[[], int], debug: Callable[[], bool]) -> int:
    """Return what `func` returns, or report what it raises and return the exit status of that.

    :param debug: whether tracebacks are wanted.
    """
    try:
        status = func()
        output.flush()
        return status
    except output.OutputClosedError:
        return exits.OK  # whoever read the output has seen enough
    except Aborted:
        output.note("nothing was changed")
        return exits.FAILURE
    except KeyboardInterrupt:
        output.note("interrupted")
        return exits.INTERRUPTED
    except Exception as error:
        return report(error, debug=debug())


def report(error: BaseException, *, debug: bool) -> int:
    """Print an error for a person, and return its exit status.

    :param debug: whether to print the traceback, too.
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, BaseExceptionGroup):
        statuses = [report(part, debug=debug) for part in error.exceptions]
        return max(statuses)
    if debug:
        _print_traceback(error)
    if isinstance(error, PdtError):
        output.fail(error.message, error.fix)
        return error.exit_code
    where = _culprit(error.__traceback__)
    text = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(error, OSError):
        output.fail(reason_of(error) if where is None else f"{where}: {text}", fix_of(error))
        return exits.BACKEND
    if where is not None:
        output.fail(f"{where}: {text}", None if debug else "--debug shows where it comes from")
        return exits.FAILURE
    if not debug:
        _print_traceback(error)
    output.fail(text, "this is a bug in pdt: please report it, with the lines above")
    return exits.BUG


def _print_traceback(error: BaseException) -> None:
    from traceback import format_exception

    output.note("".join(format_exception(error)).rstrip("\n"))


def _culprit(trace: TracebackType | None) -> str | None:
    """Return the line outside pdt that raised, or None where it was pdt itself, or what it called."""
    found = None
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(PACKAGE):
            found = None
        elif os.path.isabs(file) and not file.startswith(STDLIB):
            found = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def is_users_own(file: str) -> bool:
    """Tell whether a file of source belongs to the user, rather than to pdt, Python or another library."""
    if not os.path.isabs(file) or file.startswith((PACKAGE, STDLIB)):
        return False
    return not any(f"{os.sep}{folder}{os.sep}" in file for folder in LIBRARIES)
