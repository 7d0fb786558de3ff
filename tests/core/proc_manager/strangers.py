"""A process manager as somebody else would write it: the abstract methods and nothing more."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pdt.proc_manager import STDOUT, AbstractProcessManager
from pdt.repository.filestream import FileReader, FileTextReader, FileTextWriter, FileWriter

__all__ = ["Stranger"]

_STREAMS = {"r": FileTextReader, "rb": FileReader, "w": FileTextWriter, "wb": FileWriter}
#: Processes live as long as the machine does, not as long as their manager.
_processes: dict[str, asyncio.subprocess.Process] = {}


class Stranger(AbstractProcessManager):
    """Runs processes by asyncio; fails in the ways it is told to.

    :param base: its directory.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        #: What a method raises the next times it is called, by name.
        self.failures: dict[str, list[Exception]] = {}
        #: Processes of others that it reports as well.
        self.others: set[str] = set()
        #: Seconds by which exit codes are late; None for never.
        self.late: float | None = 0.0
        self.killed: list[str] = []

    def _fail(self, name: str) -> None:
        if self.failures.get(name):
            raise self.failures[name].pop(0)

    async def get_live_pids(self, hint: set[str]) -> set[str]:
        self._fail("get_live_pids")
        return self.others | {pid for pid in hint if pid in _processes and _processes[pid].returncode is None}

    async def spawn(
        self,
        args: list[str],
        environ: Mapping[str, str],
        cwd: str,
        return_code: str,
        stdin: str | None,
        stdout: str | None,
        stderr: Any,
    ) -> str:
        self._fail("spawn")
        with (
            open(stdin or os.devnull, "rb") as source,
            open(stdout or os.devnull, "wb") as out,
            open(os.devnull if stderr is None or stderr is STDOUT else stderr, "wb") as err,
        ):
            process = await asyncio.create_subprocess_exec(
                *args,
                env={**os.environ, **environ},
                cwd=cwd,
                stdin=source,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT if stderr is STDOUT else err,
                start_new_session=True,
            )
        pid = f"p{process.pid}"
        _processes[pid] = process
        asyncio.get_running_loop().create_task(self._wait(process, return_code)).add_done_callback(_done.append)
        return pid

    async def _wait(self, process: asyncio.subprocess.Process, return_code: str) -> None:
        code = await process.wait()
        if self.late is not None:
            await asyncio.sleep(self.late)
            try:
                Path(return_code).write_text(str(code if code >= 0 else 128 - code))
            except FileNotFoundError:
                pass  # the attempt is forgotten

    async def kill(self, pid: str) -> None:
        self._fail("kill")
        self.killed.append(pid)
        if pid in _processes and _processes[pid].returncode is None:
            os.killpg(_processes[pid].pid, 9)

    @property
    def basedir(self) -> Path:
        return self._base

    async def open(self, path: Path, mode: Literal["r", "rb", "w", "wb"]) -> Any:
        self._fail(f"open {path.name}")
        return _STREAMS[mode](os.fspath(path), True)

    async def mkdir(self, path: Path) -> None:
        self._fail("mkdir")
        path.mkdir(parents=True, exist_ok=True)

    async def rmtree(self, path: Path) -> None:
        self._fail("rmtree")
        shutil.rmtree(path, ignore_errors=True)

    def __repr__(self) -> str:
        return "Stranger()"


_done: list[asyncio.Task[None]] = []
