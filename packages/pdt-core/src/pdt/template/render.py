"""The first half of a rendering: Jinja runs the template, and puts a placeholder wherever a value is printed."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, meta, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .errors import Refused, TemplateError
from .explain import explain_run, explain_syntax
from .filters import FILTERS
from .rewrite import PRINT, RAW, TEXT, Position, Rewriter, Tokens
from .values import Captured, Raw, Written, capture, check_encodable, text_of

__all__ = ["KINDS", "Printed", "Program", "unwritten"]

PRINTED = "printed values"  # no template can name it
KINDS = ("inputs", "outputs", "status")
PRINTABLE = re.compile(r"[ -~]*")


def unwritten() -> Refused:
    """Return the error that nobody has said how a value is written."""
    return Refused(
        "how this value is written is not known in a script that is no shell's",
        "say it with a filter: x|py for Python, x|json, x|b64 inside quotes, or x|raw for script text",
    )


class Printed:
    """The values that one rendering printed, each with the number of the place that printed it."""

    def __init__(self, program: Program, mark: str) -> None:
        self.values: list[str] = []
        self.sites: list[int] = []
        self._program = program
        self._prefix = program.prefix
        self._mark = mark

    def print(self, value: object, site: int) -> str:
        """Take a value, and return what stands for it in the script."""
        if type(value) is str:
            text: str = value
        elif isinstance(value, Captured):
            return value._text
        else:
            text = text_of(value)
        if not PRINTABLE.fullmatch(text):
            check_encodable(text)
        if isinstance(value, Raw):
            if self._prefix in text:
                raise Refused("the value contains what stands for other values")
            return f"{self._mark}{2 * site}z{text}" if self._mark else text
        if not self._program.shell and not isinstance(value, Written):
            raise unwritten()
        number = len(self.values)
        self.values.append(value if isinstance(value, Written) else text)
        self.sites.append(site)
        return f"{self._prefix}{number}z"

    def text(self, text: str, number: int) -> str:
        """Mark a piece of the template's own text."""
        return f"{self._mark}{2 * number + 1}z{text}"


@pass_context
def _print(context: Context, value: object, site: int) -> str:
    printed: Printed = context.parent[PRINTED]
    try:
        return printed.print(value, site)
    except Refused as error:
        raise printed._program.error_at(site, error) from None


@pass_context
def _text(context: Context, text: str, number: int) -> str:
    printed: Printed = context.parent[PRINTED]
    return printed.text(text, number)


def _misplaced_raw(value: object, *_: object) -> None:
    raise Refused("raw cannot be named in a text", "write x|raw where x is printed")


class _Environment(ImmutableSandboxedEnvironment):
    concat = staticmethod(capture)  # type: ignore[assignment]


@functools.cache
def _environment() -> _Environment:
    environment = _Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters.update(FILTERS)
    environment.filters.update({"raw": _misplaced_raw, RAW: FILTERS["raw"], PRINT: _print, TEXT: _text})
    return environment


class Program:
    """A template as Jinja runs it.

    :param shell: whether it makes a shell script.
    :param prefix: what placeholders begin with; it does not occur in the text.
    :raises TemplateError: it is no template, or has statements that need other templates.
    """

    def __init__(self, text: str, *, name: str, shell: bool, prefix: str) -> None:
        self.name = name
        self.shell = shell
        self.prefix = prefix
        self._text = re.sub(r"\r\n?", "\n", text)
        environment = _environment()
        try:
            self._tokens = Tokens(environment, self._text, name)
            tree = environment.parse(self._text)
            self.names = frozenset(meta.find_undeclared_variables(tree))
            self.links = _links(tree)
            self._template = self._compiled(tree, marked=False)
        except TemplateSyntaxError as error:
            raise explain_syntax(error, name, self._text) from None
        self.raw_places: list[Position] = self._tokens.raws

    def _compiled(self, tree: nodes.Template, *, marked: bool) -> Template:
        environment = _environment()
        Rewriter(self._tokens, marked=marked).visit(tree)
        return Template.from_code(environment, environment.compile(tree), environment.globals)

    @property
    def lines(self) -> list[str]:
        """The lines of the template."""
        return self._text.split("\n")

    def parsed(self) -> nodes.Template:
        """Return its syntax tree."""
        return _environment().parse(self._text)

    def position(self, piece: int, offset: int) -> Position:
        """Return where a character of one of the template's own pieces of text is."""
        return self._tokens.position(self._tokens.texts[piece] + offset)

    def run(self, values: Mapping[str, Any]) -> tuple[str, Printed]:
        """Return the script with placeholders, and what they stand for.

        :raises TemplateError: something in it cannot be evaluated, or not printed.
        """
        return self._run(self._template, values, "")

    def _run(self, template: Template, values: Mapping[str, Any], mark: str) -> tuple[str, Printed]:
        printed = Printed(self, mark)
        context = template.new_context(values)  # type: ignore[arg-type]
        context.parent[PRINTED] = printed
        try:
            return capture(template.root_render_func(context))._text, printed
        except TemplateError:
            raise
        except Exception as error:
            raise explain_run(error, self.name, self._text, values) from error

    def locate(self, values: Mapping[str, Any], text: str, offset: int) -> Position | tuple[None, None]:
        """Return the place in the template where a character of the script that it makes comes from."""
        mark = f"{self.prefix}m"
        template = self._compiled(_environment().parse(self._text), marked=True)
        marked, _ = self._run(template, values, mark)
        pieces = re.split(rf"{mark}(\d+)z", marked)
        if "".join(pieces[::2]) != text:
            return None, None  # it prints something else each time
        start = len(pieces[0])
        for number, piece in zip(map(int, pieces[1::2]), pieces[2::2], strict=True):
            if start <= offset < start + len(piece) or offset == start + len(piece) == len(text):
                which, is_text = divmod(number, 2)
                if not is_text:
                    return self._tokens.prints[which]
                return self._tokens.position(self._tokens.texts[which] + offset - start)
            start += len(piece)
        return None, None

    def error_at(self, site: int, error: Refused) -> TemplateError:
        """Return the error that says where in the template a value was refused."""
        line, column = self._tokens.prints[site]
        return TemplateError(error.message, name=self.name, line=line, column=column, fix=error.fix)


def _links(tree: nodes.Template) -> Mapping[str, frozenset[str] | None]:
    found: dict[str, set[str]] = {}
    named = set[int]()
    members: list[tuple[nodes.Expr, object]] = [
        *((node.node, node.attr) for node in tree.find_all(nodes.Getattr)),
        *((node.node, getattr(node.arg, "value", None)) for node in tree.find_all(nodes.Getitem)),
    ]
    for owner, member in members:
        if isinstance(owner, nodes.Name) and owner.name in KINDS and isinstance(member, str):
            named.add(id(owner))
            found.setdefault(owner.name, set()).add(member)
    dynamic = {name.name for name in tree.find_all(nodes.Name) if name.name in KINDS and id(name) not in named}
    return MappingProxyType(
        {kind: None if kind in dynamic else frozenset(found[kind]) for kind in sorted({*found, *dynamic})}
    )
