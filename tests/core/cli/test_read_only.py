"""Commands that only look make nothing, and what is not there yet is empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.cli.support import PROJECT, run_pdt


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("status", 0),
        ("status -a -o json", 0),
        ("plan", 0),
        ("ls count.input - count.done", 0),
        ("trace a", 3),
        ("why count a", 3),
        ("cat count.input a", 3),
        ("graph", 0),
        ("failures", 0),
        ("logs count a", 3),
        ("retry --failed -n", 0),
        ("plugins", 0),
        ("rm count --all -n", 0),
        ("rm count a -n", 3),
    ],
)
def test_nothing_is_made(tmp_path: Path, line: str, status: int) -> None:
    (tmp_path / "pipeline.py").write_text(PROJECT)
    result = run_pdt(*line.split(), cwd=tmp_path, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert result.returncode == status, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["pipeline.py"]
