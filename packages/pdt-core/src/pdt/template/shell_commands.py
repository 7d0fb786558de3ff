"""The structure of a shell script: where commands begin, and which words mean something to the shell itself."""

from __future__ import annotations

import re

from .quoting import as_argument, as_command, as_declared, as_descriptor, as_integer, in_quotes
from .shell_code import declares, runs_argument
from .shell_words import ASSIGNMENT, VALUE, Word, WordScanner

__all__ = ["ShellScanner"]

# After these a command begins; -p is an option of `time`.
OPENERS = frozenset(
    {
        "if",
        "then",
        "else",
        "elif",
        "do",
        "while",
        "until",
        "{",
        "!",
        "time",
        "coproc",
        "fi",
        "done",
        "}",
        "in",
        "-p",
        "--",
    }
)
RESERVED = OPENERS - {"in", "-p", "--"} | {"for", "select", "case", "esac", "function", "[["}
REDIRECTION = re.compile(r"<<<|<<-|<<|<&|<>|>>|>&|>\||&>>|&>|[<>](?!\()")
CASE_END = re.compile(r";;&|;;|;&")
DESCRIPTOR = re.compile(r"[0-9]+|\{[A-Za-z_]\w*\}", re.ASCII)
NAME_FROM_VALUE = re.compile(rf"[^='\"]*{VALUE}[^='\"]*=")
COMPARES_NUMBERS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v", "-R", "-t"})
TWO_MEANINGS = "(( is arithmetic in bash and two subshells in sh"
TWO_MEANINGS_FIX = "write ( ( or $((...)), or #!/bin/bash in line 1"


