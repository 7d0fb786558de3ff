"""Which arguments of which commands are code: there, quoting does not make a value harmless."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .shell_words import ASSIGNMENT

__all__ = ["declares", "runs_argument"]

# Not only eval: bash evaluates the subscript of a name that it is given, as in `read 'a[$(id)]'`.
EVALUATES = frozenset({"eval", "let", "trap", "alias", "unset", "read", "getopts", "mapfile", "readarray"})
DECLARES = frozenset({"declare", "typeset", "local", "readonly", "export"})
SHELLS = frozenset({"sh", "bash", "dash", "ksh", "mksh", "zsh", "ash"})
PREFIXES = frozenset({"command", "builtin", "exec"})
RUNS_TEXT = re.compile(r"-[a-z]*c[a-z]*")
EVALUATING_OPTION = re.compile(r"[-+][A-Za-z]*[aAin][A-Za-z]*")
COMPOUND = re.compile(r"[^=]*=(?P<quote>[\"']?)\(")


def without_prefixes(words: Sequence[str]) -> Sequence[str]:
    """Return the words of a command without those that only say how it is run."""
    while words and words[0] in PREFIXES:
        words = words[1:]
    return words


def runs_argument(words: Sequence[str], shape: str, text: str) -> bool:
    """Tell whether a command would run, or evaluate, a part of an argument.

    :param words: the shapes of the words before it.
    :param shape: its own.
    :param text: its text.
    """
    words = without_prefixes(words)
    if not words:
        return False
    if words[0] in EVALUATES:
        return True
    if words[0] in DECLARES:
        compound = COMPOUND.match(text)
        if compound and not compound["quote"]:
            return not ASSIGNMENT.match(shape)
        evaluates = any(EVALUATING_OPTION.fullmatch(word) for word in words)
        return not ASSIGNMENT.match(shape) or evaluates or compound is not None
    if words[0] in ("printf", "test", "["):
        return words[-1] == "-v"
    return bool(RUNS_TEXT.fullmatch(words[-1])) and any(word.rpartition("/")[2] in SHELLS for word in words[:-1])


def declares(words: Sequence[str]) -> bool:
    """Tell whether a command evaluates a value that is like (...), if the variable is an array."""
    words = without_prefixes(words)
    return bool(words) and words[0] in DECLARES
