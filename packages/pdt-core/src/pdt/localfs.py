"""The one module that may block: files of this machine, read, replaced as a whole, made durable together.

Small files on a local file system are read and written at once, on the event loop: a hop to a thread costs
more than the disk. What is large, or lies on a network file system, goes through a thread with a deadline.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable
from errno import EEXIST, EINVAL, EISDIR, ENOENT, ENOSYS, ENOTEMPTY, ENOTSUP, ENXIO, EOPNOTSUPP, EPERM
from functools import lru_cache
from threading import Thread
from types import MethodType
from typing import Any, TypeVar

from .errors import BackendError, UnlaunchableError
from .mounts import is_local

__all__ = ["TEMPORARY_PREFIX", "is_local", "sweep_temporaries"]

T = TypeVar("T")

BLOCK = 64 * 1024
#: Seconds that one operation on a network file system may take.
REMOTE_DEADLINE = 60.0
#: Bytes in a second below which a file system is held to be dead: a large file has longer than the deadline.
SLOWEST = 1024 * 1024
TEMPORARY_PREFIX = ".pdt-tmp-"
#: Seconds after which a temporary of an unknown writer is taken for abandoned.
ABANDONED_AFTER = 24 * 3600.0
#: Called with the path of each file that was put in place, while a pipeline gathers what to make durable.
on_written: list[Callable[[str], None]] = []


@lru_cache
def boot_id() -> str:
    """Return what tells this boot of this machine from every other."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        import uuid

        return f"{uuid.getnode():x}"


@lru_cache
def process_origin() -> str:
    """Return what tells processes that this one can look up from those of other boots and containers."""
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        namespace = 0
    return f"{boot_id()[:8]}{namespace:x}"


def temporary_path(directory: str) -> str:
    """Return a new path that no listing shows, and that is swept once this process is gone."""
    name = f"{TEMPORARY_PREFIX}{process_origin()}-{os.getpid()}-{os.urandom(6).hex()}"
    return os.path.join(directory, name)


async def in_thread(func: Callable[..., T], *arguments: Any, size: int = 0) -> T:
    """Return func(*arguments), called in a thread of its own.

    The thread goes on when nobody waits for it any more, so `func` must leave things right by itself.

    :param size: bytes to be read or written, for which it has more time.
    :raises BackendError: if it takes longer than REMOTE_DEADLINE.
    """
    import asyncio

    if asyncio._get_running_loop() is None:  # a plain function's own thread may block
        return func(*arguments)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if answer.done():
            return  # nobody waits any more
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    def work() -> None:
        result, failure = None, None
        try:
            result = func(*arguments)
        except BaseException as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            pass  # the loop is closed

    # Not a pool's: threads that a dead server holds would fill it, and keep the process from ending.
    Thread(target=work, name=f"pdt {func.__name__}", daemon=True).start()
    seconds = REMOTE_DEADLINE + size / SLOWEST
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            return await answer
    except TimeoutError:
        if not deadline.expired():
            raise
        owner = getattr(func, "__self__", None) if isinstance(func, MethodType) else None
        place = [] if owner is None else [str(getattr(owner, "path", owner))]
        place += [str(argument) for argument in arguments if isinstance(argument, str | os.PathLike)]
        raise BackendError(
            f"file system did not answer within {round(seconds, 2):g} s: {func.__name__.strip('_')} {' '.join(place)}",
            fix="check that the file system is mounted and its server is up",
        ) from None


async def call(inline: bool, func: Callable[..., T], *arguments: Any) -> T:
    """Return func(*arguments), called at once where `inline`, else in a thread."""
    return func(*arguments) if inline else await in_thread(func, *arguments)


