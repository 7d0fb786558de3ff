"""The one module that may block: files on this machine's disks, read whole, replaced whole, made durable together.

Small files on a local file system are read and written at once, on the event loop: a hop to a thread costs more than
the disk. What is large, or lies on a network file system, goes through a thread with a deadline.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from errno import EEXIST, EINVAL, EISDIR, ENOTSUP, EOPNOTSUPP
from functools import lru_cache
from typing import Any, TypeVar

from .errors import BackendError

__all__ = ["TEMPORARY_PREFIX", "filesystem_type", "is_local", "sweep_temporaries"]

T = TypeVar("T")

BLOCK = 64 * 1024
#: Seconds that one operation on a network file system may take.
REMOTE_DEADLINE = 60.0
TEMPORARY_PREFIX = ".pdt-tmp-"
#: Seconds after which a temporary of an unknown writer is taken for abandoned.
ABANDONED_AFTER = 24 * 3600.0
NETWORK_TYPES = frozenset(
    "nfs nfs4 cifs smb3 smbfs 9p afs ceph lustre gpfs beegfs glusterfs orangefs pvfs2 davfs virtiofs panfs".split()
)

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


def filesystem_type(path: str | os.PathLike[str]) -> str:
    """Return the type of the file system that holds `path`, or "" where the system does not say."""
    real = os.path.realpath(path)
    best, found = "", ""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                _, mount, kind, *_ = line.split(" ")
                mount = mount.replace("\\040", " ")
                inside = real == mount or real.startswith(mount.rstrip("/") + "/")
                if inside and len(mount) >= len(best):
                    best, found = mount, kind
    except OSError:
        return ""
    return found


def is_local(path: str | os.PathLike[str]) -> bool:
    """Tell whether `path` lies on a disk or in the memory of this machine, rather than behind a network."""
    kind = filesystem_type(path)
    return kind not in NETWORK_TYPES and (not kind.startswith("fuse.") or kind == "fuse.fuseblk")


async def in_thread(func: Callable[..., T], *arguments: Any) -> T:
    """Return func(*arguments), called in a thread.

    :raises BackendError: if it takes longer than REMOTE_DEADLINE.
    """
    import asyncio

    if asyncio._get_running_loop() is None:  # a plain function's own thread may block
        return func(*arguments)
    try:
        async with asyncio.timeout(REMOTE_DEADLINE):
            return await asyncio.to_thread(func, *arguments)
    except TimeoutError:
        where = next((str(argument) for argument in arguments if isinstance(argument, str | os.PathLike)), "")
        raise BackendError(
            f"file system did not answer within {REMOTE_DEADLINE:g} s: {func.__name__} {where}",
            fix="check that the file system is mounted and its server is up",
        ) from None


async def call(inline: bool, func: Callable[..., T], *arguments: Any) -> T:
    """Return func(*arguments), called at once where `inline`, else in a thread."""
    return func(*arguments) if inline else await in_thread(func, *arguments)


def open_regular(path: str) -> int:
    """Open a regular file for reading.

    :raises OSError: if it cannot be opened, or is a device, pipe or socket, which might never answer.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR), path)
        raise OSError(EINVAL, "not a regular file", path)
    return descriptor


def read_bytes(path: str, limit: int = -1) -> bytes:
    """Return the content of a regular file, or its first `limit` bytes."""
    descriptor = open_regular(path)
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


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`, however few bytes the system takes at a time."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


class Draft:
    """A file without its name: unnamed where the file system can (O_TMPFILE), else under a temporary name."""

    __slots__ = ("_descriptor", "_temporary", "target")

    def __init__(self, target: str) -> None:
        self.target = target
        self._temporary: str | None = None
        directory = os.path.dirname(target) or "."
        try:
            self._descriptor = os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        except (OSError, AttributeError) as error:
            if getattr(error, "errno", EOPNOTSUPP) not in (EOPNOTSUPP, ENOTSUP, EISDIR, EINVAL):
                raise
            temporary = self._temporary_name()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(temporary, flags, 0o666)
            self._temporary = temporary

    def _temporary_name(self) -> str:
        token = f"{boot_id()[:8]}-{os.getpid()}-{os.urandom(6).hex()}"
        return os.path.join(os.path.dirname(self.target), TEMPORARY_PREFIX + token)

    def write(self, data: bytes) -> None:
        """Write all of `data`."""
        write_all(self._descriptor, data)

    def publish(self) -> None:
        """Give the file its name, in place of what had it, and close it."""
        try:
            if self._temporary is None:
                try:
                    self._link(self.target)
                except OSError as error:
                    if error.errno != EEXIST:
                        raise
                    temporary = self._temporary_name()
                    self._link(temporary)
                    self._temporary = temporary
            if self._temporary is not None:
                os.replace(self._temporary, self.target)
                self._temporary = None
        except BaseException:
            self.abandon()
            raise
        self._close()
        for written in on_written:
            written(self.target)

    def _link(self, name: str) -> None:
        # The descriptor of the (unused) source directory makes Python call linkat, which follows /proc's link.
        os.link(f"/proc/self/fd/{self._descriptor}", name, src_dir_fd=self._descriptor, follow_symlinks=True)

    def abandon(self) -> None:
        """Forget what was written."""
        self._close()
        if self._temporary is not None:
            try:
                os.unlink(self._temporary)
            except FileNotFoundError:
                pass  # someone swept it
            self._temporary = None

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def put_bytes(path: str, data: bytes) -> None:
    """Replace the file at `path` as a whole."""
    # What Draft does, for a new file and in as few steps as there are: it is what most jobs do.
    try:
        descriptor = os.open(path.rpartition("/")[0] or ".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    except (OSError, AttributeError):
        descriptor = -1
    if descriptor >= 0:
        try:
            write_all(descriptor, data)
            os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
        except FileExistsError:
            pass
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
        boot, _, rest = name.removeprefix(TEMPORARY_PREFIX).partition("-")
        pid = rest.partition("-")[0]
        path = os.path.join(directory, name)
        try:
            if boot == boot_id()[:8] and pid.isdigit():
                gone = not os.path.exists(f"/proc/{pid}") if os.path.isdir("/proc/self") else False
            else:
                gone = time.time() - os.lstat(path).st_mtime > ABANDONED_AFTER
            if gone:
                os.unlink(path)
        except FileNotFoundError:
            pass  # published or swept meanwhile


def sync_filesystem(path: str) -> None:
    """Make durable everything written so far to the file system that holds `path`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc_syncfs()(descriptor) != 0:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@lru_cache
def _libc_syncfs() -> Callable[[int], int]:
    import ctypes

    function = getattr(ctypes.CDLL(None), "syncfs", None)
    if function is None:

        def sync_all(descriptor: int) -> int:
            os.sync()
            return 0

        return sync_all
    result: Callable[[int], int] = function
    return result


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
