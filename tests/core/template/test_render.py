"""Control flow, what blocks capture, and errors of Jinja with their places."""

from __future__ import annotations

import datetime
import os
import uuid
from decimal import Decimal
from typing import Any

import pytest

from pdt.template import Template, TemplateError


def render(text: str, **values: Any) -> str:
    return Template(text).render(values)


def error(text: str, **values: Any) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        Template(text).render(values)
    return caught.value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "'a b'"),
        ("", "''"),
        (12, "12"),
        (-1.5, "-1.5"),
        (True, "True"),
        (Decimal("1.20"), "1.20"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
    ],
)
def test_value_is_its_text(value: object, text: str) -> None:
    assert render("echo {{ x }}", x=value) == f"echo {text}"


@pytest.mark.parametrize(
    ("value", "message", "fix"),
    [
        (None, "the value is None", "default"),
        (b"a", "the value is bytes", "b64"),
        ([1], "the value is a list", "json"),
        ({"a": 1}, "the value is a dict", "json"),
        (object(), "the value is a object", "json"),
        ("a\0b", "NUL character", "b64"),
        ("\ud800", "lone surrogate", "b64"),
        (os.fsdecode(b"\xff"), "lone surrogate", "b64"),
    ],
)
def test_value_without_a_text_is_refused(value: object, message: str, fix: str) -> None:
    refused = error("echo a\necho b {{ x }}", x=value)
    assert message in refused.message
    assert fix in (refused.fix or "")
    assert (refused.name, refused.line, refused.column) == ("template", 2, 8)


def test_control_flow_is_as_ever() -> None:
    text = (
        "{% for x in xs if x != 'b' %}{{ loop.index }}:{{ x|upper }}{{ ' ' if not loop.last }}{% else %}-{% endfor %}"
    )
    assert render("echo " + text, xs=["a", "b", "c d"]) == "echo 1:A' '2:'C D'''"
    assert render("echo " + text, xs=[]) == "echo -"


def test_text_written_in_an_expression_is_a_value() -> None:
    assert render("echo {{ '$HOME; ' ~ x }} {{ \"it's\" }}", x=1) == "echo '$HOME; 1' 'it'\\''s'"


def test_whitespace_control_and_raw_blocks_are_as_ever() -> None:
    assert (
        render("echo a  {{- x }}  {%- if true -%}  b{% endif %}\n{% raw %}{{ x }}{% endraw %}", x="a")
        == "echo aab\n{{ x }}"
    )


def test_set_block_is_script_text() -> None:
    text = (
        "{% set command %}cat {{ x }} '{{ x }}'{% endset %}"
        '{% if command %}{{ command }} | "$({{ command }})"{% endif %}'
    )
    assert render(text, x="a'b") == "cat 'a'\\''b' 'a'\\''b' | \"$(cat 'a'\\''b' 'a'\\''b')\""


def test_value_is_written_for_where_its_block_is_printed() -> None:
    assert (
        render("{% set b %}{{ x }}{% endset %}a {{ b }} '{{ b }}' \"{{ b }}\"", x="$'")
        == "a '$'\\''' '$'\\''' \"\\$'\""
    )


def test_macros_calls_and_recursion_are_script_text() -> None:
    assert render("{% macro m(a, b='c d') %}+{{ a }} {{ b }}+{% endmacro %}echo {{ m('x y') }}") == "echo +'x y' 'c d'+"
    text = "{% macro m(a) %}{{ caller(a ~ ' z') }};{% endmacro %}{% call(b) m(x) %}echo {{ b }}{% endcall %}"
    assert render(text + " {% call(b) m(1) %}e {{ b }}{% endcall %}", x="x") == "echo 'x z'; e '1 z';"
    tree = [{"name": "a b", "below": [{"name": "c", "below": []}]}]
    text = "echo {% for n in tree recursive %}{{ n.name }} {{ loop(n.below) }}{% endfor %}"
    assert render(text, tree=tree) == "echo 'a b' c "


def test_call_of_what_is_no_macro_prints_a_value() -> None:
    assert render("echo {% call x.format() %}{% endcall %}", x="; id") == "echo '; id'"


CAPTURED = "{% macro m() %}a{{ x }}b{% endmacro %}"


