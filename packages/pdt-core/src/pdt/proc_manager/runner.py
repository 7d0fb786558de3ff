"""What a ProcessTask asks of the place where its attempts run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .stdout import StderrIsStdout

__all__ = ["SIGNALLED", "Command", "Exit", "Place", "ProcessRunner"]

#: A shell says that signal N ended a command by returning this and N.
SIGNALLED = 128

#: Where an attempt runs, as plain data that a later controller can read: it is part of the attempt's claim.
Place = Mapping[str, Any]


@dataclass(frozen=True)
class Command:
    """What one attempt runs.

    :param token: tells this attempt from every other; it is in the environment of the processes.
    :param name: what the script calls itself in messages.
    :param script: the text of the script.
    :param environ: variables to add to the environment.
    :param cwd: the directory to start in; None for one that the attempts of a task share.
    :param stdin: a file to read from, or None for nothing.
    :param stdout: a file to write to, or None to discard it.
    :param stderr: a file to write to, None to discard it, or STDOUT.
    """

    token: str
    name: str
    script: str
    environ: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    stdin: str | None = None
    stdout: str | None = None
    stderr: str | StderrIsStdout | None = None


@dataclass(frozen=True)
class Exit:
    """How an attempt ended.

    :param token: of the attempt.
    :param return_code: what the script returned; None where nobody knows.
    :param started: whether the script is known to have begun.
    :param killed: why the controller had killed it, if it had.
    :param cause: why, where the return code alone does not tell.
    :param detail: what more there is to say, for a person.
    """

    token: str
    return_code: int | None
    started: bool = True
    killed: str | None = None
    cause: str | None = None
    detail: str | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the end was not seen: the machine went down, or something killed the wrapper as well."""
        return self.return_code is None and self.killed is None


class ProcessRunner(ABC):
    """Runs attempts on one machine, and tells when they end.

    The order of calls for an attempt is place, start, ended, forget; `adopt` stands for the first two where an earlier
    controller made them.
    """

    #: Whether the target's paths are paths of this machine.
    is_local: bool = False

    @abstractmethod
    async def open(self, wake: Callable[[], object], on_end: Callable[[str], object] | None = None) -> None:
        """Get ready.

        :param wake: called, from any thread, when an attempt has ended, or something has to be looked at.
        :param on_end: Optional: called before with the attempt's token, on the event loop.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of everything but the attempts, which run on."""

    @abstractmethod
    def place(self, token: str) -> Place:
        """Return where the attempt will run."""

    @abstractmethod
    async def start(self, command: Command, place: Place) -> str:
        """Start an attempt, and return its process identifier.

        :raises OSError: if it cannot be started now.
        :raises UnlaunchableError: if it never can.
        """

    @abstractmethod
    async def adopt(self, places: Mapping[str, Place]) -> dict[str, str]:
        """Take over attempts of an earlier controller; those that have ended are among `ended` from now on.

        :param places: by token.
        :return: by token, the process identifiers of those that run, as far as they are known.
        """

    async def recall(self, places: Mapping[str, Place]) -> None:  # noqa: B027  most keep nothing that is shared
        """Learn of attempts of an earlier controller that `forget` will be told of, whether they are adopted or not."""

    @abstractmethod
    async def ended(self) -> list[Exit]:
        """Return the attempts that have ended since the last call."""

    @abstractmethod
    async def kill(self, token: str, reason: str, grace: float) -> None:
        """Begin to end an attempt with everything that it started; it ends later, like any other.

        :param reason: kept with the attempt, so that a later controller knows it as well.
        :param grace: seconds between asking and insisting.
        """

    @abstractmethod
    async def forget(self, tokens: Collection[str]) -> None:
        """Remove what is kept of attempts that have ended and are settled."""

    @abstractmethod
    async def open_file(self, path: str, mode: Literal["rb", "wb"]) -> Any:
        """Open a file on the target."""

    @abstractmethod
    def path(self, token: str, name: str) -> str:
        """Return where the file `name` of an attempt lies on the target."""
