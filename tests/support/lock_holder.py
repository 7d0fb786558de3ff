"""Another process that holds the lock of a pipeline's controllers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

__all__ = ["HOLDER", "Holder", "held_elsewhere"]

HOLDER = """
import sys
from pathlib import Path
from pdt.controllers import ControllerLock
lock = ControllerLock(Path(sys.argv[1]))
lock.acquire(shared="shared" in sys.argv)
print("held", lock.number, flush=True)
sys.stdin.readline()
"""


@contextmanager
def held_elsewhere(path: Path, *words: str) -> Iterator[Holder]:
    """Let another process hold the lock."""
    command = [sys.executable, "-c", HOLDER, os.fspath(path), *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        held, number = process.stdout.readline().split()
        assert held == "held"
        try:
            yield Holder(process, int(number))
        finally:
            process.kill()


class Holder(NamedTuple):
    """A process that holds the lock, and what stands for it there."""

    process: subprocess.Popen[str]
    number: int

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
