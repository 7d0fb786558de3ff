"""The reference page is what its generator writes, and has every name."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import pdt

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_reference", DOCS / "generate_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_is_fresh(generator: ModuleType) -> None:
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    assert page == generator.render(), "run: python docs/generate_reference.py"


def test_every_public_name_is_there(generator: ModuleType) -> None:
    page = generator.render()
    missing = [name for name in pdt.__all__ if name != "__version__" and f"### `{name}`\n" not in page]
    assert missing == []


def test_every_entry_says_something(generator: ModuleType) -> None:
    for entry in generator.render().split("\n### ")[1:]:
        name, _, text = entry.partition("\n")
        sentences = [line for line in text.splitlines() if line[:1].isupper() and line.endswith(".")]
        assert sentences, f"{name} has no docstring"
        assert "|  |" not in text, f"a member of {name} has no docstring"
