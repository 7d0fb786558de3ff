"""Attempts as processes of this machine, which outlive their controller and are found again by the next."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from .. import localfs
from ..failpoints import hit
from ..repository.filestream import FileReader, FileWriter
from .attempt import LocalAttempt
from .journal import Journal
from .journals import Journals
from .lookout import LOOK_SECONDS, POLL_SECONDS, Lookout
from .oom import OomCounter
from .processes import TOKEN, carriers, kill_carriers
from .runner import SIGNALLED, Command, Exit, Place, ProcessRunner
from .shebang import SHELL, check_interpreter, interpreter_of
from .simple import is_simple_command
from .spawn import DIRECT, EXECUTED, JOURNAL_FD, SCRIPT_FD, SOURCED, above, encoded, in_memory, posix_spawn
from .stuck import hindrance_of

__all__ = ["LocalRunner"]

#: Seconds that no time to end exceeds.
LONGEST_GRACE = 10.0**9
#: Seconds after which something that was killed is said to be there still.
STUCK_SECONDS = 10.0
#: What a shell says of a script that was killed.
KILLED = SIGNALLED + signal.SIGKILL

logger = logging.getLogger("pdt.processes")
#: Wrappers that a runner of this process has let go of, for whoever comes next to wait for.
_left: set[int] = set()


class LocalRunner(ProcessRunner):
    """Runs attempts on this machine.

    :param basedir: a private directory on a local disk.
    """

    is_local = True

    def __init__(self, basedir: Path) -> None:
        self._basedir = os.fspath(basedir)
        self._scratch = os.path.join(self._basedir, "attempts")
        self._journals = Journals(os.path.join(self._basedir, "journals"), self._make_directories)
        self._ended: list[Exit] = []
        #: Attempts whose time to end is over, whatever of them is left.
        self._condemned: set[str] = set()
        self._oom: OomCounter | None = None
        self._looking: Lookout | None = None
        self._wake: Callable[[], object] = _nothing
        self._on_end: Callable[[str], object] = _nothing
        self._environ: dict[bytes, bytes] = {}

    async def open(self, wake: Callable[[], object], on_end: Callable[[str], object] | None = None) -> None:
        """Get ready."""
        self._wake, self._on_end = wake, on_end or _nothing
        self._looking = Lookout(self._note_end, wake)
        self._environ = dict(os.environb)
        self._journals.open()
        self._oom = OomCounter()
        _wait_for_left()

    def _make_directories(self) -> None:
        for directory in (self._basedir, self._scratch, os.path.join(self._basedir, "journals")):
            localfs.make_private(directory)

    async def close(self) -> None:
        """Let go of everything but the attempts, which run on."""
        if self._looking is not None:
            _left.update(attempt.child for attempt in self._looking.attempts.values() if attempt.child is not None)
            self._looking.close()
            self._looking = None
        self._ended.clear()
        self._journals.close()

    @property
    def _lookout(self) -> Lookout:
        assert self._looking is not None  # noqa: S101  it is open
        return self._looking

    # Starting.

    def place(self, token: str) -> Place:
        """Return where the attempt will run: the machine's boot, and the journal's file and number."""
        name, number = self._journals.reserve(token)
        return {"boot": localfs.boot_id(), "journal": name, "number": number}

    async def start(self, command: Command, place: Place) -> str:
        """Start an attempt, and return its process number.

        :raises BackendError: if its directory was removed meanwhile.
        :raises OSError: if it cannot be started now.
        :raises UnlaunchableError: if it never can.
        """
        own = {**command.environ, TOKEN: command.token}
        interpreter = interpreter_of(command.script)
        if interpreter:
            check_interpreter(interpreter, own.get("PATH") or os.environ.get("PATH"))
        script = encoded(command.script)
        hit("spawn.before_lock")
        journal, lock = self._journals.lock(place["journal"], place["number"])
        descriptors = {JOURNAL_FD: above(lock)}
        try:
            hit("spawn.locked")
            cwd = command.cwd or self._basedir
            localfs.check_directory(cwd)
            if interpreter in ([], [SHELL]):
                descriptors[SCRIPT_FD] = in_memory(script)
                wrapper = DIRECT if is_simple_command(command.script) else SOURCED
                arguments = [wrapper, command.name, command.token, cwd]
            else:
                path = self.path(command.token, "script")
                localfs.write_private(path, script)
                arguments = [EXECUTED, command.name, command.token, cwd, *interpreter, path]
            hit("spawn.script")
            environ = {**self._environ, **_encoded(own)}
            pid = posix_spawn(arguments, environ, command.stdin, command.stdout, command.stderr, descriptors)
        finally:
            for descriptor in descriptors.values():
                os.close(descriptor)
        # It runs: from here on nothing may fail, or it would be started again.
        attempt = LocalAttempt(command.token, journal, place["number"], pid)
        self._lookout.follow(attempt)
        return str(pid)

    def path(self, token: str, name: str) -> str:
        """Return where the file `name` of an attempt lies."""
        return os.path.join(self._scratch, f"{token}.{name}")

    async def open_file(self, path: str, mode: Literal["rb", "wb"]) -> Any:
        """Open a file of an attempt."""
        return FileReader(path, True) if mode == "rb" else FileWriter(path, True)

    # Taking over.

    async def recall(self, places: Mapping[str, Place]) -> None:
        """Learn of attempts of an earlier controller that `forget` will be told of, whether they are adopted or not."""
        for token, place in places.items():
            journal = self._journal_of(place)  # also where it is of an earlier boot
            if journal is not None:
                journal.unsettled.add(token)

    def _journal_of(self, place: Place) -> Journal | None:
        return self._journals.find(str(place.get("journal")))

    async def adopt(self, places: Mapping[str, Place]) -> dict[str, str]:
        """Take over attempts of an earlier controller; those that have ended are among `ended` from now on."""
        boot = localfs.boot_id()
        found, unseen = [], []
        for token, place in places.items():
            journal = self._journal_of(place)
            if place.get("boot") != boot:
                self._ended.append(Exit(token, None, detail="the machine was restarted"))
            elif journal is not None:
                journal.unsettled.add(token)
                found.append(LocalAttempt(token, journal, place["number"]))
                self._lookout.attempts[token] = found[-1]
            else:
                unseen.append(token)
            hit("adopt.one")
        self._give_up(unseen)
        self._lookout.look(found)
        running = [attempt for attempt in found if attempt.token in self._lookout.attempts]
        for attempt in running:
            if attempt.trace.killed is not None:
                self._end_within(attempt, attempt.trace.deadline / 1000 - _clock())
        self._lookout.watch()
        return {attempt.token: str(attempt.pid) for attempt in running}

    def _give_up(self, tokens: list[str]) -> None:
        """Note the end of attempts that have no journal: they were not begun, or somebody has removed it."""
        processes = carriers(tokens)
        kill_carriers([token for token in tokens if processes[token]])
        for token in tokens:
            detail = "its journal was removed while it ran" if processes[token] else None
            self._ended.append(Exit(token, None, started=detail is not None, detail=detail))

    # Ending.

    def _note_end(self, attempt: LocalAttempt) -> None:
        self._ended.append(self._explained(attempt.exit()))
        hit("end.noted")
        self._on_end(attempt.token)
        self._wake()

    def _explained(self, exit: Exit) -> Exit:
        """Return an end together with what the kernel says of it."""
        if exit.return_code == 0 or exit.killed is not None or self._oom is None:
            return exit
        was_killed = exit.return_code == KILLED
        took = self._oom.took(was_killed=was_killed)
        if took:
            return replace(exit, cause="oom")
        return replace(exit, detail="killed (memory?)") if was_killed and took is None else exit

    async def ended(self) -> list[Exit]:
        """Return the attempts that have ended since the last call."""
        # What left the group of one that was to end, such as a daemon, is to end as well.
        kill_carriers([exit.token for exit in self._ended if exit.killed is not None])
        ended, self._ended = self._ended, []
        return ended

    async def kill(self, token: str, reason: str, grace: float) -> None:
        """Ask an attempt's processes to end, and kill what is left of them after `grace` seconds."""
        attempt = self._lookout.attempts.get(token)
        if attempt is None or attempt.insisting is not None:
            return
        grace = max(0.0, min(grace, LONGEST_GRACE))
        if attempt.trace.killed is None:
            hit("kill.before_line")
            deadline = int((_clock() + grace) * 1000)
            try:
                attempt.journal.write(f"{token} kill {reason} {deadline}")
            except OSError as error:
                logger.warning("the next controller will not know why attempt %s was ended: %s", token, error)
            hit("kill.line")
            attempt.trace.killed, attempt.trace.deadline = reason, deadline
        self._end_within(attempt, grace)
        hit("kill.signalled")

    def _end_within(self, attempt: LocalAttempt, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        attempt.insisting = loop.call_later(max(0.0, seconds), self._lookout.guarded, self._insist, attempt)
        attempt.signal(signal.SIGTERM)

    def _insist(self, attempt: LocalAttempt) -> None:
        # Again and again: what cannot be looked at, or is asleep in the kernel, is there still.
        loop = asyncio.get_running_loop()
        attempt.insisting = loop.call_later(POLL_SECONDS, self._lookout.guarded, self._insist, attempt)
        hit("kill.insist")
        self._note_hindrance(attempt)
        attempt.signal(signal.SIGKILL)
        if not self._condemned:
            loop.call_soon(self._lookout.guarded, self._kill_condemned)
        self._condemned.add(attempt.token)

    def _note_hindrance(self, attempt: LocalAttempt) -> None:
        """Say once of what does not end although it was killed what it waits for: there is no other way to end it."""
        now = time.monotonic()
        if attempt.killed_since is None:
            attempt.killed_since = now
        if attempt.hindrance is None and now - attempt.killed_since >= STUCK_SECONDS:
            attempt.hindrance = hindrance_of(attempt.token)
            if attempt.hindrance is not None:
                logger.warning(
                    "attempt %s does not end %g s after SIGKILL: %s; it ends when the kernel lets it, "
                    "so see to the disk or the server that it waits for",
                    attempt.token,
                    STUCK_SECONDS,
                    attempt.hindrance,
                )

    def _kill_condemned(self) -> None:
        """Kill what has left the groups, of all at once: each time takes a look at all processes."""
        tokens, self._condemned = self._condemned, set()
        kill_carriers(tokens)
        self._lookout.look_within(LOOK_SECONDS)

    # Settling.

    async def forget(self, tokens: Collection[str]) -> None:
        """Remove what is kept of attempts that have ended and are settled."""
        self._journals.settle(tokens)


def _encoded(environ: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return variables as the system takes them, which would encode all of the others with them for each process."""
    return {os.fsencode(name): os.fsencode(value) for name, value in environ.items()}


def _nothing(*_: object) -> None:
    return None


def _clock() -> float:
    """Return the seconds since the machine's boot, as every controller of this boot counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _wait_for_left() -> None:
    for pid in list(_left):
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            ended = pid  # this is a fork of the process whose child it was
        if ended:
            _left.discard(pid)
