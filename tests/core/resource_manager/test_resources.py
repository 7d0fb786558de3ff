"""Amounts of resources, and their arithmetic."""

from __future__ import annotations

import decimal
import pickle
from dataclasses import FrozenInstanceError
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pdt
from pdt import Resources, ResourceType
from pdt.resource_manager.resources import name_of

NAMES = ["gpu", "disk", "gpu_mem", "license:matlab", "a"]
AMOUNTS = st.builds(
    lambda cpu, mem, launches, named: Resources.parse(cpu, mem, launches, **named),
    st.integers(0, 10**6).map(lambda millis: f"{millis}m"),
    st.integers(0, 2**40),
    st.none() | st.integers(0, 1000),
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2**40), max_size=3),
)


def test_the_example_of_the_reference() -> None:
    r = Resources.parse(1, 1, 100)
    r += Resources.parse(2, 3, 0)
    r -= Resources.parse(1, 1, 0)
    assert r == Resources.parse(2, 3, 100)


def test_the_defaults_are_one_launch_of_nothing() -> None:
    assert Resources() == Resources(cpu=Decimal(0), mem=Decimal(0), launches=1)
    assert Resources.zero() == Resources(Decimal(0), Decimal(0), 0)
    assert [ResourceType.CPU.value, ResourceType.MEM.value, ResourceType.RATE.value] == [1, 2, 3]


def test_parse_reads_quantities() -> None:
    r = Resources.parse(cpu="1500m", mem="1.5Gi", launches="2")
    assert r == Resources(Decimal("1.5"), Decimal(3 * 2**29), 2)
    assert type(r.launches) is int
    assert Resources.parse(1, 1).launches is None
    assert Resources.parse(0.1, 1e3, 2.0) == Resources(Decimal("0.1"), Decimal(1000), 2)


