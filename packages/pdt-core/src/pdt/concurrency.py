"""Bounded fan-out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

__all__ = ["map_bounded"]

Argument = TypeVar("Argument")
Result = TypeVar("Result")


async def map_bounded(
    func: Callable[[Argument], Awaitable[Result]],
    arguments: Iterable[Argument],
    *,
    limit: int = 16,
    inline: bool = False,
) -> list[Result]:
    """Return `func` of each argument, in their order, with at most `limit` calls under way at once.

    The first call that fails cancels the others, and its exception is raised.

    :param inline: the calls never suspend, so one after another is as fast and needs no event loop.
    """
    if inline:
        return [await func(argument) for argument in arguments]
    import asyncio

    waiting = list(enumerate(arguments))
    if len(waiting) == 1:
        return [await func(waiting[0][1])]
    results: dict[int, Result] = {}
    queue = iter(waiting)

    async def work() -> None:
        for index, argument in queue:
            results[index] = await func(argument)

    first: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(limit, len(waiting))):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        first = failures.exceptions[0]
    if first is not None:
        raise first  # out of the handler, so that it keeps its own cause
    return [results[index] for index in range(len(waiting))]
