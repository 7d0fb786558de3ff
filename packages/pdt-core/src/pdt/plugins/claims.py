"""Who has a name: reserved names belong to our packages, others to whoever is alone in asking for them."""

from __future__ import annotations

from collections.abc import Iterable

from pdt.plugins.discover import canonical
from pdt.plugins.known import CORE, CORE_COMMANDS, owner
from pdt.plugins.loading import Plugin

__all__ = ["COMMAND", "Claims", "spoken"]

COMMAND = "command"


class Claims:
    """The names that plugins registered, and which of them a bare name means.

    Plugins that clash are marked so; what they registered stays usable under ``dist:name``.

    :param plugins: core's own plugin first.
    """

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self._claims: dict[tuple[str, str], list[Plugin]] = {}
        for plugin in plugins:
            if plugin.usable:
                for key in [*plugin.backends, *((COMMAND, name) for name in plugin.commands)]:
                    self._claims.setdefault(key, []).append(plugin)
        for key in self._claims:
            self._mark_conflicts(key)

    def names(self, kind: str) -> list[str]:
        """Return every name that a kind has, sorted."""
        return sorted(name for claimed, name in self._claims if claimed == kind)

    def kinds(self, name: str) -> list[str]:
        """Return the kinds that have a name."""
        return [kind for kind, claimed in self._claims if claimed == name and kind != COMMAND]

    def claimants(self, kind: str, name: str) -> list[Plugin]:
        """Return the usable plugins that registered a name."""
        return self._claims.get((kind, name), [])

    def winner(self, kind: str, name: str) -> Plugin | None:
        """Return the plugin that a bare name means, or None where none or several have it."""
        claimants = self.claimants(kind, name)
        reserved = self._reserved_for(kind, name)
        if reserved is not None:
            return next((plugin for plugin in claimants if canonical(plugin.dist) == reserved), None)
        return claimants[0] if len(claimants) == 1 else None

    def _reserved_for(self, kind: str, name: str) -> str | None:
        if kind == COMMAND:
            return CORE if name in CORE_COMMANDS else None
        if any(plugin.dist == CORE for plugin in self.claimants(kind, name)):
            return CORE
        return owner(kind, name)

    def _mark_conflicts(self, key: tuple[str, str]) -> None:
        kind, name = key
        claimants = self._claims[key]
        winner = self.winner(kind, name)
        for plugin in claimants:
            if plugin is winner:
                continue
            reserved = self._reserved_for(kind, name)
            others = sorted({other.dist for other in claimants if other is not plugin})
            what = f"{spoken(kind)} {name!r}"
            why = f"is reserved for {reserved}" if reserved else f"is in {', '.join(others)} too"
            reason = f"{plugin.reason}; {what} {why}" if plugin.reason else f"{what} {why}"
            plugin.refuse("conflict", reason, f"write {plugin.dist}:NAME for what is in {plugin.dist}")


def spoken(kind: str) -> str:
    """Return a kind's name as a person would say it."""
    return kind.replace("-", " ")
