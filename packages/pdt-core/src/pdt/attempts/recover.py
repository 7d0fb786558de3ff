"""What a controller does with an attempt that an earlier one left behind: a pure function of what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Finding", "Step", "next_step"]


@dataclass(frozen=True)
class Finding:
    """What is known of an attempt.

    :param claimed: whether the ledger has its claim, and no later one of the same job.
    :param decided: whether the ledger has the decision that its results count.
    :param alive: whether something of it runs.
    :param ended: whether its result is known.
    :param started: whether it is known to have begun.
    """

    claimed: bool
    decided: bool
    alive: bool
    ended: bool
    started: bool = True


class Step(Enum):
    """What to do about it."""

    #: Publish what was decided, write the record, and settle it.
    ROLL_FORWARD = "roll forward"
    #: Wait for its end.
    ADOPT = "adopt"
    #: Treat it like one that ends just now.
    REAP = "reap"
    #: Count it as lost, and run the job again.
    LOSE = "lose"
    #: Forget it, and run the job as if it had never been claimed.
    RELEASE = "release"
    #: Leave it alone, and say so: whose it is is not known.
    REPORT = "report"
    #: Nothing is left to be done.
    NOTHING = "nothing"


def next_step(finding: Finding) -> Step:
    """Return what to do about an attempt."""
    if finding.decided:
        return Step.ROLL_FORWARD
    if not finding.claimed:
        return Step.REPORT if finding.alive else Step.NOTHING
    if finding.ended:
        return Step.REAP
    if finding.alive:
        return Step.ADOPT
    return Step.LOSE if finding.started else Step.RELEASE
