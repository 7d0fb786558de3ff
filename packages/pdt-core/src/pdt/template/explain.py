"""Errors of Jinja as errors of pdt: which line, which name, and what may have been meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jinja2 import TemplateError as JinjaError
from jinja2 import TemplateSyntaxError, UndefinedError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.tests import TESTS as JINJA_TESTS

from .errors import Refused, TemplateError
from .filters import FILTERS

__all__ = ["column_of", "explain_run", "explain_syntax", "suggestion", "unknown_helper"]

UNDEFINED = re.compile(r"'(?P<name>\w+)' is undefined")
#: What there is of the things that a template can name, beside values.
KNOWN = {"filter": (*JINJA_FILTERS, *FILTERS), "test": tuple(JINJA_TESTS)}
SYNTAX_FIX = "tags are {{ value }}, {% statement %} and {# comment #}; {% raw %}...{% endraw %} is left as it is"
NO_MEMBER = re.compile(r"has no (?:attribute|element) '?(?P<name>\w+)")


def explain_syntax(error: TemplateSyntaxError, name: str, text: str) -> TemplateError:
    """Return what an error in a template's syntax means."""
    message = error.message or "this is no template"
    unknown = re.search(r"No (filter|test) named '(\w+)'", message)
    lines = text.split("\n")
    if unknown:
        return unknown_helper(unknown[2], unknown[1], name, error.lineno, lines)
    column = _only_tag(lines[error.lineno - 1])
    return TemplateError(message.rstrip("."), name=name, line=error.lineno, column=column, fix=SYNTAX_FIX)


def unknown_helper(helper: str, kind: str, name: str, line: int, lines: Sequence[str]) -> TemplateError:
    """Return the error that there is no such filter or test.

    :param kind: "filter" or "test".
    :param name: of the template.
    """
    column = column_of(lines[line - 1], helper)
    fix = suggestion(helper, KNOWN[kind], f"a {kind}")
    return TemplateError(f"No {kind} named {helper!r}", name=name, line=line, column=column, fix=fix)


def explain_run(error: Exception, name: str, text: str, values: Mapping[str, Any]) -> TemplateError:
    """Return what went wrong while a template was rendered."""
    line = _line(error)
    text_of_line = text.split("\n")[line - 1] if line else ""
    column = _only_tag(text_of_line)
    fix = error.fix if isinstance(error, Refused) else None
    message = str(error) if isinstance(error, (Refused, JinjaError)) else f"{type(error).__name__}: {error}"
    if isinstance(error, UndefinedError):
        if match := UNDEFINED.search(message):
            column = column_of(text_of_line, match["name"])
            fix = suggestion(match["name"], values, "in scope here")
        elif (match := NO_MEMBER.search(message)) and (member := _member(match["name"]).search(text_of_line)):
            owner = member["owner"]
            column = member.start() + 1
            message = f"{owner} has no {match['name']!r}"
            if isinstance(known := values.get(owner), Mapping):
                fix = suggestion(match["name"], known, f"in {owner}")
    return TemplateError(message, name=name, line=line, column=column, fix=fix)


def suggestion(name: str, known: Iterable[Any], where: str) -> str:
    """Return what to write instead of a name that is not known."""
    names = sorted(str(key) for key in known)
    close = difflib.get_close_matches(name, names, 1)
    if close:
        return f"did you mean {close[0]}?"
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"{where}: {shown}" if names else f"nothing is {where}"


def _line(error: BaseException) -> int | None:
    """Return the line of the template in which an exception was raised."""
    line = None
    traceback = error.__traceback__
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            line = template.get_corresponding_lineno(traceback.tb_lineno)
        traceback = traceback.tb_next
    return line


def _only_tag(text_of_line: str) -> int | None:
    tags = [match.start() + 1 for match in re.finditer(r"\{[{%]", text_of_line)]
    return tags[0] if len(tags) == 1 else None


def column_of(text_of_line: str, name: str) -> int | None:
    """Return where in a line a name is."""
    match = re.search(rf"\b{re.escape(name)}\b", text_of_line)
    return match.start() + 1 if match else None


def _member(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?P<owner>\w+)(?:\.|\[['\"]){name}\b")
