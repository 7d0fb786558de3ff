"""The journals of one controller: the one that it writes to, and those in which attempts are left to settle."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from contextlib import suppress

from .. import localfs
from ..errors import BackendError
from ..failpoints import hit
from ..locks import is_range_locked, lock_range
from .journal import Journal, abandoned

__all__ = ["Journals"]


class Journals:
    """The journals in a directory.

    :param directory: a private one on a local disk, which other controllers may use as well.
    :param make_directory: makes it, and what else attempts need, if somebody has removed it.
    """

    def __init__(self, directory: str, make_directory: Callable[[], None]) -> None:
        self._directory = directory
        self._make_directory = make_directory
        self._current: Journal | None = None
        self._opened: dict[str, Journal] = {}

    def open(self) -> None:
        """Get ready, and remove what earlier controllers left that nobody needs.

        :raises BackendError: if the file system has no locks that last as long as an attempt.
        """
        self._make_directory()
        names = os.listdir(self._directory)
        localfs.sweep_temporaries(self._directory, [name for name in names if not name.isalnum()])
        self._check_locks()
        for name in filter(str.isalnum, names):
            path = os.path.join(self._directory, name)
            if abandoned(path):
                _unlink(path)

    def _check_locks(self) -> None:
        path = localfs.temporary_path(self._directory)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            works = lock_range(descriptor, 0) and is_range_locked(path, 0)
        except OSError:
            works = False
        finally:
            os.close(descriptor)
            os.unlink(path)
        if not works:
            raise BackendError(
                f"the file system of {self._directory} has no locks, by which pdt sees what runs",
                fix="give the process manager a directory on a local disk",
            )

    def close(self) -> None:
        """Close them all; those in which something runs or is not settled are left to the next controller."""
        for journal in list(self._opened.values()):
            if not journal.unsettled:
                self._drop(journal)
            journal.close()
        self._opened.clear()
        self._current = None

    def reserve(self, token: str) -> tuple[str, int]:
        """Return where an attempt will be noted: the name of a journal, and a number."""
        journal = self._current
        if journal is None or journal.is_full:
            journal = self._begin()
        journal.unsettled.add(token)
        return os.path.basename(journal.path), journal.next_number()

    def _begin(self) -> Journal:
        former, self._current = self._current, None
        if former is not None and not former.unsettled:
            self._drop(former)
        hit("journal.before_create")
        self._make_directory()
        name = os.urandom(8).hex()
        journal = self._opened[name] = self._current = Journal.create(os.path.join(self._directory, name))
        hit("journal.created")
        return journal

    def lock(self, name: str, number: int) -> tuple[Journal, int]:
        """Lock an attempt, and return its journal and the descriptor for it to inherit.

        :raises BackendError: if somebody has removed the journal.
        :raises OSError: if it cannot be locked.
        """
        journal = self._opened[name]
        try:
            return journal, journal.lock(number)
        except BackendError:
            if journal is self._current:
                self._current = None
            raise

    def find(self, name: str) -> Journal | None:
        """Return a journal, read to its end when it is found first; None if there is none."""
        if name not in self._opened and name.isalnum():
            with suppress(FileNotFoundError):
                journal = Journal.open(os.path.join(self._directory, name))
                self._opened[name] = journal
                journal.read()
        return self._opened.get(name)

    def settle(self, tokens: Collection[str]) -> None:
        """Forget attempts that nobody needs to know of any more."""
        for journal in list(self._opened.values()):
            settled = journal.unsettled.intersection(tokens)
            if not settled:
                continue
            is_over = settled == journal.unsettled and journal is not self._current
            if not (is_over and journal.is_own):
                hit("journal.before_settled")
                with suppress(OSError):  # it is kept for longer than it need be
                    journal.write(*(f"{token} settled" for token in sorted(settled)))
                hit("journal.settled")
            if is_over:
                self._drop(journal)
            journal.unsettled -= settled
            for token in settled:
                journal.traces.pop(token, None)

    def _drop(self, journal: Journal) -> None:
        """Let go of a journal, and remove it if nobody else has anything in it."""
        hit("journal.before_remove")
        if journal.is_own or abandoned(journal.path):
            _unlink(journal.path)
        del self._opened[os.path.basename(journal.path)]
        journal.close()
        hit("journal.removed")


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)
