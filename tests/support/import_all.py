"""Import every module of an installed distribution: `python import_all.py DISTRIBUTION`.

Run where nothing but the distribution and what it declares is installed, it finds what it forgot to declare.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from pathlib import PurePath

# The kit for plugin authors stands on pytest and Hypothesis, which its users bring along.
EXEMPT = ("testing", "__main__")


def modules(distribution: str) -> list[str]:
    """List the modules that a distribution installed, by name."""
    files = importlib.metadata.files(distribution) or []
    sources = [PurePath(file).with_suffix("") for file in files if file.suffix == ".py" and ".." not in file.parts]
    names = [[part for part in source.parts if part != "__init__"] for source in sources]
    return sorted(".".join(name) for name in names if not set(EXEMPT) & set(name))


def main() -> None:
    distribution = sys.argv[1]
    names = modules(distribution)
    if not names:
        sys.exit(f"{distribution} installed no module: its wheel is empty")
    for name in names:
        importlib.import_module(name)
    print(f"{distribution}: all of {len(names)} modules import")


if __name__ == "__main__":
    main()
