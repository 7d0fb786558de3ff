"""Job ids on the command line: literal ones, globs, and - for stdin."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from heapq import nsmallest
from typing import Any

from ..errors import NotFoundError
from ..job import CHARSET, CHARSET_START_END, JobIdRule
from ..repository.base import Repository
from .output import counted

__all__ = ["check_job", "is_glob", "resolve_jobs", "spelled_out", "unknown_job"]

#: Keys that are compared with a mistyped one.
MOST_COMPARED = 5_000
#: Keys that are named where none is like it.
MOST_NAMED = 5


def is_glob(text: str) -> bool:
    """Tell whether a text stands for the keys that it matches; no job id has any of these characters."""
    return any(character in text for character in "*?[")


def check_job(job: str, repos: Iterable[Repository]) -> str:
    """Return `job` if at least one of `repos` could hold it.

    :raises InvalidJobIdError: if it is no job id for any of them.
    """
    rules = {repo.job_ids for repo in repos} or {JobIdRule.of(CHARSET, CHARSET_START_END)}
    if not any(rule.accepts(job) for rule in rules):
        raise next(iter(rules)).error(job)
    return job


def spelled_out(words: Iterable[str]) -> Iterator[str]:
    """Yield the words, and in place of - the lines of stdin."""
    for word in words:
        if word == "-":
            yield from filter(None, (line.rstrip("\r\n") for line in sys.stdin))
        else:
            yield word


async def resolve_jobs(
    words: Iterable[str], repos: Collection[Repository], keys: Callable[[], Awaitable[Collection[str]]]
) -> list[str]:
    """Return the jobs that the words of the command line stand for, each once, in order.

    :param repos: where the jobs are to be looked for; their rules say what a job id is.
    :param keys: returns what globs are matched with; called only where there is one.
    :raises InvalidJobIdError: if a word is no job id.
    :raises NotFoundError: if a glob matches nothing.
    """
    checked = [word if is_glob(word) else check_job(word, repos) for word in spelled_out(words)]
    jobs: dict[str, None] = {}
    known: list[str] | None = None
    for word in checked:
        if not is_glob(word):
            jobs[word] = None
            continue
        from fnmatch import filter as matching

        known = sorted(await keys()) if known is None else known
        found = matching(known, word)
        if not found:
            raise NotFoundError(f"no job matches {word!r}", fix=f"it was compared with {len(known)} keys")
        jobs.update(dict.fromkeys(found))
    return list(jobs)


def unknown_job(job: str, keys: Collection[str], where: str) -> NotFoundError:
    """Return the error for a job that is not there, with the key that is spelt nearly like it.

    :param where: what was searched, as a person would say it.
    """
    from difflib import get_close_matches

    close: Any = get_close_matches(job, sorted(keys), n=1) if len(keys) <= MOST_COMPARED else []
    return NotFoundError(
        f"there is no job {job!r} in {where}", fix=f"did you mean {close[0]}?" if close else _what_there_is(keys)
    )


def _what_there_is(keys: Collection[str]) -> str:
    if not keys:
        return "there are no jobs yet"
    some = ", ".join(nsmallest(MOST_NAMED, keys))
    if len(keys) <= MOST_NAMED:
        return f"there {'is' if len(keys) == 1 else 'are'} {some}"
    return f"there are {counted(len(keys), 'job')}, such as {some}"
