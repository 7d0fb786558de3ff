"""Running a command inside an open pipeline, without an event loop where nothing in it ever waits."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from threading import current_thread, main_thread
from typing import Any, TypeVar

from ..errors import BackendError, ConfigurationError, PdtError
from ..pipeline import Pipeline
from ..plugins.hooks import Hooks, current_hooks
from ..session import Session
from ..task.base import Task
from ..task.blocking import complete
from ..task.tracked import TrackedTask
from .oserrors import explained

__all__ = ["drive", "needs_loop", "open_pipeline"]

T = TypeVar("T")


def drive(
    pipeline: Pipeline,
    body: Callable[[Pipeline], Awaitable[T]],
    *,
    loop: bool = False,
    only_look: bool = False,
    starts: bool = True,
) -> T:
    """Return what `body` makes of the pipeline while it is open.

    :param loop: whether `body` itself needs an event loop.
    :param only_look: whether nothing is to be made.
    :param starts: whether jobs may be started.
    """

    async def opened() -> T:
        await open_pipeline(pipeline, only_look=only_look, starts=starts)
        try:
            return await body(pipeline)
        finally:
            await pipeline.close()

    if not (loop or needs_loop(pipeline)):
        return complete(opened())
    import asyncio

    if current_thread() is not main_thread():
        return asyncio.run(opened())
    # In place of Python's own handler asyncio would install one that cannot interrupt a read of stdin.
    previous = signal.signal(signal.SIGINT, _interrupt)
    try:
        return asyncio.run(opened())
    finally:
        signal.signal(signal.SIGINT, previous)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


async def open_pipeline(pipeline: Pipeline, *, only_look: bool = False, starts: bool = True) -> None:
    """Open a pipeline.

    :param only_look: whether nothing is to be made.
    :param starts: whether jobs may be started.
    :raises BackendError: if a store cannot be used.
    :raises ConfigurationError: if it cannot be opened for another reason, whatever its parts raise.
    """
    try:
        await pipeline.open(only_look=only_look, starts=starts)
    except BackendError as error:
        where = " ".join(["opening the pipeline", *_where(error)])
        raise BackendError(f"{where} failed: {error.message}", fix=error.fix) from error
    except PdtError:
        raise
    except OSError as error:
        raise explained(" ".join(["opening the pipeline", *_where(error)]), error) from error
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigurationError(
            " ".join(["the pipeline cannot be opened", *_where(error)]) + f": {text}",
            fix="--debug shows the traceback",
        ) from error


def _where(error: BaseException) -> list[str]:
    """Return the link that was being validated, if it was one."""
    notes = getattr(error, "__notes__", [])
    return [f"({notes[-1]})"] if notes else []


def needs_loop(pipeline: Pipeline) -> bool:
    """Tell whether anything in the pipeline may have to wait; only what is pdt's own is trusted not to."""
    return not (
        type(pipeline) is Pipeline
        and type(pipeline.session) is Session
        and not pipeline.session._resources
        and type(current_hooks()) is Hooks
        and all(_never_waits(task) for task in pipeline.tasks.values())
        and all(_is_own(repo) and repo.inline for repo in pipeline.repositories)
    )


def _never_waits(task: Task) -> bool:
    return isinstance(task, TrackedTask) and _is_own(task)


def _is_own(thing: object) -> bool:
    return type(thing).__module__.startswith("pdt.")
