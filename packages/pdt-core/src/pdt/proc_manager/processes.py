"""Processes of this machine, told apart by the token in their environment and never by their number."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

__all__ = ["TOKEN", "carriers", "carries", "kill_carriers"]

#: The variable that holds an attempt's token; what a script starts inherits it.
TOKEN = "PDT_ATTEMPT"  # noqa: S105  the name of a variable
#: Rounds of killing: what forks meanwhile is found by the next one.
ROUNDS = 20


def carries(pid: int, token: str) -> bool:
    """Tell whether process `pid` is alive and has the token; a zombie has nothing any more."""
    return _mark(token) in _environment(pid)


def carriers(tokens: Iterable[str]) -> dict[str, list[int]]:
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


def kill_carriers(token: str, number: int = signal.SIGKILL, spare: int | None = None) -> int:
    """Send a signal to every process that has the token, and return how many there were in the last round.

    :param spare: the process that is left alone.
    """
    left = 0
    for _ in range(ROUNDS):
        pids = [pid for pid in carriers([token])[token] if pid != spare]
        left = sum(_signal(pid, token, number) for pid in pids)
        if not left or number != signal.SIGKILL:
            break
    return left


def _signal(pid: int, token: str, number: int) -> bool:
    """Send a signal to a process if it has the token; the descriptor makes sure that it is the one looked at."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False  # gone
    try:
        if not carries(pid, token):
            return False
        signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _mark(token: str) -> bytes:
    return f"\0{TOKEN}={token}\0".encode()


def _token_of(pid: int) -> str:
    _, found, rest = _environment(pid).partition(f"\0{TOKEN}=".encode())
    return rest.partition(b"\0")[0].decode("ascii", "replace") if found else ""


def _environment(pid: int) -> bytes:
    """Return the environment that a process began with, each variable between NULs."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return b"\0" + file.read() + b"\0"
    except OSError:
        return b""  # gone, or a stranger's
