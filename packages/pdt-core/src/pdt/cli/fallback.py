"""The command lines that the static table does not cover: a command's help, mistakes, plugins' commands."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from . import exits, output
from .invocation import Invocation
from .log import log_to_stderr
from .mistakes import Mistake, find_mistake, misplaced
from .names import suggestion
from .table import COMMANDS

if TYPE_CHECKING:
    import typer

__all__ = ["run_typer"]

HELP = ("-h", "--help")


def run_typer(invocation: Invocation, words: Sequence[str], name: str | None) -> int:
    """Let typer parse a command line and run its command, and return the exit status.

    :param name: the command that the words seem to name.
    """
    wrong = misplaced(words, invocation.program, with_file=invocation.with_file)
    if wrong is not None:
        output.fail(wrong.message, wrong.fix)
        return exits.USAGE
    from .app import build
    from .program import execute

    def handle(command: str, parameters: dict[str, Any]) -> int:
        return execute(invocation, COMMANDS[command], parameters)

    app = build(handle, with_file=invocation.with_file)
    _add_foreign(app, invocation, name)
    import typer

    group = typer.main.get_command(app)
    try:
        with output.printing() if any(word in HELP for word in words) else nullcontext():
            status = group.main(list(words), prog_name=invocation.program, standalone_mode=False, obj=invocation)
    except typer.Abort:
        return exits.FAILURE
    except Exception as error:
        # Typer's own errors have no public base class.
        if not hasattr(error, "format_message"):
            raise
        mistake = find_mistake(words, name, invocation.program, with_file=invocation.with_file)
        in_command = f" {name}" if name in COMMANDS else ""
        if mistake is None:
            mistake = Mistake(error.format_message(), f"see {invocation.program}{in_command} --help")
        output.fail(mistake.message, mistake.fix)
        return exits.USAGE
    return status if isinstance(status, int) else exits.OK


def _add_foreign(app: typer.Typer, invocation: Invocation, name: str | None) -> None:
    """Add the command that was named, where it is not pdt's own.

    :raises ConfigurationError: if there is none of that name.
    """
    if name is None or name in COMMANDS:
        return
    if invocation.extra is not None and invocation.extra.app is not None:
        log_to_stderr(debug=invocation.debug)
        app.add_typer(invocation.extra.app)
        return
    from .foreign import add, foreign_commands

    commands = foreign_commands() if invocation.with_file else {}
    if name in commands:
        add(app, name, commands[name], invocation)
        return
    known = [*COMMANDS, *commands, *(invocation.extra or ())]
    raise ConfigurationError(
        f"there is no command {name!r}", fix=suggestion(name, known, f"see {invocation.program} --help")
    )