def open_regular(path: str) -> tuple[int, int]:
    """Open a regular file for reading, and return its descriptor and its size.

    :raises FileNotFoundError: if there is none; nor is a directory one, or a pipe, which might never answer.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != ENXIO:
            raise
        raise FileNotFoundError(ENOENT, "Not a regular file", path) from None  # a socket
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        os.close(descriptor)
        raise FileNotFoundError(ENOENT, "Not a regular file", path)
    return descriptor, state.st_size


def read_bytes(path: str, limit: int = -1) -> bytes:
    """Return the content of a regular file, or its first `limit` bytes."""
    descriptor, _ = open_regular(path)
    try:
        return read_rest(descriptor, limit)
    finally:
        os.close(descriptor)


def read_rest(descriptor: int, limit: int = -1) -> bytes:
    """Return what is left of an open file, or the next `limit` bytes of it."""
    blocks = []
    while limit:
        block = os.read(descriptor, BLOCK if limit < 0 else min(BLOCK, limit))
        if not block:
            break
        blocks.append(block)
        limit = limit - len(block) if limit > 0 else limit
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data`, however few bytes the system takes at a time."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def open_unnamed(directory: str) -> int:
    """Open a new file without a name, and return its descriptor; -1 where there are no such files."""
    try:
        return os.open(directory, _UNNAMED, 0o666) if _UNNAMED else -1
    except OSError as error:
        if error.errno not in (EOPNOTSUPP, ENOTSUP, EISDIR, EINVAL):
            raise
        return -1


def link_unnamed(descriptor: int, name: str) -> None:
    """Give a name to a file that has none.

    :raises FileExistsError: if the name is taken.
    """
    # The descriptor of the (unused) source directory makes Python call linkat, which follows /proc's link.
    os.link(f"/proc/self/fd/{descriptor}", name, src_dir_fd=descriptor, follow_symlinks=True)


#: The flags for it; none where such a file could get no name.
_UNNAMED = os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC if os.path.exists("/proc/self/fd") else 0


def insert_bytes(path: str, data: bytes) -> bool:
    """Make a file, durably, if its name is free, and tell whether this call did; of many at once, one does.

    :raises BackendError: if the file system has no hard links.
    """
    if os.path.lexists(path):
        return False
    directory = os.path.dirname(path)
    _make_durably(directory)
    temporary = temporary_path(directory)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(temporary, path)
        except OSError as error:
            # A network file system may have made the link and lost the answer: two names prove it.
            if os.stat(temporary).st_nlink != 2:
                if error.errno == EEXIST:
                    return False
                if error.errno in (EPERM, ENOTSUP, EOPNOTSUPP, ENOSYS):
                    raise BackendError(
                        f"the file system of {directory} has no hard links, which decide who was first",
                        fix="put it on another file system, or use a SqliteLedger on a local disk",
                    ) from error
                raise
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)
    sync_path(directory)
    return True


def _make_durably(directory: str) -> None:
    """Make a directory, with those above it, so that a power cut does not lose its name."""
    if os.path.isdir(directory):
        return
    above = os.path.dirname(directory)
    _make_durably(above)
    try:
        os.mkdir(directory)
    except FileExistsError:
        if not os.path.isdir(directory):
            raise
    sync_path(above)


class Draft:
    """A file without its name: unnamed where the file system can (O_TMPFILE), else under a temporary name."""

    __slots__ = ("_descriptor", "_directory", "_temporary", "target")

    def __init__(self, target: str) -> None:
        self.target = target
        self._directory = os.path.dirname(target) or "."
        self._temporary: str | None = None
        self._descriptor = open_unnamed(self._directory)
        if self._descriptor < 0:
            temporary = temporary_path(self._directory)
            self._descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            self._temporary = temporary

    def write(self, data: bytes | memoryview) -> None:
        """Write all of `data`."""
        try:
            write_all(self._descriptor, data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.target) from error

    def publish(self) -> None:
        """Give the file its name, in place of what had it, and close it."""
        try:
            if self._temporary is None:
                try:
                    link_unnamed(self._descriptor, self.target)
                except FileExistsError:
                    temporary = temporary_path(self._directory)
                    link_unnamed(self._descriptor, temporary)
                    self._temporary = temporary
            # A network file system may say only now that it is full.
            self._close()
            if self._temporary is not None:
                os.replace(self._temporary, self.target)
                self._temporary = None
        except BaseException:
            self.abandon()
            raise
        for written in on_written:
            written(self.target)

    def abandon(self) -> None:
        """Forget what was written."""
        temporary, self._temporary = self._temporary, None
        try:
            self._close()
            if temporary is not None:
                os.unlink(temporary)
        except OSError:
            pass  # there is an error already that says why; what is left is swept at the next start

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def put_bytes(path: str, data: bytes) -> None:
    """Replace the file at `path` as a whole."""
    # What Draft does, for a new file and in as few steps as there are: it is what most jobs do.
    descriptor = open_unnamed(path.rpartition("/")[0] or ".")
    if descriptor >= 0:
        try:
            write_all(descriptor, data)
            link_unnamed(descriptor, path)
        except FileExistsError:
            pass
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error
        else:
            for written in on_written:
                written(path)
            return
        finally:
            os.close(descriptor)
    draft = Draft(path)
    try:
        draft.write(data)
    except BaseException:
        draft.abandon()
        raise
    draft.publish()


def sweep_temporaries(directory: str, names: list[str]) -> None:
    """Remove those of `names` that are temporaries whose writer is gone."""
    for name in names:
        origin, _, rest = name.removeprefix(TEMPORARY_PREFIX).partition("-")
        pid = rest.partition("-")[0]
        path = os.path.join(directory, name)
        try:
            if origin == process_origin() and pid.isdigit() and os.path.isdir("/proc/self"):
                gone = not os.path.exists(f"/proc/{pid}")
            else:
                gone = time.time() - os.lstat(path).st_mtime > ABANDONED_AFTER
            if gone:
                os.unlink(path)
        except OSError:
            pass  # published or swept meanwhile, or not ours to remove


def sync_filesystem(path: str) -> None:
    """Make durable everything written so far to the file system that holds `path`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _libc_syncfs()(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(descriptor)


@lru_cache
def _libc_syncfs() -> Callable[[int], None]:
    import ctypes

    function = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)

    def syncfs(descriptor: int) -> None:
        code = ENOSYS
        if function is not None:
            code = ctypes.get_errno() if function(descriptor) else 0
        if code == ENOSYS:
            os.sync()
        elif code:
            raise OSError(code, os.strerror(code))

    return syncfs


