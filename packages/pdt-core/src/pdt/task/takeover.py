"""How a controller takes over the attempts that an earlier one has left."""

from __future__ import annotations

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


async def take_over(task: AttemptedTask, runner: ProcessRunner) -> None:
    """Adopt the attempts of an earlier controller that run, reap those that ended, publish what was decided.

    :param task: the task.
    :param runner: runs its attempts; it is open.
    :raises CorruptRecordError: if an entry of the ledger cannot be read.
    """
    claims, decisions = await task.book.load()
    hit("adopt.loaded")
    by_token = {claim.token: claim for claim in claims}
    for claim in claims:
        task.follow(_running(task, claim, decisions.get(claim.token), runner))
    await task.pid_records.load()
    await task.pid_records.delete(task.pid_records.written - task.live.running.keys())
    await runner.recall({token: claim.place for token, claim in by_token.items()} | task.book.over)
    await runner.forget(task.book.over.keys())
    hit("adopt.recalled")
    undecided = {token: claim for token, claim in by_token.items() if token not in decisions}
    alive = await runner.adopt({token: claim.place for token, claim in undecided.items()})
    hit("adopt.adopted")
    for token, decision in decisions.items():
        if token in by_token:
            task.carry_out(decision, runner)
        else:
            await task.book.settle([decision.job])
    hit("adopt.rolling_forward")
    exits = await runner.ended()
    ended = {exit.token for exit in exits}
    for token, claim in undecided.items():
        if next_step(Finding(True, False, token in alive, token in ended)) is Step.ADOPT:
            task.adopt(task.live.running[claim.job], alive[token])
    task.live.exits.extend(exits)  # dealt with by the next update
    if task.resource_manager is not None:
        # Also what has ended: the engine gives it back when its end is dealt with.
        task.holding += len(task.live.running)
        for running in task.live.running.values():
            running.holds = True


def _running(task: AttemptedTask, claim: Claim, decision: Decision | None, runner: ProcessRunner) -> Running:
    running = Running(claim, task.staging(claim, runner, is_new=False))
    running.start = datetime.fromisoformat(claim.since)
    if decision is not None:
        running.is_alive = False
        running.succeeded = decision.outcome["success"]
    return running
