"""The pdt command."""

from __future__ import annotations

import sys

__all__ = ["entry"]


def entry() -> int:
    """Run the command line of this process, and return its exit status."""
    if sys.argv[1:] == ["--version"]:
        from .. import __version__

        print(f"pdt {__version__}")
        return 0
    from .program import run

    return run(sys.argv[1:])
