"""The parts of a shell script that are inside words: quotes and expansions."""

from __future__ import annotations

import re
from typing import NoReturn

from .errors import RefusedScript
from .quoting import Escape, as_integer, in_double_quotes, in_single_quotes
from .script import HereDocument

__all__ = ["VALUE", "Scanner"]

VALUE = "\0"
PARAMETER = re.compile(r"(?P<open>[A-Za-z_][A-Za-z0-9_]*|[0-9]+|#)|[@*?$!-]")
BRACES = re.compile(r"\$\{!?(?:[A-Za-z_]\w*(?:\[[^]'\"]*\])?|\d+|[@*#?$!-])(?P<operator>:?[-+=?]|[#%])?", re.ASCII)
BEFORE_NUMBER = re.compile(r"[\w#@.})\"`]", re.ASCII)
AFTER_NUMBER = re.compile(r"[\w#@.(\[{\"`$]", re.ASCII)
BRACES_FIX = "give it to a variable on a line before: x={{ ... }}, then ${x...}"


class Scanner:
    """Walks over a text and decides for each placeholder how a value is written there.

    :param bash: whether the shell is known to have what bash has beyond POSIX.
    """

    def __init__(self, text: str, placeholder: re.Pattern[str], *, bash: bool) -> None:
        self.text = text
        self.pos = 0
        self.bash = bash
        self.placeholder = placeholder
        self.places: dict[int, Escape] = {}
        self.documents: list[HereDocument] = []
        self._pending: list[HereDocument] = []
        self._values: list[int] = []
        self._depth = 0
        self._after = 0

    def commands(self, closer: str, opening: int) -> str:
        """Walk over commands up to what closes them."""
        raise NotImplementedError

    def refuse(self, message: str, fix: str | None = None, *, at: int | None = None) -> NoReturn:
        raise RefusedScript(self.pos if at is None else at, message, fix)

    def looking_at(self, text: str) -> bool:
        return self.text.startswith(text, self.pos)

    def at_value(self) -> bool:
        return self.placeholder.match(self.text, self.pos) is not None

    def next_value(self) -> int:
        """Return where the next value is: a placeholder looks like a part of a name."""
        match = self.placeholder.search(self.text, self.pos)
        return match.start() if match else len(self.text)

    def put(self, escape: Escape) -> None:
        """Step over the value that `skip_to` found."""
        self.places[self.pos] = escape
        self._values.append(self.pos)
        self.pos = self._after

    def skip_to(self, special: str) -> str:
        """Go to the next of these characters, or to the next value, and return it; an empty text at the end."""
        match = re.compile(f"{special}|{self.placeholder.pattern}").search(self.text, self.pos)
        self.pos, self._after = match.span() if match else (len(self.text), len(self.text))
        return "" if match is None else match[0] if len(match[0]) == 1 else VALUE

    def single_quoted(self) -> None:
        opening = self.pos
        self.pos += 1
        while found := self.skip_to("'"):
            if found == "'":
                self.pos += 1
                return
            self.put(in_single_quotes)
        self.refuse("this ' is never closed", at=opening)

    def double_quoted(self) -> None:
        opening = self.pos
        self.pos += 1
        while found := self.skip_to('["\\\\$`]'):
            if found == '"':
                self.pos += 1
                return
            if found == VALUE:
                self.put(in_double_quotes)
            else:
                self.special(found, "double")
        self.refuse('this " is never closed', at=opening)

    def special(self, found: str, context: str) -> None:
        """Step over what this character begins.

        :param context: "bare", "double" quotes or "heredoc".
        """
        if found == "'":
            self.single_quoted()
        elif found == '"':
            self.double_quoted()
        elif found == "`":
            self.backticks()
        elif found == "$":
            self.dollar(context)
        else:
            self.pos += 1
            if self.at_value():
                self.refuse("a backslash stands before the value and would escape a part of it", "write \\\\ for one")
            self.pos = min(self.pos + 1, len(self.text))

    def backticks(self) -> None:
        opening = self.pos
        self.pos += 1
        while found := self.skip_to(r"[\\`]"):
            if found == VALUE:
                self.refuse("a value cannot be written safely between backticks", "write $(...)")
            self.pos += 1
            if found == "`":
                return
            self.pos += not self.at_value()
        self.refuse("this ` is never closed", at=opening)

    def dollar(self, context: str) -> None:
        opening = self.pos
        self.pos += 1
        if self.at_value():
            self.refuse(
                "a $ stands before the value and would make it the name of a variable", "write \\$ for a dollar sign"
            )
        if self.looking_at("(("):
            self.pos += 2
            self.arithmetic(opening)
        elif self.looking_at("("):
            known = len(self.places)
            self.substitution(opening)
            if context == "heredoc" and len(self.places) > known:
                at = list(self.places)[known]
                fix = "give what $(...) prints to a variable before, and write $variable here"
                self.refuse("a value cannot be written safely in $(...) inside a here-document", fix, at=at)
        elif self.looking_at("{"):
            self.braces(opening, context)
        elif self.looking_at("'") and context == "bare":
            self.ansi_quoted(opening)
        elif self.looking_at("[") or self.looking_at("\\\n"):
            self.refuse("shells differ in what this $ means", "write $((...)), \\$ or ${name}", at=opening)
        elif match := PARAMETER.match(self.text, self.pos, self.next_value()):
            self.pos = match.end()
            if match["open"] and (self.at_value() or self.looking_at("\\\n")):
                name = match[0]
                fix = f"write ${{{name}}}"
                self.refuse(f"what follows ${name} here could become a part of that name", fix, at=opening)

    def substitution(self, opening: int) -> None:
        """Step over `(...)`, whose commands have nothing to do with what is around it."""
        self.pos += 1
        if self.looking_at("\\\n"):
            self.refuse("shells differ in how they continue a line here", "write a blank before the backslash")
        outer = self._pending, self._values
        self._pending, self._values = [], []
        self._depth += 1
        self.commands(")", opening)
        self._depth -= 1
        self._pending, self._values = outer

    def ansi_quoted(self, opening: int) -> None:
        self.pos += 1
        while found := self.skip_to(r"[\\']"):
            if found == VALUE:
                self.refuse(
                    "a value cannot be written safely in $'...'", "end the quotes before it: $'...'{{ x }}$'...'"
                )
            if found == "'":
                self.pos += 1
                return
            if self.looking_at("\\'") and not self.bash:
                self.refuse("shells differ in what \\' means in $'...'", "write \\047, or #!/bin/bash in line 1")
            self.pos += 1
            self.pos += not self.at_value()
        self.refuse("this $' is never closed", at=opening)

    def braces(self, opening: int, context: str) -> None:
        match = BRACES.match(self.text, opening)
        operator = match["operator"] if match else None
        known = len(self.places)
        self.pos += 1
        if self.text[self.pos : self.pos + 1] in (" ", "\t", "\n", "|"):
            self.refuse("this ${ is no expansion of a variable", at=opening)
        while found := self.skip_to("[}'\"\\\\$`]"):
            if found == VALUE:
                self.refuse("a value cannot be written safely inside ${...}", BRACES_FIX)
            if found == "}":
                self.pos += 1
                if len(self.places) > known:
                    self.refuse(
                        "a value cannot be written safely inside ${...}", BRACES_FIX, at=list(self.places)[known]
                    )
                return
            unclear = context == "heredoc" or (context == "double" and operator is None and found == "'")
            if found in "'\"" and unclear:
                self.refuse("shells differ in what a quote means in ${...} inside quotes", BRACES_FIX)
            if found == "'" and context == "double" and operator not in ("#", "%"):
                self.pos += 1
            else:
                self.special(found, context)
        self.refuse("this ${ is never closed", at=opening)

    def arithmetic(self, opening: int) -> None:
        """Step over an arithmetic expression and the `))` after it."""
        depth = 0
        while found := self.skip_to("[()'\"\\\\$`]"):
            if found == VALUE:
                if BEFORE_NUMBER.match(self.text, self.pos - 1) or AFTER_NUMBER.match(self.text, self._after):
                    self.refuse("in arithmetic the value would join what is next to it", "put spaces around it")
                self.put(as_integer)
            elif found == "(":
                depth += 1
                self.pos += 1
            elif found == ")":
                if depth == 0 and not self.looking_at("))"):
                    self.refuse("this (( has no )): is it two subshells?", "write ( (", at=opening)
                self.pos += 1 if depth else 2
                if depth == 0:
                    return
                depth -= 1
            elif found == "'":
                self.refuse("shells differ in what a quote means in arithmetic", "leave the quotes out")
            else:
                known = len(self._values)
                self.special(found, "double")
                if len(self._values) > known:
                    self.refuse("a value cannot be quoted in arithmetic", "leave the quotes out", at=self._values[-1])
        self.refuse("this (( is never closed", at=opening)

    def pattern_list(self) -> None:
        """Step over `?(...)` and its kin."""
        # dash takes !(...) for a command that is negated, in which quotes and comments mean something else.
        opening, depth = self.pos, 1
        self.pos += 2
        while found := self.skip_to("[()'\"\\\\$`]"):
            if found == VALUE:
                self.refuse("a value cannot be written safely in a pattern like +(...)", "write a case with | instead")
            elif found in "()":
                self.pos += 1
                depth += 1 if found == "(" else -1
                if depth == 0:
                    return
            else:
                self.special(found, "bare")
        self.refuse("this ( is never closed", at=opening + 1)
