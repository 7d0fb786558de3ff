"""Plain data as JSON text, and what is none."""

from __future__ import annotations

import enum
import json
import math
from collections import OrderedDict, UserDict
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pdt.plain import DEEPEST, TAG, dumps, loads, plain

OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
LIMITS = ("0002-01-01", "9998-01-01")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters())
    | st.sampled_from(
        [TAG, "is", "\ud800", "a\udfffb", "\x00", "\x85", "\u2028", "\ufeff", "\ufffe", "", " ", "<<", "=", "~"]
    )
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.datetimes(*(datetime.fromisoformat(limit) for limit in LIMITS), timezones=st.just(UTC) | OFFSETS)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.just(TAG), children, max_size=4)
        | st.dictionaries(SCALARS, children, max_size=4)
        | st.sets(SCALARS, max_size=4)
    ),
    max_leaves=15,
)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal and of the same types, through and through."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            any(same(key, there) and same(one[key], other[there]) for there in other) for key in one
        )
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, set):
        return len(one) == len(other) and all(any(same(item, there) for there in other) for item in one)
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if isinstance(one, datetime):
        return bool(one == other) and (one.tzinfo is None) == (other.tzinfo is None)
    return bool(one == other)


@given(VALUES)
@example({TAG: "datetime", "is": "2001-01-01"})
@example({TAG: None})
@example({1: "one", "1": "text", True is None: "false", None: "none", 1.5: "float"})
@example([float("nan"), float("inf"), -0.0])
def test_values_come_back(value: Any) -> None:
    text = dumps(value)
    assert same(loads(text), value)
    assert text.isascii()
    assert "\n" not in text
    assert same(plain(value), value)


class Colour(enum.StrEnum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Point(NamedTuple):
    x: int
    y: int


class Moment(datetime):
    pass


class Text(str):
    def __str__(self) -> str:
        return "something else"


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (Point(1, 2), [1, 2]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (Colour.RED, "red"),
        ({Colour.RED: Number.ONE}, {"red": 1}),
        (frozenset({1, 2}), {1, 2}),
        (Text("text"), "text"),
        (type("MyInt", (int,), {})(5), 5),
        (type("MyFloat", (float,), {})(0.5), 0.5),
        (type("MyBytes", (bytes,), {})(b"x"), b"x"),
        (type("MyDate", (date,), {})(2001, 2, 3), date(2001, 2, 3)),
        (Moment(2001, 2, 3, 4, 5, 6, 7), datetime.fromisoformat("2001-02-03 04:05:06.000007")),
        ([Moment(2001, 2, 3, tzinfo=UTC)], [datetime(2001, 2, 3, tzinfo=UTC)]),
        (datetime(2001, 7, 1, tzinfo=ZoneInfo("Europe/Paris")), datetime(2001, 6, 30, 22, tzinfo=UTC)),
        (datetime(1900, 1, 1, tzinfo=timezone(timedelta(seconds=561))), datetime(1899, 12, 31, 23, 50, 39, tzinfo=UTC)),
    ],
)
def test_subclasses_become_what_they_stand_for(value: Any, stored: Any) -> None:
    assert same(loads(dumps(value)), stored) or loads(dumps(value)) == stored
    assert type(loads(dumps(value))) is type(stored)
    assert plain(value) == stored
    assert type(plain(value)) is type(stored)


def test_a_copy_is_made() -> None:
    value: dict[Any, Any] = {"a": [1], 5: {2}}
    copied = plain(value)
    copied["a"].append(2)
    copied[5].add(3)
    assert value == {"a": [1], 5: {2}}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


EARLY = timezone(timedelta(hours=1, seconds=1))


ITSELF: list[Any] = []
ITSELF.extend([ITSELF, ITSELF])


@pytest.mark.parametrize("convert", [dumps, plain])
@pytest.mark.parametrize(
    "value",
    [
        object(),
        {"a": object()},
        [{"a": {"b": (1, object())}}],
        {1j},
        Decimal("1.5"),
        PurePath("x"),
        SimpleNamespace(a=1),
        time(1),
        timedelta(1),
        bytearray(b"x"),
        memoryview(b"x"),
        range(3),
        iter([]),
        len,
        UserDict(a=1),
        ValueError("x"),
        {(1, 2): 3},
        {frozenset({1}): 2},
        {(1, 2)},
        {frozenset()},
        {object(): 1},
        ITSELF,
        nested(DEEPEST + 1),
        nested(5000),
        datetime.min.replace(tzinfo=EARLY),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain_is_refused(value: Any, convert: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="cannot be stored"):
        convert(value)


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(TypeError, match=r"cannot be stored: .*digits"):
        dumps({"a": 10**5000})


def test_the_deepest_that_is_stored_can_be_loaded_from_deep_down() -> None:
    text = dumps(nested(DEEPEST))

    def descend(frames: int) -> Any:
        return loads(text) if not frames else descend(frames - 1)

    assert descend(500) == nested(DEEPEST)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nul",
        '{"a": }',
        '{"$pdt": 5}',
        '{"$pdt": "datetime"}',
        '{"$pdt": "datetime", "is": "yesterday"}',
        '{"$pdt": "datetime", "is": 5}',
        '{"$pdt": "bytes", "is": "not base64!"}',
        '{"$pdt": "set", "is": [[1]]}',
        '{"$pdt": "set", "is": 5}',
        '{"$pdt": "map", "is": {"a": 1}}',
        '{"$pdt": "map", "is": [[1]]}',
        '{"$pdt": "map", "is": [[[1], 2]]}',
        '{"$pdt": "os.system", "is": "true"}',
        "[" * 100_000,
    ],
)
def test_what_was_not_stored_cannot_be_loaded(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  its text is the JSON reader's
        loads(text)


def test_ordinary_json_is_read_as_it_is() -> None:
    assert loads(json.dumps({"a": [1, 2.5, None, "\u00e9"]})) == {"a": [1, 2.5, None, "\u00e9"]}
