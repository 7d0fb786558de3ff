"""What controllers agree on about attempts, kept in a ledger: claims, ends that were not the last, decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..job import quoted, unquoted
from ..ledger.base import Ledger

if TYPE_CHECKING:
    from ..errors import CorruptRecordError

__all__ = ["AttemptBook", "Claim", "Decision"]

#: What this version writes, and the newest that it reads.
FORMAT = 1


@dataclass(frozen=True)
class Claim:
    """An attempt that somebody is about to make, or has made.

    :param job: the job.
    :param number: 1 for the first attempt of the job, and so on.
    :param token: tells this attempt from every other.
    :param place: where it runs.
    :param at: when it was claimed, in seconds of the machine's own clock since its boot.
    :param since: when it was claimed, by the time of day, for people.
    """

    job: str
    number: int
    token: str
    place: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0
    since: str = ""


@dataclass(frozen=True)
class Decision:
    """That the results of an attempt count: whoever finds it may carry it out.

    :param job: the job.
    :param token: of the attempt.
    :param outcome: the record of its end.
    :param failed: whether the record goes to the repository of failed jobs.
    :param moves: the files and directories to put in place, each with where it lies now.
    :param streams: the files to copy into repositories, each with the name of its link.
    """

    job: str
    token: str
    outcome: Mapping[str, Any]
    failed: bool = False
    moves: Sequence[Sequence[str]] = ()
    streams: Sequence[Sequence[str]] = ()


class AttemptBook:
    """The attempts of one task.

    :param ledger: where they are kept.
    :param task: the task's name.
    """

    def __init__(self, ledger: Ledger, task: str) -> None:
        self.ledger = ledger
        self._task = task
        #: By job, why its attempts ended that were not the last.
        self.ends: dict[str, list[str]] = {}
        #: By token, the places of attempts that have ended and were not the last of their jobs, as `load` found them.
        self.over: dict[str, Mapping[str, Any]] = {}
        #: By job, the number of its claims that are not settled.
        self._numbers: dict[str, int] = {}
        #: By job, the number of the last attempt in `ends`.
        self._ended: dict[str, int] = {}

    def _key(self, kind: str, job: str, number: int | None = None) -> str:
        return f"{kind}/{self._task}/{quoted(job)}" + ("" if number is None else f"/{number}")

    async def load(self) -> tuple[list[Claim], dict[str, Decision]]:
        """Read what earlier controllers left: the newest claim of each job, and the decisions by token.

        :raises CorruptRecordError: if an entry cannot be read, or a newer version of pdt wrote it.
        """
        made: dict[str, list[Claim]] = {}
        self.ends.clear()
        self.over.clear()
        self._numbers.clear()
        self._ended.clear()
        for key, value in await self._entries("claim"):
            job, number = self._numbered(key)
            token, place, at, since = self._read(key, value, "token", "place", "at", "since")
            made.setdefault(job, []).append(Claim(job, number, token, place, at, since))
            self._numbers[job] = max(self._numbers.get(job, 0), number)
        ends = [(self._numbered(key), *self._read(key, value, "reason")) for key, value in await self._entries("end")]
        for (job, number), reason in sorted(ends):
            self.ends.setdefault(job, []).append(reason)
            self._ended[job] = number
            self._numbers[job] = max(self._numbers.get(job, 0), number)
        decisions = {}
        for key, value in await self._entries("commit"):
            job = unquoted(key.rsplit("/", 1)[1])
            token, *rest = self._read(key, value, "token", "outcome", "failed", "moves", "streams")
            decisions[token] = Decision(job, token, *rest)
        return [claim for job in made for claim in self._current(job, made[job])], decisions

    def _current(self, job: str, claims: list[Claim]) -> list[Claim]:
        """Return the newest of a job's claims, unless it has ended and the next has not been claimed."""
        *over, newest = sorted(claims, key=lambda claim: claim.number)
        if newest.number <= self._ended.get(job, 0):
            over.append(newest)
        self.over.update((claim.token, claim.place) for claim in over)
        return [] if newest in over else [newest]

    async def _entries(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the entries of one kind.

        :raises CorruptRecordError: if this version cannot read one.
        """
        entries = sorted((await self.ledger.items(f"{kind}/{self._task}/")).items())
        for key, value in entries:
            found = value.get("format")
            if found != FORMAT:
                newer = isinstance(found, int) and found > FORMAT
                written = f"a newer pdt wrote it (format {found}, this one reads {FORMAT})"
                raise self._corrupt(key, written if newer else f"its format is {found!r}")
        return entries

    def _read(self, key: str, value: Mapping[str, Any], *names: str) -> list[Any]:
        missing = [name for name in names if name not in value]
        if missing:
            raise self._corrupt(key, f"it has no {', '.join(missing)}")
        return [value[name] for name in names]

    def _numbered(self, key: str) -> tuple[str, int]:
        job, _, number = key.split("/", 2)[2].partition("/")
        if not number.isdecimal():
            raise self._corrupt(key, "its key does not end with a job and the number of an attempt")
        return unquoted(job), int(number)

    def _corrupt(self, key: str, why: str) -> CorruptRecordError:
        from ..errors import CorruptRecordError

        return CorruptRecordError(repr(self.ledger), key, why)

    async def claim(self, claims: Iterable[Claim]) -> list[Claim]:
        """Write claims, and return those that nobody else had written."""
        wanted = {self._key("claim", claim.job, claim.number): claim for claim in claims}
        won = await self._insert(wanted)
        for key in won:
            self._numbers[wanted[key].job] = wanted[key].number
        return [claim for key, claim in wanted.items() if key in won]

    async def _insert(self, wanted: Mapping[str, Claim] | Mapping[str, Decision]) -> set[str]:
        """Write entries, and return the keys of those that stand; also if a call did it whose answer was lost."""
        won = await self.ledger.insert_all({key: _entry(thing) for key, thing in wanted.items()})
        for key in wanted.keys() - won:
            entry = await self.ledger.get(key)
            if entry is not None and entry.get("token") == wanted[key].token:
                won.add(key)
        return won

    def next_number(self, job: str) -> int:
        """Return the number of the job's next attempt."""
        return self._numbers.get(job, 0) + 1

    async def release(self, claims: Iterable[Claim]) -> None:
        """Take back claims of attempts that were not begun."""
        claims = list(claims)
        await self.ledger.delete_all(self._key("claim", claim.job, claim.number) for claim in claims)
        for claim in claims:
            self._numbers[claim.job] = claim.number - 1

    async def end(self, job: str, number: int, outcome: Mapping[str, Any]) -> None:
        """Note the end of an attempt that is not the job's last."""
        await self.ledger.insert(self._key("end", job, number), {"format": FORMAT, **outcome})
        self._numbers[job] = max(self._numbers.get(job, 0), number)
        if self._ended.get(job, 0) < number:  # else it is said again
            self._ended[job] = number
            self.ends.setdefault(job, []).append(outcome["reason"])

    async def decide(self, decisions: Iterable[Decision]) -> set[str]:
        """Write decisions, and return the tokens of those that stand: a job's first one, whoever wrote it."""
        wanted = {self._key("commit", decision.job): decision for decision in decisions}
        return {wanted[key].token for key in await self._insert(wanted)}

    async def settle(self, jobs: Iterable[str]) -> None:
        """Forget jobs that are recorded: their claims, ends and decisions."""
        keys: list[str] = []
        for job in jobs:
            # The decision goes last: as long as there is anything of the job, it says what to do.
            for number in range(1, self._numbers.pop(job, 0) + 1):
                keys.append(self._key("claim", job, number))
                if job in self.ends:
                    keys.append(self._key("end", job, number))
            self.ends.pop(job, None)
            self._ended.pop(job, None)
            keys.append(self._key("commit", job))
        await self.ledger.delete_all(keys)


def _entry(thing: Claim | Decision) -> dict[str, Any]:
    entry = {"format": FORMAT, **vars(thing)}
    del entry["job"]
    return entry
