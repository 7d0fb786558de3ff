"""Why a job failed, in one line; and in one that is the same for every job that failed so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["alike", "cause_of", "common_cause"]

LONGEST = 300
#: Ends for which what the job said last is not the cause.
ENDED_BY_OTHERS = frozenset({"cancelled", "timeout", "oom", "lost", "evicted", "preempted", "deleted"})

#: An exception's repr() whose only argument is a text.
_RAISED = re.compile(r"""(?P<kind>[A-Za-z_][\w.]*)\((?P<quote>['"])(?P<text>.*)(?P=quote),?\)""", re.DOTALL)
_PATHS = (
    (re.compile(r"(?<![\w./<])(?:~|\.{1,2})?/[^\s:;,'\"()<>]+"), "<path>"),
    (re.compile(r"(?<![\w./<])[\w.-]+(?:/[\w.-]+)*/[\w-]+\.\w+(?![\w/])"), "<path>"),
)
_ALIKE = (
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<id>"),
    (re.compile(r"\b0[xX][0-9a-fA-F]+\b"), "<hex>"),
    (re.compile(r"\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{7,}\b"), "<hex>"),
    # What has blanks in it is a message, not an id.
    (re.compile(r"""(?<!\w)(['"`])[^\s'"`]+\1(?!\w)"""), "<id>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "<n>"),
)


def cause_of(record: Mapping[str, Any]) -> str:
    """Return what the record of a failed job says of the cause, in one line."""
    reason = str(record.get("reason") or "failed")
    said = _said(record)
    if said:
        return f"{reason}: {said}" if reason in ENDED_BY_OTHERS else said
    detail = record.get("signal") if reason == "signal" else record.get("return_code")
    return reason if detail is None or reason in ENDED_BY_OTHERS else f"{reason} {detail}"


def _said(record: Mapping[str, Any]) -> str:
    """Return the last thing that the job itself said."""
    error = str(record.get("error") or "").partition("\nfix: ")[0]
    if not error:
        error = str(record.get("exception") or "").strip().rpartition("\n")[2]
    return " ".join(error.split())[:LONGEST]


def common_cause(record: Mapping[str, Any], job: str) -> str:
    """Return the cause of a failure as it reads for every job that failed so."""
    reason = str(record.get("reason"))
    if reason in ENDED_BY_OTHERS:
        return reason  # what the job had said before is by chance
    said = _said(record)
    return alike(said, job) if said else cause_of(record)


def alike(cause: str, job: str) -> str:
    """Return a cause without what differs from one job to the next: its id, paths, numbers, quoted ids."""
    raised = _RAISED.fullmatch(cause)
    if raised is not None:
        cause = f"{raised['kind']}: {'<job>' if raised['text'] == job else raised['text']}"
    # A job's id is in the names of its files.
    text = _replaced(cause, _PATHS)
    # One that is a word may be a word of the message.
    before, after = (r"(?<=['\"])", r"(?=['\"])") if job.isalpha() else (r"(?<![\w.-])", r"(?![\w-]|\.\w)")
    text = re.sub(f"{before}{re.escape(job)}{after}", "<job>", text)
    return _replaced(text, _ALIKE).replace("'<job>'", "<job>").replace('"<job>"', "<job>")


def _replaced(text: str, patterns: Iterable[tuple[re.Pattern[str], str]]) -> str:
    for pattern, placeholder in patterns:
        text = pattern.sub(placeholder, text)
    return text
