"""What is written of attempts in a ledger: claims, ends that were not the last, decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..job import quoted, unquoted
from ..ledger.base import Ledger

if TYPE_CHECKING:
    from ..errors import CorruptRecordError

__all__ = ["FORMAT", "Claim", "Decision", "Entries"]

#: What this version writes, and the newest that it reads.
FORMAT = 1
#: What stands for a controller is less than this.
OWNERS = 1 << 62


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


class Entries:
    """The entries of one task, checked when they are read.

    :param ledger: where they are kept.
    :param task: the task's name.
    """

    def __init__(self, ledger: Ledger, task: str) -> None:
        self._ledger = ledger
        self._task = task

    def key(self, kind: str, job: str, number: int | None = None) -> str:
        """Return the key of an entry.

        :param kind: "claim", "end" or "commit".
        :param job: the job.
        :param number: Optional: of the attempt.
        """
        return f"{kind}/{self._task}/{quoted(job)}" + ("" if number is None else f"/{number}")

    async def of(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the entries of one kind.

        :raises CorruptRecordError: if this version cannot read one.
        """
        entries = sorted((await self._ledger.items(f"{kind}/{self._task}/")).items())
        for key, value in entries:
            found = value.get("format")
            if found != FORMAT:
                newer = isinstance(found, int) and found > FORMAT
                written = f"a newer pdt wrote it (format {found}, this one reads {FORMAT})"
                raise self._corrupt(key, written if newer else f"its format is {found!r}")
        return entries

    def read(self, key: str, value: Mapping[str, Any], *names: str) -> list[Any]:
        """Return parts of an entry.

        :raises CorruptRecordError: if one is missing.
        """
        missing = [name for name in names if name not in value]
        if missing:
            raise self._corrupt(key, f"it has no {', '.join(missing)}")
        return [value[name] for name in names]

    def numbered(self, key: str) -> tuple[str, int]:
        """Return the job and the number of the attempt that an entry is about.

        :raises CorruptRecordError: if its key does not say so.
        """
        job, _, number = key.split("/", 2)[2].partition("/")
        if not number.isdecimal():
            raise self._corrupt(key, "its key does not end with a job and the number of an attempt")
        return unquoted(job), int(number)

    def owner(self, key: str, value: Mapping[str, Any]) -> int:
        """Return what stands for the controller that made a claim; 0 for one that worked alone.

        :raises CorruptRecordError: if it is no number.
        """
        owner = value.get("controller", 0)
        if type(owner) is not int or not 0 <= owner < OWNERS:
            raise self._corrupt(key, f"its controller is {owner!r}")
        return owner

    def _corrupt(self, key: str, why: str) -> CorruptRecordError:
        from ..errors import CorruptRecordError

        return CorruptRecordError(repr(self._ledger), key, why)

    async def insert(
        self, wanted: Mapping[str, Claim] | Mapping[str, Decision], more: Mapping[str, Any] = MappingProxyType({})
    ) -> set[str]:
        """Write entries, and return the keys of those that stand; also if a call did it whose answer was lost.

        :param wanted: by key.
        :param more: what each has besides.
        """
        won = await self._ledger.insert_all({key: {**_entry(thing), **more} for key, thing in wanted.items()})
        for key in wanted.keys() - won:
            entry = await self._ledger.get(key)
            if entry is not None and entry.get("token") == wanted[key].token:
                won.add(key)
        return won


def _entry(thing: Claim | Decision) -> dict[str, Any]:
    entry = {"format": FORMAT, **vars(thing)}
    del entry["job"]
    return entry
