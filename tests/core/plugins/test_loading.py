"""Whatever a plugin does wrong is recorded, with its cause."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy
import pytest

from pdt.plugins import BackendSpec, CommandSpec, Registry, hookimpl
from pdt.plugins.discover import Entry
from pdt.plugins.loading import Plugin

SHELF = BackendSpec("shelf", "collections:OrderedDict", "A shelf.")


def module(*functions: Callable[..., Any], api: object = 1, **members: object) -> ModuleType:
    """Return a plugin module that has these functions."""
    made = ModuleType("sample_plugin")
    made.__dict__.update(members, PDT_API=api)
    for function in functions:
        function.__module__ = "sample_plugin"
        setattr(made, function.__name__, function)
    return made


def loaded(plugin: object) -> Plugin:
    """Return what became of the only stranger's plugin."""
    return Registry((), modules={"stranger": plugin}).plugins[1]


def returning(value: object, name: str = "pdt_register_repositories") -> Callable[[], object]:
    """Return an implementation of a hook that registers."""

    def register() -> object:
        return value

    register.__name__ = name
    return hookimpl(register)


def test_what_it_registers_is_kept() -> None:
    plugin = loaded(
        module(
            returning([SHELF]),
            returning((CommandSpec("dust", "a:b", "Dust."),), "pdt_register_commands"),
            returning([SHELF], "pdt_register_ledgers"),
        )
    )
    assert (plugin.state, plugin.reason) == ("ok", None)
    assert plugin.backends == {("repository", "shelf"): SHELF, ("ledger", "shelf"): SHELF}
    assert list(plugin.commands) == ["dust"]
    assert plugin.hooks == ("pdt_register_commands", "pdt_register_ledgers", "pdt_register_repositories")


def test_the_marker_of_pluggy_will_do_and_so_will_an_object() -> None:
    class Shelves:
        PDT_API = 1

        @pluggy.HookimplMarker("pdt")
        def pdt_register_repositories(self) -> list[BackendSpec]:
            return [SHELF]

        @hookimpl(specname="pdt_register_ledgers")
        def ledgers(self) -> list[BackendSpec]:
            return []

    plugin = loaded(Shelves())
    assert (plugin.state, plugin.reason) == ("ok", None)
    assert plugin.hooks == ("pdt_register_ledgers", "pdt_register_repositories")


@pytest.mark.parametrize("api", [None, "1", 1.0, True])
def test_an_api_number_is_needed(api: object) -> None:
    plugin = loaded(module(api=api))
    assert (plugin.state, plugin.reason) == ("incompatible", "sample_plugin declares no PDT_API")
    assert plugin.fix == "its author adds PDT_API = 1 to sample_plugin"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "it returned NoneType, not a list of BackendSpec"),
        ({"shelf": SHELF}, "it returned dict, not a list of BackendSpec"),
        (SHELF, "it returned BackendSpec, not a list of BackendSpec"),
        (["shelf"], "it returned a list with str in it, not only BackendSpec"),
        ([SHELF, SHELF], "'shelf' is registered twice"),
    ],
)
def test_garbage_is_recorded(value: object, reason: str) -> None:
    plugin = loaded(module(returning(value)))
    assert plugin.state == "broken"
    assert reason in str(plugin.reason)


def test_a_registration_that_raises_is_recorded() -> None:
    @hookimpl
    def pdt_register_repositories() -> list[BackendSpec]:
        return [BackendSpec("Shelf", "a:b", "x")]

    @hookimpl
    def pdt_register_tasks() -> None:
        sys.exit("no more")

    @hookimpl
    def pdt_register_ledgers(registry: object) -> None: ...

    plugin = loaded(module(pdt_register_repositories, pdt_register_tasks, pdt_register_ledgers))
    assert plugin.state == "broken"
    for part in ("PluginError: 'Shelf' is not a name for a backend", "SystemExit: no more", "TypeError: "):
        assert part in str(plugin.reason)


async def test_a_registration_may_not_be_a_coroutine() -> None:
    @hookimpl
    async def pdt_register_repositories() -> list[BackendSpec]:
        return [SHELF]

    assert "it returned coroutine" in str(loaded(module(pdt_register_repositories)).reason)


