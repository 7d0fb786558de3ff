"""For what something is held, and how much of a quota that may be."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdt import Resources
from pdt.resource_manager.scopes import Cap, Scope, checked_cap, most_of, scope_of

QUOTA = Resources.parse(10, 1000, gpu=3)


def test_a_scope_is_up_to_five_texts() -> None:
    assert scope_of(()) == Scope()
    assert scope_of(["p", "", "n"]) == Scope("p", "", "n", "", "")
    assert str(Scope()) == "everything"
    assert str(Scope(project="a", task="t")) == "project a, task t"


@pytest.mark.parametrize("parts", ["abc", ["a"] * 6, [1], [None], [["a"]]])
def test_what_is_no_scope(parts: Any) -> None:
    with pytest.raises(ValueError, match="is no scope: give up to five texts: pipeline, project"):
        scope_of(parts)


def test_an_empty_part_is_any_and_parts_are_whole() -> None:
    assert Scope(project="proj").holds(Scope("p", "proj", "n"))
    assert not Scope(project="proj").holds(Scope("p", "project2", "n"))
    assert Scope().holds(Scope("p"))


@pytest.mark.parametrize(
    ("cap", "most"),
    [
        (None, None),
        (1, Resources.parse(10, 1000, 0, gpu=3)),
        (0, Resources.parse(0, 0, 0)),
        (0.5, Resources.parse(5, 500, 0, gpu=2)),
        (Fraction(1, 3), Resources.parse("3.334", 334, 0, gpu=1)),
        (0.1, Resources.parse(1, 100, 0, gpu=1)),  # not a little more than a tenth
        (1e-9, Resources.parse("1m", 1, 0, gpu=1)),  # at least one
        (Resources.parse(2, 3, gpu=1), Resources.parse(2, 3, gpu=1)),
    ],
)
def test_caps(cap: Cap, most: Resources | None) -> None:
    assert most_of(checked_cap(cap), QUOTA) == most


@pytest.mark.parametrize("cap", [-1, 1.1, 2, float("nan"), float("inf"), "1", True, [], Decimal(1)])
def test_what_is_no_cap(cap: Any) -> None:
    with pytest.raises(ValueError, match="is no cap: give Resources, a share of the quota from 0 to 1, or None"):
        checked_cap(cap)


def test_a_negative_amount_is_no_cap() -> None:
    with pytest.raises(ValueError, match="is no cap"):
        checked_cap(Resources.parse(1, 1) - Resources.parse(2, 1))


@given(st.fractions(0, 1), st.integers(0, 10**6), st.integers(0, 50))
def test_a_share_is_rounded_up(share: Fraction, mem: int, gpu: int) -> None:
    most = most_of(share, Resources.parse(1, mem, gpu=gpu))
    assert most is not None
    for part, whole in ((Fraction(most.mem), mem), (Fraction(most.named.get("gpu", 0)), gpu)):
        assert share * whole <= part < share * whole + 1
