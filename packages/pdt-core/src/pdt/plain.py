"""Plain data: what YAML's core types can say, as JSON text and back without loss."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

__all__ = ["dumps", "loads", "plain"]

#: Marks an object that stands for a value that JSON has no word for.
TAG = "$pdt"
#: Collections within collections that a value may have: what is stored can be loaded however deep the stack is.
DEEPEST = 100

_ATOMS = frozenset({str, int, float, bool, type(None)})
_SCALARS = (str, bool, int, float, bytes, datetime, date)
_FLAT_KEYS = frozenset({str})
#: Without float: SQLite's JSON has no word for infinity.
_FLAT_VALUES = frozenset({str, int, bool, type(None), datetime})


def is_flat(data: Any) -> bool:
    """Tell whether `data` is a mapping of texts to values that need no conversion, as the engine's records are."""
    return (
        type(data) is dict
        and _FLAT_KEYS.issuperset(map(type, data))
        and _FLAT_VALUES.issuperset(map(type, data.values()))
        and TAG not in data
    )


def dumps_flat(records: dict[str, Any]) -> str:
    """Return many flat values, by job, as one JSON object of what `dumps` returns for each.

    :raises TypeError: if one of them cannot be written.
    """
    return _written(records)


def dumps(data: Any) -> str:
    """Return `data` as JSON text.

    :raises TypeError: if it contains something that is not plain data, or itself.
    """
    return _written(data if is_flat(data) else _convert(data, DEEPEST, _tagged))


def _written(data: Any) -> str:
    try:
        return _ENCODER.encode(data)
    except ValueError as error:  # a number of thousands of digits
        raise TypeError(f"this value cannot be stored: {error}") from None


def loads(text: str) -> Any:
    """Return what `dumps` was given.

    :raises ValueError: if `text` did not come from it.
    """
    try:
        return json.loads(text, object_hook=_decode) if TAG in text else json.loads(text)
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"it is not what was stored: {type(error).__name__}: {error}") from error


def plain(data: Any) -> Any:
    """Return `data` in plain types alone: subclasses become what they stand for, tuples lists.

    :raises TypeError: if it contains something that is not plain data, or itself.
    """
    return _convert(data, DEEPEST, _as_it_is)


def _convert(value: Any, room: int, write: Callable[[str, Any], Any]) -> Any:
    """Return `value` with its collections copied and its other values passed through `write`.

    :param room: how many collections may lie within each other.
    :param write: from a kind of value that JSON lacks, and the value, to what stands for it.
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is datetime and value.tzinfo is UTC:
        return write("datetime", value)
    if not room:
        raise TypeError(
            f"this value cannot be stored: it contains itself, or is nested more than {DEEPEST} levels deep"
        )
    room -= 1
    if isinstance(value, dict):
        if TAG not in value and all(type(key) is str for key in value):
            return {key: item if type(item) in _ATOMS else _convert(item, room, write) for key, item in value.items()}
        return write(
            "map",
            [[_convert(_key(key), 1, write), _convert(item, room, write)] for key, item in value.items()],
        )
    if isinstance(value, list | tuple):
        return [_convert(item, room, write) for item in value]
    if isinstance(value, set | frozenset):
        return write("set", [_convert(_key(item), 1, write) for item in value])
    if isinstance(value, datetime):
        return write("datetime", _moment(value))
    if isinstance(value, date):
        return write("date", date(value.year, value.month, value.day))
    if isinstance(value, bytes):
        return write("bytes", bytes(value))
    if isinstance(value, str):
        return str.__str__(value)
    for number in (int, float):
        if isinstance(value, number):
            return number(value)
    raise TypeError(f"{kind.__name__} cannot be stored: a record is made of plain data (text, numbers, lists, ...)")


def _key(key: Any) -> Any:
    """Return the key of a mapping, or an item of a set.

    :raises TypeError: if it would not be one any more when it is loaded, as a tuple becomes a list.
    """
    if key is not None and not isinstance(key, _SCALARS):
        raise TypeError(f"{type(key).__name__} cannot be stored as a key or in a set: use text or a number")
    return key


def _moment(value: datetime) -> datetime:
    """Return the same time without what a text cannot say: a subclass, a zone's name, an offset with seconds."""
    offset = value.utcoffset()
    if offset is not None and offset.total_seconds() % 60:
        try:
            value = value.astimezone(UTC)
        except OverflowError:
            raise TypeError(f"{value} cannot be stored: in UTC it is out of range") from None
    if type(value) is datetime:
        return value
    parts = (value.hour, value.minute, value.second, value.microsecond)
    return datetime(value.year, value.month, value.day, *parts, tzinfo=value.tzinfo)


def _as_it_is(kind: str, value: Any) -> Any:
    if kind == "map":
        return {key: item for key, item in value}  # noqa: C416  dict() would take pairs of lists for keys
    return set(value) if kind == "set" else value


def _tagged(kind: str, value: Any) -> dict[str, Any]:
    if kind in ("datetime", "date"):
        value = value.isoformat()
    elif kind == "bytes":
        value = b64encode(value).decode()
    return {TAG: kind, "is": value}


def _encode_datetime(value: datetime) -> dict[str, Any]:
    return _tagged("datetime", value if value.tzinfo is UTC else _moment(value))


_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False, default=_encode_datetime)


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
        return _as_it_is(kind, value)
    raise ValueError(f"unknown kind of value {kind!r}")
