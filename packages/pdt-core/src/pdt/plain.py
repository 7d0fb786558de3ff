"""Plain data as JSON text: what YAML's core types can say, and back without loss."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import date, datetime
from typing import Any

__all__ = ["dumps", "loads"]

#: Marks an object that stands for a value that JSON has no word for.
TAG = "$pdt"


_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)
_ATOMS = frozenset({str, int, float, bool, type(None)})


def dumps(data: Any) -> str:
    """Return `data` as JSON text.

    :raises TypeError: if it contains something that is not plain data, or itself.
    """
    try:
        return _ENCODER.encode(_encode(data))
    except RecursionError:
        raise TypeError("this value cannot be stored: it contains itself, or is nested too deeply") from None


def loads(text: str) -> Any:
    """Return what `dumps` was given.

    :raises ValueError: if `text` did not come from it.
    """
    return json.loads(text, object_hook=_decode) if TAG in text else json.loads(text)


def _encode(value: Any) -> Any:
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is dict:
        if TAG not in value and all(type(key) is str for key in value):
            return {key: item if type(item) in _ATOMS else _encode(item) for key, item in value.items()}
        return {TAG: "map", "is": [[_encode(key), _encode(item)] for key, item in value.items()]}
    if kind is list:
        return [_encode(item) for item in value]
    if isinstance(value, datetime):
        return {TAG: "datetime", "is": value.isoformat()}
    if isinstance(value, date):
        return {TAG: "date", "is": value.isoformat()}
    if isinstance(value, bytes):
        return {TAG: "bytes", "is": b64encode(value).decode()}
    if isinstance(value, set | frozenset):
        return {TAG: "set", "is": [_encode(item) for item in value]}
    return _encode(_plain(value))


def _plain(value: Any) -> Any:
    """Return the plain value that a subclass of a plain type (an enum of text, an ordered dict, a tuple) stands for."""
    for kind in (str, bool, int, float, dict, list):
        if isinstance(value, kind):
            return kind(value) if kind is not str else str.__str__(value)
    if isinstance(value, tuple):
        return list(value)
    raise TypeError(
        f"{type(value).__name__} cannot be stored: a record is made of plain data (text, numbers, lists, ...)"
    )


def _decode(found: dict[str, Any]) -> Any:
    kind = found.get(TAG)
    if kind is None:
        return found
    value = found["is"]
    if kind == "datetime":
        return datetime.fromisoformat(value)
    if kind == "date":
        return date.fromisoformat(value)
    if kind == "bytes":
        return b64decode(value, validate=True)
    if kind == "set":
        return set(value)
    if kind == "map":
        return {key: item for key, item in value}  # noqa: C416  dict() would take pairs of lists for keys
    raise ValueError(f"unknown kind of value {kind!r}")
