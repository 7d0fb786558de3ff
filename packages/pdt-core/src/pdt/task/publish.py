"""Copies streams of attempts into repositories that know no paths, once it is decided that the attempt counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from ..errors import BackendError
from ..failpoints import hit
from ..repository.base import BlobRepository
from ..streams import async_copyfile

if TYPE_CHECKING:
    from ..attempts.book import Decision
    from ..proc_manager.runner import ProcessRunner
    from .tracked import TrackedTask

__all__ = ["publish_streams"]

#: Seconds that copying a stream into its repository may stand still.
STREAM_SECONDS = 600.0
#: Seconds until it is tried again, each time that it fails.
STREAM_DELAYS = (0.1, 0.2, 0.4, 0.8)


async def publish_streams(
    task: TrackedTask,
    decision: Decision,
    runner: ProcessRunner,
    record: Callable[[Decision], Awaitable[None]],
    give_up: Callable[[str, str], None],
) -> None:
    """Copy the streams of an attempt into their repositories, and have the rest done with its record.

    :param task: the task.
    :param decision: that the attempt's results count; written down before the first byte is copied.
    :param runner: has the streams.
    :param record: called once they are copied.
    :param give_up: called with the job, and why, if that fails again and again.
    """
    import asyncio

    for delay in (*STREAM_DELAYS, None):
        try:
            await _copy(task, decision, runner)
        except Exception as error:  # the store may be away for a while
            if delay is None:
                give_up(decision.job, f"what it wrote could not be published: {type(error).__name__}: {error}")
                return
            await asyncio.sleep(delay)
        else:
            break
    await record(decision)


async def _copy(task: TrackedTask, decision: Decision, runner: ProcessRunner) -> None:
    import asyncio

    hit("stream.before_decide")
    if decision.token not in await task.book.decide([decision]):
        raise BackendError("another attempt's results count", fix="the next run publishes those")
    hit("stream.decided")
    for path, link in decision.streams:
        repo = task.links[link].repo
        assert isinstance(repo, BlobRepository)  # noqa: S101  the task's constructor saw it
        async with asyncio.timeout(STREAM_SECONDS), AsyncExitStack() as stack:
            try:
                source = await stack.enter_async_context(await runner.open_file(path, "rb"))
            except FileNotFoundError:
                if await repo.contains(decision.job):
                    continue  # it was copied before
                raise
            hit("stream.begin")
            target = await stack.enter_async_context(repo.open(decision.job, "wb"))
            await async_copyfile(source, target)
            hit("stream.middle")
    hit("stream.copied")
