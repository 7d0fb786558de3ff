"""Attempts by the methods that every process manager has, and nothing else.

What a stranger's manager cannot give is said here. An attempt whose identifier was not written down, because the
controller was killed between its start and that, is taken for lost, and its processes are not found again. One that
was to be started by a manager that did not answer may run although it is started again; only one of them counts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from errno import E2BIG, EACCES, ENOENT, ENOEXEC, ENOTDIR
from pathlib import Path
from typing import Any, Literal

from ..errors import UnlaunchableError
from .base import AbstractProcessManager
from .processes import TOKEN
from .runner import Command, Exit, Place, ProcessRunner
from .shebang import SHELL, interpreter_of

__all__ = ["PlainRunner"]

#: Seconds between looks at the processes: the least, when something happens, and the most.
POLL_SECONDS = (0.05, 1.0)
#: Seconds that the manager may take to answer.
DEADLINE = 60.0
#: Seconds after a process is gone in which its exit code may turn up.
LATE_SECONDS = 5.0
#: What a manager's `spawn` raises where the script is to blame.
_NEVER = (E2BIG, EACCES, ENOENT, ENOEXEC, ENOTDIR)

logger = logging.getLogger("pdt.processes")


class PlainRunner(ProcessRunner):
    """Runs attempts by the abstract methods of a process manager, each in a directory of its own.

    :param manager: the manager.
    """

    def __init__(self, manager: AbstractProcessManager) -> None:
        self._manager = manager
        self._base = manager.basedir / "attempts"
        #: By token, the processes that run as far as is known.
        self._pids: dict[str, str] = {}
        #: By token, when a process was gone without an exit code.
        self._gone: dict[str, float] = {}
        #: By token, why an attempt was killed.
        self._killed: dict[str, str] = {}
        self._ended: list[Exit] = []
        self._wake: Callable[[], object] = _nothing
        self._on_end: Callable[[str], object] = _nothing
        self._poller: asyncio.Task[None] | None = None

    async def open(self, wake: Callable[[], object], on_end: Callable[[str], object] | None = None) -> None:
        """Get ready."""
        self._wake, self._on_end = wake, on_end or _nothing

    async def close(self) -> None:
        """Stop looking; the attempts run on."""
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.cancel()
            await asyncio.wait([poller])
        for kept in (self._pids, self._gone, self._killed, self._ended):
            kept.clear()

    def place(self, token: str) -> Place:
        """Return the directory of the attempt."""
        return {"directory": str(self._base / token)}

    def path(self, token: str, name: str) -> str:
        """Return where the file `name` of an attempt lies on the target."""
        return str(self._base / token / name)

    async def open_file(self, path: str, mode: Literal["rb", "wb"]) -> Any:
        """Open a file on the target."""
        if mode == "wb":
            await self._manager.mkdir(Path(path).parent)
        return await self._manager.open(Path(path), mode)

    # Starting.

    async def start(self, command: Command, place: Place) -> str:
        """Start an attempt, and return its process identifier."""
        starting = asyncio.get_running_loop().create_task(self._start(command))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Whoever cancels it wants no orphan: what has begun is written down first.
            await asyncio.wait([starting])
            if not starting.cancelled():
                starting.exception()
            raise

    async def _start(self, command: Command) -> str:
        token = command.token
        arguments = [*(interpreter_of(command.script) or [SHELL]), self.path(token, "script")]
        async with asyncio.timeout(DEADLINE):
            await self._manager.mkdir(self._base / token)
            await self._write(token, "script", command.script)
            pid = await self._spawn(command, arguments)
        self._pids[token] = pid
        try:
            async with asyncio.timeout(DEADLINE):
                await self._write(token, "pid", pid)
        except BaseException:
            # The next controller would not find it.
            del self._pids[token]
            await self._manager.kill(pid)
            raise
        self._look()
        return pid

    async def _spawn(self, command: Command, arguments: list[str]) -> str:
        try:
            return await self._manager.spawn(
                arguments,
                {**command.environ, TOKEN: command.token},
                command.cwd or str(self._base / command.token),
                self.path(command.token, "return_code"),
                command.stdin,
                command.stdout,
                command.stderr,
            )
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in _NEVER:
                raise
            raise UnlaunchableError(
                f"{self._manager!r} cannot start {arguments[0]!r}: {error}",
                fix="see that the script's interpreter and the working directory are there, and what environ holds",
            ) from error

    async def _write(self, token: str, name: str, text: str) -> None:
        async with await self._manager.open(self._base / token / name, "w") as file:
            await file.write(text)

    async def _read(self, token: str, name: str) -> str | None:
        """Return what a file of an attempt holds; None if it is not there."""
        try:
            async with await self._manager.open(self._base / token / name, "r") as file:
                text: Any = await file.read()
        except FileNotFoundError:
            return None
        return str(text)

    # Taking over.

    async def adopt(self, places: Mapping[str, Place]) -> dict[str, str]:
        """Take over attempts of an earlier controller; those that have ended are among `ended` from now on."""
        for token in places:
            pid = await self._read(token, "pid")
            if pid:
                self._pids[token] = pid
                killed = await self._read(token, "killed")
                if killed:
                    self._killed[token] = killed
            else:
                await self._end_unseen(token)
        await self._poll()
        self._look()
        return {token: pid for token, pid in self._pids.items() if token in places}

    async def _end_unseen(self, token: str) -> None:
        """Note the end of an attempt whose identifier was not written down."""
        code = _number(await self._read(token, "return_code"))
        if code is None and await self._read(token, "script") is None:
            self._note(Exit(token, None, started=False))
        else:
            detail = "nobody wrote down its process identifier" if code is None else None
            self._note(Exit(token, code, killed=await self._read(token, "killed"), detail=detail))

    # Looking.

    def _look(self) -> None:
        if self._pids and (self._poller is None or self._poller.done()):
            self._poller = asyncio.get_running_loop().create_task(self._keep_looking(), name="pdt processes")

    async def _keep_looking(self) -> None:
        least, most = POLL_SECONDS
        pause = least
        while self._pids:
            await asyncio.sleep(pause)
            before = len(self._pids)
            await self._poll()
            pause = least if len(self._pids) < before else min(pause * 1.5, most)

    async def _poll(self) -> None:
        """Look at the processes; those of a manager that does not answer are unreachable, not dead."""
        asked = dict(self._pids)
        if not asked:
            return
        try:
            async with asyncio.timeout(DEADLINE):
                live = await self._manager.get_live_pids(set(asked.values()))
        except Exception as error:
            logger.warning("%r does not say which processes run, and is asked again: %r", self._manager, error)
            return
        for token, pid in asked.items():
            try:
                async with asyncio.timeout(DEADLINE):
                    if pid not in live:
                        await self._end(token)
                    elif token in self._killed:
                        await self._manager.kill(pid)  # it may not have been reached before
            except Exception as error:
                logger.warning("%r does not answer for process %s, and is asked again: %r", self._manager, pid, error)

    async def _end(self, token: str) -> None:
        """Note the end of an attempt whose process is gone, unless its exit code may still turn up."""
        code = _number(await self._read(token, "return_code"))
        killed = self._killed.get(token)
        detail = None
        if code is None and killed is None:
            if time.monotonic() - self._gone.setdefault(token, time.monotonic()) < LATE_SECONDS:
                return
            detail = "its process is gone, and left no exit code"
        if self._pids.pop(token, None) is not None:
            self._gone.pop(token, None)
            self._killed.pop(token, None)
            self._note(Exit(token, code, killed=killed, detail=detail))

    def _note(self, exit: Exit) -> None:
        self._ended.append(exit)
        self._on_end(exit.token)
        self._wake()

    async def ended(self) -> list[Exit]:
        """Return the attempts that have ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    # Ending.

    async def kill(self, token: str, reason: str, grace: float) -> None:
        """End an attempt at once: these methods know no gentler way."""
        pid = self._pids.get(token)
        if pid is None or token in self._killed:
            return
        self._killed[token] = reason
        try:
            async with asyncio.timeout(DEADLINE):
                await self._write(token, "killed", reason)
                await self._manager.kill(pid)
        except Exception as error:
            logger.warning("%r has not ended process %s, and is asked again: %r", self._manager, pid, error)

    async def forget(self, tokens: Collection[str]) -> None:
        """Remove the directories of attempts that have ended and are settled."""
        for token in tokens:
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._manager.rmtree(self._base / token)
            except Exception as error:
                logger.warning("%r has not removed %s: %r", self._manager, self._base / token, error)


def _nothing(*_: object) -> None:
    return None


def _number(text: str | None) -> int | None:
    """Return the exit code that a file holds; None as long as it is not all there."""
    stripped = (text or "").strip()
    return int(stripped) if stripped.removeprefix("-").isdecimal() else None
