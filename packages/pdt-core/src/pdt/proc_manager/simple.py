"""Scripts that are one simple command, which a shell can run without a subshell of their own."""

from __future__ import annotations

import re
import subprocess
from functools import lru_cache

from .shebang import SHELL

__all__ = ["is_simple_command"]

#: Seconds that the shell may take to say what a name stands for.
PATIENCE = 10.0

_NAME = r"[A-Za-z0-9_./+-]+"
_VARIABLE = r"\$(?:[A-Za-z_]\w*+|\{[A-Za-z_]\w*+\})"
_WORD = rf"""(?![#!])(?:[A-Za-z0-9_./:@%+,=~*?\#!-]|{_VARIABLE}|'[^']*+'|"(?:[^"$`\\]|{_VARIABLE})*+")++"""
_REDIRECTION = rf"(?:[0-9]?(?:<|>>?)[ \t]*+{_WORD}|[0-9]?>&[12](?=[ \t\n]|\Z))"
_SIMPLE = re.compile(rf"[ \t\n]*+({_NAME})(?:[ \t]++(?:{_REDIRECTION}|{_WORD}))*+[ \t\n]*+", re.ASCII)


def is_simple_command(script: str) -> bool:
    """Tell whether a script is a single command that the shell starts as another program.

    Such a script can neither end the shell that runs it nor change anything in it. Others may be simple, too: what is
    not certain is not taken for simple.
    """
    found = _SIMPLE.fullmatch(script)
    return found is not None and ("/" in found[1] or _is_program(found[1]))


@lru_cache(maxsize=1024)
def _is_program(name: str) -> bool:
    """Tell whether the default shell starts another program for a name: it has no such word, function or command."""
    try:
        found = subprocess.run(
            [SHELL, "-c", 'command -v "$1"', "sh", name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found.stdout.startswith(b"/")
