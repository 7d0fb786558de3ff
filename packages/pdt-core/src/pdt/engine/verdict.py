"""What the engine says of one job of one task: the one answer behind status, plan and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

__all__ = ["Lookup", "Verdict", "VerdictKind"]


class VerdictKind(Enum):
    """Why a job starts, or does not."""

    READY = "ready"
    RUNNING = "running"
    MISSING = "missing"
    INHIBITED = "inhibited"
    DENIED = "denied"
    NEVER_FITS = "never-fits"
    BACKING_OFF = "backing-off"
    BLOCKED = "blocked"
    VETOED = "vetoed"
    DISABLED = "disabled"
    INVALID = "invalid"


@dataclass(frozen=True)
class Lookup:
    """One step of a proof: whether a key is in a repository, and the steps that decide it.

    :param link: the name of the link, or of the part of a combined repository.
    :param repository: the repository, as a person would name it.
    :param key: the key that was looked up.
    :param present: whether it is there; None where that could not be found out.
    :param writers: the tasks that write to the repository.
    :param because: the steps below, for a combined repository.
    """

    link: str
    repository: str
    key: str
    present: bool | None
    writers: tuple[str, ...] = ()
    because: tuple[Lookup, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What the engine says of one job of one task.

    :param task: the task's name.
    :param job: the job.
    :param kind: whether it starts, and if not, the kind of reason.
    :param reason: one line for a person.
    :param link: the link that decides, where one does.
    :param resource: the resource that is short, for DENIED and NEVER_FITS.
    :param scope: whose limit it is.
    :param wanted: how much of it the job wants.
    :param used: how much of it is in use.
    :param cap: how much of it there is.
    :param until: seconds from now until the engine tries again, for BACKING_OFF.
    :param proof: the lookups behind MISSING and INHIBITED.
    """

    task: str
    job: str
    kind: VerdictKind
    reason: str
    link: str | None = None
    resource: str | None = None
    scope: str | None = None
    wanted: str | None = None
    used: str | None = None
    cap: str | None = None
    until: float | None = None
    proof: tuple[Lookup, ...] = field(default=(), repr=False)

    @property
    def is_ready(self) -> bool:
        """Whether the job starts at once."""
        return self.kind is VerdictKind.READY
