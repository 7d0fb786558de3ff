"""The package itself: what it costs to import, and that it has the names that it says it has."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import pdt
from pdt.plugins.known import NAMES

SOURCE = Path(inspect.getfile(pdt))
MODULES = sorted(
    path.stem for path in SOURCE.parent.iterdir() if path.suffix in ("", ".py") and path.stem.isidentifier()
)


def python(script: str) -> str:
    """Run a script in a fresh interpreter and return what it prints."""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def promised() -> set[str]:
    """Return the names that type checkers are told of."""
    names: set[str] = set()
    for block in ast.parse(SOURCE.read_text(encoding="utf-8")).body:
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING":
            for statement in block.body:
                assert isinstance(statement, ast.ImportFrom)
                assert statement.module is not None
                for alias in statement.names:
                    star = alias.name == "*"
                    names |= (
                        set(importlib.import_module(statement.module).__all__) if star else {alias.asname or alias.name}
                    )
    return names


def test_importing_it_imports_nothing_but_sys() -> None:
    script = "import sys; before = set(sys.modules); import pdt; print(sorted(set(sys.modules) - before))"
    assert python(script) == "['pdt']\n"
    imports = [
        node
        for node in ast.parse(SOURCE.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert [ast.unparse(node) for node in imports] == ["import sys"]


def test_every_name_is_there() -> None:
    for name in pdt.__all__:
        assert getattr(pdt, name) is getattr(pdt, name)
        assert name in dir(pdt)
    assert len(set(pdt.__all__)) == len(pdt.__all__)


def test_type_checkers_are_told_of_the_names_that_are_there() -> None:
    # `main` is told of as the function and is the module that can be called.
    assert promised() | {"__version__"} == set(pdt.__all__)


def test_names_are_those_of_their_modules() -> None:
    for name in set(pdt.__all__) - {"__version__", "main"}:
        thing = getattr(pdt, name)
        home = importlib.import_module(pdt._HOME_OF[name])
        assert getattr(home, name) is thing
        assert name in home.__all__
        assert thing.__doc__, f"{name} says nothing of itself"


def test_all_names_of_a_public_module_are_public() -> None:
    for home in set(pdt._HOME_OF.values()):
        module = importlib.import_module(home)
        for name in module.__all__:
            assert hasattr(module, name), f"{home}.{name}"


def test_star_import_brings_them_all() -> None:
    names = python("from pdt import *; print(*sorted(name for name in globals() if not name.startswith('__')))").split()
    assert names == sorted(name for name in pdt.__all__ if not name.startswith("__"))


@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith("_")])
def test_each_module_can_be_imported_first(module: str) -> None:
    python(f"import pdt.{module}")


def test_unknown_names_are_attribute_errors() -> None:
    for name in ("nonsense", "_private", "S3bucketrepository", "testing_"):
        with pytest.raises(AttributeError, match=f"module 'pdt' has no attribute '{name}'"):
            getattr(pdt, name)
    assert not hasattr(pdt, "nonsense")


@pytest.mark.parametrize(("name", "distribution"), NAMES.items())
def test_names_of_packages_that_are_not_installed_say_what_to_install(name: str, distribution: str) -> None:
    try:
        getattr(pdt, name)
    except ImportError as error:
        assert f"pip install {distribution}" in str(error)  # noqa: PT017  it may be installed
    else:
        importlib.import_module(distribution.replace("-", "_"))
