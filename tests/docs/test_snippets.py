"""The code of every page runs, and prints what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.snippets import run_page

ROOT = Path(__file__).parents[2]
# Pages with tests of their own.
ELSEWHERE = {"cli", "performance", "plugin-contract", "reference"}
PAGES = sorted(page for page in (ROOT / "docs").glob("*.md") if page.stem not in ELSEWHERE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page, tmp_path)


def test_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(ROOT / "README.md", tmp_path, skip=2)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```python\n1 / 0\n```\n", "division by zero"),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "page.md:5 prints something else"),
        ("```console\n$ echo one\ntwo\n```\n", "page.md:1: echo one prints something else"),
        ("```console\n$ false\n```\n", "false: exit 1"),
        ("```console\n$ true  # exit 3\n```\n", "true: exit 0"),
        ("```sh\nrm -r /\n```\n", "is not run by any test"),
        ("```yaml\na: b\n```\n", "is not run by any test"),
    ],
)
def test_page_that_is_wrong_is_found(text: str, complaint: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises((AssertionError, ArithmeticError), match=complaint):
        run_page(page, tmp_path)


def test_page_that_is_right_passes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '```python title="one.py"\nprint(1)\n```\n\n```console\n$ python one.py\n1\n$ echo a b c\na ... c\n'
        "$ exit 3  # exit 3\n```\n\n```sh\npip install pdt-core\n```\n\n"
        "```python\nprint('x')\n```\n\n```text\nx\n```\n"
    )
    run_page(page, tmp_path)
