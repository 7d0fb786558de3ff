"""Set expressions over links, such as `(a.in | b.in) - c.done`: a parser of its own, nothing is evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import ConfigurationError

__all__ = ["Expression", "ExpressionError", "parse"]

TOKEN = re.compile(r"\s*(?:(?P<name>\w[-\w]*\.\w+)|(?P<mark>[()&|^-])|(?P<other>\S))")
#: How closely each operator binds, as in Python.
BINDING = {"|": 1, "^": 2, "&": 3, "-": 4}
DEEPEST = 100
MOST_LINKS = 100


class ExpressionError(ConfigurationError):
    """A set expression that cannot be read.

    :param text: the expression.
    :param column: where it goes wrong, from 0.
    :param what: what is wrong there.
    """

    def __init__(self, text: str, column: int, what: str) -> None:
        super().__init__(
            f"column {column + 1}: {what}\n{text}\n{' ' * column}^",
            fix="write links and operators, for example: count.input - count.done",
        )
        self.column = column


@dataclass(frozen=True)
class Expression:
    """A link by its name, or an operation on two expressions.

    :param name: the link, or the operator.
    :param column: where it stands, from 0.
    :param operands: nothing for a link.
    """

    name: str
    column: int
    operands: tuple[Expression, ...] = ()

    def links(self) -> Iterator[Expression]:
        """Yield every link that the expression names."""
        if not self.operands:
            yield self
        for operand in self.operands:
            yield from operand.links()

    def evaluate(self, keys: Callable[[str], Set[str]]) -> Set[str]:
        """Return the set that the expression stands for.

        :param keys: returns the keys of a link.
        """
        if not self.operands:
            return keys(self.name)
        left, right = (operand.evaluate(keys) for operand in self.operands)
        if self.name == "|":
            return left | right
        if self.name == "^":
            return left ^ right
        return left & right if self.name == "&" else left - right


class _Token(NamedTuple):
    text: str
    column: int
    is_name: bool = False


def parse(text: str) -> Expression:
    """Return what a text says.

    :raises ExpressionError: if it is no set expression.
    """
    parser = _Parser(text)
    expression = parser.operation(0, 0)
    if parser.next.text:
        what = "a parenthesis too many" if parser.next.text == ")" else "an operator is missing: one of & | - ^"
        raise ExpressionError(text, parser.next.column, what)
    return expression


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)
        self.next = next(self._tokens)
        self._links = 0

    def _split(self, text: str) -> Iterator[_Token]:
        end = len(text.rstrip())
        position = 0
        while position < end:
            match = TOKEN.match(text, position)
            assert match is not None  # noqa: S101  `other` takes what nothing else does
            kind = str(match.lastgroup)
            if kind == "other":
                raise self._error(match.start(kind), self._stray(match.start(kind)))
            yield _Token(match[kind], match.start(kind), kind == "name")
            position = match.end()
        yield _Token("", end)

    def _stray(self, column: int) -> str:
        word = re.match(r"\w[-\w]*", self._text[column:])
        if word is not None:
            return f"{word[0]!r} names no link: write it as TASK.LINK"
        return f"unexpected {self._text[column]!r}"

    def _error(self, column: int, what: str) -> ExpressionError:
        return ExpressionError(self._text, column, what)

    def _advance(self) -> _Token:
        token = self.next
        self.next = next(self._tokens, token)
        return token

    def operation(self, binding: int, depth: int) -> Expression:
        """Parse operands as long as their operators bind more closely than `binding`."""
        if depth > DEEPEST:
            raise self._error(self.next.column, "too many parentheses within one another")
        left = self._operand(depth)
        while BINDING.get(self.next.text, 0) > binding:
            operator = self._advance()
            right = self.operation(BINDING[operator.text], depth)
            left = Expression(operator.text, operator.column, (left, right))
        return left

    def _operand(self, depth: int) -> Expression:
        token = self._advance()
        if token.is_name:
            self._links += 1
            if self._links > MOST_LINKS:
                raise self._error(token.column, f"more than {MOST_LINKS} links")
            return Expression(token.text, token.column)
        if token.text == "(":
            inside = self.operation(0, depth + 1)
            if self.next.text != ")":
                raise self._error(self.next.column, f"the parenthesis of column {token.column + 1} is not closed")
            self._advance()
            return inside
        raise self._error(token.column, "a link is missing here" if token.text else "the expression ends too early")
