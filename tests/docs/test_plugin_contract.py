"""The contract's page names every hook with its exact arguments, every field, state, kind and variable."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from pdt.plugins import BackendSpec, CommandSpec, Registry, contract, hookspecs, registry, spec
from pdt.plugins.loading import State
from pdt.plugins.notify import BLOCKING, DEADLINE

PAGE = (Path(__file__).parents[2] / "docs" / "plugin-contract.md").read_text(encoding="utf-8")
SECTIONS = {
    heading.strip(): body for heading, body in re.findall(r"^#{2,3} (.+)\n((?:(?!^#{2,3} ).*\n?)*)", PAGE, re.MULTILINE)
}


def arguments_of(hook: str) -> list[str]:
    """Return the arguments of a hook's specification."""
    return list(inspect.signature(getattr(hookspecs, hook)).parameters)


def first_column(section: str) -> list[str]:
    """Return the code in the first column of a section's tables."""
    return re.findall(r"^\| `([^`]+)` \|", SECTIONS[section], re.MULTILINE)


@pytest.mark.parametrize("hook", sorted(contract.HOOKS))
def test_every_hook_is_documented_with_its_arguments(hook: str) -> None:
    arguments = arguments_of(hook)
    body = SECTIONS[f"{hook}({', '.join(arguments)})"]
    assert re.findall(r"^- `(\w+)`: ", body, re.MULTILINE) == arguments
    assert body.strip()


def test_no_hook_is_documented_that_there_is_not() -> None:
    documented = {heading.partition("(")[0] for heading in SECTIONS if heading.startswith("pdt_")}
    assert documented == contract.HOOKS


def test_every_field_of_what_is_registered_is_documented() -> None:
    fields = [field.name for made in (BackendSpec, CommandSpec) for field in dataclasses.fields(made)]
    assert first_column("What is registered") == fields


def test_every_state_kind_and_stability_is_documented() -> None:
    assert first_column("States") == list(get_args(State))
    assert [kind for kind in spec.KINDS if f"`{kind}`" not in SECTIONS["Names"]] == []
    stabilities = get_args(spec.Stability)
    assert [name for name in stabilities if f"`{name}`" not in SECTIONS["What is registered"]] == []


def test_every_environment_variable_is_documented() -> None:
    read = set(re.findall(r'"(PDT_[A-Z_]+)"', inspect.getsource(registry)))
    assert set(first_column("Environment variables")) == read


def test_numbers_are_those_of_the_code() -> None:
    assert f"up to {DEADLINE:g}\nseconds" in PAGE
    assert f"for {BLOCKING:g} seconds" in PAGE
    assert f"speaks version {contract.PDT_API}" in PAGE


def test_the_example_is_a_plugin() -> None:
    (source,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    module = ModuleType("shelf_store.plugin")
    exec(compile(source, "plugin-contract.md", "exec"), module.__dict__)  # noqa: S102
    shelf = Registry((), modules={"shelf-store": module})
    assert [(plugin.dist, plugin.state, plugin.reason) for plugin in shelf.plugins[1:]] == [("shelf-store", "ok", None)]
    assert shelf.find("repository", "shelf").spec.requires == ("shelf-driver>=2",)
    assert shelf.hooks.active("pdt_job_finished")
