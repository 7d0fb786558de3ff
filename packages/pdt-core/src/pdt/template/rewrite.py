"""Where everything stands in a template, and its syntax tree with a filter around all that it prints."""

from __future__ import annotations

import bisect
from typing import Any, cast

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.visitor import NodeTransformer

from .errors import TemplateError

__all__ = ["PRINT", "RAW", "TEXT", "Position", "Rewriter", "Tokens"]

Position = tuple[int, int]

# Names that no template can write.
PRINT, RAW, TEXT = "print it", "raw text", "template text"
ALONE = {
    "block": "inherit from",
    "extends": "inherit from",
    "from": "import from",
    "import": "import",
    "include": "include",
}


class Tokens:
    """Where the parts of a template are.

    :ivar prints: the line and column of each `{{`, and of each `{% call`.
    :ivar raws: likewise, of each `| raw`.
    :ivar texts: the offset of each piece of text outside all tags.
    :raises TemplateError: there are statements that a script's template cannot have.
    """

    def __init__(self, environment: Environment, text: str, name: str) -> None:
        self.prints: list[Position] = []
        self.raws: list[Position] = []
        self.texts: list[int] = []
        self._lines = [0, *(index + 1 for index, char in enumerate(text) if char == "\n")]
        offset, before, tag = 0, "", 0
        for _, kind, value in environment.lex(text, name):
            at = text.index(value, offset)
            offset = at + len(value)
            if kind == "variable_begin":
                self.prints.append(self.position(at))
            elif kind == "data":
                self.texts.append(at)
            elif kind == "comment_begin" and text[at - 1 : at] == "$":
                self._refuse(
                    name, at - 1, "Jinja takes {# for the beginning of a comment", "write {% raw %}${#...}{% endraw %}"
                )
            elif kind == "block_begin":
                tag = at
            elif kind == "name" and before.startswith("{%"):
                self._check_statement(name, value, tag)
            elif kind == "name" and value == "raw" and before == "|":
                self.raws.append(self.position(at))
            if kind != "whitespace":
                before = value

    def _check_statement(self, name: str, statement: str, at: int) -> None:
        if statement in ALONE:
            message = f"there is no other template to {ALONE[statement]}"
            self._refuse(name, at, message, "write macros in this one, or the text itself")
        if statement == "call":
            self.prints.append(self.position(at))
        if statement == "filter":
            self._refuse(
                name, at, "a {% filter %} block would change values after they are escaped", "filter each value"
            )

    def _refuse(self, name: str, at: int, message: str, fix: str) -> None:
        line, column = self.position(at)
        raise TemplateError(message, name=name, line=line, column=column, fix=fix)

    def position(self, offset: int) -> Position:
        """Return the line and the column of a character, counted from 1."""
        line = bisect.bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1


class Rewriter(NodeTransformer):
    """Makes a template print by way of a filter, which is told what and where.

    :param marked: whether the template's own text goes the same way.
    """

    def __init__(self, tokens: Tokens, *, marked: bool) -> None:
        self._tokens = tokens
        self._marked = marked
        self._prints = 0
        self._texts = 0

    def visit_Output(self, node: nodes.Output) -> nodes.Output:
        node.nodes = [self._printed(child) for child in node.nodes]
        return node

    def _printed(self, node: nodes.Expr) -> nodes.Expr:
        if not isinstance(node, nodes.TemplateData):
            self._prints += 1
            return _filtered(PRINT, cast(nodes.Expr, self.visit(node)), self._prints - 1)
        self._texts += 1
        return _filtered(TEXT, nodes.Const(node.data), self._texts - 1, node) if self._marked else node

    def visit_CallBlock(self, node: nodes.CallBlock) -> list[nodes.Node]:
        # Jinja would print what the call returns as it is, be it a macro's text or a value's.
        self._prints += 1
        number = self._prints - 1
        caller = f"_caller_{number}"
        call = cast(nodes.Call, self.visit(node.call))
        macro = nodes.Macro(caller, node.args, node.defaults, node.body)
        call.kwargs = [*call.kwargs, nodes.Keyword("caller", nodes.Name(caller, "load"))]
        output = nodes.Output([_filtered(PRINT, call, number)])
        for made in (macro, output):
            made.set_lineno(node.lineno)
            made.set_environment(cast(Any, node.environment))
        return [self.generic_visit(macro), output]

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.Node:
        if node.filter is not None:
            raise TemplateSyntaxError(
                "a filter on a {% set %} block would change values after they are escaped", node.lineno
            )
        return self.generic_visit(node)

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:
        if node.name == "raw":
            node.name = RAW
        return self.generic_visit(node)


def _filtered(name: str, node: nodes.Expr, number: int, origin: nodes.Node | None = None) -> nodes.Filter:
    origin = origin or node
    made = nodes.Filter(node, name, [nodes.Const(number)], [], None, None)
    made.set_lineno(origin.lineno)
    made.set_environment(cast(Any, origin.environment))
    return made
