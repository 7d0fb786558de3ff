"""The command line of a user's own script."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, PdtError
from .invocation import Invocation
from .outcome import report
from .program import run_in

if TYPE_CHECKING:
    from ..pipeline import Pipeline

__all__ = ["run_script"]


def run_script(pipeline: Pipeline, instrument: Callable[[Any], object] | None, argv: Sequence[str]) -> Any:
    """Run the command that a script's arguments name, and return what a command of the script's own returns.

    :raises SystemExit: if the command fails.
    :raises ConfigurationError: if the script is being loaded by `pdt -f`, which runs commands itself.
    """
    from .load import is_loading

    if (loading := is_loading()) is not None:
        raise ConfigurationError(
            f"{loading} calls pdt.main() while it is loaded",
            fix='put that under `if __name__ == "__main__":`',
        )
    program = argv[0].rpartition("/")[2] if argv else ""
    invocation = Invocation(program or "pdt", pipeline)
    if instrument is not None:
        from .instrument import Commands

        try:
            invocation.extra = Commands(instrument, invocation.program)
        except PdtError as error:
            sys.exit(report(error, debug=False))
    status = run_in(invocation, argv[1:])
    if status:
        sys.exit(status)
    return invocation.extra.result if invocation.extra is not None else None
