"""Claims of jobs: what keeps several controllers from starting the same one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..attempts.book import Claim
from ..failpoints import hit
from .record import now

if TYPE_CHECKING:
    import asyncio

    from ..attempts.book import AttemptBook

__all__ = ["SharedClaims", "claim_jobs"]


async def claim_jobs(
    book: AttemptBook,
    jobs: Sequence[str],
    claims: dict[str, Claim],
    offered: dict[str, Claim],
    place: Callable[[str], Mapping[str, Any]],
) -> list[Claim]:
    """Claim the next attempts of jobs, and return the claims that are void: somebody else has claimed those.

    :param book: takes the claims.
    :param jobs: the jobs.
    :param claims: by job, what is claimed already; those that are new are added.
    :param offered: those of which it is not known whether they were written, from one call to the next.
    :param place: from an attempt's token to where it will run.
    """
    at, since = time.clock_gettime(time.CLOCK_BOOTTIME), str(now())
    wanted = []
    for job in jobs:
        if job not in claims:
            if job not in offered:
                token = os.urandom(16).hex()
                offered[job] = Claim(job, book.next_number(job), token, place(token), at, since)
            wanted.append(offered[job])
    hit("claim.before")
    won = await book.claim(wanted)
    hit("claim.after")
    for claim in wanted:
        del offered[claim.job]
    claims.update((claim.job, claim) for claim in won)
    return [claim for claim in wanted if claim.job not in claims]


class SharedClaims:
    """The claims of a task whose jobs end with their controller, in a pipeline that several controllers share.

    :param book: of the task's attempts.
    """

    def __init__(self, book: AttemptBook) -> None:
        self._book = book
        self._claims: dict[str, Claim] = {}
        self._offered: dict[str, Claim] = {}
        self._is_loaded = False

    @cached_property
    def _loading(self) -> asyncio.Lock:
        import asyncio

        return asyncio.Lock()

    @property
    def jobs(self) -> Collection[str]:
        """The jobs that this controller has claimed."""
        return self._claims.keys()

    async def load(self) -> None:
        """Take over what the controllers have left whose claims this one looks after, the first time."""
        if not self._is_loaded:
            async with self._loading:
                if not self._is_loaded:
                    await self._let_go(None)
                    self._is_loaded = True

    async def take_over(self, owners: Collection[int]) -> None:
        """Take over what controllers have left that are gone by now.

        :param owners: what stands for them in their claims.
        """
        if self._is_loaded:
            await self._let_go(owners)
        else:
            await self.load()

    async def _let_go(self, owners: Collection[int] | None) -> None:
        """Take back claims of jobs that have ended with their controllers, or that were not begun."""
        left, _ = await self._book.load(owners)
        await self._book.release(left)

    async def claim(self, jobs: Sequence[str]) -> list[str]:
        """Claim jobs, and return those that nobody else has claimed."""
        await claim_jobs(self._book, jobs, self._claims, self._offered, lambda token: {})
        return [job for job in jobs if job in self._claims]

    async def release(self, jobs: Collection[str]) -> None:
        """Take back claims of jobs that are not started after all."""
        await self._book.release([self._claims[job] for job in jobs if job in self._claims])
        for job in jobs:
            self._claims.pop(job, None)

    def ended(self, job: str) -> None:
        """Note that an attempt of a job has ended, which keeps the job for the next one."""
        self._claims.pop(job, None)

    async def settle(self, jobs: Collection[str]) -> None:
        """Forget the attempts of jobs whose records are written."""
        await self._book.settle(job for job in jobs if job in self._claims)
        for job in jobs:
            self._claims.pop(job, None)
