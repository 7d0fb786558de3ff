"""The plugins of this process: found, loaded when somebody asks, and looked up by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pdt.errors import PluginError
from pdt.plugins.claims import COMMAND, Claims
from pdt.plugins.contract import OBSERVER_HOOKS, VETO_HOOK
from pdt.plugins.discover import Entry, canonical, installed
from pdt.plugins.hooks import Hooks
from pdt.plugins.known import CORE
from pdt.plugins.loading import Plugin, Tracer, load
from pdt.plugins.lookup import check_kind, no_winner, not_in_dist
from pdt.plugins.spec import KINDS, BackendSpec, CommandSpec
from pdt.plugins.trace import print_call

__all__ = ["Backend", "Command", "Registry", "backend", "default_registry", "set_default_registry"]


class Backend(NamedTuple):
    """A registered backend: kind, what was registered, by which plugin, and what users write to select it."""

    kind: str
    spec: BackendSpec
    plugin: Plugin
    reference: str


class Command(NamedTuple):
    """A registered command: what was registered, by which plugin, and what users write to run it."""

    spec: CommandSpec
    plugin: Plugin
    reference: str


class Registry:
    """A set of plugins, loaded when something first asks for one.

    :param entries: the entry points; those of the installed distributions by default.
    :param modules: plugins that are at hand already, by the distribution that they pass for.
    :param disabled: distributions whose plugins are not loaded; ``*`` stands for all.
    :param traced: whether to print every hook call to stderr.
    """

    def __init__(
        self,
        entries: Iterable[Entry] | None = None,
        *,
        modules: Mapping[str, object] | None = None,
        disabled: Iterable[str] = (),
        traced: bool = False,
    ) -> None:
        self._entries = None if entries is None else list(entries)
        self._modules = dict(modules or {})
        self._disabled = {canonical(dist) for dist in disabled}
        self._tracer: Tracer | None = print_call if traced else None
        self._core: Plugin | None = None
        self._loaded: tuple[tuple[Plugin, ...], Claims, Hooks] | None = None
        self._loading = False

    @classmethod
    def from_environment(cls) -> Registry:
        """Return a registry of what is installed, as the environment's PDT_* variables would have it."""
        disabled = os.environ.get("PDT_DISABLED_PLUGINS", "").split(",")
        return cls(
            disabled=[dist.strip() for dist in disabled if dist.strip()],
            traced=os.environ.get("PDT_TRACE_PLUGINS", "") not in ("", "0"),
        )

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """Every plugin, core's own first, those that could not be loaded included."""
        return self._load()[0]

    @property
    def hooks(self) -> Hooks:
        """What the engine tells its plugins through."""
        return self._load()[2]

    def backends(self, kind: str | None = None) -> list[Backend]:
        """Return the backends that can be used, by kind and name.

        :param kind: only those of this kind.
        """
        if kind is not None:
            check_kind(kind)
        claims = self._load()[1]
        return [
            Backend(of, plugin.backends[of, name], plugin, _reference(claims, of, name, plugin))
            for of in KINDS
            if kind in (None, of)
            for name in claims.names(of)
            for plugin in claims.claimants(of, name)
        ]

    def commands(self) -> dict[str, Command]:
        """Return the commands that plugins add, by what users write to run them."""
        claims = self._load()[1]
        found = [
            Command(plugin.commands[name], plugin, _reference(claims, COMMAND, name, plugin))
            for name in claims.names(COMMAND)
            for plugin in claims.claimants(COMMAND, name)
        ]
        return {command.reference: command for command in found}

    def find(self, kind: str, name: str) -> Backend:
        """Return what is registered under a name.

        :param name: ``name``, or ``distribution:name`` where several plugins have it.
        :raises UnknownBackendError: where nothing is; its text has a near miss, or the pip line.
        :raises PluginError: where several are, or where the plugin that has it cannot be used.
        """
        check_kind(kind)
        dist, colon, bare = name.rpartition(":")
        # Core's names are reserved, so that looking one of them up loads no other plugin.
        if (not colon or canonical(dist) == CORE) and (spec := self._own().backends.get((kind, bare))):
            return Backend(kind, spec, self._own(), bare)
        plugins, claims, _ = self._load()
        if not colon:
            plugin = claims.winner(kind, bare)
            if plugin is None:
                raise no_winner(kind, bare, claims, plugins)
            return Backend(kind, plugin.backends[kind, bare], plugin, bare)
        for plugin in claims.claimants(kind, bare):
            if canonical(plugin.dist) == canonical(dist):
                return Backend(kind, plugin.backends[kind, bare], plugin, name)
        raise not_in_dist(kind, dist, bare, plugins)

    def backend(self, kind: str, name: str) -> Any:
        """Return the class that is registered under a name, imported.

        :param name: ``name``, or ``distribution:name`` where several plugins have it.
        :raises UnknownBackendError: where nothing is; its text has a near miss, or the pip line.
        :raises PluginError: where several are, or where the class or its plugin cannot be used.
        """
        return self.find(kind, name).spec.load()

    def _own(self) -> Plugin:
        if self._core is None:
            from pdt import __version__
            from pdt.plugins import builtin

            core = load(Entry(CORE, __version__, "core", builtin.__name__), module=builtin)
            if not core.usable:
                fix = "pip install --force-reinstall pdt-core"
                raise PluginError(f"pdt-core is damaged: {core.reason}", fix=fix)
            self._core = core
        return self._core

    def _load(self) -> tuple[tuple[Plugin, ...], Claims, Hooks]:
        if self._loaded is None:
            if self._loading:
                raise PluginError("a plugin looks for other plugins while they are being loaded")
            self._loading = True
            try:
                strangers = self._strangers()
                hooks = _hooks_of(strangers, self._tracer)
                plugins = (self._own(), *strangers)
                self._loaded = plugins, Claims(plugins), hooks
            finally:
                self._loading = False
        return self._loaded

    def _strangers(self) -> list[Plugin]:
        entries = installed() if self._entries is None else self._entries
        plugins = [self._load_one(entry) for entry in sorted(entries, key=_order)]
        for dist, module in self._modules.items():
            entry = Entry(dist, "", dist, getattr(module, "__name__", dist))
            plugins.append(self._load_one(entry, module))
        return plugins

    def _load_one(self, entry: Entry, module: object = None) -> Plugin:
        if self._disabled & {"*", canonical(entry.dist)}:
            plugin = Plugin(*entry)
            fix = f"take {entry.dist} out of PDT_DISABLED_PLUGINS"
            plugin.refuse("disabled", "PDT_DISABLED_PLUGINS names it", fix)
            return plugin
        return load(entry, module=module, tracer=self._tracer)