@pytest.mark.parametrize(
    "expression",
    [
        *[
            "m()|upper",
            "m()|trim",
            "m()|length",
            "m()|replace('a', 'b')",
            "m()|first",
            "m()[:3]",
            "m()|string",
            "m()|int",
        ],
        *["m() ~ 'a'", "'a' ~ m()", "'%s' % m()", "'%s'|format(m())", "'{}'.format(m())", "m() + 'a'", "m() * 2"],
        *[
            "m()|raw",
            "m()|json",
            "m()|py",
            "m()|yaml",
            "m()|b64",
            "m()|k8s_name",
            "m()|basename",
            "m()|tojson",
            "m()|e",
        ],
        *[
            "[m()]|join",
            "[m()]|json",
            "m()|list",
            "'yes' if m() == 'ab'",
            "'yes' if 'a' in m()",
            "m()|safe",
            "m()|pprint",
        ],
        *["m()|urlencode", "m()|wordwrap(2)", "m()|batch(2)|list|first", "m()|float", "m()|sort|first", "m()|reverse"],
        *[
            "m()._text",
            "m()|attr('_text')",
            "[m()]|map(attribute='_text')|first",
            "'{0._text}'.format(m())",
            "{m(): 1}",
        ],
    ],
)
def test_what_was_captured_is_never_changed(expression: str) -> None:
    assert error(f"{CAPTURED}echo {{{{ {expression} }}}}", x="v").line == 1


def test_what_was_captured_may_be_passed_on() -> None:
    assert (
        render("echo " + CAPTURED + "{% set y = m() %}{{ y|default('c') }} {{ [y, y]|last }} {{ m()|required }}", x=1)
        == "echo a1b a1b a1b"
    )


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("\n {% include 'a' %}", 2, 2, "no other template to include"),
        ("{% import 'a' as b %}", 1, 1, "no other template to import"),
        ("{% from 'a' import b %}", 1, 1, "no other template to import from"),
        ("{%- extends 'a' %}", 1, 1, "no other template to inherit from"),
        ("a\n{% block a %}{% endblock %}", 2, 1, "no other template to inherit from"),
        ("\n\n{% filter upper %}{{ x }}{% endfilter %}", 3, 1, "a {% filter %} block"),
        ("\n{% set a | upper %}{{ x }}{% endset %}", 2, None, "a {% set %} block"),
        ("echo\n${#x}", 2, 1, "the beginning of a comment"),
        ("echo\n{{ x | nothing }}", 2, 8, "No filter named 'nothing'"),
        ("echo {{ x is nothing }}", 1, 14, "No test named 'nothing'"),
        ("echo\n{{ x", 2, 1, "unexpected end of template"),
        ("{% if x %}\n", 1, 1, "Unexpected end of template"),
    ],
)
def test_template_that_is_none_is_refused(text: str, line: int, column: int | None, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        assert Template(text, name="job.sh").names
    assert (caught.value.name, caught.value.line, caught.value.column) == ("job.sh", line, column)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "fix"),
    [
        ("echo\necho {{ boook }}", 2, 9, "'boook' is undefined", "did you mean book?"),
        ("echo\n{% if a and boook %}{% endif %}", 2, 13, "'boook' is undefined", "did you mean book?"),
        ("{% macro m() %}\n{{ boook }}{% endmacro %}\n{{ m() }}", 2, 4, "'boook' is undefined", "did you mean book?"),
        ("{{ zzzzz|upper }}", 1, 4, "'zzzzz' is undefined", "in scope here: a, book, inputs"),
        ("{{ a }}\n{{ inputs.wrods }}", 2, 4, "inputs has no 'wrods'", "did you mean words?"),
        ("{{ inputs['wrods'] }}", 1, 4, "inputs has no 'wrods'", "did you mean words?"),
        ("{{ a.b.c }}", 1, 4, "a has no 'b'", None),
        ("{{ a }}{{ a[7] }}", 1, None, "has no element 7", None),
        ("\n{{ 1 / 0 }}", 2, 1, "ZeroDivisionError: division by zero", None),
        ("{{ ''.__class__ }}", 1, 1, "access to attribute '__class__'", None),
        ("{% for i in range(1000000) %}{% endfor %}", 1, None, "Range too big", None),
        ("{{ [book]|map('raw')|first }}", 1, 1, "raw cannot be named in a text", "write x|raw where x is printed"),
        ("{{ {'a': a}|b64 }}", 1, 1, "the value is a dict", "x|json"),
    ],
)
def test_error_while_rendering_says_where(
    text: str, line: int, column: int | None, message: str, fix: str | None
) -> None:
    refused = error(text, a="a", book="b", inputs={"words": 1})
    assert (refused.line, refused.column) == (line, column)
    assert message in refused.message
    assert (fix or "") in (refused.fix or "")


def test_nothing_defined_is_said() -> None:
    assert error("{{ x }}").fix == "nothing is in scope here"


def test_placeholders_cannot_be_forged() -> None:
    template = Template("echo {{ x }} {{ y|raw }}")
    placeholder = template._prefix + "0z"
    assert template.render({"x": placeholder, "y": "a"}) == f"echo {placeholder} a"
    with pytest.raises(TemplateError, match="stands for other values"):
        template.render({"x": "b", "y": placeholder})


def test_raw_is_script_text() -> None:
    assert render("{{ x|raw }} {{ y }}'", x="echo '", y="a'b") == "echo ' a'\\''b'"
    assert render("echo {{ x|raw|upper }} {{ x|raw ~ y }}", x="$a", y="") == "echo '$A' '$a'"
