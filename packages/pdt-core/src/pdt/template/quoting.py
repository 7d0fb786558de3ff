"""How a value is written at each kind of place in a shell script."""

from __future__ import annotations

import re
from collections.abc import Callable

from .errors import Refused
from .values import Written

__all__ = [
    "Escape",
    "as_argument",
    "as_command",
    "as_declared",
    "as_descriptor",
    "as_integer",
    "beside_quotes",
    "in_comment",
    "in_double_quotes",
    "in_double_quotes_of_array",
    "in_heredoc",
    "in_quoted_heredoc",
    "in_quoted_tabless_heredoc",
    "in_quotes",
    "in_single_quotes",
    "in_tabless_heredoc",
    "verbatim",
]

Escape = Callable[[str], str]

# Nothing here means anything to a shell, wherever in a word it stands; zsh expands =name.
SAFE = re.compile(r"(?!=)(?:[A-Za-z0-9_./@%+,=-]|:(?!=))+")
INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
DESCRIPTOR = re.compile(r"[0-9]+|-")
UNLIKE_A_COMMENT = re.compile(r"[^A-Za-z0-9_./:=@%+, -]")
SPECIAL_IN_DOUBLE_QUOTES = re.compile(r'[\\"$`]')
SPECIAL_IN_HEREDOC = re.compile(r"[\\$`]")


def in_quotes(value: str) -> str:
    """One word, or a part of one, in which nothing means anything."""
    return "'" + value.replace("'", "'\\''") + "'"


def as_argument(value: str) -> str:
    """One word, or a part of one, where neither reserved words nor assignments are recognised."""
    return value if SAFE.fullmatch(value) else in_quotes(value)


def as_command(value: str) -> str:
    """One word, or a part of one, that is no reserved word, alias or assignment."""
    return value if "/" in value and "=" not in value and SAFE.fullmatch(value) else in_quotes(value)


def in_single_quotes(value: str) -> str:
    """A part of '...'."""
    return value.replace("'", "'\\''")


def in_double_quotes(value: str) -> str:
    """A part of "..."."""
    return SPECIAL_IN_DOUBLE_QUOTES.sub(r"\\\g<0>", value)


def in_double_quotes_of_array(value: str) -> str:
    """A part of "..." in an array of bash, which puts a \\x01 of its own before two characters there."""
    if "\x01" in value or "\x7f" in value:
        raise Refused("the value contains a control character that bash damages in an array", "leave the quotes out")
    return in_double_quotes(value)


def verbatim(value: str) -> str:
    """The value itself, where a filter has written it."""
    return value


def beside_quotes(value: str) -> str:
    """The value itself, where there are quotes next to it."""
    if isinstance(value, Written) and value.quoted:
        raise Refused("the filter brings quotes of its own, and there are quotes around it", "leave those quotes out")
    return value


def in_heredoc(value: str) -> str:
    """A part of a here-document in which expansions are made."""
    return SPECIAL_IN_HEREDOC.sub(r"\\\g<0>", value)


def _without_tabs(value: str) -> str:
    if "\t" in value:
        raise Refused("the value contains a tab, and <<- strips tabs", "write << instead of <<-")
    return value


def in_quoted_tabless_heredoc(value: str) -> str:
    """A part of a here-document of <<- whose delimiter is quoted."""
    return in_quoted_heredoc(_without_tabs(value))


def in_quoted_heredoc(value: str) -> str:
    """A part of a here-document whose delimiter is quoted: in a substitution bash drops a \\x01 before either."""
    if "\x01" in value or "\x7f" in value:
        raise Refused(
            "the value contains a control character that bash damages where the delimiter is quoted",
            "leave the quotes of the delimiter out",
        )
    return value


def in_tabless_heredoc(value: str) -> str:
    """A part of a here-document of <<- in which expansions are made."""
    return in_heredoc(_without_tabs(value))


def as_integer(value: str) -> str:
    """A number in an arithmetic expression, where a shell would run what else it is given."""
    if not INTEGER.fullmatch(value):
        raise Refused(
            "the value is no decimal integer, and a shell evaluates what stands in arithmetic as code",
            "make it one with x|int, or compare texts: = instead of -eq",
        )
    # "5--3" would be a decrement.
    return f" {value}" if value[0] == "-" else value


def as_declared(escape: Escape) -> Escape:
    """What `declare` and its kin assign, which bash evaluates if it is like (...) and the variable is an array."""

    def written(value: str) -> str:
        if value.startswith("("):
            raise Refused("the value begins with ( and bash may evaluate it here", "assign it on a line of its own")
        return escape(value)

    return written


def as_descriptor(value: str) -> str:
    """The target of >& or <&, which bash expands a second time if it is the name of a file."""
    if not DESCRIPTOR.fullmatch(value):
        raise Refused(
            "the value is no number of a descriptor, and bash expands the word twice", "write >{{ ... }} 2>&1"
        )
    return value


def in_comment(value: str) -> str:
    """Something like the value, for people to read."""
    return UNLIKE_A_COMMENT.sub("_", value)
