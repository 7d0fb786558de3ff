"""What is registered is checked when it is made, and imported when it is used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdt.errors import PluginError
from pdt.plugins import BackendSpec, CommandSpec


def spec(**changed: Any) -> BackendSpec:
    """Return a specification that is right but for what is changed."""
    return BackendSpec(**{"name": "shelf", "target": "collections:OrderedDict", "summary": "A shelf.", **changed})


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder whose modules can be imported until the test ends."""
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def test_it_is_plain_immutable_data() -> None:
    made = spec(capabilities=["paging", "change-notification"], requires=["driver>=1"])
    assert made.capabilities == ("paging", "change-notification")
    assert made.requires == ("driver>=1",)
    assert made.stability == "stable"
    assert made == spec(capabilities=("paging", "change-notification"), requires=("driver>=1",))
    assert len({made, made}) == 1
    with pytest.raises(AttributeError):
        made.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["", "Shelf", "s3_yaml", "-a", "a-", "a--b", "1a", "a b", "a:b", "é", "a\n", None, 3])
def test_names_are_checked(name: object) -> None:
    with pytest.raises(PluginError, match="is not a name for a backend"):
        spec(name=name)
    with pytest.raises(PluginError, match="is not a name for a command"):
        CommandSpec(name, "a:b", "x")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a", "s3", "kube-function", "a1-2b"])
def test_names_of_every_form_are_taken(name: str) -> None:
    assert spec(name=name).name == name


@pytest.mark.parametrize("target", ["", "a", "a:", ":b", "a:b:c", "a.:b", "a b:c", "a-b:c", ".a:b", "a:b.", None])
def test_targets_are_checked(target: object) -> None:
    with pytest.raises(PluginError, match=r"'package\.module:Class'"):
        spec(target=target)
    if target is not None:
        with pytest.raises(PluginError, match="options"):
            spec(options=target)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"summary": ""}, "summary must be one line"),
        ({"summary": "two\nlines"}, "summary must be one line"),
        ({"summary": None}, "summary must be one line"),
        ({"capabilities": "paging"}, "capabilities must be a tuple"),
        ({"capabilities": [1]}, "capabilities must be a tuple"),
        ({"capabilities": ["Paging"]}, "'Paging' is not a name for a capability of backend 'shelf'"),
        ({"requires": "driver"}, "requires must be a tuple"),
        ({"requires": [""]}, "requires must be a tuple"),
        ({"stability": "new"}, "stability 'new' is not one of experimental, stable, deprecated"),
    ],
)
def test_other_fields_are_checked(changed: dict[str, object], complaint: str) -> None:
    with pytest.raises(PluginError, match=complaint):
        spec(**changed)


def test_the_class_is_imported_when_it_is_used(package: Path) -> None:
    (package / "late_shelf.py").write_text("class Outer:\n    class Shelf:\n        pass\n", encoding="utf-8")
    late = spec(target="late_shelf:Outer.Shelf", options="late_shelf:Outer")
    assert "late_shelf" not in sys.modules
    assert late.load().__qualname__ == "Outer.Shelf"
    assert late.load_options().__name__ == "Outer"
    assert spec().load_options() is None
    assert CommandSpec("dust", "late_shelf:Outer", "Dust it.").load().__name__ == "Outer"


def test_a_missing_driver_names_what_to_install(package: Path) -> None:
    (package / "undriven_shelf.py").write_text("import no_such_driver\n", encoding="utf-8")
    with pytest.raises(PluginError) as caught:
        spec(target="undriven_shelf:Shelf", requires=("driver", "pdt-core[extra]")).load()
    assert str(caught.value) == (
        "backend 'shelf' cannot be imported from undriven_shelf: No module named 'no_such_driver'\n"
        'fix: pip install driver "pdt-core[extra]"'
    )
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_module_that_raises_is_named(package: Path) -> None:
    (package / "raising_shelf.py").write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(PluginError, match="importing raising_shelf raised ZeroDivisionError: division by zero\nfix: "):
        spec(target="raising_shelf:Shelf").load()


def test_a_class_that_is_not_there_is_named() -> None:
    with pytest.raises(
        PluginError, match=r"not where its plugin says, collections:Shelf: .*\nfix: reinstall or update"
    ):
        spec(target="collections:Shelf").load()
