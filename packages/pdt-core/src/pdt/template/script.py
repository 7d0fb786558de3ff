"""A script with gaps, and the values that fill them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import Refused, RefusedScript, RefusedValue
from .quoting import Escape

__all__ = ["HereDocument", "Script"]


@dataclass(frozen=True)
class HereDocument:
    """A here-document: where it is announced, how it ends, and where its body is.

    :param nested: whether it is inside a substitution, where bash ends it at less than a whole line.
    """

    offset: int
    delimiter: str
    expands: bool
    strips_tabs: bool
    nested: bool
    body: tuple[int, int] = (0, 0)

    def ends_in(self, body: str) -> bool:
        """Tell whether a shell may take a line of this text for the delimiter."""
        lines = [line.lstrip("\t") for line in body.split("\n")]
        if self.nested:
            return any(line.startswith(self.delimiter) for line in lines)
        return self.delimiter in lines

    def is_damaged_in(self, body: str) -> bool:
        """Tell whether dash loses a byte of this text: of what follows the first letters of the delimiter in a line."""
        for line in body.split("\n"):
            text = line.lstrip("\t") if self.strips_tabs else line
            pairs = zip(text, self.delimiter, strict=False)
            alike = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(text), len(self.delimiter)))
            if alike and not text[alike : alike + 1].isascii():
                return True
        return False


class Script:
    """A text in which each placeholder has a way to write a value.

    :param places: the offset of each placeholder, and how a value is written there.
    :param documents: the here-documents, which no value may end.
    :raises RefusedScript: there is a placeholder without one.
    """

    def __init__(
        self,
        text: str,
        placeholder: re.Pattern[str],
        places: Mapping[int, Escape],
        documents: Sequence[HereDocument] = (),
    ) -> None:
        found = list(placeholder.finditer(text))
        unclear = [match.start() for match in found if match.start() not in places]
        if unclear:
            raise RefusedScript(unclear[0], "it is not clear what a shell would take the value for", "quote it")
        ends = [0, *(match.end() for match in found)]
        self._gaps = [
            (text[end : match.start()], int(match[1]), places[match.start()])
            for end, match in zip(ends, found, strict=False)
        ]
        self._tail = text[ends[-1] :]
        starts = [match.start() for match in found]
        self._documents = []
        for document in documents:
            start, end = document.body
            inside = [index for index, at in enumerate(starts) if start <= at < end]
            if inside:
                before = text[start : starts[inside[0]]]
                after = text[ends[inside[-1] + 1] : end]
                self._documents.append((document, inside[0], inside[-1], before, after))

    def fill(self, values: Sequence[str]) -> str:
        """Return the script with the values in it.

        :raises RefusedValue: a value cannot be written at its place.
        """
        pieces = []
        for literal, number, escape in self._gaps:
            pieces.append(literal)
            try:
                pieces.append(escape(values[number]))
            except Refused as error:
                raise RefusedValue(number, error.message, error.fix) from None
        for document, first, last, before, after in self._documents:
            body = before + "".join(pieces[2 * first + 1 : 2 * last + 2]) + after
            if document.ends_in(body):
                raise RefusedValue(
                    self._gaps[first][1],
                    f"with this value a line of the here-document begins with its delimiter, {document.delimiter}",
                    "give it a delimiter that no value contains",
                )
            if document.is_damaged_in(body):
                raise RefusedValue(
                    self._gaps[first][1],
                    f"with this value a line of the here-document begins like its delimiter, {document.delimiter}, "
                    "and goes on with a character that is not ASCII, of which dash loses a part",
                    "give it a delimiter that no value begins like",
                )
        pieces.append(self._tail)
        return "".join(pieces)
