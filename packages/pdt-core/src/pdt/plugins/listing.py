"""The plugins and backends as plain data, for listings."""

from __future__ import annotations

from dataclasses import dataclass

from pdt.errors import PluginError
from pdt.plugins.loading import Plugin, State
from pdt.plugins.options import OptionInfo, options_of
from pdt.plugins.registry import Backend, Registry, default_registry
from pdt.plugins.spec import Stability

__all__ = [
    "BackendDetails",
    "BackendInfo",
    "CommandInfo",
    "OptionInfo",
    "PluginInfo",
    "describe",
    "describe_backend",
]


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """One backend that a plugin registers; ``reference`` is what users write to select it."""

    kind: str
    name: str
    reference: str
    summary: str
    target: str
    options: str | None
    capabilities: tuple[str, ...]
    stability: Stability
    requires: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CommandInfo:
    """One command that a plugin adds; ``reference`` is what users write to run it."""

    name: str
    reference: str
    summary: str
    target: str


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One plugin and its state; ``reason`` and ``fix`` say why it is not ``ok`` and what to do."""

    name: str
    dist: str
    version: str
    module: str
    state: State
    reason: str | None
    fix: str | None
    api: int | None
    hooks: tuple[str, ...]
    backends: tuple[BackendInfo, ...]
    commands: tuple[CommandInfo, ...]


@dataclass(frozen=True, slots=True)
class BackendDetails:
    """Everything about one backend; ``problem`` says why its class cannot be imported, where it cannot."""

    backend: BackendInfo
    dist: str
    version: str
    module: str
    documentation: str | None
    arguments: tuple[OptionInfo, ...]
    problem: str | None


def describe(registry: Registry | None = None) -> list[PluginInfo]:
    """Return every plugin, core's own first, those that cannot be used included.

    No class and no driver is imported.

    :param registry: which plugins; this process's by default.
    """
    registry = registry or default_registry()
    plugins = registry.plugins
    backends: dict[int, list[BackendInfo]] = {id(plugin): [] for plugin in plugins}
    commands: dict[int, list[CommandInfo]] = {id(plugin): [] for plugin in plugins}
    for backend in registry.backends():
        backends[id(backend.plugin)].append(_info(backend))
    for reference, command in registry.commands().items():
        info = CommandInfo(command.spec.name, reference, command.spec.summary, command.spec.target)
        commands[id(command.plugin)].append(info)
    return [_plugin(plugin, backends[id(plugin)], commands[id(plugin)]) for plugin in plugins]


def describe_backend(kind: str, name: str, registry: Registry | None = None) -> BackendDetails:
    """Return everything about one backend; its class is imported, so that its documentation can be read.

    :param kind: the kind of backend.
    :param name: ``name`` or ``distribution:name``.
    :param registry: which plugins; this process's by default.
    :raises PluginError: as ``pdt.backend`` does where nothing, or more than one thing, has that name.
    """
    backend = (registry or default_registry()).find(kind, name)
    documentation: str | None = None
    problem: str | None = None
    arguments: tuple[OptionInfo, ...] = ()
    try:
        target = backend.spec.load()
        documentation = _summary(target)
        arguments = options_of(backend.spec.load_options() or target)
    except PluginError as error:
        problem = str(error)
    plugin = backend.plugin
    return BackendDetails(_info(backend), plugin.dist, plugin.version, plugin.value, documentation, arguments, problem)


def _info(backend: Backend) -> BackendInfo:
    spec = backend.spec
    return BackendInfo(
        backend.kind,
        spec.name,
        backend.reference,
        spec.summary,
        spec.target,
        spec.options,
        spec.capabilities,
        spec.stability,
        spec.requires,
    )


def _plugin(plugin: Plugin, backends: list[BackendInfo], commands: list[CommandInfo]) -> PluginInfo:
    return PluginInfo(
        plugin.name,
        plugin.dist,
        plugin.version,
        plugin.value,
        plugin.state,
        plugin.reason,
        plugin.fix,
        plugin.api if type(plugin.api) is int else None,
        plugin.hooks,
        tuple(backends),
        tuple(commands),
    )


def _summary(target: object) -> str | None:
    from inspect import getdoc

    paragraph = (getdoc(target) or "").partition("\n\n")[0]
    return " ".join(paragraph.split()) or None