@pytest.mark.parametrize("arguments", [("x", 1), (1, "1 Gi"), (-1, 1), (1, 1, "x"), (1, 1, -1), (None, 1), (True, 1)])
def test_parse_refuses_what_is_no_quantity(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        Resources.parse(*arguments)


def test_launches_are_whole() -> None:
    with pytest.raises(ValueError, match="launches '1500m' is not a whole number"):
        Resources.parse(1, 1, "1500m")
    for launches in (1.5, "1", True, Decimal(1)):
        with pytest.raises(ValueError, match=r"launches .* is not a whole number"):
            Resources(launches=launches)  # type: ignore[arg-type]


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity"), "1000m", None, []])
@pytest.mark.parametrize("name", ["cpu", "mem"])
def test_amounts_are_finite_numbers(name: str, amount: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} .* is not a finite number"):
        Resources(**{name: amount})


def test_amounts_are_rounded_up_to_what_is_counted() -> None:
    r = Resources.parse("1234567n", "1500m")
    assert (str(r.cpu), str(r.mem)) == ("0.002", "2")
    assert Resources(cpu=Decimal("0.0001")).cpu == Decimal("0.001")


@pytest.mark.parametrize(
    ("cpu", "shown"), [("1000", "1000"), ("1e3", "1000"), ("0.500", "0.5"), ("1.0", "1"), (0, "0"), ("100m", "0.1")]
)
def test_amounts_read_like_numbers(cpu: Any, shown: str) -> None:
    r = Resources.parse(cpu, "1e3")
    assert (str(r.cpu), str(r.mem)) == (shown, "1000")


def test_cannot_be_changed_and_can_be_a_key() -> None:
    r = Resources()
    with pytest.raises(FrozenInstanceError):
        r.cpu = Decimal(1)  # type: ignore[misc]
    assert {Resources.parse(1, 1): "x"}[Resources.parse("1000m", "1e0")] == "x"


@given(AMOUNTS, AMOUNTS)
def test_what_is_added_can_be_subtracted(one: Resources, other: Resources) -> None:
    both = one + other
    assert both == other + one
    if other.launches is not None:
        assert both - other == one
    assert (both.cpu, both.mem) == (one.cpu + other.cpu, one.mem + other.mem)
    assert all(both.amount(name) == one.amount(name) + other.amount(name) for name in NAMES)  # type: ignore[operator]
    assert (both.launches is None) == (one.launches is None or other.launches is None)


@given(AMOUNTS, st.integers(0, 50))
def test_times_is_repeated_addition(one: Resources, times: int) -> None:
    total = Resources.zero() if one.launches is not None or not times else Resources(launches=None)
    for _ in range(times):
        total += one
    assert (one * times).cpu == (times * one).cpu == total.cpu
    assert (one * times).mem == total.mem
    if one.launches is not None:
        assert one * times == total


def test_a_tenth_three_times_is_three_tenths() -> None:
    total = Resources.zero()
    for _ in range(3):
        total += Resources.parse(0.1, 0, 0)
    assert total == Resources.parse("300m", 0, 0)
    assert total.excess(Resources.parse("300m", 0, 0)) is None


def test_the_programs_own_decimal_settings_change_nothing() -> None:
    with decimal.localcontext() as context:
        context.prec = 2
        total = Resources.parse("123456m", 2**40) + Resources.parse("1m", 1)
        assert total == Resources(Decimal("123.457"), Decimal(2**40 + 1), None)
        assert total * 3 - total == total + total


def test_excess_names_the_first_that_is_over() -> None:
    limit = Resources.parse(2, 2, 2)
    assert Resources.parse(2, 2, 2).excess(limit) is None
    assert Resources.parse(3, 3, 3).excess(limit) is ResourceType.CPU
    assert Resources.parse("2001m", 2, 2).excess(limit) is ResourceType.CPU
    assert Resources.parse(2, 3, 3).excess(limit) is ResourceType.MEM
    assert Resources.parse(2, 2, 3).excess(limit) is ResourceType.RATE
    assert Resources.parse(0, 0, 0).excess(Resources.zero()) is None


def test_no_limit_is_never_exceeded_and_unlimited_exceeds_every_limit() -> None:
    assert Resources.parse(1, 1, 10**6).excess(Resources.parse(1, 1)) is None
    assert Resources.parse(1, 1).excess(Resources.parse(1, 1)) is None
    assert Resources.parse(1, 1).excess(Resources.parse(1, 1, 10**6)) is ResourceType.RATE


@given(AMOUNTS, AMOUNTS)
def test_excess_is_none_exactly_if_nothing_is_over(one: Resources, limit: Resources) -> None:
    within = one.cpu <= limit.cpu and one.mem <= limit.mem
    within = within and (limit.launches is None or (one.launches is not None and one.launches <= limit.launches))
    within = within and all(amount <= limit.named.get(name, 0) for name, amount in one.named.items())
    assert (one.excess(limit) is None) is within


def test_amount_is_by_kind() -> None:
    r = Resources.parse(1, 2, 3)
    assert [r.amount(kind) for kind in ResourceType] == [1, 2, 3, 0, 0, 0]
    assert pdt.Resources.parse(1, 2).amount(ResourceType.RATE) is None


# What has a name only.


def test_anything_can_be_counted_by_name() -> None:
    r = Resources.parse("500m", "1Gi", gpu=2, disk="10Gi", gpu_mem="16Gi", **{"license:matlab": 1})
    assert r.named == {"gpu": 2, "disk": 10 * 2**30, "gpu_mem": 2**34, "license:matlab": 1}
    assert (r.amount(ResourceType.GPU), r.amount("gpu"), r.amount("license:matlab"), r.amount("other")) == (2, 2, 1, 0)
    assert r == Resources(Decimal("0.5"), Decimal(2**30), None, named=dict(sorted(r.named.items())))
    assert hash(r) == hash(Resources(Decimal("0.5"), Decimal(2**30), None, named=r.named))
    assert pickle.loads(pickle.dumps(r)) == r


def test_nothing_of_something_is_nothing() -> None:
    assert Resources.parse(1, 1, gpu=0) == Resources.parse(1, 1)
    assert Resources.parse(1, 1, gpu=1) != Resources.parse(1, 1)
    one = Resources.parse(1, 1, 1, gpu=2)
    assert (one - one) == Resources.zero()
    assert (one * 0).named == {}


def test_what_is_not_there_is_negative_until_it_is_none() -> None:
    less = Resources.parse(1, 1, 1) - Resources.parse(0, 0, 0, gpu=1)
    assert (less.amount("gpu"), less.is_negative) == (-1, True)
    assert less.at_least_zero() == Resources.parse(1, 1, 1)


def test_a_quota_has_none_of_what_it_does_not_name() -> None:
    quota = Resources.parse(9, 9, 9, gpu=1, disk=5)
    assert Resources.parse(9, 9, 9, gpu=1, disk=5).excess(quota) is None
    assert Resources.parse(1, 1, 1, gpu=2, disk=6).excess(quota) is ResourceType.DISK
    assert Resources.parse(1, 1, 1, gpu=2).excess(quota) is ResourceType.GPU
    assert Resources.parse(1, 1, 1, gpu_mem=1, **{"license:matlab": 1}).excess(quota) is ResourceType.GPU_MEM
    assert Resources.parse(1, 1, 1, b=1, **{"license:matlab": 1}).excess(quota) == "b"


@pytest.mark.parametrize(
    "name", ["", "Gpu", "cpu", "mem", "launches", "rate", "a b", "a:", ":a", "a:b:c", "a\n", "é", "1a", 3]
)
def test_names_that_name_nothing(name: Any) -> None:
    with pytest.raises(ValueError, match="cannot name a resource: use a name such as gpu, disk or license:matlab"):
        Resources(named={name: 1})


@pytest.mark.parametrize("amount", [1.0, "1", True, None, Decimal(1)])
def test_what_is_counted_is_whole(amount: Any) -> None:
    with pytest.raises(ValueError, match=r"gpu .* is not a whole number"):
        Resources(named={"gpu": amount})
    with pytest.raises(ValueError, match="gpu '1500m' is not a whole number"):
        Resources.parse(1, 1, gpu="1500m")


def test_every_resource_has_a_name() -> None:
    assert [name_of(kind) for kind in ResourceType] == ["cpu", "mem", "rate", "disk", "gpu", "gpu_mem"]
    assert name_of("license:matlab") == "license:matlab"
