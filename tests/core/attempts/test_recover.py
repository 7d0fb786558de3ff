"""What is done with an attempt that an earlier controller left behind, for everything that can be known of it."""

from __future__ import annotations

from itertools import product

import pytest

from pdt.attempts.recover import Finding, Step, next_step

#: claimed, decided, alive, ended, started: each 0, 1, or any.
TABLE = {
    ".1...": Step.ROLL_FORWARD,
    "0010.": Step.REPORT,
    "0011.": Step.REPORT,
    "000..": Step.NOTHING,
    "10.1.": Step.REAP,
    "1010.": Step.ADOPT,
    "10001": Step.LOSE,
    "10000": Step.RELEASE,
}
FINDINGS = list(product((False, True), repeat=5))


def rows(finding: tuple[bool, ...]) -> list[str]:
    bits = "".join(str(int(known)) for known in finding)
    return [row for row in TABLE if all(want in (".", bit) for want, bit in zip(row, bits, strict=True))]


def test_the_table_says_one_thing_of_each_finding() -> None:
    assert [finding for finding in FINDINGS if len(rows(finding)) != 1] == []


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: "".join(str(int(known)) for known in finding))
def test_the_step_is_that_of_the_table(finding: tuple[bool, ...]) -> None:
    [row] = rows(finding)
    assert next_step(Finding(*finding)) is TABLE[row]


def test_what_may_run_is_never_run_a_second_time() -> None:
    again = {Step.LOSE, Step.RELEASE, Step.NOTHING}
    for finding in FINDINGS:
        alive, decided = finding[2], finding[1]
        assert not ((alive or decided) and next_step(Finding(*finding)) in again)


def test_by_default_an_attempt_is_taken_to_have_begun() -> None:
    assert next_step(Finding(claimed=True, decided=False, alive=False, ended=False)) is Step.LOSE


def test_findings_are_values() -> None:
    assert Finding(True, False, True, False) == Finding(True, False, True, False, True)
    assert len({Finding(True, False, True, False) for _ in range(3)}) == 1
