"""Processes of this machine, told apart by the token in their environment and never by their number.

A process that overwrites the memory of its environment, or is started with an empty one, carries no token.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection
from errno import EINVAL

__all__ = ["TOKEN", "carriers", "carries", "kill_carriers", "signal_group"]

#: The variable that holds an attempt's token; what a script starts inherits it.
TOKEN = "PDT_ATTEMPT"  # noqa: S105  the name of a variable
#: Rounds of killing at most: what forked before it was killed is found by the next one.
ROUNDS = 20
#: Rounds that find nobody, after which there is nobody.
QUIET_ROUNDS = 2
#: Looks at most, a millisecond apart, at a process that is about to become another program.
EXECUTING_LOOKS = 500
#: As many of them have to find its environment empty.
EMPTY_LOOKS = 3
#: The flags in /proc/PID/stat of what is ending (PF_EXITING), and of the kernel's own threads (PF_KTHREAD).
HAS_NO_MEMORY = 0x4 | 0x200000
#: The flag of pidfd_send_signal(2) for the group that a process leads; since Linux 6.9.
PIDFD_SIGNAL_PROCESS_GROUP = 1 << 2


def carries(pid: int, token: str) -> bool:
    """Tell whether process `pid` is alive and has the token; a zombie has nothing any more."""
    return f"\0{TOKEN}={token}\0".encode() in _environment(pid)


def carriers(tokens: Collection[str]) -> dict[str, list[int]]:
    """Return, by token, the processes that have it in their environment; one reading of /proc for all of them."""
    found: dict[str, list[int]] = {token: [] for token in tokens}
    if not found:
        return found
    own = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != own:
            token = _token_of(int(name))
            if token in found:
                found[token].append(int(name))
    return found


def kill_carriers(tokens: Collection[str], number: int = signal.SIGKILL, spare: int | None = None) -> None:
    """Send a signal to every process that has one of the tokens; by SIGKILL, also to what they start meanwhile.

    :param spare: the process that is left alone.
    """
    signalled: set[int] = set()
    quiet = 0
    for _ in range(ROUNDS):
        new = [
            (pid, token)
            for token, pids in carriers(tokens).items()
            for pid in pids
            if pid != spare and pid not in signalled
        ]
        for pid, token in new:
            _signal(pid, token, number, _send_to_process)
            signalled.add(pid)
        # A listing is none of one moment: a second one makes sure.
        quiet = 0 if new else quiet + 1
        if quiet == QUIET_ROUNDS or number != signal.SIGKILL or not tokens:
            break


def signal_group(pid: int, token: str, number: int) -> bool:
    """Send a signal to the process group that a process leads, if it has the token, and tell whether it does."""
    return _signal(pid, token, number, _send_to_group)


def _signal(pid: int, token: str, number: int, send: Callable[[int, int, int], None]) -> bool:
    """Send a signal to a process that has the token; the descriptor makes sure that it is the one looked at."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not carries(pid, token):
            return False
        send(descriptor, pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _send_to_process(descriptor: int, pid: int, number: int) -> None:
    signal.pidfd_send_signal(descriptor, number)


def _send_to_group(descriptor: int, pid: int, number: int) -> None:
    try:
        signal.pidfd_send_signal(descriptor, number, None, PIDFD_SIGNAL_PROCESS_GROUP)
    except OSError as error:
        if error.errno != EINVAL:
            raise
        os.killpg(pid, number)  # the kernel is older than that flag


def _token_of(pid: int) -> str:
    _, found, rest = _environment(pid).partition(f"\0{TOKEN}=".encode())
    return rest.partition(b"\0")[0].decode("ascii", "replace") if found else ""


def _environment(pid: int) -> bytes:
    """Return the environment that a process began with, each variable between NULs."""
    looks = 0
    for _ in range(EXECUTING_LOOKS):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                content = file.read()
            if content:
                return b"\0" + content + b"\0"
            looks += _looks_empty(pid)
        except OSError:
            break  # gone, or a stranger's
        if looks >= EMPTY_LOOKS:
            break
        time.sleep(0.001)
    return b""


def _looks_empty(pid: int) -> int:
    """Tell whether a process shows no environment, as one that becomes another program does for a moment."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    flags, start, end = int(fields[6]), fields[47], fields[48]
    return EMPTY_LOOKS if flags & HAS_NO_MEMORY else start == end != b"0"
