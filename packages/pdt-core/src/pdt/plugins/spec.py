"""What a plugin registers: data that names a class, which is imported only when it is used."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pdt.errors import PluginError

__all__ = ["KINDS", "BackendSpec", "CommandSpec", "Kind", "Stability"]

Kind = Literal["connection", "repository", "executor", "resource-manager", "ledger", "task"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Stability = Literal["experimental", "stable", "deprecated"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class BackendSpec:
    """One class that a plugin offers under a name.

    :param name: what users write after ``kind:``; lower-case letters, digits and single dashes.
    :param target: ``package.module:Class``, imported when the backend is first used.
    :param summary: one line for listings.
    :param options: ``package.options:Options``, the class that describes its options, in a light module.
    :param capabilities: what the class can do beyond the minimum of its kind.
    :param stability: ``experimental``, ``stable`` or ``deprecated``.
    :param requires: what to ``pip install`` where the target cannot be imported.
    :raises PluginError: where a value is not as described here.
    """

    name: str
    target: str
    summary: str
    options: str | None = None
    capabilities: tuple[str, ...] = ()
    stability: Stability = "stable"
    requires: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_name("backend", self.name)
        _check_target(self.name, "target", self.target)
        _check_summary(self.name, self.summary)
        if self.options is not None:
            _check_target(self.name, "options", self.options)
        object.__setattr__(self, "capabilities", _texts(self.name, "capabilities", self.capabilities))
        object.__setattr__(self, "requires", _texts(self.name, "requires", self.requires))
        for capability in self.capabilities:
            _check_name(f"capability of backend {self.name!r}", capability)
        if self.stability not in get_args(Stability):
            known = ", ".join(get_args(Stability))
            raise PluginError(f"{self.name!r}: stability {self.stability!r} is not one of {known}")

    def load(self) -> Any:
        """Import the class and return it.

        :raises PluginError: where it cannot be imported; its text says what is missing and the fix.
        """
        return _load(f"backend {self.name!r}", self.target, self.requires)

    def load_options(self) -> Any:
        """Import the class that describes the options, and return it, or None where there is none.

        :raises PluginError: where it cannot be imported.
        """
        if self.options is None:
            return None
        return _load(f"options of backend {self.name!r}", self.options, self.requires)


@dataclass(frozen=True)
class CommandSpec:
    """One command that a plugin adds to ``pdt``.

    :param name: the command's name; lower-case letters, digits and single dashes.
    :param target: ``package.module:object``, a typer app or a function, imported when the command is run.
    :param summary: one line for ``pdt --help``.
    :raises PluginError: where a value is not as described here.
    """

    name: str
    target: str
    summary: str

    def __post_init__(self) -> None:
        _check_name("command", self.name)
        _check_target(self.name, "target", self.target)
        _check_summary(self.name, self.summary)

    def load(self) -> Any:
        """Import the command's object and return it.

        :raises PluginError: where it cannot be imported.
        """
        return _load(f"command {self.name!r}", self.target, ())


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PluginError(
            f"{name!r} is not a name for a {what}",
            fix="use lower-case letters, digits and single dashes, a letter first",
        )


def _check_target(name: str, field: str, target: object) -> None:
    parts = target.split(":") if isinstance(target, str) else []
    if len(parts) != 2 or not all(piece.isidentifier() for part in parts for piece in part.split(".")):
        raise PluginError(
            f"{name!r}: {field} {target!r} does not name an object of a module",
            fix="write it as 'package.module:Class'",
        )


def _check_summary(name: str, summary: object) -> None:
    if not isinstance(summary, str) or not summary.strip() or len(summary.splitlines()) != 1:
        raise PluginError(f"{name!r}: the summary must be one line of text, not {summary!r}")


def _texts(name: str, field: str, values: object) -> tuple[str, ...]:
    if isinstance(values, list | tuple) and all(isinstance(value, str) and value for value in values):
        return tuple(values)
    raise PluginError(f"{name!r}: {field} must be a tuple of texts, not {values!r}")


def _load(what: str, target: str, requires: tuple[str, ...]) -> Any:
    from importlib import import_module

    module_name, _, path = target.partition(":")
    try:
        found: Any = import_module(module_name)
    except ImportError as error:
        text = f"{what} cannot be imported from {module_name}: {error}"
        raise PluginError(text, fix=_remedy(requires)) from error
    except Exception as error:
        text = f"{what}: importing {module_name} raised {type(error).__name__}: {error}"
        raise PluginError(text, fix=_remedy(())) from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except (AttributeError, ImportError) as error:
            text = f"{what} is not where its plugin says, {target}: {error}"
            raise PluginError(text, fix=_remedy(())) from error
    return found


def _remedy(requires: tuple[str, ...]) -> str:
    if not requires:
        return "reinstall or update the package that provides it, or report this to its author"
    plain = [piece if piece.replace("-", "").isalnum() else f'"{piece}"' for piece in requires]
    return f"pip install {' '.join(plain)}"
