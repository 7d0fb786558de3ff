"""Loading one plugin: whatever it does wrong is recorded on it and stops nobody else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, NamedTuple, TypeVar

from pdt.errors import PdtError
from pdt.plugins.contract import COMMANDS_HOOK, HOOKS, MARK, PDT_API, REGISTRATION_HOOKS, SUPPORTED_APIS
from pdt.plugins.discover import Entry
from pdt.plugins.spec import BackendSpec, CommandSpec

__all__ = ["Plugin", "State", "Tracer", "load"]

State = Literal["ok", "broken", "incompatible", "conflict", "disabled"]
Tracer = Callable[[str, str, Mapping[str, object], str], None]
Spec = TypeVar("Spec", BackendSpec, CommandSpec)


@dataclass(slots=True)
class Plugin:
    """One entry point of pdt's group, and what became of it.

    :param dist: the distribution that has it.
    :param version: the distribution's version.
    :param name: the entry point's name.
    :param value: the module that it names.
    :param state: ``ok``, ``broken``, ``incompatible``, ``conflict`` or ``disabled``.
    :param reason: why it is not ``ok``.
    :param fix: what the user can do about it.
    :param api: the ``PDT_API`` that its module declares.
    :param module: its module, once imported.
    :param hooks: the hooks that it implements.
    :param backends: what it registered, by kind and name.
    :param commands: the commands that it registered, by name.
    """

    dist: str
    version: str
    name: str
    value: str
    state: State = "ok"
    reason: str | None = None
    fix: str | None = None
    api: object = None
    module: object = None
    hooks: tuple[str, ...] = ()
    backends: dict[tuple[str, str], BackendSpec] = field(default_factory=dict)
    commands: dict[str, CommandSpec] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether its backends, commands and observers may be used."""
        return self.state in ("ok", "conflict")

    def refuse(self, state: State, reason: str, fix: str | None = None) -> None:
        """Record why it is not as it should be."""
        self.state, self.reason, self.fix = state, reason, fix


class _Implementation(NamedTuple):
    attribute: str
    hook: str
    function: Callable[..., Any]
    options: Mapping[str, Any]


def load(entry: Entry, *, module: object = None, tracer: Tracer | None = None) -> Plugin:
    """Import a plugin's module and collect what it registers.

    :param entry: where it was found.
    :param module: the plugin itself, where it needs no import.
    :param tracer: told of every hook that is called.
    """
    plugin = Plugin(*entry)
    plugin.module = module if module is not None else _import(plugin)
    try:
        if plugin.state == "ok":
            _check_api(plugin)
        if plugin.state == "ok":
            _collect(plugin, tracer)
    except Exception as error:
        plugin.refuse("broken", f"reading {plugin.value} raised {_said(error)}", _blame(plugin))
    return plugin


def _import(plugin: Plugin) -> object:
    if not all(piece.isidentifier() for piece in plugin.value.split(".")):
        plugin.refuse("broken", f"its entry point names {plugin.value!r}, which is no module", _blame(plugin))
        return None
    try:
        return import_module(plugin.value)
    except (Exception, SystemExit) as error:
        plugin.refuse("broken", f"importing {plugin.value} raised {_said(error)}", _blame(plugin))
        return None


def _check_api(plugin: Plugin) -> None:
    plugin.api = getattr(plugin.module, "PDT_API", None)
    if type(plugin.api) is not int:
        plugin.refuse(
            "incompatible",
            f"{plugin.value} declares no PDT_API",
            f"its author adds PDT_API = {PDT_API} to {plugin.value}",
        )
    elif plugin.api not in SUPPORTED_APIS:
        spoken = ", ".join(map(str, SUPPORTED_APIS))
        plugin.refuse(
            "incompatible",
            f"it speaks plugin API {plugin.api}, and this pdt-core speaks {spoken}",
            f"pip install -U {'pdt-core' if plugin.api > max(SUPPORTED_APIS) else plugin.dist}",
        )


def _collect(plugin: Plugin, tracer: Tracer | None) -> None:
    implementations = list(_implementations(plugin.module))
    faults = [fault for found in implementations if (fault := _fault(found))]
    faults += _unmarked(plugin.module, {found.attribute for found in implementations})
    plugin.hooks = tuple(sorted({found.hook for found in implementations if found.hook in HOOKS}))
    kinds = {hook: kind for kind, hook in REGISTRATION_HOOKS.items()}
    for found in implementations:
        try:
            if found.hook in kinds:
                for spec in _registered(plugin, found, BackendSpec, tracer):
                    _add(plugin.backends, (kinds[found.hook], spec.name), spec)
            elif found.hook == COMMANDS_HOOK:
                for command in _registered(plugin, found, CommandSpec, tracer):
                    _add(plugin.commands, command.name, command)
        except (Exception, SystemExit) as error:
            faults.append(f"{found.attribute} raised {_said(error)}")
    if faults:
        plugin.refuse("broken", "; ".join(faults), _blame(plugin))


def _implementations(module: object) -> Iterator[_Implementation]:
    for attribute in dir(module):
        function = getattr(module, attribute, None)
        options = getattr(function, MARK, None)
        if callable(function) and isinstance(options, dict):
            yield _Implementation(attribute, options.get("specname") or attribute, function, options)


def _fault(found: _Implementation) -> str | None:
    if found.options.get("wrapper") or found.options.get("hookwrapper"):
        return f"{found.attribute} is a hook wrapper, which pdt does not have"
    if found.hook not in HOOKS and not found.options.get("optionalhook"):
        return f"pdt has no hook {found.hook}{_near_miss(found.hook)}"
    return None


def _unmarked(module: object, marked: set[str]) -> Iterator[str]:
    home = getattr(module, "__name__", None)
    for attribute in dir(module):
        if attribute.startswith("pdt_") and attribute not in marked:
            function = getattr(module, attribute, None)
            if not inspect.isroutine(function) or getattr(function, "__module__", home) != home:
                continue
            if attribute in HOOKS:
                yield f"{attribute} is not marked with @hookimpl, so that it is never called"
            else:
                yield f"pdt has no hook {attribute}{_near_miss(attribute)}"


def _near_miss(hook: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(hook, sorted(HOOKS), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _registered(
    plugin: Plugin, found: _Implementation, kind: type[Spec], tracer: Tracer | None
) -> list[Spec] | tuple[Spec, ...]:
    result = found.function()
    if tracer is not None:
        tracer(plugin.dist, found.hook, {}, f"returned {type(result).__name__}")
    if inspect.iscoroutine(result):
        result.close()
    if not isinstance(result, list | tuple):
        raise TypeError(f"it returned {type(result).__name__}, not a list of {kind.__name__}")
    for spec in result:
        if not isinstance(spec, kind):
            raise TypeError(f"it returned a list with {type(spec).__name__} in it, not only {kind.__name__}")
    return result


def _add(specs: dict[Any, Any], key: object, spec: BackendSpec | CommandSpec) -> None:
    if key in specs:
        raise ValueError(f"{spec.name!r} is registered twice")
    specs[key] = spec


def _blame(plugin: Plugin) -> str:
    return f"update or uninstall {plugin.dist}, and report this to its author"


def _said(error: BaseException) -> str:
    text = error.message if isinstance(error, PdtError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
