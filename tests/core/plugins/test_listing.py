"""Plugins and backends as plain data."""

from __future__ import annotations

import dataclasses
import json
from types import ModuleType

import pytest

from pdt.errors import UnknownBackendError
from pdt.plugins import BackendSpec, Registry, describe, describe_backend, hookimpl


class Shelf:
    """A shelf
    of boards.

    More about it.

    :param board: what jobs
        stand on.
    """

    def __init__(self, board: str, height: int = 3) -> None: ...


class ShelfOptions:
    """What a shelf can be given."""

    def __init__(self, wood: str = "oak") -> None: ...


def registry() -> Registry:
    """Return a registry of core and one stranger's plugin."""
    made = ModuleType("sample_plugin")
    here = __name__

    @hookimpl
    def pdt_register_repositories() -> list[BackendSpec]:
        return [
            BackendSpec("shelf", f"{here}:Shelf", "A shelf.", stability="experimental"),
            BackendSpec("oak", f"{here}:Shelf", "A shelf of oak.", options=f"{here}:ShelfOptions"),
            BackendSpec("gone", "no_such_module_of_shelves:Shelf", "Gone.", requires=("shelves",)),
            BackendSpec("file", f"{here}:Shelf", "Not the file that you think of."),
        ]

    made.__dict__.update(PDT_API=1, pdt_register_repositories=pdt_register_repositories)
    return Registry((), modules={"stranger": made})


def test_everything_is_listed_as_json_can_say_it() -> None:
    listed = json.loads(json.dumps([dataclasses.asdict(plugin) for plugin in describe(registry())]))
    core, stranger = listed
    assert core["dist"] == "pdt-core"
    assert core["version"]
    assert {backend["kind"] for backend in core["backends"]} == {
        "repository",
        "task",
        "executor",
        "resource-manager",
        "ledger",
    }
    assert (stranger["state"], stranger["reason"]) == (
        "conflict",
        "repository 'file' is reserved for pdt-core",
    )
    assert {backend["name"]: backend["reference"] for backend in stranger["backends"]} == {
        "shelf": "shelf",
        "oak": "oak",
        "gone": "gone",
        "file": "stranger:file",
    }


def test_a_backend_is_shown_with_its_documentation() -> None:
    shown = describe_backend("repository", "shelf", registry())
    assert (shown.dist, shown.module, shown.backend.stability) == (
        "stranger",
        "sample_plugin",
        "experimental",
    )
    assert shown.documentation == "A shelf of boards."
    assert [(option.name, option.type, option.required, option.default) for option in shown.arguments] == [
        ("board", "str", True, None),
        ("height", "int", False, "3"),
    ]
    assert shown.arguments[0].help == "what jobs stand on."
    assert shown.problem is None


def test_options_are_those_of_the_options_class() -> None:
    shown = describe_backend("repository", "oak", registry())
    assert shown.documentation == "A shelf of boards."
    assert [(option.name, option.default) for option in shown.arguments] == [("wood", "'oak'")]


def test_a_backend_that_cannot_be_imported_is_shown_with_the_reason() -> None:
    shown = describe_backend("repository", "gone", registry())
    assert shown.documentation is None
    assert shown.problem == (
        "backend 'gone' cannot be imported from no_such_module_of_shelves: "
        "No module named 'no_such_module_of_shelves'\nfix: pip install shelves"
    )


def test_cores_own_backends_are_shown_too() -> None:
    shown = describe_backend("repository", "file", registry())
    assert shown.dist == "pdt-core"
    assert shown.documentation
    assert "basedir" in [option.name for option in shown.arguments]


def test_a_backend_that_there_is_not_is_an_error() -> None:
    with pytest.raises(UnknownBackendError):
        describe_backend("repository", "shlef", registry())
