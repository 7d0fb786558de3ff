"""Attempts as processes of this machine, which outlive their controller and are found again by the next."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from .. import localfs
from ..failpoints import hit
from ..repository.filestream import FileReader, FileWriter
from .inotify import FileWatch
from .journal import Journal, Trace, abandoned
from .processes import TOKEN, carriers, carries, kill_carriers
from .runner import SIGNALLED, Command, Exit, Place, ProcessRunner
from .spawn import EXECUTED, JOURNAL_FD, SCRIPT_FD, SOURCED, interpreter_of, is_shell, posix_spawn

__all__ = ["LocalRunner"]

#: Bytes after which a journal is left to the attempts that are in it, and a new one is begun.
JOURNAL_SIZE = 1 << 20
#: Seconds between looks at attempts that hold no lock although a process of theirs is alive.
POLL_SECONDS = 1.0
#: Descriptors below it are the script's.
FIRST_DESCRIPTOR = 10


class _Attempt:
    """An attempt that runs, or whose end nobody has been told of."""

    def __init__(self, token: str, journal: Journal, number: int) -> None:
        self.token = token
        self.journal = journal
        self.number = number
        self.trace = Trace()
        #: The wrapper, where it is a child of this process that has not been waited for.
        self.child: int | None = None
        #: What killed the wrapper, where this process saw it.
        self.signal: int | None = None
        self.descriptor = -1
        self.insisting: asyncio.TimerHandle | None = None


class LocalRunner(ProcessRunner):
    """Runs attempts on this machine.

    :param basedir: a private directory on a local disk.
    """

    is_local = True

    def __init__(self, basedir: Path) -> None:
        self._basedir = os.fspath(basedir)
        self._scratch = os.path.join(self._basedir, "attempts")
        self._journals = os.path.join(self._basedir, "journals")
        self._attempts: dict[str, _Attempt] = {}
        self._journal: Journal | None = None
        self._opened: dict[str, Journal] = {}
        #: By journal, the attempts in it that are not settled.
        self._unsettled: dict[Journal, set[str]] = {}
        self._traces: dict[Journal, dict[str, Trace]] = {}
        self._ended: list[Exit] = []
        self._watch: FileWatch | None = None
        self._poll: asyncio.TimerHandle | None = None
        self._wake: Callable[[], object] = _nothing
        self._loop: asyncio.AbstractEventLoop | None = None
        self._environ: dict[str, str] = {}

    async def open(self, wake: Callable[[], object]) -> None:
        """Get ready."""
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._environ = dict(os.environ)
        for directory in (self._basedir, self._scratch, self._journals):
            localfs.make_private(directory)
        for name in os.listdir(self._journals):
            path = os.path.join(self._journals, name)
            if abandoned(path):
                with suppress(FileNotFoundError):
                    os.unlink(path)

    async def close(self) -> None:
        """Let go of everything but the attempts, which run on."""
        for attempt in self._attempts.values():
            self._let_go(attempt)
        self._attempts.clear()
        if self._poll is not None:
            self._poll.cancel()
            self._poll = None
        if self._watch is not None:
            self._the_loop.remove_reader(self._watch.fileno())
            self._watch.close()
            self._watch = None
        for journal in {*self._unsettled, *([self._journal] if self._journal else [])}:
            if not self._unsettled.get(journal):
                self._remove(journal)
            else:
                journal.close()
        self._opened.clear()
        self._unsettled.clear()
        self._traces.clear()
        self._journal = None

    @property
    def _the_loop(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None  # noqa: S101  it is open
        return self._loop

    # Starting.

    def place(self, token: str) -> Place:
        """Return where the attempt will run: the machine's boot, and the journal's file and number."""
        if self._journal is None or self._journal.size > JOURNAL_SIZE:
            self._begin_journal()
        journal = self._journal
        assert journal is not None  # noqa: S101  it was begun
        self._unsettled[journal].add(token)
        name = os.path.basename(journal.path)
        return {"boot": localfs.boot_id(), "journal": name, "number": journal.next_number()}

    def _begin_journal(self) -> None:
        if self._journal is not None and not self._unsettled[self._journal]:
            self._remove(self._journal)
        hit("journal.before_create")
        name = os.urandom(8).hex()
        self._journal = Journal(os.path.join(self._journals, name), create=True)
        hit("journal.created")
        self._opened[name] = self._journal
        self._unsettled[self._journal] = set()
        self._traces[self._journal] = {}

    async def start(self, command: Command, place: Place) -> str:
        """Start an attempt, and return its process number."""
        token, journal = command.token, self._opened[place["journal"]]
        interpreter = interpreter_of(command.script)
        cwd = command.cwd or self._basedir
        localfs.check_directory(cwd)
        environ = {**self._environ, **command.environ, TOKEN: token}
        hit("spawn.before_lock")
        lock = _above(journal.lock(place["number"]))
        script = -1
        try:
            descriptors = {JOURNAL_FD: lock}
            if is_shell(interpreter):
                script = _above(_in_memory(command.script))
                descriptors[SCRIPT_FD] = script
                arguments = [SOURCED, command.name, token, cwd]
            else:
                path = self.path(token, "script")
                localfs.write_private(path, command.script.encode())
                arguments = [EXECUTED, command.name, token, cwd, *interpreter, path]
            attempt = _Attempt(token, journal, place["number"])
            pid = posix_spawn(arguments, environ, command.stdin, command.stdout, command.stderr, descriptors)
        finally:
            os.close(lock)
            if script >= 0:
                os.close(script)
        hit("spawn.spawned")
        attempt.child = pid
        attempt.trace = self._traces[journal].setdefault(token, attempt.trace)
        attempt.trace.pid = attempt.trace.pid or pid
        self._attempts[token] = attempt
        hit("spawn.noted")
        attempt.descriptor = os.pidfd_open(pid)
        self._the_loop.add_reader(attempt.descriptor, self._child_ended, attempt)
        hit("spawn.followed")
        return str(pid)

    def path(self, token: str, name: str) -> str:
        """Return where the file `name` of an attempt lies."""
        return os.path.join(self._scratch, f"{token}.{name}")

    async def open_file(self, path: str, mode: Literal["rb", "wb"]) -> Any:
        """Open a file of an attempt."""
        return FileReader(path, True) if mode == "rb" else FileWriter(path, True)

    # Taking over.

    async def adopt(self, places: Mapping[str, Place]) -> dict[str, str]:
        """Take over attempts of an earlier controller; those that have ended are among `ended` from now on."""
        unlocked: list[_Attempt] = []
        for token, place in places.items():
            journal = self._journal_of(place)
            if journal is None:
                self._ended.append(_never_seen(token, place))
                continue
            self._unsettled[journal].add(token)
            attempt = _Attempt(token, journal, place["number"])
            attempt.trace = self._traces[journal].setdefault(token, attempt.trace)
            self._attempts[token] = attempt
            hit("adopt.one")
            unlocked.append(attempt)
        self._settle_unlocked(unlocked)
        if self._attempts:
            self._watch_journals()
        return {
            attempt.token: str(attempt.trace.pid) for attempt in unlocked if attempt.token in self._attempts
        }

    def _journal_of(self, place: Place) -> Journal | None:
        """Return the journal of an attempt of this boot, read to its end; None where there is none."""
        if place.get("boot") != localfs.boot_id():
            return None
        name = str(place.get("journal"))
        if name not in self._opened:
            if not name.isalnum():
                return None
            try:
                journal = Journal(os.path.join(self._journals, name))
            except FileNotFoundError:
                return None
            self._opened[name] = journal
            self._unsettled[journal] = set()
            self._traces[journal] = {}
            journal.read(self._traces[journal])
        return self._opened[name]

    def _watch_journals(self) -> None:
        """Be woken when an attempt that is no child of this process ends."""
        adopted = {attempt.journal for attempt in self._attempts.values() if attempt.child is None}
        if not adopted:
            return
        if self._watch is None:
            self._watch = FileWatch()
            self._the_loop.add_reader(self._watch.fileno(), self._journal_changed)
        for journal in adopted:
            self._watch.add(journal.path)

    def _journal_changed(self) -> None:
        if self._watch is not None:
            self._watch.drain()
        self._settle_unlocked([attempt for attempt in self._attempts.values() if attempt.child is None])

    def _settle_unlocked(self, attempts: list[_Attempt]) -> None:
        """Find out which of these attempts have ended; a result wins, then the lock, then the token."""
        for journal in {attempt.journal for attempt in attempts}:
            journal.read(self._traces[journal])
        free: list[_Attempt] = []
        for attempt in attempts:
            if attempt.trace.code is not None:
                self._end(attempt)
            elif not attempt.journal.is_locked(attempt.number):
                free.append(attempt)
        if not free:
            return
        # Only now: what ended between reading and probing has left its line.
        for journal in {attempt.journal for attempt in free}:
            journal.read(self._traces[journal])
        alive = carriers(attempt.token for attempt in free if attempt.trace.code is None)
        for attempt in free:
            if attempt.trace.code is not None or not alive[attempt.token]:
                self._end(attempt)
            elif self._poll is None:
                # It closed what it inherited: nothing but looking tells when it is gone.
                self._poll = self._the_loop.call_later(POLL_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._poll = None
        self._journal_changed()

    # Ending.

    def _child_ended(self, attempt: _Attempt) -> None:
        """Note the end of a wrapper; what the script started may hold the lock still if it was killed."""
        hit("end.seen")
        self._let_go(attempt)
        with suppress(ChildProcessError):
            status = os.waitpid(attempt.child or 0, 0)[1]
            attempt.signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        attempt.child = None
        hit("end.waited")
        self._settle_unlocked([attempt])
        if attempt.token in self._attempts:
            self._watch_journals()

    def _let_go(self, attempt: _Attempt) -> None:
        if attempt.descriptor >= 0:
            self._the_loop.remove_reader(attempt.descriptor)
            os.close(attempt.descriptor)
            attempt.descriptor = -1
        if attempt.insisting is not None:
            attempt.insisting.cancel()
            attempt.insisting = None

    def _end(self, attempt: _Attempt) -> None:
        self._let_go(attempt)
        del self._attempts[attempt.token]
        trace = attempt.trace
        if trace.killed is not None:
            kill_carriers(attempt.token)  # what left the group, such as a daemon, is to end as well
        code = trace.code
        if code is None and attempt.signal is not None:
            code = SIGNALLED + attempt.signal  # as the wrapper would have said of the script
        self._ended.append(Exit(attempt.token, code, started=trace.pid is not None, killed=trace.killed))
        hit("end.noted")
        self._wake()

    async def ended(self) -> list[Exit]:
        """Return the attempts that have ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    async def kill(self, token: str, reason: str, grace: float) -> None:
        """Ask an attempt's processes to end, and kill what is left of them after `grace` seconds."""
        attempt = self._attempts.get(token)
        if attempt is None or attempt.insisting is not None:
            return
        hit("kill.before_line")
        attempt.journal.write(f"{token} kill {reason}")
        hit("kill.line")
        attempt.trace.killed = attempt.trace.killed or reason
        self._signal(attempt, signal.SIGTERM)
        hit("kill.signalled")
        attempt.insisting = self._the_loop.call_later(grace, self._insist, attempt)

    def _signal(self, attempt: _Attempt, number: int) -> None:
        """Send a signal to the group, which is surely this attempt's while its leader is a child, or has the token."""
        pid = attempt.child or attempt.trace.pid
        if pid is not None and (attempt.child is not None or carries(pid, attempt.token)):
            with suppress(ProcessLookupError):
                os.killpg(pid, number)
        else:
            kill_carriers(attempt.token, number)

    def _insist(self, attempt: _Attempt) -> None:
        hit("kill.insist")
        attempt.insisting = None
        self._signal(attempt, signal.SIGKILL)
        kill_carriers(attempt.token)
        if attempt.child is None and attempt.token in self._attempts:
            self._settle_unlocked([attempt])

    # Settling.

    async def forget(self, tokens: Collection[str]) -> None:
        """Remove what is kept of attempts that have ended and are settled."""
        by_journal: dict[Journal, list[str]] = {}
        for journal, unsettled in self._unsettled.items():
            settled = unsettled.intersection(tokens)
            if settled:
                by_journal[journal] = sorted(settled)
        for journal, settled_tokens in by_journal.items():
            self._unsettled[journal].difference_update(settled_tokens)
            for token in settled_tokens:
                self._traces[journal].pop(token, None)
            if journal is not self._journal and not self._unsettled[journal]:
                self._remove(journal)
            else:
                hit("journal.before_settled")
                journal.write(*(f"{token} settled" for token in settled_tokens))
                hit("journal.settled")

    def _remove(self, journal: Journal) -> None:
        """Remove a journal in which nothing is left."""
        hit("journal.before_remove")
        self._opened.pop(os.path.basename(journal.path), None)
        self._unsettled.pop(journal, None)
        self._traces.pop(journal, None)
        journal.close()
        with suppress(FileNotFoundError):
            os.unlink(journal.path)
        hit("journal.removed")


def _nothing() -> None:
    return None


def _never_seen(token: str, place: Place) -> Exit:
    """Return the end of an attempt that left no trace: of an earlier boot, or killed before it began."""
    if place.get("boot") != localfs.boot_id():
        return Exit(token, None, detail="the machine was restarted")
    return Exit(token, None, started=False)


def _in_memory(script: str) -> int:
    """Return the descriptor of a file without a name that holds the script."""
    descriptor = os.memfd_create("script", os.MFD_CLOEXEC)
    try:
        localfs.write_all(descriptor, script.encode())
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _above(descriptor: int) -> int:
    """Return a descriptor that none of the script's can be taken for."""
    if descriptor >= FIRST_DESCRIPTOR:
        return descriptor
    import fcntl

    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR)
    os.close(descriptor)
    return copy
