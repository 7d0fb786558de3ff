"""Attempts by the methods that every process manager has, and nothing else.

What a stranger's manager cannot give is said here: an attempt whose identifier was not written down, because the
controller was killed between its start and that, is taken for lost, and its processes are not found again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Literal

from .base import AbstractProcessManager
from .processes import TOKEN
from .runner import Command, Exit, Place, ProcessRunner

__all__ = ["PlainRunner"]

#: Seconds between looks at the processes.
POLL_SECONDS = (0.05, 1.0)
#: Seconds that the manager may take to answer.
DEADLINE = 60.0
#: Looks that a process which is gone has for its exit code to be there.
LATE = 5


class PlainRunner(ProcessRunner):
    """Runs attempts by the abstract methods of a process manager, each in a directory of its own.

    :param manager: the manager.
    """

    def __init__(self, manager: AbstractProcessManager) -> None:
        self._manager = manager
        self._base = manager.basedir / "attempts"
        self._pids: dict[str, str] = {}
        self._late: dict[str, int] = {}
        self._killed: dict[str, str] = {}
        self._ended: list[Exit] = []
        self._wake: Callable[[], object] | None = None
        self._poller: asyncio.Task[None] | None = None

    async def open(self, wake: Callable[[], object]) -> None:
        """Get ready."""
        self._wake = wake
        self._ended.clear()

    async def close(self) -> None:
        """Stop looking; the attempts run on."""
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.cancel()
            await asyncio.wait([poller])
        self._pids.clear()

    def place(self, token: str) -> Place:
        """Return the directory of the attempt."""
        return {"directory": str(self._base / token)}

    def path(self, token: str, name: str) -> str:
        """Return where the file `name` of an attempt lies on the target."""
        return str(self._base / token / name)

    async def open_file(self, path: str, mode: Literal["rb", "wb"]) -> Any:
        """Open a file on the target."""
        await self._manager.mkdir(Path(path).parent)
        return await self._manager.open(Path(path), mode)

    async def start(self, command: Command, place: Place) -> str:
        """Start an attempt, and return its process identifier."""
        token = command.token
        async with asyncio.timeout(DEADLINE):
            await self._manager.mkdir(self._base / token)
            await self._write(token, "script", command.script)
            arguments = [*_interpreter(command.script), self.path(token, "script")]
            pid = await self._manager.spawn(
                arguments,
                {**command.environ, TOKEN: token},
                command.cwd or str(self._base / token),
                self.path(token, "return_code"),
                command.stdin,
                command.stdout,
                command.stderr,
            )
            self._pids[token] = pid
            await self._write(token, "pid", pid)
        self._look()
        return pid

    async def _write(self, token: str, name: str, text: str) -> None:
        async with await self._manager.open(self._base / token / name, "w") as file:
            await file.write(text)

    async def _read(self, token: str, name: str) -> str | None:
        try:
            async with await self._manager.open(self._base / token / name, "r") as file:
                text: Any = await file.read()
        except (OSError, EOFError):
            return None
        return text if isinstance(text, str) else None

    async def adopt(self, places: Mapping[str, Place]) -> dict[str, str]:
        """Take over attempts of an earlier controller; those that have ended are among `ended` from now on."""
        for token in places:
            pid = await self._read(token, "pid")
            if pid is None:
                await self._end(token, "nobody wrote down its process identifier")
            else:
                self._pids[token] = pid
                self._killed.update({token: why} if (why := await self._read(token, "killed")) else {})
        await self._poll()
        self._look()
        return {token: pid for token, pid in self._pids.items() if token in places}

    def _look(self) -> None:
        if self._poller is None or self._poller.done():
            self._poller = asyncio.get_running_loop().create_task(self._keep_looking(), name="pdt processes")

    async def _keep_looking(self) -> None:
        pause = POLL_SECONDS[0]
        while self._pids:
            await asyncio.sleep(pause)
            before = len(self._pids)
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._poll()
            except Exception:  # a manager that does not answer: its jobs are unreachable, not dead
                pause = POLL_SECONDS[1]
                continue
            pause = POLL_SECONDS[0] if len(self._pids) < before else min(pause * 1.5, POLL_SECONDS[1])

    async def _poll(self) -> None:
        if not self._pids:
            return
        live = await self._manager.get_live_pids(set(self._pids.values()))
        for token, pid in list(self._pids.items()):
            if pid not in live:
                await self._end(token, None)

    async def _end(self, token: str, detail: str | None) -> None:
        text = await self._read(token, "return_code")
        code = int(text) if text is not None and text.strip().isdigit() else None
        if code is None and token not in self._killed and self._late.get(token, 0) < LATE and detail is None:
            self._late[token] = self._late.get(token, 0) + 1  # it may be written a little later
            return
        self._late.pop(token, None)
        self._pids.pop(token, None)
        self._ended.append(Exit(token, code, killed=self._killed.pop(token, None), detail=detail))
        if self._wake is not None:
            self._wake()

    async def ended(self) -> list[Exit]:
        """Return the attempts that have ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    async def kill(self, token: str, reason: str, grace: float) -> None:
        """End an attempt at once: these methods know no gentler way."""
        pid = self._pids.get(token)
        if pid is not None:
            self._killed[token] = reason
            async with asyncio.timeout(DEADLINE):
                await self._write(token, "killed", reason)
                await self._manager.kill(pid)

    async def forget(self, tokens: Collection[str]) -> None:
        """Remove the directories of attempts that have ended and are settled."""
        for token in tokens:
            async with asyncio.timeout(DEADLINE):
                await self._manager.rmtree(self._base / token)


def _interpreter(script: str) -> list[str]:
    """Return what a script is passed to; what is there on the target is known there only."""
    line = script.partition("\n")[0]
    return line[2:].strip().split(None, 1) if line.startswith("#!") and line[2:].strip() else ["/bin/sh"]


