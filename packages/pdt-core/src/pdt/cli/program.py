"""From a command line to a command: ordinary ones by the static table, anything else by typer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import exits, output, quick
from .invocation import Invocation
from .outcome import guard
from .spec import Command

if TYPE_CHECKING:
    from ..pipeline import Pipeline

__all__ = ["execute", "run", "run_in"]

HELP = ("-h", "--help")
#: The commands that start jobs, so that what those need is checked before.
STARTING = frozenset({"run", "update", "launch", "shell"})


def run(words: Sequence[str]) -> int:
    """Run `pdt` with these arguments, and return its exit status."""
    from ..plugins.impostor import check

    problem = check()
    if problem is not None:
        output.fail(problem.message, problem.fix)
    if words[:1] == ["__complete"]:
        from .complete import complete

        return complete(words[1:])
    return run_in(Invocation("pdt"), words)


def run_in(invocation: Invocation, words: Sequence[str]) -> int:
    """Run a command line of which something is known already, and return its exit status."""
    return guard(lambda: _run(invocation, words), lambda: invocation.debug)


def _run(invocation: Invocation, words: Sequence[str]) -> int:
    index = quick.command_index(words, with_file=invocation.with_file)
    if index is None:
        return _without_command(invocation, words)
    parsed = quick.parse(words, with_file=invocation.with_file)
    if parsed is not None:
        invocation.note(parsed.file, parsed.debug)
        return execute(invocation, parsed.command, parsed.parameters)
    if invocation.extra is not None and words[index] in invocation.extra:
        invocation.debug = "--debug" in words[:index]
        return invocation.extra.run(words[index], words[index + 1 :], invocation)
    from .fallback import run_typer

    return run_typer(invocation, words, words[index])


def _without_command(invocation: Invocation, words: Sequence[str]) -> int:
    from .help import overview

    if any(word in HELP for word in words):
        output.write(overview(invocation))
        return exits.OK
    if words[-1:] == ["--version"]:
        from .. import __version__

        output.write(f"pdt {__version__}\n")
        return exits.OK
    if words:
        from .fallback import run_typer

        return run_typer(invocation, words, None)
    output.note(overview(invocation).rstrip("\n"))
    return exits.USAGE


def execute(invocation: Invocation, command: Command, parameters: dict[str, Any]) -> int:
    """Run a command that was understood, and return its exit status."""
    from .log import log_to_stderr

    handler = log_to_stderr(debug=invocation.debug)
    if command.group == "look":  # these say themselves what is skipped, and what cannot be listed
        for name in ("pdt.repository", "pdt.engine"):
            handler.hold(name, logging.WARNING)
    module, _, function = command.body.partition(":")
    body = getattr(import_module(f"{__package__}.commands.{module}"), function)
    status: int
    if command.needs == "nothing":
        status = body(**parameters)
    elif command.needs == "pipeline":
        status = body(invocation.pipeline, **parameters)
    else:
        from .drive import drive

        async def in_open_pipeline(pipeline: Pipeline) -> int:
            result: int = await body(pipeline, **parameters)
            return result

        only_look = command.group == "look" or bool(parameters.get("dry_run"))
        status = drive(
            invocation.pipeline,
            in_open_pipeline,
            loop=command.needs == "loop",
            only_look=only_look,
            starts=command.name in STARTING,
        )
    return status