def sync_path(path: str) -> None:
    """Make one file or directory durable; one that is gone needs nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private(path: str) -> None:
    """Make a directory, and those above it, that nobody else may look into.

    :raises BackendError: if it is another user's, open to others, or a link, or others may put another in its place.
    """
    above = os.path.dirname(path)
    try:
        os.makedirs(above, mode=0o700, exist_ok=True)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        state, parent = os.lstat(path), os.stat(above)
    except OSError as error:
        raise BackendError(
            f"cannot make the directory {path}: {error.strerror}", fix="give a directory that you may write to"
        ) from error
    wrong = None
    if not stat.S_ISDIR(state.st_mode):
        wrong = "is a link or a file, not a directory"
    elif state.st_uid != os.geteuid():
        wrong = f"belongs to user {state.st_uid}"
    elif state.st_mode & 0o077:
        wrong = f"is open to others (mode {stat.S_IMODE(state.st_mode):04o})"
    if wrong is not None:
        raise BackendError(
            f"the directory {path} {wrong}", fix="remove it, make it private (chmod 700), or give another"
        )
    if parent.st_uid not in (0, os.geteuid()) or (parent.st_mode & 0o002 and not parent.st_mode & stat.S_ISVTX):
        raise BackendError(
            f"others may replace the directory {path}: {above} belongs to user {parent.st_uid} and has mode "
            f"{stat.S_IMODE(parent.st_mode):04o}",
            fix="give a directory inside one of your own",
        )


def check_directory(path: str) -> None:
    """Check that a directory is one.

    :raises UnlaunchableError: if it is not.
    """
    if not os.path.isdir(path):
        raise UnlaunchableError(f"the working directory {path!r} does not exist", fix="make it, or give another")


def write_private(path: str, data: bytes) -> None:
    """Write a new file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def move_into_place(staged: str, target: str) -> None:
    """Give a staged file or directory its name, in place of what has it; nothing happens if it was moved before.

    :raises OSError: if it cannot be.
    """
    old = f"{staged}.old"
    try:
        os.rename(staged, target)
    except FileNotFoundError:
        if os.path.lexists(staged):
            raise
    except OSError as error:
        if error.errno not in (ENOTEMPTY, EEXIST) or not os.path.isdir(staged):
            raise
        # A directory that is not empty makes room first; until the next step, neither is there.
        remove(old)
        os.rename(target, old)
        os.rename(staged, target)
    if os.path.lexists(old):
        remove(old)


def remove(path: str) -> None:
    """Remove a file or a directory with all that is in it, as far as it can be; nothing happens if it is not there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # it was published, or never made
    except (IsADirectoryError, PermissionError):
        try:
            remove_tree(path)
        except OSError:
            pass  # it counts no more, and is found by its name


def remove_tree(path: str) -> None:
    """Remove a directory with all that is in it, or what is there in place of one; nothing happens if it is not there.

    :raises OSError: if something is left of it.
    """
    if not os.path.isdir(path) or os.path.islink(path):
        if os.path.lexists(path):
            os.unlink(path)
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        # A script may have taken its own right to write to what it made.
        os.chmod(path, 0o700)
        for directory, names, _ in os.walk(path):
            for below in (os.path.join(directory, name) for name in names):
                if not os.path.islink(below):
                    os.chmod(below, 0o700)
        shutil.rmtree(path)
