"""The one place that needs pluggy: who observes what, checked against the specifications and put in order."""

from __future__ import annotations

from collections.abc import Sequence

from pluggy import PluginManager, PluginValidationError

from pdt.plugins import hookspecs
from pdt.plugins.contract import GROUP, OBSERVER_HOOKS, VETO_HOOK
from pdt.plugins.loading import Plugin
from pdt.plugins.notify import Observer

__all__ = ["observers_of"]


def observers_of(plugins: Sequence[Plugin]) -> dict[str, tuple[Observer, ...]]:
    """Return the implementations of every hook that the engine calls, in the order in which they are called.

    A plugin whose implementation asks for an argument that the hook does not have is marked broken.

    :param plugins: those that implement such a hook, in the order in which they are called.
    """
    manager = PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    dists: dict[str, str] = {}
    # pluggy calls first what was registered last.
    for plugin in reversed(plugins):
        name = f"{plugin.dist}:{plugin.name}"
        try:
            manager.register(plugin.module, name=name)
        except PluginValidationError as error:
            reason = " ".join(str(error).split())
            plugin.refuse("broken", reason, f"update or uninstall {plugin.dist}, and report this to its author")
        except ValueError:
            reason = f"{plugin.value} is the module of another plugin too"
            plugin.refuse("broken", reason, f"uninstall {plugin.dist}")
        else:
            dists[name] = plugin.dist
    observers: dict[str, tuple[Observer, ...]] = {}
    for hook in (*OBSERVER_HOOKS, VETO_HOOK):
        implementations = [
            Observer(dists[found.plugin_name], hook, found.function, tuple(found.argnames))
            for found in reversed(getattr(manager.hook, hook).get_hookimpls())
            if found.plugin_name in dists
        ]
        if implementations:
            observers[hook] = tuple(implementations)
    return observers
