"""What a process manager is: how processes are started on a machine, and how its files are reached."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from .runner import ProcessRunner
    from .stdout import StderrIsStdout

__all__ = ["AbstractProcessManager"]


class AbstractProcessManager(ABC):
    """The base class for process managers.

    Processes are managed through arbitrary process identifiers, which are text.
    """

    @abstractmethod
    async def get_live_pids(self, hint: set[str]) -> set[str]:
        """Return live process identifiers: at least those in `hint` that are still alive, and perhaps others."""

    @abstractmethod
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
        """Start a process, without waiting for its end, and return its identifier.

        :param args: the command line; `args[0]` is the executable.
        :param environ: variables to add to the environment of the target.
        :param cwd: the directory to start the process in.
        :param return_code: a file that takes the exit code, as a number in ASCII.
        :param stdin: a file to read from, or None for nothing.
        :param stdout: a file to write to, or None to discard it.
        :param stderr: a file to write to, None to discard it, or STDOUT.
        """

    @abstractmethod
    async def kill(self, pid: str) -> None:
        """Terminate a process; nothing happens if it is not running. Its `return_code` may still be written."""

    @property
    @abstractmethod
    def basedir(self) -> Path:
        """A directory on the target that belongs to the app alone."""

    @abstractmethod
    async def open(self, path: Path, mode: Literal["r", "rb", "w", "wb"]) -> Any:
        """Open a file on the target; the stream is an async context manager."""

    @abstractmethod
    async def mkdir(self, path: Path) -> None:
        """Make a directory on the target, and those above it; nothing happens if it is there."""

    @abstractmethod
    async def rmtree(self, path: Path) -> None:
        """Remove a directory on the target with all that is in it; nothing happens if it is not there."""

    def runner(self) -> ProcessRunner:
        """Return what runs attempts by this manager; one that can do better than these methods has its own."""
        from .plain import PlainRunner

        return PlainRunner(self)
