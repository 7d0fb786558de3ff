"""`pdt plugins`: what is installed and in which state, and everything about one backend."""

from __future__ import annotations

from typing import Any

from ...errors import ConfigurationError
from .. import exits, output

__all__ = ["plugins"]

COLUMNS = ("plugin", "version", "state", "provides", "reason")


def plugins(
    *,
    action: str | None = None,
    kind: str | None = None,
    name: str | None = None,
    json: bool = False,
    form: str | None = None,
) -> int:
    """Print the plugins, or one backend.

    :param action: Optional: "show" for one backend.
    :param kind: its kind.
    :param name: its name, or "distribution:name".
    :param json: the same as "json" for `form`.
    :param form: Optional: table, json, jsonl, yaml or name.
    """
    form = "json" if json else form
    if action is None:
        return _list(form)
    if kind is None or name is None:
        raise ConfigurationError("no backend was named", fix="pdt plugins show KIND NAME, such as: repository sqlite")
    return _show(kind, name, form)


def _list(form: str | None) -> int:
    from dataclasses import asdict

    from ...plugins.listing import describe

    found = describe()
    if form in (None, "table", "name"):
        rows = [
            {
                "plugin": plugin.dist,
                "version": plugin.version,
                "state": plugin.state,
                "provides": _provides(plugin),
                "reason": plugin.reason,
            }
            for plugin in found
        ]
        output.emit(rows, form or "table", COLUMNS, "plugin")
        output.flush()
        for plugin in found:
            if plugin.reason:
                output.note(f"{plugin.dist}: {plugin.state}: {plugin.reason}")
                if plugin.fix:
                    output.note(f"  fix: {plugin.fix}")
    else:
        output.emit_value([asdict(plugin) for plugin in found], str(form))
    return exits.OK


def _provides(plugin: Any) -> str:
    kinds: dict[str, list[str]] = {}
    for backend in plugin.backends:
        kinds.setdefault(backend.kind, []).append(backend.reference)
    if plugin.commands:
        kinds["command"] = [command.reference for command in plugin.commands]
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items())


def _show(kind: str, name: str, form: str | None) -> int:
    from dataclasses import asdict

    from ...plugins.listing import describe_backend

    details = describe_backend(kind, name)
    if form == "name":
        output.write(f"{details.backend.reference}\n")
    elif form not in (None, "table"):
        output.emit_value(asdict(details), str(form))
    else:
        backend = details.backend
        output.write(f"{backend.kind} {backend.reference}: {backend.summary}\n")
        output.write(f"class: {backend.target}\nfrom: {details.dist} {details.version}".rstrip() + "\n")
        if backend.capabilities:
            output.write(f"capabilities: {', '.join(backend.capabilities)}\n")
        if details.documentation:
            output.write(f"\n{output.printable(details.documentation)}\n")
        if details.arguments:
            output.write("\n")
            output.emit([asdict(argument) for argument in details.arguments], "table", _option_columns(), "name")
    output.flush()
    if details.problem:
        message, _, fix = details.problem.partition("\nfix: ")
        output.fail(message, fix or None)
        return exits.USAGE
    return exits.OK


def _option_columns() -> tuple[str, ...]:
    from dataclasses import fields

    from ...plugins.options import OptionInfo

    return tuple(field.name for field in fields(OptionInfo))
