"""What may be printed in a template, and as what text."""

from __future__ import annotations

import os
from collections.abc import Iterable

from .errors import Refused

__all__ = ["Captured", "Raw", "Written", "capture", "check_encodable", "text_of"]


class Written(str):
    """Text that a filter has written in the notation of some language; anything done to it makes it plain text.

    :ivar quoted: whether the notation brings quotes of its own.
    """

    quoted: bool

    def __new__(cls, text: str, *, quoted: bool = False) -> Written:
        self = super().__new__(cls, text)
        self.quoted = quoted
        return self


class Raw(str):
    """Text that is part of the script itself; anything done to it makes it plain text."""

    __slots__ = ()


class Captured:
    """Script text with placeholders in it, from a block or a macro: it can be printed, and nothing else."""

    # The sandbox keeps templates from names that begin with an underscore.
    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __bool__(self) -> bool:
        return bool(self._text)

    def _refuse(self, *_: object) -> str:
        raise Refused(
            "the text of a {% set %} block or a macro can be printed, and nothing else",
            "apply filters to the values inside it, or use {% set name = expression %}",
        )

    __str__ = __repr__ = _refuse
    __int__ = __float__ = __index__ = __lt__ = __gt__ = __le__ = __ge__ = _refuse
    __eq__ = __ne__ = __len__ = __iter__ = __contains__ = __getitem__ = __add__ = __mod__ = _refuse  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


def capture(pieces: Iterable[str | Captured]) -> Captured:
    """Join what a block printed."""
    return Captured("".join([piece._text if isinstance(piece, Captured) else piece for piece in pieces]))


def text_of(value: object) -> str:
    """Return a value as text.

    :raises Refused: it is not a kind of value that has one obvious text.
    """
    if isinstance(value, str):
        return str(value)
    if value is None:
        raise Refused("the value is None", "say what to write instead: x|default('...', true), or x|json for null")
    if isinstance(value, (bytes, bytearray)):
        raise Refused("the value is bytes", "write it as text: x|b64")
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        return path if isinstance(path, str) else os.fsdecode(path)
    # Dates, numbers, UUIDs and the like say what they are as text; containers only how they are represented.
    if type(value).__str__ is object.__str__ and not isinstance(value, (int, float)):
        raise Refused(
            f"the value is a {type(value).__name__}, which has no text of its own",
            "write it with a filter: x|json, x|yaml, x|join(' ') as one word, or a loop over x",
        )
    return str(value)


def check_encodable(text: str) -> None:
    """Refuse text that cannot be part of a script.

    :raises Refused: it has a NUL, or surrogates that stand for undecodable bytes.
    """
    if "\0" in text:
        raise Refused("the value contains a NUL character, which no argument of a program can hold", "write x|b64")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(
            "the value is not valid Unicode: a lone surrogate is in it", "write x|b64, x|json or x|py"
        ) from None