def test_a_misspelt_hook_is_recorded_with_the_right_one() -> None:
    @hookimpl
    def pdt_job_finishd(job: str) -> None: ...

    @hookimpl
    def brush_teeth() -> None: ...

    def pdt_pipeline_open(pipeline: object) -> None: ...

    def pdt_job_launched(job: str) -> None: ...

    plugin = loaded(module(pdt_job_finishd, brush_teeth, pdt_pipeline_open, pdt_job_launched))
    assert plugin.state == "broken"
    assert set(str(plugin.reason).split("; ")) == {
        "pdt has no hook brush_teeth",
        "pdt has no hook pdt_job_finishd",
        "did you mean pdt_job_finished?",
        "pdt has no hook pdt_pipeline_open",
        "did you mean pdt_pipeline_opened?",
        "pdt_job_launched is not marked with @hookimpl, so that it is never called",
    }


def test_a_hook_of_a_later_version_can_be_marked_optional() -> None:
    @hookimpl(optionalhook=True)
    def pdt_coffee_made(cups: int) -> None: ...

    plugin = loaded(module(pdt_coffee_made, returning([SHELF])))
    assert (plugin.state, plugin.hooks) == ("ok", ("pdt_register_repositories",))


def test_functions_of_other_modules_are_not_taken_for_hooks() -> None:
    def pdt_settle() -> None: ...

    pdt_settle.__module__ = "elsewhere"
    plugin = module(returning([SHELF]))
    plugin.__dict__["pdt_settle"] = pdt_settle
    plugin.__dict__["pdt_settings"] = {"not": "a function"}
    assert loaded(plugin).state == "ok"


def test_hook_wrappers_are_refused() -> None:
    @pluggy.HookimplMarker("pdt")(wrapper=True)
    def pdt_job_launched(job: str) -> Any:
        return (yield)

    assert "pdt_job_launched is a hook wrapper" in str(loaded(module(pdt_job_launched)).reason)


def test_an_argument_that_the_hook_does_not_have_is_recorded() -> None:
    @hookimpl
    def pdt_job_finished(job: str, outcome: object) -> None: ...

    plugin = loaded(module(pdt_job_finished, returning([SHELF])))
    assert plugin.state == "broken"
    assert "outcome" in str(plugin.reason)
    assert "pdt_job_finished" in str(plugin.reason)


def test_one_module_is_one_plugin() -> None:
    @hookimpl
    def pdt_job_finished(job: str) -> None: ...

    shared = module(pdt_job_finished)
    plugins = Registry((), modules={"one": shared, "two": shared}).plugins
    assert sorted(plugin.state for plugin in plugins[1:]) == ["broken", "ok"]


def test_a_module_that_cannot_be_read_is_recorded() -> None:
    class Hostile:
        PDT_API = 1

        @property
        def pdt_job_launched(self) -> object:
            raise RuntimeError("hands off")

    plugin = loaded(Hostile())
    assert (plugin.state, plugin.reason) == ("broken", "reading stranger raised RuntimeError: hands off")


@pytest.mark.parametrize(
    ("value", "source", "reason"),
    [
        ("bad_plugin", "1 / 0", "importing bad_plugin raised ZeroDivisionError: division by zero"),
        ("bad_plugin", "raise SystemExit", "importing bad_plugin raised SystemExit"),
        ("bad_plugin", "def (", "importing bad_plugin raised SyntaxError: "),
        ("no_such_plugin", "", "importing no_such_plugin raised ModuleNotFoundError: "),
        ("bad_plugin:Class", "", "its entry point names 'bad_plugin:Class', which is no module"),
        ("bad_plugin [extra]", "", "its entry point names 'bad_plugin [extra]', which is no module"),
        ("", "", "its entry point names '', which is no module"),
    ],
)
def test_a_module_that_cannot_be_imported_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, source: str, reason: str
) -> None:
    (tmp_path / "bad_plugin.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    plugin = Registry([Entry("stranger", "1", "bad", value)]).plugins[1]
    assert plugin.state == "broken"
    assert str(plugin.reason).startswith(reason)
    assert plugin.fix == "update or uninstall stranger, and report this to its author"
