"""How the end of a process reads in its record."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from signal import Signals, strsignal

from ..proc_manager.runner import SIGNALLED, Exit
from .record import Outcome

__all__ = ["last_line", "outcome_of"]

LONGEST_LINE = 300
#: What dash and bash say of a command that a signal has ended.
_SHELLS_WORD = r"(?:.*: line \d+: +\d+ )?%s(?: .*)?"


def outcome_of(exit: Exit, start: datetime, end: datetime) -> Outcome:
    """Return the record of an attempt that ended.

    A shell does not tell a script that was ended by a signal from one that returned 128 and its number.
    """
    code, number = exit.return_code, None
    if code is not None and code > SIGNALLED and _is_signal(code - SIGNALLED):
        number = code - SIGNALLED
    if code == 0:
        reason = "success"
    elif exit.killed is not None:
        reason = exit.killed
    elif code is None:
        reason = "lost"
    else:
        reason = exit.cause or ("exit" if number is None else "signal")
    outcome: Outcome = {
        "return_code": code,
        "success": reason == "success",
        "reason": reason,
        "signal": number,
        "start_time": start,
        "end_time": end,
    }
    if exit.detail is not None:
        outcome["error"] = exit.detail
    return outcome


@lru_cache
def _is_signal(number: int) -> bool:
    return number in set(Signals)


def last_line(tail: bytes, ended_by: int | None = None) -> str | None:
    """Return the last line of a log that says something, as text that every store takes.

    :param ended_by: the signal by which the controller had it ended: that a shell says so is no news.
    """
    news = _SHELLS_WORD % re.escape(strsignal(ended_by) or "") if ended_by is not None else None
    for line in reversed(tail.splitlines()):
        text = line.decode(errors="replace").strip()
        text = "".join(char if char.isprintable() else " " for char in text).strip()
        if text and not (news and re.fullmatch(news, text)):
            return text[:LONGEST_LINE]
    return None
