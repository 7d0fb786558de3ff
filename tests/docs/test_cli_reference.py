"""docs/cli.md is what the command line declares."""

from __future__ import annotations

from pathlib import Path

from pdt.cli import generate

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == generate.reference(), "run: python -m pdt.cli.generate docs/cli.md"
