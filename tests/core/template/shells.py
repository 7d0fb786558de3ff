"""The shells of this machine, and what a script that runs in them sees."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["BASHES", "CANARY", "PROLOGUE", "SHELLS", "run", "seen"]

CANARY = "canary"
# `show` tells its arguments, and `read_all` its standard input; both behind a NUL after their number.
PROLOGUE = """\
show() { printf '%s\\0' "$#" "$@"; }
read_all() { printf '1\\0'; cat; printf '\\0'; }
"""
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/home/of/someone", "LC_ALL": "C.UTF-8"}
TIMEOUT_S = 30


def _installed() -> dict[str, list[str]]:
    """Return how each shell is started; sh only if it is none of the others."""
    bash, dash, sh = (shutil.which(name) for name in ("bash", "dash", "sh"))
    shells = {}
    if bash:
        shells["bash"] = [bash]
        shells["bash --posix"] = [bash, "--posix"]
    if dash:
        shells["dash"] = [dash]
    if sh and os.path.realpath(sh) not in [os.path.realpath(command[0]) for command in shells.values()]:
        shells["sh"] = [sh]
    return shells


SHELLS = _installed()
BASHES = {name: command for name, command in SHELLS.items() if name == "bash"}


def run(command: list[str], script: str, directory: Path) -> bytes:
    """Run a script in an empty directory and return what it prints."""
    path = directory / "script"
    path.write_text(PROLOGUE + script, encoding="utf-8", newline="")
    empty = directory / "empty"
    empty.mkdir(exist_ok=True)
    return subprocess.run(
        [*command, str(path)],
        cwd=empty,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
    ).stdout


def seen(command: list[str], script: str, directory: Path) -> list[list[str]]:
    """Return what each `show` and `read_all` of a script was given."""
    fields = run(command, script, directory).decode("utf-8", "replace").split("\0")
    calls: list[list[str]] = []
    index = 0
    while index < len(fields) - 1:
        if not fields[index].isdigit():
            return [*calls, fields[index:]]
        count = int(fields[index])
        calls.append(fields[index + 1 : index + 1 + count])
        index += 1 + count
    return calls
