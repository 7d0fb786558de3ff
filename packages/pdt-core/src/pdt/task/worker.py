"""What a worker process of an ExecutorTask owes its controller: to end with it, and to tell the next one what runs."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BackendError
from ..localfs import process_origin
from ..locks import is_range_locked, lock_range, unlock_range
from .board import attend

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from multiprocessing.process import BaseProcess

    from .board import Board

__all__ = ["Controller", "follow", "follow_from_start", "holding", "is_locked", "lock_byte"]

#: Seconds that an earlier run of a job has to end in.
LOCK_PATIENCE = 5.0
LOCK_INTERVAL = 0.02


class Controller(NamedTuple):
    """The process that hands out jobs, told from any later one of its number.

    :param origin: the boot and the process namespace that the number belongs to.
    :param pid: its number.
    :param started: when it started, in ticks of the system's clock; 0 where the system does not say.
    """

    origin: str
    pid: int
    started: int

    @classmethod
    def this(cls) -> Controller:
        """Return the running process."""
        return _controller(os.getpid())


@cache
def _controller(pid: int) -> Controller:
    return Controller(process_origin(), pid, _started(pid))


def _started(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name, in parentheses, may hold anything.
            return int(file.read().rpartition(b")")[2].split()[19])
    except OSError:
        return 0


# To end with the controller.


def follow(controller: Controller) -> None:
    """Have this process end when the controller is gone, and leave Ctrl-C to it; called in the worker.

    Nothing happens in a process that does more than run jobs of this controller: in the controller itself, in a worker
    that runs jobs in threads, or one that another process started.
    """
    import multiprocessing

    parent = multiprocessing.parent_process()
    if (
        parent is not None
        and (controller.origin, controller.pid) == (process_origin(), parent.pid)
        and threading.current_thread() is threading.main_thread()
    ):
        _follow(controller, parent)


@cache
def _follow(controller: Controller, parent: BaseProcess) -> None:
    # The terminal sends it to every process, and a job that it ended would be recorded as failed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _let_kernel_kill(parent.sentinel)
    ended = [parent.sentinel]
    try:
        ended.append(os.pidfd_open(controller.pid))
    except ProcessLookupError:
        os._exit(1)
    except (AttributeError, OSError):
        pass  # an old kernel, or another system: what the sentinel tells has to do
    if _started(controller.pid) != controller.started or not parent.is_alive():
        os._exit(1)
    threading.Thread(target=_end_after, args=(ended,), name="pdt-follow", daemon=True).start()


def _let_kernel_kill(sentinel: int) -> None:
    """Have the kernel kill this process when the pipe from its parent closes, even if no other thread gets to run.

    PR_SET_PDEATHSIG would do it when the parent's *thread* ends, and under a fork server when that ends.

    Source: fcntl(2), F_SETSIG; pipe(7), "O_ASYNC".
    """
    try:
        fcntl.fcntl(sentinel, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC)
    except (AttributeError, OSError):
        pass  # another system: the thread that waits has to do


def _end_after(ended: list[int]) -> None:
    """End this process when one of `ended` says that the controller is gone.

    Whatever else the controller has forked may hold the sentinel's other end, so that it stays open.
    """
    from multiprocessing.connection import wait

    wait(ended)
    os._exit(1)


def follow_from_start(executor: Executor, board: Board | None = None) -> None:
    """Have the processes of a pool that has none yet follow this one, also those that never get a job.

    A worker that waits for its first job would otherwise do so for ever.

    :param board: Optional: where they note what they run.
    """
    if "concurrent.futures.process" not in sys.modules:
        return  # it is slow to import, and nobody can have a pool of processes without it
    from concurrent.futures import ProcessPoolExecutor

    if isinstance(executor, ProcessPoolExecutor) and executor._initializer is not _start and not executor._processes:
        executor._initargs = (Controller.this(), board, executor._initializer, executor._initargs)
        executor._initializer = _start


def _start(
    controller: Controller,
    board: Board | None,
    initializer: Callable[..., None] | None,
    initargs: tuple[Any, ...],
) -> None:
    follow(controller)
    if initializer is not None:
        initializer(*initargs)
    if board is not None:
        attend(board)


# To tell the next controller what runs.


def lock_byte(task: str, job: str) -> int:
    """Return the byte of the lock file that is locked while a job runs."""
    import hashlib

    digest = hashlib.blake2b(f"{task}\0{job}".encode(errors="surrogatepass"), digest_size=6).digest()
    return int.from_bytes(digest) + 1


def is_locked(path: str | os.PathLike[str], byte: int) -> bool:
    """Tell whether a worker runs the job of this byte, without taking its lock.

    :raises OSError: if the file is there and cannot be opened.
    """
    return is_range_locked(path, byte)


@contextmanager
def holding(path: str, byte: int) -> Iterator[None]:
    """Lock one byte of a file while a body runs, so that the next controller sees it.

    :raises BackendError: if another process has it, and has not ended within LOCK_PATIENCE.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        _take(fd, path, byte)
        try:
            yield
        finally:
            # What the body has forked may have inherited it.
            unlock_range(fd, byte)
    finally:
        os.close(fd)


def _take(fd: int, path: str, byte: int) -> None:
    deadline = time.monotonic() + LOCK_PATIENCE
    while not lock_range(fd, byte):
        if time.monotonic() > deadline:
            raise BackendError(
                f"an earlier run of this job goes on: it holds byte {byte} of {path}",
                fix=f"wait for it, or end its process; `fuser {path}` names those that have the file open",
            )
        time.sleep(LOCK_INTERVAL)