def _order(entry: Entry) -> tuple[str, str]:
    return canonical(entry.dist), entry.name


def _reference(claims: Claims, kind: str, name: str, plugin: Plugin) -> str:
    return name if claims.winner(kind, name) is plugin else f"{plugin.dist}:{name}"


def _hooks_of(plugins: list[Plugin], tracer: Tracer | None) -> Hooks:
    called = {*OBSERVER_HOOKS, VETO_HOOK}
    concerned = [plugin for plugin in plugins if plugin.usable and not called.isdisjoint(plugin.hooks)]
    if not concerned:
        return Hooks()
    from pdt.plugins.notify import PluginHooks
    from pdt.plugins.observers import observers_of

    return PluginHooks(observers_of(concerned), tracer=tracer)


_default: Registry | None = None


def default_registry() -> Registry:
    """Return this process's registry, made from the environment when it is first asked for."""
    global _default
    if _default is None:
        _default = Registry.from_environment()
    return _default


def set_default_registry(registry: Registry | None) -> Registry | None:
    """Put another registry in the place of this process's, and return the one that was there.

    :param registry: the new one; None makes one from the environment when it is next asked for.
    """
    global _default
    previous, _default = _default, registry
    return previous


def backend(kind: str, name: str) -> Any:
    """Return the class that an installed plugin, or pdt itself, registers under a name.

    :param kind: ``connection``, ``repository``, ``executor``, ``resource-manager``, ``ledger`` or ``task``.
    :param name: ``name``, or ``distribution:name`` where several plugins have it.
    :raises UnknownBackendError: where nothing is; its text has a near miss, or the pip line.
    :raises PluginError: where several are, or where the class or its plugin cannot be used.
    """
    return default_registry().backend(kind, name)
