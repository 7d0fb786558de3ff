"""Questions to whoever sits at the terminal."""

from __future__ import annotations

import sys

from .outcome import Aborted

__all__ = ["confirm", "is_attended"]


def is_attended() -> bool:
    """Tell whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> None:
    """Ask whether to go on.

    :raises Aborted: if not.
    """
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Aborted
