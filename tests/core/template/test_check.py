"""What is said against a template before there are values for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdt.template import Template, TemplateError

NAMES = {"job", "task", "env", "argv0", "attempt", "inputs", "outputs", "status", "book", "words"}
LINKS = {"inputs": ["book"], "outputs": ["words"], "status": ["done"]}
PYTHON = "#!/usr/bin/python3\n"


def check(text: str) -> Template:
    template = Template(text, name="script")
    template.check(NAMES, LINKS)
    return template


@pytest.mark.parametrize(
    "text",
    [
        "wc -w < {{ book }} > {{ words }}",
        "echo {{ job }} {{ task }} {{ env.HOME }} {{ argv0 }} {{ attempt }}",
        "cat {{ inputs.book }} {{ inputs['book'] }} > {{ outputs.words }}; : {{ status.done }}",
        "{% for name in inputs.keys() %}cat {{ inputs[name] }};{% endfor %}",
        "{% for number in range(3) %}echo {{ number }} {{ loop.index }};{% endfor %}",
        "{% set name = book|basename %}echo {{ name }}",
        "{% macro say(what) %}echo {{ what }}{% endmacro %}{{ say(book) }}",
        "{% set inputs = {'mine': 1} %}echo {{ inputs.mine }}",
        "{% if missing is defined %}echo {{ missing }}{% endif %}",
        "echo {{ missing|default('none') }} {{ inputs.other|default('none') }}",
        "{% if inputs.other is undefined %}echo{% else %}cat {{ inputs.other }}{% endif %}",
        "eval {{ job|raw }}",
        "{% if job == 'a' %}eval {{ job }}{% endif %}",
        f"{PYTHON}print({{{{ job|py }}}})",
        f"{PYTHON}print({{{{ job|upper|json }}}})",
        f"{PYTHON}{{% set name = job|py %}}print({{{{ name }}}})",
        f"{PYTHON}{{{{ job|raw }}}}",
        "",
        "no tags",
    ],
)
def test_what_may_be_right_is_not_refused(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    ("text", "where", "message", "fix"),
    [
        ("echo\necho {{ job", "script:2:6", "unexpected end of template", "tags are {{ value }}"),
        ("echo {{ job }\n", "script:1:6", "unexpected '}'", "tags are {{ value }}"),
        ("{% if job %}\necho", "script:1:1", "Unexpected end of template", "tags are {{ value }}"),
        ("echo {{ job|jsn }}", "script:1:13", "No filter named 'jsn'", "did you mean json?"),
        ("{% if job %}{{ job|jsn }}{% endif %}", "script:1:20", "No filter named 'jsn'", "did you mean json?"),
        ("{% if job is strin %}{% endif %}", "script:1:14", "No test named 'strin'", "did you mean string?"),
        ("echo\necho {{ job }} {{ boko }}", "script:2:19", "'boko' is undefined", "did you mean book?"),
        ("{% if boko %}x{% endif %}", "script:1:7", "'boko' is undefined", "did you mean book?"),
        ("echo {{ nothing }}", "script:1:9", "'nothing' is undefined", "in scope here: argv0, attempt, book"),
        ("echo {{ nothing|required }}", "script:1:9", "'nothing' is undefined", "in scope here"),
        ("echo\ncat {{ inputs.boko }}", "script:2:15", "inputs has no 'boko'", "did you mean book?"),
        ("cat {{ outputs['word'] }}", "script:1:17", "outputs has no 'word'", "did you mean words?"),
        ("echo\neval {{ job }}", "script:2:6", "", ""),
        ("echo $'{{ job }}'", "script:1:8", "", ""),
        ("{% set x = job %}\n  #!/bin/sh\nsh -c {{ x }}", "script:3:7", "", ""),
        ("echo {{ job }} 'not closed\n", "script:1:16", "", ""),
        (f"{PYTHON}print({{{{ job }}}})", "script:2:7", "how this value is written is not known", "x|py for Python"),
        (f"{PYTHON}print({{{{ inputs.book }}}})", "script:2:7", "how this value is written is not known", "x|py"),
        ("#!{{ job|py }}\n", "script:1:3", "a value cannot be a part of the #! line", "write the line out"),
    ],
)
def test_what_is_wrong_says_where(text: str, where: str, message: str, fix: str) -> None:
    with pytest.raises(TemplateError) as caught:
        check(text)
    assert str(caught.value).startswith(f"{where}: ")
    assert message in str(caught.value)
    assert fix in (caught.value.fix or "")


def test_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "script.sh"
    path.write_text("echo {{ nothing }}")
    with pytest.raises(TemplateError, match=r"script\.sh:1:9: 'nothing' is undefined"):
        Template(path).check(NAMES, LINKS)


def test_what_was_checked_renders_the_same() -> None:
    text = 'echo {{ job }} "{{ book }}" <<X\n{{ words }}\nX\n'
    values = {"job": "a b", "book": "c$d", "words": "e"}
    assert check(text).render(values) == Template(text).render(values)
