"""The names of the contract, and the marker for hook implementations, without importing pluggy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

__all__ = [
    "COMMANDS_HOOK",
    "GROUP",
    "HOOKS",
    "MARK",
    "OBSERVER_HOOKS",
    "PDT_API",
    "REGISTRATION_HOOKS",
    "SUPPORTED_APIS",
    "VETO_HOOK",
    "hookimpl",
]

PDT_API = 1
SUPPORTED_APIS = (1,)
GROUP = "pdt"
MARK = "pdt_impl"

REGISTRATION_HOOKS = {
    "connection": "pdt_register_connections",
    "repository": "pdt_register_repositories",
    "executor": "pdt_register_executors",
    "resource-manager": "pdt_register_resource_managers",
    "ledger": "pdt_register_ledgers",
    "task": "pdt_register_tasks",
}
COMMANDS_HOOK = "pdt_register_commands"
OBSERVER_HOOKS = frozenset(
    {
        "pdt_configure_pipeline",
        "pdt_pipeline_opened",
        "pdt_pipeline_closed",
        "pdt_round_finished",
        "pdt_job_launched",
        "pdt_job_finished",
        "pdt_resources_denied",
    }
)
VETO_HOOK = "pdt_should_launch"
HOOKS = frozenset({*REGISTRATION_HOOKS.values(), COMMANDS_HOOK, *OBSERVER_HOOKS, VETO_HOOK})

F = TypeVar("F", bound=Callable[..., Any])


@overload
def hookimpl(function: F, /) -> F: ...


@overload
def hookimpl(
    function: None = None,
    /,
    *,
    optionalhook: bool = False,
    tryfirst: bool = False,
    trylast: bool = False,
    specname: str | None = None,
) -> Callable[[F], F]: ...


def hookimpl(
    function: F | None = None,
    /,
    *,
    optionalhook: bool = False,
    tryfirst: bool = False,
    trylast: bool = False,
    specname: str | None = None,
) -> F | Callable[[F], F]:
    """Mark a function of a plugin module as the implementation of a hook.

    It leaves the mark that ``pluggy.HookimplMarker("pdt")`` leaves, and either may be used.

    :param optionalhook: do not complain where this version of pdt has no such hook.
    :param tryfirst: call this one before other plugins' implementations.
    :param trylast: call this one after other plugins' implementations.
    :param specname: the hook's name, where the function has another.
    """

    def mark(marked: F) -> F:
        options = {
            "wrapper": False,
            "hookwrapper": False,
            "optionalhook": optionalhook,
            "tryfirst": tryfirst,
            "trylast": trylast,
            "specname": specname,
        }
        setattr(marked, MARK, options)
        return marked

    return mark if function is None else mark(function)
