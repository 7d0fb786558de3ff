"""Running a part of a test without root's powers, so that permissions bind it wherever the suite runs."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import struct
import traceback
import warnings
from collections.abc import Callable
from typing import Protocol, TypeVar

__all__ = ["AsOrdinaryUser", "as_ordinary_user"]

T = TypeVar("T")

_PR_SET_SECUREBITS = 28
_SECBIT_NOROOT_LOCKED = 0b11
_LINUX_CAPABILITY_VERSION_3 = 0x20080522


class AsOrdinaryUser(Protocol):
    """The type of the fixture `as_ordinary_user`."""

    def __call__(self, body: Callable[[], T], /) -> T: ...


def as_ordinary_user(body: Callable[[], T], /) -> T:
    """Call the body as an ordinary user would, and return or raise what it does.

    Root's body runs in a forked child that has given up every capability, for itself and for what it starts.
    It keeps root's number, so it still owns its files and may import what lies in root's home; but mode bits
    bind it as they bind every owner, and files of other users are out of its reach.

    :param body: what to call; its result or exception is pickled.
    """
    if os.geteuid() != 0:
        return body()
    readable, writable = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of threads that another test left behind; the child takes none of their locks.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(readable)
        _run_child(body, writable)
    os.close(writable)
    try:
        with open(readable, "rb") as pipe:
            answer = pipe.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        _, status = os.waitpid(child, 0)
    if not answer:
        raise RuntimeError(f"the child that ran {body!r} ended without an answer: wait status {status}")
    succeeded, value = pickle.loads(answer)
    if succeeded:
        result: T = value
        return result
    raise value


def _run_child(body: Callable[[], object], writable: int) -> None:
    status = 1
    try:
        try:
            _drop_capabilities()
            answer = pickle.dumps((True, body()))
        except BaseException as error:
            answer = _dump_error(error)
        with open(writable, "wb") as pipe:
            pipe.write(answer)
        status = 0
    finally:
        os._exit(status)


def _dump_error(error: BaseException) -> bytes:
    text = "".join(traceback.format_exception(error))
    error.add_note(f"raised in a child without root's powers:\n{text}")
    try:
        answer = pickle.dumps((False, error))
        pickle.loads(answer)
    except Exception:
        return pickle.dumps((False, RuntimeError(text)))
    return answer


def _drop_capabilities() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("Ii", _LINUX_CAPABILITY_VERSION_3, 0)
    none = bytes(24)
    if libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NOROOT_LOCKED, 0, 0, 0) or libc.capset(header, none):
        code = ctypes.get_errno()
        raise OSError(code, f"cannot give up root's capabilities: {os.strerror(code)}")
