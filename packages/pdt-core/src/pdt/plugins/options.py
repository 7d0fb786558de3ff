"""What a backend's class can be given: read from its options class, or from its constructor."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

__all__ = ["OptionInfo", "options_of"]


@dataclasses.dataclass(frozen=True, slots=True)
class OptionInfo:
    """One option: its name, its type and default as they would be written, and what it is for."""

    name: str
    type: str
    required: bool
    default: str | None
    help: str


def options_of(described: Any) -> tuple[OptionInfo, ...]:
    """Return what can be given to a class.

    :param described: a pydantic model, a dataclass, or a class whose constructor is read.
    """
    fields = getattr(described, "model_fields", None)
    return tuple(_of_model(fields) if isinstance(fields, dict) else _of_constructor(described))


def _of_model(fields: dict[str, Any]) -> Iterator[OptionInfo]:
    for name, field in fields.items():
        required = field.is_required()
        default = None if required else repr(field.get_default(call_default_factory=True))
        type_ = _written(field.annotation)
        yield OptionInfo(field.alias or name, type_, required, default, field.description or "")


def _of_constructor(described: Any) -> Iterator[OptionInfo]:
    try:
        parameters = inspect.signature(described).parameters.values()
    except (TypeError, ValueError):
        return
    helps = {**_documented(described), **_documented(getattr(described, "__init__", None))}
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        required = parameter.default is parameter.empty
        type_ = "" if parameter.annotation is parameter.empty else _written(parameter.annotation)
        default = None if required else repr(parameter.default)
        yield OptionInfo(parameter.name, type_, required, default, helps.get(parameter.name, ""))


def _written(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _documented(described: object) -> dict[str, str]:
    texts: dict[str, str] = {}
    name = ""
    for line in (inspect.getdoc(described) or "").splitlines():
        if line.startswith(":param "):
            name, _, text = line.removeprefix(":param ").partition(":")
            texts[name] = text.strip()
        elif name and line.startswith(" "):
            texts[name] = f"{texts[name]} {line.strip()}"
        else:
            name = ""
    return texts
