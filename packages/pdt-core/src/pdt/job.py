"""What a job id may be: the one rule, and a check of a whole listing that costs next to nothing."""

from __future__ import annotations

import re
import string
from collections.abc import Collection
from functools import lru_cache
from typing import Any, TypeGuard

from .errors import InvalidJobIdError

__all__ = ["CHARSET", "CHARSET_START_END", "MAX_LENGTH", "JobIdRule", "quoted", "unquoted"]

CHARSET_START_END = string.ascii_letters + string.digits
CHARSET = CHARSET_START_END + "-_."
MAX_LENGTH = 63
_PLAIN = re.compile(r"[A-Za-z0-9][-_.A-Za-z0-9]*", re.ASCII)


class JobIdRule:
    """A job id is 1 to 63 characters of `charset`, the first and the last of `charset_start_end`.

    :param charset: characters allowed inside.
    :param charset_start_end: characters allowed at both ends.

    Source: a Kubernetes label value, so that an id can be a label, a file name and an object key unchanged.
    """

    def __init__(self, charset: str = CHARSET, charset_start_end: str = CHARSET_START_END) -> None:
        self.charset = charset
        self.charset_start_end = charset_start_end
        inner, ends = (f"[{re.escape(chars)}]" for chars in (charset, charset_start_end))
        one = f"{ends}(?:{inner}{{0,{MAX_LENGTH - 2}}}{ends})?"
        self._fullmatch = re.compile(one).fullmatch
        self._lines = re.compile(f"(?:{one}\n)*+")

    @staticmethod
    @lru_cache
    def of(charset: str, charset_start_end: str) -> JobIdRule:
        """Return the shared rule for these two character sets."""
        return JobIdRule(charset, charset_start_end)

    def __reduce__(self) -> Any:
        return (JobIdRule.of, (self.charset, self.charset_start_end))

    def accepts(self, job: object) -> TypeGuard[str]:
        """Tell whether `job` is a valid job id."""
        return isinstance(job, str) and self._fullmatch(job) is not None

    def accepts_all(self, jobs: Collection[str]) -> bool:
        """Tell whether every one of `jobs` is valid, in one pass of the regular expression engine."""
        try:
            lines = "\n".join([*jobs, ""])
        except TypeError:  # one of them is not even text
            return False
        return lines.count("\n") == len(jobs) and self._lines.fullmatch(lines) is not None

    def check(self, job: object) -> str:
        """Return `job`, or say which rule it breaks.

        :raises InvalidJobIdError: if it is not a valid job id.
        """
        if isinstance(job, str) and self._fullmatch(job):
            return job
        raise self.error(job)

    def error(self, job: object) -> InvalidJobIdError:
        """Return the error that says which rule `job` breaks, and what a job id has to be."""
        inside, ends = _named(self.charset), _named(self.charset_start_end)
        fix = f"use 1 to {MAX_LENGTH} of these: {inside}; at both ends: {ends}"
        return InvalidJobIdError(job, self.reason(job), fix=fix)

    def reason(self, job: object) -> str:
        """Say which rule `job` breaks."""
        if not isinstance(job, str):
            return f"it is {type(job).__name__}, not text"
        if not job:
            return "it is empty"
        if len(job) > MAX_LENGTH:
            return f"it has {len(job)} characters, and at most {MAX_LENGTH} are allowed"
        strange = next((c for c in job if c not in self.charset), None)
        if strange is not None:
            return f"it contains {strange!a}; allowed are {_named(self.charset)}"
        return f"it may begin and end only with {_named(self.charset_start_end)}"


def _named(characters: str) -> str:
    """Return a short description of a set of characters."""
    others = "".join(sorted(set(characters).difference(CHARSET_START_END)))
    if not set(CHARSET_START_END).issubset(characters):
        return repr(characters)
    return f"letters, digits and {others!r}" if others else "letters and digits"


def quoted(job: str) -> str:
    """Return a job as one part of a key: a class of repositories may allow more than keys do."""
    if _PLAIN.fullmatch(job):
        return job
    from urllib.parse import quote

    coded = quote(job, safe="")
    return coded if coded.strip(".") else coded.replace(".", "%2E")  # no part of a key is "." or ".."


def unquoted(part: str) -> str:
    """Return the job that `quoted` made a part of a key of."""
    if "%" not in part:
        return part
    from urllib.parse import unquote

    return unquote(part)
