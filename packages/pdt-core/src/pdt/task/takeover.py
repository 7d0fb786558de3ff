"""How a controller takes over the attempts that an earlier one has left."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ..attempts.recover import Finding, Step, next_step
from ..failpoints import hit
from .live import Running

if TYPE_CHECKING:
    from ..attempts.book import Claim, Decision
    from ..proc_manager.runner import ProcessRunner
    from .attempted import AttemptedTask

__all__ = ["take_over"]


async def take_over(task: AttemptedTask, runner: ProcessRunner, owners: Collection[int] | None = None) -> None:
    """Adopt the attempts of an earlier controller that run, reap those that ended, publish what was decided.

    :param task: the task.
    :param runner: runs its attempts; it is open.
    :param owners: Optional: those whose attempts are taken over; by default, all that this controller looks after.
    :raises CorruptRecordError: if an entry of the ledger cannot be read.
    """
    await task.pid_records.load()  # before the claims: what has a record, and then no claim, is nobody's
    claims, decisions = await task.book.load(owners)
    hit("adopt.loaded")
    unknown = [claim for claim in claims if task.live.of(claim.token) is None]
    new = [_running(task, claim, decisions.get(claim.token), runner) for claim in unknown]
    for running in new:
        task.follow(running)
    try:
        await _adopt(task, runner, new, decisions)
    except BaseException:
        for running in new:  # they are taken over from the ledger again
            running.stop_timer()
            task.live.forget(running.claim.job)
        raise


async def _adopt(
    task: AttemptedTask, runner: ProcessRunner, new: Sequence[Running], decisions: Mapping[str, Decision]
) -> None:
    by_token = {running.claim.token: running.claim for running in new}
    await task.pid_records.delete(task.pid_records.written - task.live.running.keys() - task.book.foreign)
    await runner.recall({token: claim.place for token, claim in by_token.items()} | task.book.over)
    await runner.forget(task.book.over.keys())
    hit("adopt.recalled")
    undecided = {token: claim for token, claim in by_token.items() if token not in decisions}
    alive = await runner.adopt({token: claim.place for token, claim in undecided.items()})
    hit("adopt.adopted")
    await task.book.settle(decision.job for token, decision in decisions.items() if task.live.of(token) is None)
    hit("adopt.rolling_forward")
    exits = await runner.ended()
    ended = {exit.token for exit in exits}
    for token, claim in undecided.items():
        if next_step(Finding(True, False, token in alive, token in ended)) is Step.ADOPT:
            task.adopt(task.live.running[claim.job], alive[token])
    hit("adopt.end")
    # Dealt with by the next update, when the engine knows of them.
    task.live.exits.extend(exits)
    task.live.decided.extend(decision for token, decision in decisions.items() if token in by_token)
    if task.resource_manager is not None:
        # Also what has ended: the engine gives it back when its end is dealt with.
        task.holding += len(new)
        for running in new:
            running.holds = True


def _running(task: AttemptedTask, claim: Claim, decision: Decision | None, runner: ProcessRunner) -> Running:
    running = Running(claim, task.staging(claim, runner, is_new=False))
    running.start = datetime.fromisoformat(claim.since)
    if decision is not None:
        running.is_alive = False
        running.succeeded = decision.outcome["success"]
    return running
