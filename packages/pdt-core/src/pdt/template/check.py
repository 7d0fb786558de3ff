"""What can be said against a template before there are values for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from jinja2 import nodes

from .errors import RefusedScript, TemplateError
from .explain import column_of, suggestion, unknown_helper
from .render import KINDS, Program, unwritten

if TYPE_CHECKING:
    from .template import Template

__all__ = ["check"]

#: What makes it fine that a name is not defined.
TESTS = frozenset({"defined", "undefined"})
FILTERS = frozenset({"default", "d"})


def check(template: Template, program: Program, names: Collection[str], links: Mapping[str, Collection[str]]) -> None:
    """Check that every name is known; and how values are written, unless the script's structure depends on them.

    :param names: what the template may use.
    :param links: the members of `inputs`, `outputs` and `status`.
    :raises TemplateError: something is wrong.
    """
    tree = program.parsed()
    guarded = set(_guarded(tree))
    for name in _in_order(tree, program.names):
        if name.name not in names and name.name not in guarded:
            raise _undefined(program, name.lineno, f"{name.name!r} is undefined", name.name, names, "in scope here")
    for line, owner, member in _members(tree):
        known = links.get(owner, ())
        if owner in program.names and member not in known and f"{owner}.{member}" not in guarded:
            raise _undefined(program, line, f"{owner} has no {member!r}", member, known, f"in {owner}")
    for helper in _not_there(tree):
        kind = type(helper).__name__.lower()
        raise unknown_helper(helper.name, kind, program.name, helper.lineno, program.lines)
    prints = _straight(tree)
    if prints is not None:
        _check_writing(template, program, prints)


def _in_order(tree: nodes.Template, wanted: Collection[str]) -> list[nodes.Name]:
    names = [name for name in tree.find_all(nodes.Name) if name.ctx == "load" and name.name in wanted]
    return sorted(names, key=lambda name: name.lineno)


def _guarded(tree: nodes.Template) -> Iterator[str]:
    """Yield the names of which the template asks whether they are defined."""
    tests = (node.node for node in tree.find_all(nodes.Test) if node.name in TESTS)
    filters = (node.node for node in tree.find_all(nodes.Filter) if node.name in FILTERS)
    for asked in (*tests, *filters):
        if isinstance(asked, nodes.Name):
            yield asked.name
        elif isinstance(asked, (nodes.Getattr, nodes.Getitem)) and isinstance(asked.node, nodes.Name):
            yield f"{asked.node.name}.{_member(asked)}"


def _members(tree: nodes.Template) -> Iterator[tuple[int, str, str]]:
    """Yield where links are taken from one of their kinds: the line, the kind and the link's name."""
    taken: list[nodes.Getattr | nodes.Getitem] = [*tree.find_all(nodes.Getattr), *tree.find_all(nodes.Getitem)]
    for node in taken:
        owner, member = node.node, _member(node)
        is_link = isinstance(member, str) and not hasattr(dict, member)
        if isinstance(owner, nodes.Name) and owner.name in KINDS and is_link:
            yield node.lineno, owner.name, str(member)


def _not_there(tree: nodes.Template) -> Iterator[nodes.Filter | nodes.Test]:
    """Yield the uses of filters and tests that there are not, which Jinja itself notes late inside a condition."""
    if any(node.name in ("filter", "test") for node in tree.find_all(nodes.Test)):
        return  # it asks for them first
    environment = tree.environment
    assert environment is not None  # noqa: S101  it was parsed by one
    for filter in tree.find_all(nodes.Filter):
        if filter.name not in environment.filters:
            yield filter
    for test in tree.find_all(nodes.Test):
        if test.name not in environment.tests:
            yield test


def _member(node: nodes.Getattr | nodes.Getitem) -> object:
    return node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)


def _undefined(
    program: Program, line: int, message: str, name: str, known: Collection[str], where: str
) -> TemplateError:
    column = column_of(program.lines[line - 1], name)
    return TemplateError(message, name=program.name, line=line, column=column, fix=suggestion(name, known, where))


def _straight(tree: nodes.Template) -> list[nodes.Expr] | None:
    """Return what a template prints if it always prints the same, one after the other; else None."""
    if not all(isinstance(node, (nodes.Output, nodes.Assign)) for node in tree.body):
        return None
    if any(node.name == "raw" for node in tree.find_all(nodes.Filter)):
        return None
    return [child for node in tree.body if isinstance(node, nodes.Output) for child in node.nodes]


def _check_writing(template: Template, program: Program, prints: list[nodes.Expr]) -> None:
    """Check that each value has a way to be written at its place."""
    pieces: list[str] = []
    count = 0
    for node in prints:
        if isinstance(node, nodes.TemplateData):
            pieces.append(node.data)
            continue
        if not program.shell and _is_plain(node, program):
            raise program.error_at(count, unwritten())
        pieces.append(f"{program.prefix}{count}z")
        count += 1
    try:
        template.read("".join(pieces), range(count))
    except RefusedScript as error:
        line, column = _place(program, prints, pieces, error.offset)
        raise TemplateError(error.message, name=program.name, line=line, column=column, fix=error.fix) from None


def _place(
    program: Program, prints: list[nodes.Expr], pieces: list[str], offset: int
) -> tuple[int, int] | tuple[None, None]:
    """Return the place in the template of a character of the script that is no value's."""
    start = texts = 0
    for node, piece in zip(prints, pieces, strict=True):
        if isinstance(node, nodes.TemplateData):
            if offset <= start + len(piece):
                return program.position(texts, max(0, offset - start))
            texts += 1
        start += len(piece)
    return None, None


def _is_plain(node: nodes.Expr, program: Program) -> bool:
    """Tell whether an expression is a value as it was given, with no filter that says how it is written."""
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        node = node.node
    return isinstance(node, nodes.Name) and node.name in program.names
