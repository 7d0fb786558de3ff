"""Quantities: what is one, exactly, and what is none."""

from __future__ import annotations

import decimal
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pdt

SCALES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("0", 0),
        ("1", 1),
        ("500m", Decimal("0.5")),
        ("1000m", 1),
        ("200Mi", 200 * 2**20),
        ("1.5Gi", 3 * 2**29),
        (".5", Decimal("0.5")),
        ("5.", 5),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1e+3", 1000),
        ("1e-3", Decimal("0.001")),
        ("1E", 10**18),
        ("1k", 1000),
        ("100n", Decimal("0.0000001")),
        ("128974848000m", 128974848),
        ("00012", 12),
        (5, 5),
        (0.1, Decimal("0.1")),
        (2.5, Decimal("2.5")),
        (1e-7, Decimal("1E-7")),
        (1e16, 10**16),
        (Decimal("1.25"), Decimal("1.25")),
        (Decimal("1E+3"), 1000),
        (2**63 - 1, 2**63 - 1),
        ("9223372036854775807", 2**63 - 1),
        ("0.000000000000000000000000000000000001", Decimal("1E-36")),
    ],
)
def test_is_read_exactly(quantity: Any, value: Any) -> None:
    read = pdt.parse_quantity(quantity)
    assert isinstance(read, Decimal)
    assert read == value


@given(st.integers(0, 10**9), st.integers(0, 999), st.sampled_from(sorted(SCALES)))
def test_every_suffix_means_what_kubernetes_means(whole: int, thousandths: int, suffix: str) -> None:
    exact = (Fraction(whole) + Fraction(thousandths, 1000)) * SCALES[suffix]
    text = f"{whole}.{thousandths:03}{suffix}"
    if exact < 2**63:
        assert Fraction(pdt.parse_quantity(text)) == exact
    else:
        with pytest.raises(ValueError, match="too large"):
            pdt.parse_quantity(text)


@pytest.mark.parametrize(
    "quantity",
    [
        "",
        " ",
        "1 Gi",
        " 1",
        "1 ",
        "1\n",
        "-1",
        "-1Gi",
        "+1",
        "--1",
        "1_000",
        "1,000",
        "1,5",
        "\uff11",
        "\u0661",
        "\u00b2",
        "1Gib",
        "1gi",
        "1GI",
        "1K",
        "1KiB",
        "1mm",
        "1e",
        "1e999999",
        "1e9999",
        "1e3Ki",
        "0x10",
        "1.2.3",
        ".",
        ".Gi",
        "Gi",
        "m",
        "NaN",
        "nan",
        "inf",
        "Infinity",
        "sNaN",
        "1" * 41,
        "0" * 10_000,
        "$(id)",
        "\ud800",
        float("nan"),
        float("inf"),
        float("-inf"),
        -1,
        -0.5,
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("-1"),
        Decimal("1E+999999"),
        pytest.param(-(10**5000), id="minus-5000-digits"),
        True,
        False,
        None,
        b"1",
        [1],
        1j,
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_what_is_none_is_quoted_with_the_accepted_forms(quantity: Any) -> None:
    with pytest.raises(
        ValueError, match="is not a quantity: give a number of at least 0, optionally with one of n u m k"
    ) as caught:
        pdt.parse_quantity(quantity)
    message = str(caught.value)
    if not isinstance(quantity, int) or quantity > -(2**63):
        shown = ascii(quantity) if isinstance(quantity, str | bytes) else str(quantity)
        assert shown[:20].rstrip("'") in message
    assert len(message) < 250
    message.encode()


@pytest.mark.parametrize(
    "quantity",
    [
        2**63,
        10**100,
        pytest.param(10**5000, id="5000-digits"),
        "8Ei",
        "1e300",
        "9223372036854775808",
        1e300,
        "99999999E",
    ],
)
def test_what_is_too_large_says_so(quantity: Any) -> None:
    with pytest.raises(ValueError, match=re.escape("is too large: a quantity is less than 2**63")) as caught:
        pdt.parse_quantity(quantity)
    assert len(str(caught.value)) < 150


def test_the_programs_own_decimal_settings_change_nothing() -> None:
    with decimal.localcontext() as context:
        context.prec = 3
        context.traps[decimal.Inexact] = True
        assert str(pdt.parse_quantity("123456789m")) == "123456.789"
