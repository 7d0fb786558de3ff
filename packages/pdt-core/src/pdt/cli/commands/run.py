"""`pdt run`: update and launch until nothing moves any more."""

from __future__ import annotations

from typing import Literal

from ...pipeline import Pipeline
from ...task.blocking import complete
from .. import exits, output
from ..drive import needs_loop, open_pipeline
from ..glance import can_glance, look
from ..summary import skipped_lines

__all__ = ["run"]


def run(
    pipeline: Pipeline,
    *,
    forever: bool = False,
    launch_once: bool = False,
    timeout: float | None = None,
    fail_fast: bool = False,
    shared: bool = False,
    durability: Literal["power", "process"] | None = None,
    quiet: bool = False,
    progress: bool | None = None,
) -> int:
    """Run a closed pipeline, and say on stderr what was done.

    :param forever: go on when nothing moves, until stopped.
    :param launch_once: launch what is ready at first, and then only wait for it.
    :param timeout: seconds after which to give up.
    :param fail_fast: start nothing more after the first failure.
    :param shared: let other controllers that share it work on the pipeline, too.
    :param durability: Optional: what done jobs survive, in place of what the pipeline says.
    :param quiet: whether to print errors only.
    :param progress: whether to show progress; by default on a terminal.
    """
    if durability is not None:
        pipeline.durability = durability
    if not forever and not needs_loop(pipeline) and can_glance(pipeline):
        skipped = complete(_skipped_if_quiet(pipeline, shared))
        if skipped is not None:
            if not quiet:
                for line in [*skipped, "nothing to do"]:
                    output.note(line)
            return exits.OK
    from ..session import run_session

    return run_session(
        pipeline,
        forever=forever,
        launch_once=launch_once,
        timeout=timeout,
        fail_fast=fail_fast,
        shared=shared,
        quiet=quiet,
        progress=progress,
    )


async def _skipped_if_quiet(pipeline: Pipeline, shared: bool) -> list[str] | None:
    """Return what to say of skipped keys where there is nothing to do; where there is, leave the pipeline open."""
    await open_pipeline(pipeline)
    try:
        pipeline.take_control(shared=shared)
        found = await look(pipeline)
        left = await pipeline.has_attempts()
    except BaseException:
        await pipeline.close()
        raise
    if left or any(task.jobs or task.failure is not None for task in found.values()):
        return None
    await pipeline.close()
    return skipped_lines({name: task.skipped for name, task in found.items() if task.skipped})
