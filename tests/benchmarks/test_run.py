"""The benchmarks run: anyone can reproduce the figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "benchmarks" / "run.py"


@pytest.mark.parametrize(
    "case",
    [
        "jobs",
        "jobs-yaml",
        "nothing",
        "ten-new",
        "sh-2",
        "sh-16-log",
        "python3-2",
        "make",
        "chain",
        "ready-set",
        "tokens",
        "start-up",
    ],
)
def test_a_case_prints_its_figures(case: str, tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    command = [
        sys.executable,
        str(RUN),
        "--quick",
        "--repeat",
        "1",
        "--dir",
        str(tmp_path),
        "--markdown",
        str(table),
        case,
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 0, result.stderr
    head, rule, *lines = table.read_text().splitlines()
    assert head == "| case | plain loop | pdt | measured | limit | kept |"
    assert set(rule) <= set("|- ")
    assert lines


def test_an_unknown_case_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(RUN), "--dir", str(tmp_path), "no-such-case"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert "no-such-case" in result.stderr