class ShellScanner(WordScanner):
    """Walks over a script."""

    def script(self) -> None:
        """Walk over the whole text.

        :raises RefusedScript: it is no script that every shell reads in the same way, or a value stands where none can.
        """
        if self.text.startswith("#!"):
            match = self.placeholder.search(self.text, 0, (self.text + "\n").index("\n"))
            if match:
                self.refuse("a value cannot be a part of the #! line", "write the line out", at=match.start())
        self.commands("", 0)

    def commands(self, closer: str, opening: int) -> str:
        """Walk over commands.

        :param closer: what ends them: ")", "esac" or, as nothing, the end of the text.
        :param opening: where what is closed begins.
        :return: what ended them.
        """
        words: list[str] = []
        while True:
            self.blanks()
            char = self.text[self.pos : self.pos + 1]
            if char in ("", ")") and self._pending:
                self.refuse("this here-document has no body before what it is in ends", at=self._pending[0].offset)
            if not char:
                if closer:
                    self.refuse(f"this {'case has no esac' if closer == 'esac' else '( is never closed'}", at=opening)
                return ""
            if char == "\n":
                self.newline()
                words = []
            elif char == "#":
                self.comment()
            elif match := CASE_END.match(self.text, self.pos):
                if closer != "esac":
                    self.refuse(f"{match[0]} outside a case")
                self.pos = match.end()
                return match[0]
            elif match := REDIRECTION.match(self.text, self.pos):
                self.redirection(match)
                # dash reads &> as the end of a command and a redirection of the next.
                words = [] if char == "&" else words
            elif char in ";&|":
                self.pos += 1
                words = []
            elif char == "(":
                self.parenthesis(words)
                words = []
            elif self.looking_at("!(") and not words:
                self.pos += 1
            elif char == ")":
                if closer != ")":
                    self.refuse("this ) closes nothing")
                self.pos += 1
                return ")"
            elif self.command_word(words) == "esac" and closer == "esac":
                return "esac"

    def redirection(self, match: re.Match[str]) -> None:
        self.pos = match.end()
        self.blanks()
        if match[0] in ("<<", "<<-"):
            self.announce(match.start(), strips_tabs=match[0] == "<<-")
            return
        word = self.word()
        if word.start == word.end:
            self.refuse(f"this {match[0]} leads nowhere", at=match.start())
        self.settle(word, as_argument)
        if match[0] in (">&", "<&"):
            self.places.update(dict.fromkeys(word.values, as_descriptor))

    def parenthesis(self, words: list[str]) -> None:
        opening = self.pos
        if self.looking_at("((") and (not words or words == ["for"]):
            if not self.bash:
                self.refuse(TWO_MEANINGS, TWO_MEANINGS_FIX)
            self.pos += 2
            self.arithmetic(opening)
        elif not words:
            self.pos += 1
            if self.looking_at("\\\n"):
                self.refuse("shells differ in how they continue a line here", "write a blank before the backslash")
            self.commands(")", opening)
        elif len(words) == 1 or words[0] == "function":
            self.pos += 1
            self.blanks()
            if not self.looking_at(")"):
                self.refuse("a ( does not belong here", "quote it: '('", at=opening)
            self.pos += 1
        else:
            self.refuse("a ( does not belong here", "quote it: '('")

    def command_word(self, words: list[str]) -> str:
        """Step over a word of a simple command, and return its shape if the shell may take it for a reserved word.

        :param words: the words of the command so far, which this one joins.
        """
        word = self.word()
        shape, following = word.shape, self.text[word.end : word.end + 1]
        if word.values and (following == "(" or words in (["for"], ["select"], ["function"])):
            self.refuse("a value cannot be the name of a function or variable", "write it out", at=word.values[0])
        if following in ("<", ">") and DESCRIPTOR.fullmatch(shape):
            return ""
        if not words:
            if shape == "case":
                self.case(word.start)
                return ""
            if shape == "[[":
                self.condition(word.start)
            if shape in OPENERS or shape == "esac":
                return shape
            if NAME_FROM_VALUE.match(shape):
                self.refuse("a value would decide which variable is set", "write the name out", at=word.values[0])
            if ASSIGNMENT.match(shape):
                self.settle(word, as_argument)
                return ""
        begins = not words or words[-1] in RESERVED
        self.settle(word, as_command if begins else as_argument)
        if word.values and runs_argument(words, shape, self.text[word.start : word.end]):
            self.refuse(
                f"{words[0]} would run the value as code",
                'give it to a variable before, x={{ ... }}, and use "$x" in the code; '
                "or pass it as an argument: sh -c '... \"$1\"' sh {{ ... }}",
                at=word.values[0],
            )
        if declares(words):
            self.places.update({offset: as_declared(self.places[offset]) for offset in word.values})
        words.append(shape)
        return ""

    def literal(self, expected: str) -> bool:
        """Step over a word if it is this one."""
        start = self.pos
        if self.word().shape == expected:
            return True
        self.pos = start
        return False

    def case(self, opening: int) -> None:
        self.blank_lines()
        self.settle(self.word(), as_command)
        self.blank_lines()
        if not self.literal("in"):
            self.refuse("this case has no in", at=opening)
        while True:
            self.blank_lines()
            if self.literal("esac"):
                return
            if self.looking_at("("):
                self.pos += 1
            self.pattern(opening)
            if self.commands("esac", opening) == "esac":
                return

    def pattern(self, opening: int) -> None:
        """Step over the patterns of one branch of a case, and the `)` after them."""
        while True:
            self.blanks()
            word = self.word()
            self.settle(word, in_quotes)
            self.blanks()
            if word.start == word.end or not (self.looking_at("|") or self.looking_at(")")):
                self.refuse("this case has no esac, or a branch of it no pattern", at=opening)
            self.pos += 1
            if self.text[self.pos - 1] == ")":
                return

    def condition(self, opening: int) -> None:
        """Step over the rest of `[[ ... ]]`, whose operators are words as well."""
        values: list[int] = []
        numeric = False
        while True:
            self.blanks()
            if self.pos == len(self.text) or self.text[self.pos] in ";#":
                self.refuse("this [[ has no ]]", at=opening)
            if self.text[self.pos] == "\n":
                self.newline()
                continue
            word: Word = self.word()
            if word.start == word.end:
                self.pos += 1
            if word.shape == "]]":
                break
            self.settle(word, in_quotes)
            values += word.values
            numeric |= word.shape in COMPARES_NUMBERS
        if numeric:
            self.places.update(dict.fromkeys(values, as_integer))
