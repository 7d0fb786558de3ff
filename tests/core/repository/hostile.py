"""Texts that are no job ids: each would do harm where it is taken for a path, a shell word or a record."""

from __future__ import annotations

from typing import Any

__all__ = ["EDGES", "HOSTILE"]

#: Valid, but only just.
EDGES = ["a", "Z9", "0", "a" * 63, "a-b", "a_b", "a.b", "x--y", "a..b", "CON", "null", "0x1F", "1e5"]

HOSTILE: list[Any] = [
    "",
    "a" * 64,
    "../x",
    "..",
    ".",
    "/etc/x",
    "a/b",
    "a\\b",
    "a\n",
    "a\nb",
    "a\rb",
    "a\0b",
    "-rf",
    ".hidden",
    "a.",
    ".pdt-tmp-x",
    "a b",
    "a;b",
    "$(x)",
    "{{x}}",
    "\udcff",
    "a\ud800b",
    "caf\u00e9",
    "cafe\u0301",
    "\uff41",
    "\u0661",
    "a\u200bb",
    None,
    5,
    b"a",
    ("a",),
    ["a"],
]
