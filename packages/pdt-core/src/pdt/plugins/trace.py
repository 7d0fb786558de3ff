"""PDT_TRACE_PLUGINS: every hook call on stderr, without the values that could be secret."""

from __future__ import annotations

import sys
from collections.abc import Mapping

__all__ = ["print_call"]


def print_call(dist: str, hook: str, arguments: Mapping[str, object], outcome: str) -> None:
    """Print one hook call.

    :param dist: the distribution whose implementation was called.
    :param hook: the hook's name.
    :param arguments: what it was given; texts are printed, of other values only their type.
    :param outcome: what came of it.
    """
    given = ", ".join(f"{name}={_shown(value)}" for name, value in arguments.items())
    print(f"pdt plugins: {dist} {hook}({given}) {outcome}", file=sys.stderr)


def _shown(value: object) -> str:
    if not isinstance(value, str):
        return f"<{type(value).__name__}>"
    return ascii(value) if len(value) <= 80 else f"{value[:77]!a}..."
