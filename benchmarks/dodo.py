"""The same work as plain.py for doit, the fastest peer that we know: set BENCH_DIR."""

from __future__ import annotations

import os
from collections.abc import Iterator

DIRECTORY = os.environ.get("BENCH_DIR", ".")
DOIT_CONFIG = {"backend": "sqlite3", "dep_file": os.path.join(DIRECTORY, "doit.db"), "verbosity": 0}


def count_words(source: str, target: str) -> None:
    """Read a small file, write a small file."""
    with open(source) as file:
        text = file.read()
    with open(target, "w") as file:
        file.write(f"{len(text.split())}\n")


def task_count() -> Iterator[dict[str, object]]:
    """Yield a task per input file."""
    os.makedirs(f"{DIRECTORY}/out", exist_ok=True)
    for name in os.listdir(f"{DIRECTORY}/in"):
        source, target = f"{DIRECTORY}/in/{name}", f"{DIRECTORY}/out/{name}"
        yield {
            "name": name,
            "actions": [(count_words, [source, target])],
            "file_dep": [source],
            "targets": [target],
        }
