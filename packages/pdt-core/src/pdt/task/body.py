"""The Python function that is a task's body: its arguments, and how it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import TaskConfigurationError
from ..link import Link
from ..repository.base import Repository

__all__ = ["arguments_of", "call_plain", "is_async"]


def is_async(func: Callable[..., Any]) -> bool:
    """Tell whether calling `func` gives a coroutine."""
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(getattr(func, "__call__", None))  # noqa: B004


def arguments_of(task: str, func: Callable[..., Any] | None, links: dict[str, Link]) -> dict[str, Repository]:
    """Return the repositories that the body `func` asks for by its parameters' names, `job` left out.

    :raises TaskConfigurationError: if there is no body, or a parameter is neither `job` nor a link.
    """
    if func is None:
        raise TaskConfigurationError(
            f"task {task!r} has no body",
            fix="decorate a function with it, or pass func=... to its constructor",
        )
    try:
        parameters = inspect.signature(func).parameters
    except (TypeError, ValueError) as error:
        raise TaskConfigurationError(
            f"the body of task {task!r} is {type(func).__name__}, which cannot be called by its parameters' names",
            fix="make it a function whose parameters are 'job' and names of links",
        ) from error
    wanted: dict[str, Repository] = {}
    takes_job = False
    for name, parameter in parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            takes_job = True
            wanted.update({link: links[link].repo for link in links if link not in wanted})
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise TaskConfigurationError(
                f"parameter {name!r} of the body of task {task!r} cannot be passed by name",
                fix="use plain parameters: 'job' and names of links",
            )
        elif name == "job":
            takes_job = True
        elif name in links:
            wanted[name] = links[name].repo
        elif parameter.default is parameter.empty:
            raise TaskConfigurationError(
                f"the body of task {task!r} asks for {name!r}, which is neither 'job' nor one of its links",
                fix=f"link it, or use one of: {', '.join(['job', *links])}",
            )
    if not takes_job:
        raise TaskConfigurationError(
            f"the body of task {task!r} does not take 'job'",
            fix="make it a parameter: the body runs once per job",
        )
    return wanted


def call_plain(func: Callable[..., Any], job: str, arguments: Mapping[str, Any]) -> None:
    """Call a body that is a plain function.

    :raises TypeError: if it only returned a coroutine, so that nothing was done.
    :raises RuntimeError: if it raised StopIteration, which would end whoever waits for the body.
    """
    try:
        result = func(job=job, **arguments)
    except StopIteration as error:
        raise RuntimeError("the body raised StopIteration") from error
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError(
            f"the body is a plain function that returned {type(result).__name__}, so that nothing was done: "
            "write it, and what decorates it, as `async def`"
        )
