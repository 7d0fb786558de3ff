"""What commands of a shell script consist of: words, blanks, comments and here-documents."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from .quoting import (
    Escape,
    in_comment,
    in_double_quotes,
    in_double_quotes_of_array,
    in_heredoc,
    in_quoted_heredoc,
    in_quoted_tabless_heredoc,
    in_quotes,
    in_tabless_heredoc,
)
from .script import HereDocument
from .shell_scan import VALUE, Scanner

__all__ = ["ASSIGNMENT", "VALUE", "Word", "WordScanner"]

QUOTED = "\1"
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(?:\[[^]]*\])?\+?=", re.ASCII)
BLANKS = re.compile(r"(?:[ \t]|\\\n)+")
# What is not here may give a meaning to what is next to it: ~user, {a,b}, [a-z].
WITH_MEANING = re.compile(r"^=|[^A-Za-z0-9_./:=@%+,*?\0\1\x80-\U0010ffff-]")
ENDS_WORD = "|&;<>() \t\n"
STOPS = "[|&;<>() \\t\\n'\"\\\\$`?*+@!]"


@dataclass(frozen=True)
class Word:
    """A word of a script.

    :param shape: its text, with `VALUE` for each bare value and `QUOTED` for what is quoted or expanded.
    :param bare: where the values are that stand outside quotes.
    :param values: where all its values are, but those inside substitutions.
    """

    start: int
    end: int
    shape: str
    bare: list[int]
    values: list[int]


class WordScanner(Scanner):
    """Walks over words and what is between them."""

    def blanks(self) -> None:
        if match := BLANKS.match(self.text, self.pos):
            self.pos = match.end()

    def blank_lines(self) -> None:
        """Step over everything up to the next word or operator."""
        while True:
            self.blanks()
            if self.looking_at("\n"):
                self.newline()
            elif self.looking_at("#"):
                self.comment()
            else:
                return

    def comment(self) -> None:
        while self.skip_to("\n") == VALUE:
            self.put(in_comment)

    def newline(self) -> None:
        """Step over the end of a line, and over the bodies of the here-documents that were announced on it."""
        self.pos += 1
        pending, self._pending = self._pending, []
        for document in pending:
            self.here_document(document)

    def word(self) -> Word:
        """Step over a word; over nothing, if none begins here."""
        start, shape, bare = self.pos, "", list[int]()
        if self.looking_at("#"):
            return Word(start, start, shape, bare, [])
        outer, self._values = self._values, []
        while True:
            here = self.pos
            found = self.skip_to(STOPS)
            shape += self.text[here : self.pos]
            here = self.pos
            following = self.text[here + 1 : here + 2]
            if found == VALUE:
                if shape.count("[") > shape.count("]"):
                    self.refuse("a shell may evaluate what stands between [ and ] as code", "quote it: '['")
                bare.append(here)
                self.put(in_quotes)
                shape += VALUE
                continue
            if found == "\\" and following == "\n":
                self.pos += 2
                if self.at_value() and shape:
                    self.refuse("a line is continued inside a word, before the value", "begin the line with the word")
                continue
            if found and found in "?*+@!" and following != "(":
                self.pos += 1
                shape += found
                continue
            if found and found in "?*+@!":
                self.pattern_list()
            elif found and found in "<>" and following == "(":
                self.pos += 1
                self.substitution(here)
            elif found == "(" and ASSIGNMENT.fullmatch(shape):
                self.array()
            elif not found or found in ENDS_WORD:
                break
            else:
                self.special(found, "bare")
            shape += QUOTED
            if self._pending and "\n" in self.text[here : self.pos]:
                self.refuse("a here-document is announced before this, on the same line", "write it last", at=here)
        values, self._values = self._values, outer
        return Word(start, self.pos, shape, bare, values)

    def array(self) -> None:
        opening = self.pos
        self.pos += 1
        while True:
            self.blank_lines()
            word = self.word()
            self._values.extend(word.values)
            for offset in word.values:
                if self.places[offset] is in_double_quotes:
                    self.places[offset] = in_double_quotes_of_array
            if word.start == word.end:
                break
        if not self.looking_at(")"):
            self.refuse("this ( is never closed", at=opening)
        self.pos += 1

    def settle(self, word: Word, escape: Escape) -> None:
        """Decide how the bare values of a word are written, if nothing in it calls for more care."""
        if WITH_MEANING.search(word.shape) or self.text[word.end : word.end + 1] in ("<", ">"):
            escape = in_quotes
        for offset in word.bare:
            self.places[offset] = escape

    def announce(self, offset: int, *, strips_tabs: bool) -> None:
        """Step over the delimiter of a here-document."""
        word = self.word()
        text = self.text[word.start : word.end]
        if word.values:
            self.refuse("a value cannot be a delimiter", "write the delimiter out", at=word.values[0])
        delimiter = re.sub(r"\\(.)|['\"]", r"\1", text)
        if not delimiter or re.search(r"[$`()\n]|\\.*['\"]|['\"].*\\", text):
            self.refuse("this is no delimiter for a here-document", "write a word, such as <<EOF or <<'EOF'", at=offset)
        self._pending.append(HereDocument(offset, delimiter, text == delimiter, strips_tabs, self._depth > 0))

    def here_document(self, document: HereDocument) -> None:
        body, delimiter = self.pos, document.delimiter
        tabs = "\t*" if document.strips_tabs else ""
        last = re.compile(rf"^{tabs}{re.escape(delimiter)}$", re.MULTILINE).search(self.text, body)
        if last is None:
            self.refuse(f"this here-document has no line {delimiter}", at=document.offset)
        end = last.start()
        if document.nested and re.search(rf"^\t*{re.escape(delimiter)}.*\)", self.text[body:end], re.MULTILINE):
            self.refuse(
                "shells differ in where this here-document ends", "choose another delimiter", at=document.offset
            )
        if document.strips_tabs:
            escape = in_tabless_heredoc if document.expands else in_quoted_tabless_heredoc
        else:
            escape = in_heredoc if document.expands else in_quoted_heredoc
        known, continued = len(self.places), False
        special = r"[\\$`]" if document.expands else "(?!)"
        while (found := self.skip_to(special)) and self.pos < end:
            if found == VALUE:
                self.put(escape)
                continue
            continued |= self.looking_at("\\\n")
            self.special(found, "heredoc")
            if self.pos > end or (found == "\\" and self.pos == end):
                self.refuse(f"shells differ in whether the line {delimiter} belongs to what begins here", at=end)
        if continued and len(self.places) > known:
            self.refuse("a line of a here-document that has values is continued", "write it as one", at=document.offset)
        self.documents.append(replace(document, body=(body, end)))
        self.pos = min(last.end() + 1, len(self.text))
