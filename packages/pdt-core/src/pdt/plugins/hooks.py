"""What the engine tells plugins through, which costs next to nothing where there is no plugin."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from pdt.plugins.contract import OBSERVER_HOOKS, VETO_HOOK

# What type checkers take for typing.TYPE_CHECKING, without the import of typing.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from pdt.plugins.problems import Problem

__all__ = ["Hooks", "current_hooks"]


class Hooks:
    """What the engine tells plugins through; this one is for a process that has no plugin to tell."""

    def active(self, hook: str) -> bool:
        """Return whether any plugin implements a hook; where none does, the engine need not prepare the call.

        :raises ValueError: where there is no such hook.
        """
        if hook not in OBSERVER_HOOKS and hook != VETO_HOOK:
            raise ValueError(f"the engine calls no hook {hook}")
        return False

    async def notify(self, hook: str, /, **arguments: object) -> None:
        """Tell every plugin that implements an observer's hook, one after the other.

        :param hook: the hook's name.
        :param arguments: everything that its specification lists.
        """

    def vetoes(self, pipeline: object, task: object, jobs: Iterable[str]) -> dict[str, str]:
        """Ask which of a batch of jobs must not be launched now, and return them with the reason.

        :param jobs: the jobs that are about to be launched.
        """
        return {}

    @property
    def problems(self) -> list[Problem]:
        """What plugins did wrong so far."""
        return []


def current_hooks() -> Hooks:
    """Return this process's hooks; where no plugin is installed, not even the registry is imported."""
    if "pdt.plugins.registry" not in sys.modules:
        from pdt.plugins.discover import installed

        if not installed():
            return Hooks()
    from pdt.plugins.registry import default_registry

    return default_registry().hooks
