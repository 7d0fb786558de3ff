"""What is printed: data to stdout in the format that was asked for, everything else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

__all__ = [
    "OutputClosedError",
    "counted",
    "emit",
    "emit_value",
    "fail",
    "fail_with",
    "flush",
    "indented",
    "is_colourful",
    "note",
    "paint",
    "plain",
    "printable",
    "printing",
    "write",
    "write_bytes",
]

Row = Mapping[str, Any]

COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


class OutputClosedError(Exception):
    """Nobody reads stdout any more."""


@contextmanager
def printing() -> Iterator[None]:
    """Say what it means if the block, which prints to stdout, cannot.

    :raises OutputClosedError: if nobody reads it.
    :raises BackendError: if it cannot be written where it goes to.
    """
    try:
        yield
    except BrokenPipeError:
        _forget_buffered()
        raise OutputClosedError from None
    except OSError as error:
        _forget_buffered()
        from .oserrors import explained

        raise explained("writing to stdout", error) from error


def write(text: str) -> None:
    """Print data.

    :raises OutputClosedError: if nobody reads it.
    :raises BackendError: if it cannot be written where it goes to.
    """
    with printing():
        _write_to(sys.stdout, text)


def write_bytes(data: bytes) -> None:
    """Print data as it is.

    :raises OutputClosedError: if nobody reads it.
    :raises BackendError: if it cannot be written where it goes to.
    """
    raw = getattr(sys.stdout, "buffer", None)
    if raw is None:  # a stand-in for a file, which takes only text
        write(data.decode("utf-8", "backslashreplace"))
        return
    with printing():
        sys.stdout.flush()
        raw.write(data)


def flush() -> None:
    """Hand over what was printed.

    :raises OutputClosedError: if nobody reads it.
    :raises BackendError: if it cannot be written where it goes to.
    """
    with printing():
        sys.stdout.flush()


def _forget_buffered() -> None:
    """Let what is still buffered vanish: it would be complained of at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def note(text: str) -> None:
    """Print a remark on stderr."""
    try:
        _write_to(sys.stderr, f"{text}\n")
    except OSError:
        pass  # nobody can be told


def fail(message: str, fix: str | None = None) -> None:
    """Print an error, and how to mend it, on stderr."""
    note(f"{paint('error:', 'red', sys.stderr)} {indented(message)}")
    if fix:
        note(f"{paint('fix:', 'green', sys.stderr)} {indented(fix)}")


def fail_with(text: str, otherwise: str | None = None) -> None:
    """Print an error that is known by its text, in which a line may say how to mend it.

    :param otherwise: how to mend it, where the text does not say.
    """
    message, _, fix = text.partition("\nfix: ")
    fail(message, fix or otherwise)


def indented(text: str) -> str:
    """Return a text made safe for a terminal, with every line but the first indented."""
    return "\n  ".join(map(printable, text.split("\n")))


def _write_to(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def paint(text: str, colour: str, stream: TextIO) -> str:
    """Return a text in a colour where the stream is a terminal and nothing speaks against it."""
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if is_colourful(stream) else text


def is_colourful(stream: TextIO) -> bool:
    """Tell whether colours may be written to a stream."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def printable(value: object) -> str:
    """Return a value as text that a terminal shows and does not obey."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(count: int, noun: str) -> str:
    """Return a number of things, as in "1 job" and "2 jobs"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def emit(rows: Iterable[Row], form: str, columns: Sequence[str], name: str) -> None:
    """Print rows in a format.

    :param form: table, json, jsonl, yaml or name.
    :param columns: the keys that a table shows, in order.
    :param name: the key whose value is a row's name.
    """
    if form == "name":
        for row in rows:
            write(f"{printable(row[name])}\n")
    elif form == "table":
        _emit_table(rows, columns)
    else:
        emit_value(list(rows), form)


def emit_value(value: Any, form: str) -> None:
    """Print one value as json, jsonl (each item of a list on a line of its own) or yaml."""
    if form == "yaml":
        from ..repository.yaml import dump_yaml

        write(dump_yaml(plain(value, dates=True)))
        return
    import json

    if form == "jsonl":
        for item in value if isinstance(value, list) else [value]:
            write(f"{json.dumps(plain(item))}\n")
    else:
        write(f"{json.dumps(plain(value), indent=2)}\n")


def _emit_table(rows: Iterable[Row], columns: Sequence[str]) -> None:
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    head = [column.upper().replace("_", " ") for column in columns]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    for line in (head, *cells):
        padded = "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        write(f"{padded.rstrip()}\n")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return " ".join(map(printable, value)) or "-"
    return printable(value)


def plain(value: Any, *, dates: bool = False) -> Any:
    """Return a value made of what JSON has; anything else as a text that describes it.

    :param dates: whether dates may stay as they are.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_key(key): plain(item, dates=dates) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, dates=dates) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if hasattr(value, "isoformat"):
        return value if dates else value.isoformat()
    return str(value) if isinstance(value, BaseException) else repr(value)


def _key(key: object) -> str:
    return key if isinstance(key, str) else str(key)
