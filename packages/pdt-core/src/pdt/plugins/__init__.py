"""The plugin contract: hooks register and observe, classes do the work, names select."""

from __future__ import annotations

# What type checkers take for typing.TYPE_CHECKING, without the import of typing.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from pdt.plugins.contract import PDT_API, hookimpl
    from pdt.plugins.hooks import Hooks, current_hooks
    from pdt.plugins.known import missing_hint
    from pdt.plugins.listing import BackendDetails, PluginInfo, describe, describe_backend
    from pdt.plugins.registry import Registry, backend, default_registry, set_default_registry
    from pdt.plugins.spec import KINDS, BackendSpec, CommandSpec, Kind

__all__ = [
    "KINDS",
    "PDT_API",
    "BackendDetails",
    "BackendSpec",
    "CommandSpec",
    "Hooks",
    "Kind",
    "PluginInfo",
    "Registry",
    "backend",
    "current_hooks",
    "default_registry",
    "describe",
    "describe_backend",
    "hookimpl",
    "missing_hint",
    "set_default_registry",
]

_ROOMS = {
    "contract": ("PDT_API", "hookimpl"),
    "hooks": ("Hooks", "current_hooks"),
    "known": ("missing_hint",),
    "listing": ("BackendDetails", "PluginInfo", "describe", "describe_backend"),
    "registry": ("Registry", "backend", "default_registry", "set_default_registry"),
    "spec": ("KINDS", "BackendSpec", "CommandSpec", "Kind"),
}


def __getattr__(name: str) -> object:
    for room, names in _ROOMS.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"pdt.plugins.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
