"""The process manager of this machine."""

from __future__ import annotations

import os
import re
import signal
import time
import uuid
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from .. import localfs
from ..errors import ConfigurationError, UnlaunchableError
from ..localfs import in_thread
from ..repository.filestream import FileReader, FileTextReader, FileTextWriter, FileWriter
from .base import AbstractProcessManager
from .local_runner import LocalRunner
from .processes import TOKEN, carriers, carries, kill_carriers
from .spawn import posix_spawn
from .stdout import StderrIsStdout

__all__ = ["LocalLinuxManager"]

_APP = re.compile(r"[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", re.ASCII)
_STREAMS = {"r": FileTextReader, "rb": FileReader, "w": FileTextWriter, "wb": FileWriter}
#: Runs a command, and writes its exit code at once; a signal to the group ends the command only. No other process does
#: that, as it would be killed with the command.
_WAITED = 'trap : TERM INT HUP QUIT; ( cd "$2" || exit 126; shift 2; exec "$@" ); echo $? >"$1"'
#: Seconds between looks whether a wrapper has ended whose command was killed, and how many there are at most.
_KILL_SECONDS, _KILL_ROUNDS = 0.01, 100


class LocalLinuxManager(AbstractProcessManager):
    """A process manager that runs processes on this machine.

    :param app: tells the processes of this app from those of others; 1 to 63 letters, digits, "-", "_" and ".".
    :param local_path: the directory that has one for each app; by default in the user's state directory.
    :raises ConfigurationError: if `app` is no such name.
    """

    def __init__(self, app: str, local_path: Path | str | None = None) -> None:
        if not _APP.fullmatch(app):
            raise ConfigurationError(f"{app!r} cannot name an app", fix="use 1 to 63 letters, digits, '-', '_' and '.'")
        self.app = app
        self._local_path = local_path
        #: What was started here and has not been waited for.
        self._children: set[int] = set()

    @cached_property
    def basedir(self) -> Path:
        """The directory of the app, which is its user's alone."""
        if self._local_path is not None:
            return Path(os.path.abspath(self._local_path)) / self.app
        from ..store import local_state

        return local_state("processes") / self.app

    def runner(self) -> LocalRunner:
        """Return what runs attempts on this machine."""
        return LocalRunner(self.basedir)

    async def get_live_pids(self, hint: set[str]) -> set[str]:
        """Return those of `hint` that are alive; of one whose wrapper was killed, what is left of its group counts."""
        self._wait_for_children()
        return await in_thread(_alive, hint)

    def _wait_for_children(self) -> None:
        for pid in list(self._children):
            try:
                ended, _ = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                ended = pid  # somebody else has waited for it, or this is a fork
            if ended:
                self._children.discard(pid)

    async def spawn(
        self,
        args: list[str],
        environ: Mapping[str, str],
        cwd: str,
        return_code: str,
        stdin: str | None,
        stdout: str | None,
        stderr: str | StderrIsStdout | None,
    ) -> str:
        """Start a process in a session of its own, and return its identifier: its number and a token.

        :raises UnlaunchableError: if it can never be started so.
        :raises OSError: if it cannot be started now.
        """
        if not args:
            raise UnlaunchableError("there is no command to start", fix="give the executable and its arguments")
        localfs.check_directory(cwd)
        token = uuid.uuid4().hex
        arguments = [_WAITED, "pdt", _absolute(return_code), _absolute(cwd), *args]
        pid = posix_spawn(arguments, {**os.environ, **environ, TOKEN: token}, stdin, stdout, stderr, {})
        self._children.add(pid)
        return f"{pid}-{token}"

    async def kill(self, pid: str) -> None:
        """Kill a process with everything that it started; nothing happens if it is not running."""
        await in_thread(_kill, *_parts(pid))

    async def open(self, path: Path, mode: Literal["r", "rb", "w", "wb"]) -> Any:
        """Open a file; what is written is there as a whole once it is closed.

        :raises ValueError: if `mode` is none of these.
        """
        if mode not in _STREAMS:
            raise ValueError(f"mode {mode!r} is none of r, rb, w, wb")
        return _STREAMS[mode](os.fspath(path), True)

    async def mkdir(self, path: Path) -> None:
        """Make a directory, and those above it; nothing happens if it is there."""
        localfs.make_private(os.fspath(self.basedir))
        os.makedirs(path, mode=0o700, exist_ok=True)

    async def rmtree(self, path: Path) -> None:
        """Remove a directory with all that is in it; nothing happens if it is not there."""
        await in_thread(localfs.remove_tree, os.fspath(path))

    def __repr__(self) -> str:
        return f"LocalLinuxManager({self.app!r})"


def _parts(handle: str) -> tuple[int, str]:
    number, _, token = handle.partition("-")
    return (int(number) if number.isdigit() else -1), token


def _alive(handles: Collection[str]) -> set[str]:
    parts = {handle: _parts(handle) for handle in handles}
    alive = {handle for handle, (number, token) in parts.items() if token and carries(number, token)}
    rest = {handle: parts[handle] for handle in parts.keys() - alive if parts[handle][1]}
    found = carriers([token for _, token in rest.values()])
    for handle, (number, token) in rest.items():
        if any(_group(pid) == number for pid in found[token]):
            alive.add(handle)
    return alive


def _kill(number: int, token: str) -> None:
    """Kill everything but the wrapper, which writes the exit code; it may not have started the command yet."""
    for _ in range(_KILL_ROUNDS):
        kill_carriers([token], signal.SIGKILL, spare=number)
        if not carries(number, token):
            break
        time.sleep(_KILL_SECONDS)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # wherever the process is to start
