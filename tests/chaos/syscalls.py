"""Killing a controller at its N-th call of the kernel, whatever it is about, by strace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.chaos.site import SCRIPT, TIMEOUT, Site

__all__ = ["JOBS", "cases", "kill_at"]

JOBS = {"files": 6, "streams": 5, "again": 4}
#: The calls by which a controller changes something that outlives it.
CALLS = (
    *("openat", "rename", "linkat", "unlink", "mkdir", "write", "pwrite64", "fdatasync", "fcntl", "close", "wait4"),
    *("clone3", "clone", "vfork"),  # by one of which it starts processes
)
#: At how many of each kind it is killed.
OF_EACH = 24
_CALL = re.compile(r"^(\w+)\(")


def cases(where: Path) -> list[tuple[str, int]]:
    """Return calls of an undisturbed controller once it knows what to do, spread over its life; none without strace."""
    if shutil.which("strace") is None:
        return []
    directory = where / "traced"
    directory.mkdir()
    site = Site(directory, JOBS)
    trace = directory / "trace"
    _traced(site, "-o", str(trace), "-e", f"trace={','.join(f'?{name}' for name in CALLS)}")
    before: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for line in trace.read_text(errors="replace").splitlines():
        found = _CALL.match(line)
        if found is not None:
            total[found[1]] += 1
        if "plan.json" in line and not before:
            before.update(total)  # what comes earlier only loads modules
    shutil.rmtree(directory)
    found_cases = []
    for name in CALLS:
        numbers = range(before[name] + 1, total[name] + 1)
        found_cases += [(name, number) for number in numbers[:: max(1, len(numbers) // OF_EACH)]]
    return found_cases


def kill_at(site: Site, name: str, number: int) -> bool:
    """Run a controller that is killed at its N-th call of a kind, and tell whether it was."""
    return _traced(site, "-o", os.devnull, "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}") != 0


def _traced(site: Site, *options: str) -> int:
    """Run a controller under strace, which follows neither threads nor jobs; return its exit status."""
    ended = subprocess.run(
        ["strace", *options, sys.executable, str(SCRIPT), str(site.directory), "run"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    return ended.returncode
