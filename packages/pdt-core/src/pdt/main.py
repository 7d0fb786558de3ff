"""The command line for a script of one's own, and its commands as functions.

This module is itself callable: `pdt.main(pipeline)` and `pdt.main.run(...)` both work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine.report import Report
    from .pipeline import Pipeline

__all__ = [
    "cat_data",
    "delete_data",
    "inject_data",
    "launch",
    "list_data",
    "main",
    "print_status",
    "print_trace",
    "run",
    "shell",
    "update",
]


def main(pipeline: Pipeline, instrument: Callable[[Any], object] | None = None) -> Any:
    """Run the command that the script's arguments name; a failure ends the script with its exit status.

    :param pipeline: the pipeline, closed.
    :param instrument: Optional: called with an object that adds commands by argparse's `add_parser`; each
        parser's `func` default is called with the pipeline and the parsed arguments, and awaited inside the open
        pipeline where it is asynchronous. A typer app may be passed instead.
    :return: what an added command's function returned.
    """
    from .cli.script import run_script

    return run_script(pipeline, instrument, sys.argv)


async def update(pipeline: Pipeline) -> None:
    """Perform one round of updating and launching."""
    from .cli.commands import launch as commands

    await commands.update(pipeline, quiet=True)


async def cat_data(pipeline: Pipeline, data: str, job: str) -> None:
    """Print a job's blob as it is, or its record as YAML.

    :param data: a link, as "task.link".
    """
    from .cli.commands.cat import cat

    await cat(pipeline, data=data, jobs=[job])


async def list_data(pipeline: Pipeline, data: list[str]) -> None:
    """Print the jobs of a set expression over links, a line each.

    :param data: parts of the expression, such as "a.out", "-" and "b.done".
    """
    from .cli.commands.ls import ls

    await ls(pipeline, data=data)


async def delete_data(pipeline: Pipeline, data: str, recursive: bool, job: list[str]) -> None:
    """Delete jobs from a link, or from all that a task writes, and print each.

    :param data: "task.link" or "task".
    :param recursive: whether to delete from everything that depends on it, too.
    :param job: the jobs; "__all__" as the first stands for every one.
    """
    from .cli.commands.rm import rm

    await rm(pipeline, data=data, jobs=job, recursive=recursive, yes=True)


async def inject_data(pipeline: Pipeline, data: str, job: str) -> None:
    """Store what stdin has: a blob as it is, a record from YAML.

    :param data: a link, as "task.link".
    """
    from .cli.commands.inject import inject

    await inject(pipeline, data=data, job=job)


async def print_status(pipeline: Pipeline, all_repos: bool) -> None:
    """Print how many jobs each link has.

    :param all_repos: also links that are neither input, output nor status.
    """
    from .cli.commands.status import status

    await status(pipeline, all_repos=all_repos)


async def print_trace(pipeline: Pipeline, all_repos: bool, job: list[str]) -> None:
    """Print which of the jobs each link has.

    :param all_repos: also links that are neither input, output nor status.
    """
    from .cli.commands.trace import trace

    await trace(pipeline, all_repos=all_repos, jobs=job)


async def launch(pipeline: Pipeline, task_name: str, job: str, sync: bool, meta: bool, force: bool) -> None:
    """Launch one job of a task.

    :param sync: whether to wait for its end.
    :param meta: whether its end is recorded in `done`.
    :param force: whether to launch it even if it is not ready.
    """
    from .cli.commands import launch as commands

    await commands.launch(pipeline, task=task_name, jobs=[job], sync=sync, meta=meta, force=force)


def shell(pipeline: Pipeline) -> None:
    """Start an interactive shell with the pipeline open and top-level await."""
    from .cli.commands import shell as commands

    commands.shell(pipeline)


async def run(
    pipeline: Pipeline, forever: bool = False, launch_once: bool = False, timeout: float | None = None
) -> Report:
    """Update and launch until nothing moves any more, and report what was done.

    :param forever: go on when nothing moves.
    :param launch_once: launch what is ready at first, and then only wait for it.
    :param timeout: seconds after which to give up.
    :raises TimeoutError: if it takes longer.
    """
    import asyncio

    try:
        async with asyncio.timeout(timeout) as deadline:
            return await pipeline.run(forever=forever, launch_once=launch_once)
    except TimeoutError:
        if deadline.expired():
            raise TimeoutError("Pipeline run timeout") from None
        raise


class _CallableModule(ModuleType):
    """A module that is also the function `main`, whichever of the two `pdt.main` is taken for."""

    def __call__(self, pipeline: Pipeline, instrument: Callable[[Any], object] | None = None) -> Any:
        """Run the command that the script's arguments name; see `main`."""
        return main(pipeline, instrument)


sys.modules[__name__].__class__ = _CallableModule
