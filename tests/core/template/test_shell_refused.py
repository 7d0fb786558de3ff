"""Places in a shell script where no value can be written, or not every value, and scripts that cannot be read."""

from __future__ import annotations

import pytest

from pdt.template import Template, TemplateError


def refused(text: str, value: str = "a") -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        Template(text).render({"x": value, "y": 1})
    return caught.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("echo `echo ^`", "between backticks"),
        ('echo "`echo ^`"', "between backticks"),
        ("echo `echo \\^`", "between backticks"),
        ("echo $'a^'", "in $'...'"),
        ("echo $'\\^'", "in $'...'"),
        ("echo ${a^}", "inside ${...}"),
        ("echo ${x:-^}", "inside ${...}"),
        ('echo "${x#^}"', "inside ${...}"),
        ("echo ${x:-'^'}", "inside ${...}"),
        ("echo ${x:-$(echo ^)}", "inside ${...}"),
        ("echo $^", "the name of a variable"),
        ('echo "$^"', "the name of a variable"),
        ("cat <<E\n$^\nE\n", "the name of a variable"),
        ("echo \\^", "a backslash stands before the value"),
        ('echo "\\^"', "a backslash stands before the value"),
        ("cat <<E\n\\^\nE\n", "a backslash stands before the value"),
        ("echo a\\\n^", "a line is continued inside a word"),
        ("cat <<^\n", "a value cannot be a delimiter"),
        ("cat <<E\n$(echo ^)\nE\n", "in $(...) inside a here-document"),
        ("^=1", "which variable is set"),
        ("a^=1 b", "which variable is set"),
        ("f^() { :; }", "the name of a function"),
        ("for ^ in a; do :; done", "the name of a function or variable"),
        ("#!/bin/bash\nfunction ^ { :; }", "the name of a function"),
        ("a[^]=1", "between [ and ]"),
        ("ls [^]", "between [ and ]"),
        ("#!/bin/bash\na=([^]=1)", "between [ and ]"),
        ("#!/bin/bash\n[[ a == +(^) ]]", "in a pattern like +(...)"),
        ("#!/bin/bash\necho $[^]", ""),
        ("echo $((1^))", "would join what is next to it"),
        ("echo $((a + ^^))", "would join what is next to it"),
        ('echo $(("^"))', "cannot be quoted in arithmetic"),
        ("eval ^", "eval would run the value"),
        ("eval 'echo ^'", "eval would run the value"),
        ("command eval a ^", "would run the value"),
        ("trap 'rm ^' EXIT", "trap would run the value"),
        ("sh -c 'echo ^'", "sh would run the value"),
        ('timeout 5 /bin/bash -ec "echo ^"', "timeout would run the value"),
        ("alias a=^", "alias would run the value"),
        ("unset ^", "unset would run the value"),
        ("read ^", "read would run the value"),
        ("export ^", "export would run the value"),
        ("#!/bin/bash\ndeclare -i a=^", "declare would run the value"),
        ("#!/bin/bash\ndeclare -a a=^", "declare would run the value"),
        ("#!/bin/bash\nf() { local -A a='^'; }", "local would run the value"),
        ('#!/bin/bash\ntypeset a="(^)"', "typeset would run the value"),
        ("#!/bin/bash\nprintf -v ^ a", "printf would run the value"),
        ("#!/bin/bash\nlet ^", "let would run the value"),
        ("[ -v ^ ]", "[ would run the value"),
    ],
)
def test_place_is_refused(text: str, message: str) -> None:
    """`^` marks the value."""
    error = refused(text.replace("^", "{{x}}"))
    assert message in error.message
    if message:
        before = text.partition("^")[0].rpartition("\n")
        assert (error.line, error.column) == (before[0].count("\n") + bool(before[1]) + 1, len(before[2]) + 1)
        assert error.fix


@pytest.mark.parametrize(
    "text", ["sh -c 'cat \"$1\"' sh {{ x }}", "export a={{ x }}", "env a={{ x }} sh", "cat -c {{ x }}"]
)
def test_argument_that_is_no_code_is_taken(text: str) -> None:
    assert Template(text).render({"x": "/a"}) == text.replace("{{ x }}", "/a")


