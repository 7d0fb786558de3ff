"""The hooks' names, their specifications and the marker agree, with one another and with pluggy."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pluggy
import pytest

import pdt.plugins
from pdt.plugins import contract, hookimpl, hookspecs
from pdt.plugins.contract import COMMANDS_HOOK, HOOKS, MARK, OBSERVER_HOOKS, REGISTRATION_HOOKS, VETO_HOOK
from pdt.plugins.spec import KINDS

SPECIFIED = {name: member for name, member in vars(hookspecs).items() if hasattr(member, "pdt_spec")}


def test_every_hook_is_specified_and_every_specification_is_known() -> None:
    assert set(SPECIFIED) == HOOKS
    assert tuple(REGISTRATION_HOOKS) == KINDS
    assert all(name.startswith("pdt_") for name in HOOKS)
    manager = pluggy.PluginManager(contract.GROUP)
    manager.add_hookspecs(hookspecs)


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_every_hook_and_argument_is_documented(name: str) -> None:
    documentation = inspect.getdoc(SPECIFIED[name]) or ""
    assert documentation.splitlines()[0].endswith(".")
    for argument in inspect.signature(SPECIFIED[name]).parameters:
        assert f":param {argument}: " in documentation


def test_hooks_that_register_take_nothing_and_others_take_the_pipeline() -> None:
    for name in (*REGISTRATION_HOOKS.values(), COMMANDS_HOOK):
        assert not inspect.signature(SPECIFIED[name]).parameters
    for name in (*OBSERVER_HOOKS, VETO_HOOK):
        assert next(iter(inspect.signature(SPECIFIED[name]).parameters)) == "pipeline"


@pytest.mark.parametrize(
    "options",
    [{}, {"tryfirst": True}, {"trylast": True, "optionalhook": True}, {"specname": "pdt_job_launched"}],
)
def test_the_marker_is_that_of_pluggy(options: dict[str, Any]) -> None:
    def implementation(job: str) -> None: ...

    def other(job: str) -> None: ...

    mark: Callable[..., Any] = hookimpl(**options)
    assert mark(implementation) is implementation
    pluggy.HookimplMarker(contract.GROUP)(**options)(other)
    assert getattr(implementation, MARK) == getattr(other, MARK)


def test_the_marker_needs_no_brackets() -> None:
    @hookimpl
    def pdt_job_launched(job: str) -> str:
        return job

    assert pdt_job_launched("a") == "a"
    assert hasattr(pdt_job_launched, MARK)


def test_every_public_name_is_there() -> None:
    assert sorted(pdt.plugins.__all__) == sorted(name for names in pdt.plugins._ROOMS.values() for name in names)
    for name in pdt.plugins.__all__:
        assert getattr(pdt.plugins, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'hookimp'"):
        pdt.plugins.hookimp  # noqa: B018
