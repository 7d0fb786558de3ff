"""The pdt command."""

from __future__ import annotations

import sys

__all__ = ["entry"]


def entry() -> int:
    """Run the command line of this process, and return its exit status."""
    if sys.argv[1:] == ["--version"]:
        from .. import __version__

        try:
            print(f"pdt {__version__}", flush=True)
            return 0
        except OSError:
            pass  # the long way below says what it means
    from .program import run

    return run(sys.argv[1:])