@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        ("echo\n echo $((^ + 1))", "a[$(id)]", "no decimal integer"),
        ("echo\n echo $((^))", "010", "no decimal integer"),
        ("echo\n echo $((^))", "", "no decimal integer"),
        ("echo\n echo $((^))", "9" * 19, "no decimal integer"),
        ("#!/bin/bash\n [[ 1 -eq ^ ]]", "a[$(id)]", "no decimal integer"),
        ("#!/bin/bash\n [[ -v ^ ]]", "a", "no decimal integer"),
        ("#!/bin/bash\n (( ^ ))", "a", "no decimal integer"),
        ("#!/bin/bash\n for ((i = ^;;)); do :; done", "a", "no decimal integer"),
        ("cat <<E\n ^\nE\n", "a\nE", "begins with its delimiter"),
        ("cat <<E\n ^\nE\n", "a\nE\n", "begins with its delimiter"),
        ("cat <<'E'\n ^\nE\n", "a\nE\nb", "begins with its delimiter"),
        ("echo $(cat <<E\n ^\nE\n)", "a\nE)b", "begins with its delimiter"),
        ("cat <<-E\n ^\nE\n", "a\tb", "strips tabs"),
        ("cat <<-'E'\n ^\nE\n", "a\tb", "strips tabs"),
        ("echo\n echo >&^", "file", "expands the word twice"),
        ('echo\n echo 2>&"^"', "a b", "expands the word twice"),
        ("#!/bin/bash\n local a=^", "($(id))", "bash may evaluate it"),
        ('#!/bin/bash\n readonly a="^"', "($(id))", "bash may evaluate it"),
        ('#!/bin/bash\n a=("^")', "\x01", "control character"),
        ("cat <<'E'\n^\nE\n", "\x01\x01", "control character"),
        ("cat <<EOF\n^\nEOF\n", "E\x80", "of which dash loses a part"),
        ("cat <<'EOF'\n^\nEOF\n", "a\nEOFé", "of which dash loses a part"),
        ("cat <<-'E'\n^\nE\n", "\x7f", "control character"),
    ],
)
def test_value_is_refused(text: str, value: str, message: str) -> None:
    """`^` marks the value, in line 2."""
    error = refused(text.replace("^", "{{x}}"), value)
    assert message in error.message
    assert (error.line, error.column) == (2, text.split("\n")[1].index("^") + 1)
    assert error.fix


def test_values_that_together_end_a_here_document_are_refused() -> None:
    template = Template("cat <<EOF\n{{ a }}{{ b }}\nEOF\n")
    assert template.render({"a": "E", "b": "of"}) == "cat <<EOF\nEof\nEOF\n"
    with pytest.raises(TemplateError, match="begins with its delimiter, EOF") as caught:
        template.render({"a": "E", "b": "OF"})
    assert (caught.value.line, caught.value.column) == (2, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("echo ^'a", "this ' is never closed"),
        ('echo ^"a', 'this " is never closed'),
        ("echo ^`a", "this ` is never closed"),
        ("echo ^$(a", "this ( is never closed"),
        ("echo ^${a", "this ${ is never closed"),
        ("echo ^$((1)", "has no ))"),
        ("echo ^$((1", "this (( is never closed"),
        ("echo $'^a", ""),
        ("^( a", "this ( is never closed"),
        ("a ^)", "this ) closes nothing"),
        ("a ^(b)", "a ( does not belong here"),
        ("a b^(", "a ( does not belong here"),
        ("a ^;; b", ";; outside a case"),
        ("^case a in b) c", "case has no esac"),
        ("^case a b) c;; esac", "case has no in"),
        ("^case a in b c) d;; esac", "case has no esac, or a branch of it no pattern"),
        ("cat ^<<E\na", "no line E"),
        ("cat ^<<E", "no body"),
        ("echo $(cat ^<<E)\nE\n", "no body"),
        ("cat ^<<$E\n", "no delimiter"),
        ("cat ^<<''\n\n", "no delimiter"),
        ("cat <<E ^'a\nb'\nE\n", "a here-document is announced before this"),
        ("cat >^\n", ""),
        ("echo ^$x\\\ny", "could become a part of that name"),
        ("echo ^$\\\ny", "shells differ"),
        ("echo ^$x{{y}}", "could become a part of that name"),
        ("echo ^$1{{y}}", "could become a part of that name"),
        ('echo "a^$x{{y}}"', "could become a part of that name"),
        ("^(( 1 ))", "arithmetic in bash and two subshells in sh"),
        ("echo $'a^\\'b'", ""),
        ("cat <<E\n${x:-^'a'}\nE\n", "shells differ in what a quote means"),
        ("#!/bin/bash\n^[[ a", "this [[ has no ]]"),
        ("cat <<E\na\\\n^E\n", ""),
    ],
)
def test_script_that_cannot_be_read_is_refused(text: str, message: str) -> None:
    """`^` marks where it says that something is wrong."""
    error = refused(text.replace("^", ""))
    assert message in error.message
    before = text.partition("^")[0].rpartition("\n")
    if message:
        assert (error.line, error.column) == (before[0].count("\n") + bool(before[1]) + 1, len(before[2]) + 1)


def test_place_is_that_in_the_template() -> None:
    text = (
        '{% macro m(a) %}\n  echo {{ a }} "{% endmacro %}\n{% for i in [1, 2] -%}\n   {{ m(i) }}\n{% endfor %}\n echo'
    )
    error = refused(text + ' "$x ${y\n{% if x %}\n   {% endif %}')
    assert (error.line, error.column) == (6, 11)
    error = refused("{{ 'a \"b'|raw }} {{ x }}\n")
    assert (error.line, error.column) == (1, 1)


def test_place_is_not_guessed_if_the_template_is_not_the_same_twice() -> None:
    error = refused("echo {{ range(100000)|random|string|raw }}{{ range(100000)|random|string|raw }} 'a")
    assert "this ' is never closed" in error.message
    assert (error.line, error.column) == (None, None)
