"""Processes that tests have left running."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

__all__ = ["kill_leftovers"]

#: Seconds that what is about to end may take.
GRACE = 5.0


def kill_leftovers(directory: Path) -> dict[int, str]:
    """Kill the processes that work below a directory and do not end by themselves; return their command lines."""
    give_up = time.monotonic() + GRACE
    while (found := _working_below(directory)) and time.monotonic() < give_up:
        time.sleep(0.1)
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended
    return found


def _working_below(directory: Path) -> dict[int, str]:
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int(entry.name) != os.getpid() and (entry / "cwd").readlink().is_relative_to(directory):
                found[int(entry.name)] = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:
            continue  # gone, or a stranger's
    return found
