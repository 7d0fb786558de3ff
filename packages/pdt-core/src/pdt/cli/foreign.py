"""Commands that plugins add."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .invocation import Invocation
from .log import log_to_stderr

if TYPE_CHECKING:
    import typer

    from ..plugins.spec import CommandSpec

__all__ = ["add", "foreign_commands"]


def foreign_commands() -> dict[str, CommandSpec]:
    """Return the commands that plugins add, by what users write; where there is no plugin, nothing is loaded."""
    from ..plugins.discover import installed

    if not installed():
        return {}
    from ..plugins.registry import default_registry

    return {reference: command.spec for reference, command in default_registry().commands().items()}


def add(app: typer.Typer, name: str, spec: CommandSpec, invocation: Invocation) -> None:
    """Add a plugin's command to a typer app.

    A typer app is added as it is. A function is made a command; where its first parameter is called `pipeline`
    it gets the pipeline, and where it is asynchronous it runs inside the open one.
    """
    import typer

    log_to_stderr(debug=invocation.debug)
    target = spec.load()
    if isinstance(target, typer.Typer):
        app.add_typer(target, name=name, help=spec.summary)
    else:
        app.command(name, help=inspect.getdoc(target) or spec.summary)(_adapt(target, invocation))


def _adapt(function: Callable[..., Any], invocation: Invocation) -> Callable[..., Any]:
    """Return what typer can call: without the pipeline, and synchronous."""
    signature = inspect.signature(function, eval_str=True)
    parameters = list(signature.parameters.values())
    wants_pipeline = bool(parameters) and parameters[0].name == "pipeline"

    def call(**arguments: Any) -> Any:
        if not wants_pipeline:
            result = function(**arguments)
        elif inspect.iscoroutinefunction(function):
            from .drive import drive

            return drive(invocation.pipeline, lambda pipeline: _status(function(pipeline, **arguments)), loop=True)
        else:
            result = function(invocation.pipeline, **arguments)
        if inspect.isawaitable(result):
            import asyncio

            return asyncio.run(_status(result))
        return result

    own = parameters[1:] if wants_pipeline else parameters
    call.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in own}
    return call


async def _status(result: Awaitable[Any]) -> int:
    status = await result
    return status if isinstance(status, int) else 0
