"""What each filter makes of values."""

from __future__ import annotations

import ast
import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pdt.template import Template, TemplateError
from pdt.template.filters import FILTERS

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
PYTHON = "#!/usr/bin/env python3\n"


def filtered(name: str, value: object) -> Any:
    return FILTERS[name](value)


def refused(text: str, **values: Any) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        Template(text).render(values)
    return caught.value


@given(DATA)
def test_json_is_read_back(value: Any) -> None:
    written = filtered("json", value)
    assert json.loads(written) == value
    assert re.fullmatch(r"[ -~]*", written)
    assert not set(written) & set("'`$@#<>&")


@given(DATA)
def test_python_is_read_back(value: Any) -> None:
    written = filtered("py", value)
    assert ast.literal_eval(written) == value
    assert re.fullmatch(r"[ -~]*", written)


@given(DATA.filter(lambda value: "\x85" not in repr(value)))
def test_yaml_is_read_back(value: Any) -> None:
    written = filtered("yaml", value)
    assert yaml.safe_load(written) == value
    assert not written.endswith("\n")


@given(st.binary() | st.text(st.characters(exclude_categories=["Cs"])))
def test_b64_is_read_back(value: Any) -> None:
    data = value.encode() if isinstance(value, str) else value
    assert base64.b64decode(filtered("b64", value), validate=True) == data


def test_python_takes_bytes_and_paths() -> None:
    assert filtered("py", b"a\xff") == "b'a\\xff'"
    assert filtered("py", Path("/a")) == "'/a'"
    assert filtered("json", (1, Path("/a"))) == '[1, "/a"]'


@pytest.mark.parametrize("name", ["json", "py", "yaml"])
def test_what_is_no_data_is_refused(name: str) -> None:
    assert "a object cannot be written as data" in refused(f"{{{{ [x]|{name} }}}}", x=object()).message
    assert "nan cannot be written" in refused(f"{{{{ x|{name} }}}}", x=float("nan")).message
    assert "'y' is undefined" in refused(f"{{{{ [y]|{name} }}}}").message


@pytest.mark.parametrize("name", ["json", "py", "yaml"])
def test_what_would_explode_is_refused(name: str) -> None:
    bomb: Any = "lol"
    for _ in range(9):
        bomb = [bomb] * 10
    assert "more than 1,000,000 parts" in refused(f"{{{{ x|{name} }}}}", x=bomb).message
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert "nested too deeply" in refused(f"{{{{ x|{name} }}}}", x=deep).message


@pytest.mark.parametrize(
    ("path", "name"), [("/a/b.txt", "b.txt"), ("b", "b"), ("/a/b/", "b"), ("/", ""), ("", ""), ("a b/c d", "c d")]
)
def test_basename_is_the_last_part(path: str, name: str) -> None:
    assert filtered("basename", path) == name
    assert filtered("basename", Path(path)) == filtered("basename", str(Path(path)))


@pytest.mark.parametrize("name", ["a", "job-1", "a" * 63, "0", "1-2", "a-0123"])
def test_k8s_name_keeps_a_name(name: str) -> None:
    assert filtered("k8s_name", name) == name


@given(st.text(), st.text())
def test_k8s_names_are_valid_and_differ(one: str, other: str) -> None:
    names = {text: filtered("k8s_name", text) for text in (one, other, one.upper(), one.lower(), f"{one}-", one * 20)}
    assert all(re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", name) for name in names.values())
    assert len({*names.values()}) == len(names)


def test_k8s_name_of_another_is_not_taken() -> None:
    taken = filtered("k8s_name", "Job")
    assert taken.startswith("job-")
    assert filtered("k8s_name", taken) != taken


@pytest.mark.parametrize(("text", "name"), [("my-key", "MY_KEY"), ("1a", "_1A"), ("é.x", "__X"), ("A_1", "A_1")])
def test_env_name_is_an_identifier(text: str, name: str) -> None:
    assert filtered("env_name", text) == name


def test_env_name_of_nothing_is_refused() -> None:
    assert "an empty text" in refused("{{ x|env_name }}", x="").message


@pytest.mark.parametrize("values", [{}, {"x": None}, {"x": ""}, {"x": []}])
def test_required_refuses_what_is_missing(values: dict[str, Any]) -> None:
    assert refused("echo\n{{ x|required('say which x') }}", **values).message == "template:2:1: say which x"
    assert "a value is required here" in refused("{{ x|required }}", **values).message


@pytest.mark.parametrize("value", [0, False, "a"])
def test_required_passes_what_is_there(value: object) -> None:
    assert Template("{{ x|required }}z").render({"x": value}).strip("'z") == str(value)


def test_default_replaces_what_is_missing() -> None:
    assert Template("echo {{ x|default('a b') }} {{ y|default('c', true) }}").render({"y": None}) == "echo 'a b' c"


def test_result_of_a_filter_is_escaped_in_a_shell() -> None:
    script = Template('echo {{ x|json }} "{{ x|json }}" {{ x|py }} {{ x|b64 }} {{ y|basename }}').render(
        {"x": ["a"], "y": "/a/$b"} | {"z": 1} | {"x": "a"}
    )
    assert script == """echo '"a"' "\\"a\\"" ''\\''a'\\''' YQ== '$b'"""


@pytest.mark.parametrize("name", ["json", "py", "b64", "yaml", "raw"])
def test_other_languages_take_what_a_filter_has_written(name: str) -> None:
    assert Template(f"{PYTHON}x = {{{{ x|{name} }}}}\n").render({"x": "a"}) == f"{PYTHON}x = {FILTERS[name]('a')}\n"


@pytest.mark.parametrize(
    "expression",
    [
        "x",
        "x|upper",
        "x|json|upper",
        "x|json ~ ''",
        "x|py|replace('a', 'b')",
        "'a'",
        "1",
        "x|raw|trim",
        "x|k8s_name",
        "x|json|e",
    ],
)
def test_other_languages_take_nothing_else(expression: str) -> None:
    error = refused(f"{PYTHON}x = 1\n  y = {{{{ {expression} }}}}\n", x="a")
    assert (error.line, error.column) == (3, 7)
    assert "x|py" in (error.fix or "")


@pytest.mark.parametrize("text", ["'{{ x|json }}'", '"{{ x|py }}', '{{ x|py }}"', "`{{ x|json }}`"])
def test_other_languages_take_no_quotes_in_quotes(text: str) -> None:
    assert "quotes around it" in refused(f"{PYTHON}{text}", x="a").message


def test_base64_may_stand_in_quotes() -> None:
    assert Template(PYTHON + "b64decode('{{ x|b64 }}')").render({"x": "a"}) == PYTHON + "b64decode('YQ==')"


def test_captured_text_is_script_text_in_other_languages() -> None:
    text = PYTHON + "{% macro call(a) %}print({{ a|py }}){% endmacro %}{{ call(x) }}\n"
    assert Template(text).render({"x": "it's"}) == PYTHON + 'print("it\'s")\n'
    assert Template(PYTHON + "{% set a %}1{% endset %}{{ a }}").render({}) == PYTHON + "1"


def test_value_cannot_choose_the_interpreter() -> None:
    assert "#! line" in refused("#!/usr/bin/{{ x|raw|json }}\n", x="perl").message
    assert "#! line" in refused("#!/bin/sh {{ x }}\n", x="-e").message
