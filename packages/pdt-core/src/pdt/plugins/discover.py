"""Which installed distributions have an entry point for pdt, found without ``importlib.metadata``.

Importing that module and letting it list every entry point costs 30-45 ms; most users have no plugin at all.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pdt.plugins.contract import GROUP

__all__ = ["Entry", "canonical", "installed", "installed_by_importlib"]


class Entry(NamedTuple):
    """One entry point of pdt's group, and the distribution that has it."""

    dist: str
    version: str
    name: str
    value: str


class _UnusualPathError(Exception):
    """A place that only ``importlib.metadata`` knows how to search."""


def installed() -> list[Entry]:
    """Return the entry points of pdt's group, in the order of ``importlib.metadata.entry_points``."""
    if _only_directories_are_searched():
        try:
            return list(_scan(sys.path))
        except _UnusualPathError:
            pass
    return installed_by_importlib()


def installed_by_importlib() -> list[Entry]:
    """Return what ``installed`` returns, found by ``importlib.metadata`` wherever it can look."""
    from importlib.metadata import distributions

    found: list[Entry] = []
    seen: set[str] = set()
    for dist in distributions():
        try:
            headers = dist.metadata
            if "Name" not in headers or "Version" not in headers:
                continue
            name, version = headers["Name"], headers["Version"]
            entries = [entry for entry in dist.entry_points if entry.group == GROUP]
        except (OSError, TypeError, ValueError):
            # Another package's damaged metadata is not pdt's to complain of.
            continue
        if name and canonical(name) not in seen:
            seen.add(canonical(name))
            found.extend(Entry(name, version, entry.name, entry.value) for entry in entries)
    return found


def canonical(name: str) -> str:
    """Return a distribution's name as package indexes compare it."""
    name = name.lower().replace("_", "-").replace(".", "-")
    while "--" in name:
        name = name.replace("--", "-")
    return name


def _only_directories_are_searched() -> bool:
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    return [getattr(finder, "__module__", None) for finder in finders] == ["_frozen_importlib_external"]


def _scan(path: Iterable[object]) -> Iterator[Entry]:
    seen: set[str] = set()
    for root in path:
        if not isinstance(root, str) or os.path.basename(root).lower().endswith(".egg"):
            raise _UnusualPathError
        try:
            children = os.listdir(root or ".")
        except OSError as error:
            if os.path.isfile(root):
                raise _UnusualPathError from error
            continue
        for child in children:
            if not child.lower().endswith((".dist-info", ".egg-info")):
                continue
            stem, suffix = os.path.splitext(child)
            if suffix not in (".dist-info", ".egg-info"):
                if stem == child:
                    continue
                raise _UnusualPathError
            name = canonical(stem.partition("-")[0])
            # The first distribution of a name hides the others, even where it has no entry points.
            if name and name not in seen:
                seen.add(name)
                yield from _entries_of(os.path.join(root, child), stem)


def _entries_of(info: str, stem: str) -> Iterator[Entry]:
    try:
        with open(os.path.join(info, "entry_points.txt"), "rb", buffering=0) as stream:
            data = stream.read()
    except OSError:
        return
    if GROUP.encode() not in data:
        return
    pairs = list(_section(data.decode("utf-8", "replace")))
    if pairs:
        name, version = _name_and_version(info, stem)
        for key, value in pairs:
            yield Entry(name, version, key, value)


def _section(text: str) -> Iterator[tuple[str, str]]:
    inside = False
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            inside = line.strip("[]") == GROUP
        elif inside:
            name, _, value = line.partition("=")
            yield name.strip(), value.strip()


def _name_and_version(info: str, stem: str) -> tuple[str, str]:
    headers: dict[str, str] = {}
    for file in ("METADATA", "PKG-INFO"):
        try:
            with open(os.path.join(info, file), encoding="utf-8", errors="replace") as stream:
                for line in stream:
                    if not line.strip():
                        break
                    if not line[0].isspace():
                        key, _, value = line.partition(":")
                        headers.setdefault(key.strip().lower(), value.strip())
            break
        except OSError:
            continue
    name, _, version = stem.partition("-")
    return headers.get("name", name), headers.get("version", version)
