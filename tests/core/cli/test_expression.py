"""Set expressions mean what they mean in Python, and mistakes in them are pointed at."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdt.cli.expression import MOST_LINKS, ExpressionError, parse

SETS = {"a.x": {"1", "2", "3"}, "b-c.y": {"2", "3", "4"}, "d_e.z": {"3", "5"}}


def evaluated(text: str) -> set[str]:
    return set(parse(text).evaluate(SETS.__getitem__))


def pythons(text: str) -> set[str]:
    """Evaluate with Python's own operators, which the reference's expressions had."""
    for index, name in enumerate(SETS):
        text = text.replace(name, f"s{index}")
    names = {f"s{index}": value for index, value in enumerate(SETS.values())}
    found: set[str] = eval(text, names)  # noqa: S307  the text is made of these names and four operators
    return found


expressions = st.recursive(
    st.sampled_from(sorted(SETS)),
    lambda inner: st.one_of(
        st.builds("{}{}{}{}{}".format, inner, st.sampled_from(["", " "]), st.sampled_from("&|-^"), st.just(" "), inner),
        st.builds("({})".format, inner),
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(expressions)
def test_they_mean_what_python_means(text: str) -> None:
    assert evaluated(text) == pythons(text)


@settings(deadline=None)
@given(st.text(alphabet="ab.-&|^() x1"))
def test_any_text_is_an_expression_or_an_error_that_points_into_it(text: str) -> None:
    column = 0
    try:
        list(parse(text).links())
    except ExpressionError as error:
        column = error.column
    assert 0 <= column <= len(text)


def test_a_dash_in_a_tasks_name_is_no_operator() -> None:
    assert evaluated("a.x-b-c.y") == {"1"}
    assert evaluated("b-c.y-a.x") == {"4"}


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("", 0, "the expression ends too early"),
        ("a.x -", 5, "the expression ends too early"),
        ("- a.x", 0, "a link is missing here"),
        ("a.x b-c.y", 4, "an operator is missing"),
        ("a.x & (b-c.y", 12, "the parenthesis of column 7 is not closed"),
        ("a.x)", 3, "a parenthesis too many"),
        ("a.x - count", 6, "'count' names no link: write it as TASK.LINK"),
        ("a.x + d_e.z", 4, "unexpected '+'"),
        ("__import__('os')", 0, "'__import__' names no link"),
        ("(" * 200 + "a.x", 101, "too many parentheses"),
    ],
)
def test_mistakes_are_pointed_at(text: str, column: int, what: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        parse(text)
    assert raised.value.column == column
    assert raised.value.message.startswith(f"column {column + 1}: {what}")
    assert raised.value.message.endswith(f"\n{text}\n{' ' * column}^")


def test_an_endless_expression_is_refused() -> None:
    assert evaluated(" | ".join(["a.x"] * MOST_LINKS)) == SETS["a.x"]
    with pytest.raises(ExpressionError, match="more than"):
        parse(" | ".join(["a.x"] * (MOST_LINKS + 1)))
