"""What a template knows before it is rendered, and where its text comes from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from pdt.errors import ConfigurationError
from pdt.template import Template, TemplateError


def test_text_is_a_template() -> None:
    template = Template("echo {{ job }}\n")
    assert template.path is None
    assert template.text == "echo {{ job }}\n"
    assert template.render({"job": "a"}) == "echo a\n"


@pytest.mark.parametrize("kind", [str, Path])
def test_file_is_a_template(kind: Any, tmp_path: Path) -> None:
    path = tmp_path / "script.sh"
    path.write_text("echo {{ job }}é", encoding="utf-8")
    template = Template(kind(path), name="ignored")
    assert template.path == path
    assert template.render({"job": "a"}) == "echo aé"
    with pytest.raises(TemplateError, match="'job' is undefined") as caught:
        template.render({})
    assert caught.value.name == str(path)
    assert str(caught.value).startswith(f"{path}:1:9: ")


def test_path_must_be_a_file(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="cannot be read: No such file") as caught:
        Template(tmp_path / "missing.sh")
    assert isinstance(caught.value, ConfigurationError)
    with pytest.raises(TemplateError, match="cannot be read: Is a directory"):
        Template(tmp_path)
    assert Template(str(tmp_path)).path is None


def test_file_must_be_utf8(tmp_path: Path) -> None:
    path = tmp_path / "script.sh"
    path.write_bytes(b"echo \xff")
    with pytest.raises(TemplateError, match=r"script\.sh: this file is not UTF-8"):
        Template(path)


@pytest.mark.parametrize(
    ("first_line", "language"),
    [
        ("", "shell"),
        ("echo", "shell"),
        (" #!/usr/bin/python3", "shell"),
        ("#!/bin/sh", "shell"),
        ("#! /bin/bash -e", "shell"),
        ("#!/usr/bin/dash", "shell"),
        ("#!/bin/ksh", "shell"),
        ("#!/usr/local/bin/zsh", "shell"),
        ("#!/usr/bin/env bash", "shell"),
        ("#!/usr/bin/env -S bash -eu", "shell"),
        ("#!/usr/bin/env -S LANG=C sh", "shell"),
        ("#!/usr/bin/env python3", "other"),
        ("#!/usr/bin/env -S python3 -u", "other"),
        ("#!/usr/bin/env", "other"),
        ("#!", "other"),
        ("#!/usr/bin/perl", "other"),
        ("#!/opt/bash-like", "other"),
    ],
)
def test_language_is_what_the_first_line_says(first_line: str, language: str) -> None:
    assert Template(f"{first_line}\n").language == language


def test_language_can_be_said() -> None:
    assert Template("{{ x|py }}", language="other").render({"x": "it's"}) == '"it\'s"'
    assert Template("#!/opt/shell\n{{ x }}", language="shell").render({"x": "a b"}) == "#!/opt/shell\n'a b'"
    with pytest.raises(TemplateError, match="no language 'perl'"):
        Template("", language="perl")


@pytest.mark.parametrize("text", ["{% if true %}#!/usr/bin/perl\n{% endif %}", "{{ '#!/usr/bin/perl'|raw }}\n"])
def test_language_cannot_change_while_rendering(text: str) -> None:
    with pytest.raises(TemplateError, match="the #! line is not the first thing in the template"):
        Template(text).render({})


def test_shell_may_be_named_late() -> None:
    assert Template("{# about #}#!/bin/bash\n(( {{ n }} ))\n").render({"n": 1}) == "#!/bin/bash\n(( 1 ))\n"


def test_names_are_those_that_it_takes() -> None:
    text = "{% set a = b %}{{ a }}{% for c in d %}{{ c }}{% endfor %}{% macro m(e) %}{{ e }}{{ f }}{% endmacro %}"
    assert Template(text + "{{ inputs.x }}").names == {"b", "d", "f", "inputs"}
    assert Template("{{ range(3)|join }}").names == frozenset()


def test_links_are_the_members_that_it_uses() -> None:
    template = Template("{{ inputs.book }} {{ inputs['words'] }} {{ outputs.a.b }} {{ status[x] }} {{ other.y }}")
    assert template.links == {"inputs": {"book", "words"}, "outputs": {"a"}, "status": None}
    assert Template("{{ inputs.book }}{% for x in inputs %}{% endfor %}").links == {"inputs": None}
    assert Template("{{ job }}").links == {}


def test_raw_places_are_listed() -> None:
    template = Template(
        "{{ x|raw }}\n  {{ y | upper |  raw }}\n{% raw %}{{ z|raw }}{% endraw %}{% set z = x|raw %}{{ raw }}"
    )
    assert template.raw_places == [(1, 6), (2, 19), (3, 46)]


def test_values_may_be_any_mapping() -> None:
    class Values(dict[str, Any]):
        def __missing__(self, key: str) -> str:
            raise AssertionError(key)

    assert Template("echo {{ a }} {{ b|default('c') }}").render(Values(a=1)) == "echo 1 c"


def test_path_values_are_text() -> None:
    assert Template("cat {{ x }} {{ y }}").render({"x": Path("/a b"), "y": PurePosixPath("/c")}) == "cat '/a b' /c"


def test_rendering_again_gives_the_same() -> None:
    template = Template("{% for x in xs %}echo {{ x }} '{{ x }}'\n{% endfor %}")
    first = template.render({"xs": ["a b", "c"]})
    assert first == "echo 'a b' 'a b'\necho c 'c'\n"
    for count in range(200):
        template.render({"xs": range(count)})
    assert template.render({"xs": ["a b", "c"]}) == first


def test_importing_it_imports_no_jinja() -> None:
    code = "import sys; from pdt.template import Template; Template('{{ x }}'); assert 'jinja2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_line_ends_are_newlines() -> None:
    assert Template("echo {{ x }}\r\necho\r\n").render({"x": "a"}) == "echo a\necho\n"
    assert Template("echo {{ x }}\n\n").render({"x": "a\r\nb"}) == "echo 'a\r\nb'\n\n"


def test_text_around_values_is_untouched() -> None:
    text = "#!/bin/sh\n# it's a comment\nset -eu\necho \"$(date) `id`\" ${x:-'a'} $'b' $((1 + 2)) <<E\n$x\nE\n"
    assert Template(text).render({}) == text
