"""Whoever knows the reference finds its names, parameters, orders and defaults here."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any, get_type_hints

import pytest

import pdt
from tests.api.reference import REQUIRED, Entry, entries

ENTRIES = entries()
STARS: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}

#: These signatures are deliberately made wider than their bases', or are not the reference's to give.
UNTOLD = {"repository.MapRepository", "resource_manager.ResourceType"}


def found(entry: Entry) -> Any:
    """Return what an entry of the reference is here."""
    thing: Any = importlib.import_module(f"pdt.{entry.module}")
    for name in entry.path:
        thing = getattr(thing, name)
    return thing


def signature(thing: Any, entry: Entry) -> list[inspect.Parameter]:
    """Return the parameters that a caller gives."""
    is_member = len(entry.path) == 2 and isinstance(thing, FunctionType)
    parameters = list(inspect.signature(thing).parameters.values())
    owner: Any = found(Entry(entry.module, entry.path[:1], "class")) if is_member else None
    is_static = is_member and isinstance(inspect.getattr_static(owner, entry.path[-1]), staticmethod)
    return parameters[1:] if is_member and not is_static else parameters


def test_the_table_is_read() -> None:
    assert len(ENTRIES) > 140
    assert len({str(entry) for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if len(entry.path) == 1], ids=str)
def test_names_are_there_flat_and_by_module(entry: Entry) -> None:
    (name,) = entry.path
    assert getattr(pdt, name) is found(entry) or name == "main"
    assert name in pdt.__all__
    assert inspect.isclass(found(entry)) == (entry.kind == "class")
    assert found(entry).__doc__


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.bases], ids=str)
def test_classes_have_the_bases(entry: Entry) -> None:
    assert all(issubclass(found(entry), getattr(pdt, base)) for base in entry.bases)


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.kind == "property"], ids=str)
def test_properties_are_properties(entry: Entry) -> None:
    owner = found(Entry(entry.module, entry.path[:1], "class"))
    assert isinstance(inspect.getattr_static(owner, entry.path[1]), property | cached_property)


@pytest.mark.parametrize(
    "entry", [each for each in ENTRIES if each.kind != "property" and str(each) not in UNTOLD], ids=str
)
def test_parameters_have_the_names_order_and_defaults(entry: Entry) -> None:
    thing = found(entry)
    ours = signature(thing, entry)
    for number, theirs in enumerate(entry.parameters):
        assert number < len(ours), f"{theirs.name} is missing"
        parameter = ours[number]
        assert STARS.get(parameter.kind, "") + parameter.name == theirs.name
        if theirs.default is not REQUIRED:
            assert parameter.default == theirs.default
            assert type(parameter.default) is type(theirs.default) or entry.path == ("Resources",)
    for parameter in ours[len(entry.parameters) :]:
        assert parameter.default is not parameter.empty or parameter.kind in STARS, f"{parameter.name} has no default"


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.kind in ("", "async", "each")], ids=str)
def test_what_is_awaited_or_iterated_in_the_reference_is_so_here(entry: Entry) -> None:
    function = inspect.unwrap(found(entry))
    if entry.path[-1] == "open" and entry.module == "repository":
        # Its result is awaited, and works as `async with` at once, too.
        names = vars(pdt) | vars(importlib.import_module("pdt.repository.base"))
        returned: Any = get_type_hints(function, names)["return"]
        assert returned is Any or issubclass(getattr(returned, "__origin__", returned), pdt.Opening)
    elif entry.kind == "each":
        returned = inspect.signature(function).return_annotation
        assert inspect.isasyncgenfunction(function) or str(returned).startswith(("AsyncGenerator", "AsyncIterator"))
    else:
        assert inspect.iscoroutinefunction(function) == (entry.kind == "async")


async def test_open_can_be_awaited(tmp_path: Any) -> None:
    opening = pdt.FileRepository(tmp_path).open("a", "w")
    assert isinstance(opening, Awaitable)
    await (await opening).close()
    assert isinstance(aiter(pdt.FileRepository(tmp_path)), AsyncIterator)


@pytest.mark.parametrize("name", ["CHARSET", "CHARSET_START_END"])
def test_character_sets_are_attributes_of_the_class(name: str) -> None:
    letters_and_digits = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    assert set(getattr(pdt.Repository, name)) >= letters_and_digits
    assert set(pdt.Repository.CHARSET_START_END) == letters_and_digits


def test_is_valid_job_id_is_asked_of_the_class() -> None:
    assert inspect.ismethod(pdt.Repository.is_valid_job_id)
    assert pdt.FileRepository.is_valid_job_id(job="a")


def test_abstract_methods_are_abstract() -> None:
    assert pdt.Repository.__abstractmethods__ == {"unfiltered_iter", "info", "delete"}
    assert pdt.BlobRepository.__abstractmethods__ == {"unfiltered_iter", "info", "delete", "open"}
    assert pdt.MetadataRepository.__abstractmethods__ == {"unfiltered_iter", "info", "delete", "dump"}
    assert pdt.FileRepositoryBase.__abstractmethods__ >= {"delete"}
    assert pdt.Task.__abstractmethods__ == {"update", "launch"}
    assert pdt.AbstractProcessManager.__abstractmethods__ == {
        "basedir", "get_live_pids", "kill", "mkdir", "open", "rmtree", "spawn",
    }  # fmt: skip


def test_the_constant_for_stderr_is_where_the_reference_has_it() -> None:
    assert importlib.import_module("pdt.task").STDOUT is pdt.STDOUT


def test_main_is_the_module_and_the_function() -> None:
    main: Any = importlib.import_module("pdt.main")
    assert getattr(pdt, "main") is main  # noqa: B009  for type checkers it is the function
    assert isinstance(main, ModuleType)
    callables: list[Any] = [main, main.main]
    for each in callables:
        assert [*inspect.signature(each).parameters] == ["pipeline", "instrument"]


def test_modules_are_attributes_of_the_package_without_being_imported() -> None:
    for module in sorted({entry.module for entry in ENTRIES}):
        script = f"import pdt, sys; assert pdt.{module} is sys.modules['pdt.{module}']"
        subprocess.run([sys.executable, "-c", script], check=True)
