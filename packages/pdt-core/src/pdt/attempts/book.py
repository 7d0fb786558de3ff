"""What controllers agree on about attempts, kept in a ledger: claims, ends that were not the last, decisions."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Set
from datetime import UTC, datetime
from typing import Any

from ..job import unquoted
from ..ledger.base import Ledger
from .entries import FORMAT, Claim, Decision, Entries

__all__ = ["AttemptBook", "Claim", "Decision"]


class AttemptBook:
    """The attempts of one task.

    :param ledger: where they are kept.
    :param task: the task's name.
    :param owner: what stands for this controller in its claims, where several share the pipeline.
    :param owned: Optional: the owners whose claims this controller looks after, now and later; by default it is the
        only one, and looks after all. A job belongs to the owner of its newest claim.
    """

    def __init__(self, ledger: Ledger, task: str, *, owner: int = 0, owned: Set[int] | None = None) -> None:
        self.ledger = ledger
        self._task = task
        self._entries = Entries(ledger, task)
        self._owner = owner
        self._owned = owned
        #: By job, why its attempts ended that were not the last.
        self.ends: dict[str, list[str]] = {}
        #: By token, the places of attempts that have ended and were not the last of their jobs, as `load` found them.
        self.over: dict[str, Mapping[str, Any]] = {}
        #: The jobs that belong to somebody else, as `load` found them.
        self.foreign: set[str] = set()
        #: By job, the number of an attempt that is settled, of which there is something left: later ones get larger.
        self.above: Mapping[str, int] = {}
        #: By job, the seconds until its next attempt is due, and why the last one ended, as `load` found them.
        self.delayed: dict[str, tuple[float, str]] = {}
        #: By job, the number of its claims that are not settled.
        self._numbers: dict[str, int] = {}
        #: By job, the number of the last attempt in `ends`.
        self._ended: dict[str, int] = {}

    @property
    def is_shared(self) -> bool:
        """Whether other controllers keep their attempts in the same ledger."""
        return self._owned is not None

    async def load(self, owners: Collection[int] | None = None) -> tuple[list[Claim], dict[str, Decision]]:
        """Read what earlier controllers left: the newest claim of each job, and the decisions by token.

        :param owners: Optional: those to read in addition to what was read before; by default everything is read anew.
        :raises CorruptRecordError: if an entry cannot be read, or a newer version of pdt wrote it.
        """
        if owners is None:
            self.ends.clear()
            self._numbers.clear()
            self._ended.clear()
            self.delayed.clear()
        made, owned_by = await self._made()
        ended = {self._entries.numbered(key): value for key, value in await self._entries.of("end")}
        if self._owned is not None:
            if owners is None:
                await self._claim_left(dict(sorted(ended)), made, owned_by)
            mine = {job for job, owner in owned_by.items() if owner in (self._owned if owners is None else owners)}
            self.foreign = made.keys() - mine
            made = {job: made[job] for job in mine}
            ended = {(job, number): end for (job, number), end in ended.items() if job in mine}
        for job, claims in made.items():
            self._numbers[job] = max(claim.number for claim in claims)
            self.ends.pop(job, None)
            self._ended.pop(job, None)
        for job, number in sorted(ended):
            reason = self._entries.read(self._entries.key("end", job, number), ended[job, number], "reason")
            self.ends.setdefault(job, []).extend(reason)
            self._ended[job] = number
            self._numbers[job] = max(self._numbers.get(job, 0), number)
        for job in {job for job, _ in ended}:
            if self._numbers[job] == self._ended[job]:
                self.delayed[job] = _delay(ended[job, self._ended[job]])
        decisions = {}
        for key, value in await self._entries.of("commit"):
            job = unquoted(key.rsplit("/", 1)[1])
            if self._owned is None or job in made:
                token, *rest = self._entries.read(key, value, "token", "outcome", "failed", "moves", "streams")
                decisions[token] = Decision(job, token, *rest)
        self.over.clear()
        return [claim for job in made for claim in self._current(job, made[job])], decisions

    async def _made(self) -> tuple[dict[str, list[Claim]], dict[str, int]]:
        """Return the claims of each job that has any, and whom it belongs to."""
        made: dict[str, list[Claim]] = {}
        newest: dict[str, tuple[int, int]] = {}
        for key, value in await self._entries.of("claim"):
            job, number = self._entries.numbered(key)
            token, place, at, since = self._entries.read(key, value, "token", "place", "at", "since")
            made.setdefault(job, []).append(Claim(job, number, token, place, at, since))
            newest[job] = max(newest.get(job, (0, 0)), (number, self._entries.owner(key, value)))
        return made, {job: owner for job, (_, owner) in newest.items()}

    async def _claim_left(
        self, last: Mapping[str, int], made: dict[str, list[Claim]], owned_by: dict[str, int]
    ) -> None:
        """Make jobs one's own of which attempts have ended that nobody has claimed: a controller that worked alone did.

        :param last: by job, the number of the last attempt that has ended.
        """
        for claim in await self.claim(Claim(job, last[job], os.urandom(16).hex()) for job in last.keys() - made.keys()):
            made[claim.job] = [claim]
            owned_by[claim.job] = self._owner

    async def owners(self) -> tuple[set[int], set[int]]:
        """Return the owners of jobs, and those of them with a job whose newest attempt has not ended.

        :raises CorruptRecordError: if an entry cannot be read, or a newer version of pdt wrote it.
        """
        made, owned_by = await self._made()
        ended = {self._entries.numbered(key) for key in await self.ledger.list(f"end/{self._task}/")}
        at_work = {
            owned_by[job] for job, claims in made.items() if (job, max(claim.number for claim in claims)) not in ended
        }
        return set(owned_by.values()), at_work

    def _current(self, job: str, claims: list[Claim]) -> list[Claim]:
        """Return the newest of a job's claims, unless it has ended and the next has not been claimed."""
        *over, newest = sorted(claims, key=lambda claim: claim.number)
        if newest.number <= self._ended.get(job, 0):
            over.append(newest)
        self.over.update((claim.token, claim.place) for claim in over)
        return [] if newest in over else [newest]

    async def claim(self, claims: Iterable[Claim]) -> list[Claim]:
        """Write claims, and return those that nobody else had written."""
        wanted = {self._entries.key("claim", claim.job, claim.number): claim for claim in claims}
        won = await self._entries.insert(wanted, {"controller": self._owner} if self.is_shared else {})
        for key in won:
            self._numbers[wanted[key].job] = wanted[key].number
        return [claim for key, claim in wanted.items() if key in won]

    def next_number(self, job: str) -> int:
        """Return the number of the job's next attempt."""
        # What keeps others from a job is that they come to the same number, whatever is left here of earlier ones.
        above = 0 if self.is_shared else self.above.get(job, 0)
        return max(self._numbers.get(job, 0), above) + 1

    async def release(self, claims: Iterable[Claim]) -> None:
        """Take back claims of attempts that were not begun."""
        claims = list(claims)
        await self.ledger.delete_all(self._entries.key("claim", claim.job, claim.number) for claim in claims)
        for claim in claims:
            self._numbers[claim.job] = claim.number - 1

    async def end(self, job: str, number: int, outcome: Mapping[str, Any]) -> None:
        """Note the end of an attempt that is not the job's last."""
        await self.ledger.insert(self._entries.key("end", job, number), {"format": FORMAT, **outcome})
        self._numbers[job] = max(self._numbers.get(job, 0), number)
        if self._ended.get(job, 0) < number:  # else it is said again
            self._ended[job] = number
            self.ends.setdefault(job, []).append(outcome["reason"])

    async def decide(self, decisions: Iterable[Decision]) -> set[str]:
        """Write decisions, and return the tokens of those that stand: a job's first one, whoever wrote it."""
        wanted = {self._entries.key("commit", decision.job): decision for decision in decisions}
        return {wanted[key].token for key in await self._entries.insert(wanted)}

    async def settle(self, jobs: Iterable[str]) -> None:
        """Forget jobs that are recorded: their claims, ends and decisions."""
        keys: list[str] = []
        for job in jobs:
            # The decision goes last: as long as there is anything of the job, it says what to do.
            for number in range(1, self._numbers.pop(job, 0) + 1):
                keys.append(self._entries.key("claim", job, number))
                if job in self.ends:
                    keys.append(self._entries.key("end", job, number))
            self.ends.pop(job, None)
            self._ended.pop(job, None)
            keys.append(self._entries.key("commit", job))
        await self.ledger.delete_all(keys)


def _delay(end: Mapping[str, Any]) -> tuple[float, str]:
    """Return what is left of the delay after an attempt's end, and why that ended.

    By a clock that has been set back since, the whole delay is left, and no more.
    """
    delay, since = end.get("delay"), end.get("end_time")
    left = 0.0
    if isinstance(delay, int | float) and isinstance(since, datetime):
        left = min(delay, max(0.0, delay - (datetime.now(UTC) - since).total_seconds()))
    what = end.get("error") or end.get("exception")
    return left, f"{end['reason']}: {what}" if what else end["reason"]
