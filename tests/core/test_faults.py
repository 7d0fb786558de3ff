"""The list of faults: every test that it names is there, and what docs/reliability.md says of it is the same."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FAULTS: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "tests" / "faults.yaml").read_text(encoding="utf-8"))
#: Those that scripts run as processes have to survive.
WANTED = [f"F{number}" for number in (1, 2, 3, *range(12, 26), 27, 28, 30)]


@lru_cache
def names_in(path: Path) -> frozenset[str]:
    """Return the tests of a file, those of classes as CLASS::TEST."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        for member in members:
            if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(prefix + member.name)
    return frozenset(found)


def test_every_fault_is_there_and_says_whether_it_is_covered() -> None:
    assert list(FAULTS) == WANTED
    for fault, entry in FAULTS.items():
        assert set(entry) == {"fault", "covered", "tests"}, fault
        assert type(entry["covered"]) is bool, fault


@pytest.mark.parametrize("fault", [fault for fault, entry in FAULTS.items() if entry["covered"]])
def test_a_covered_fault_has_tests_that_exist(fault: str) -> None:
    assert FAULTS[fault]["tests"], f"{fault} has no test"
    for node in FAULTS[fault]["tests"]:
        file, _, name = node.partition("::")
        assert (ROOT / file).is_file(), node
        assert name in names_in(ROOT / file), node


@pytest.mark.parametrize("fault", FAULTS)
def test_the_page_says_of_a_fault_what_the_list_says(fault: str) -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| {fault} |")]
    assert f"| {FAULTS[fault]['fault']} |" in row
    for node in FAULTS[fault]["tests"]:
        assert node.rpartition("::")[2] in row, node
    assert FAULTS[fault]["covered"] or "not covered" in row
