"""What a script's first line says about who reads it."""

from __future__ import annotations

import os
import shutil

from ..errors import UnlaunchableError

__all__ = ["SHELL", "check_interpreter", "interpreter_of"]

#: Reads a script whose first line names nobody.
SHELL = "/bin/sh"


def interpreter_of(script: str) -> list[str]:
    """Return the interpreter that a script's first line names, and its argument if any, as the kernel reads it.

    A script without such a line has none: it is the default shell's.

    :raises UnlaunchableError: if the line can name no interpreter.
    """
    line = script.partition("\n")[0]
    if not line.startswith("#!"):
        return []
    if line.endswith("\r"):
        raise UnlaunchableError(
            "the script's first line ends with a carriage return, which would be part of the interpreter's name",
            fix="save the script with Unix line ends (LF, not CR LF)",
        )
    return line[2:].strip().split(None, 1)


def check_interpreter(interpreter: list[str], path: str | None) -> None:
    """Check that an interpreter is there.

    :param interpreter: what `interpreter_of` returned.
    :param path: the directories in which env(1) will look for programs.
    :raises UnlaunchableError: if it is missing, or may not be executed.
    """
    program, *arguments = interpreter
    if not program.startswith("/"):
        raise UnlaunchableError(
            f"the script's interpreter {program!r} is not an absolute path",
            fix=f"begin the script with #!/usr/bin/env {program}",
        )
    if not (os.path.isfile(program) and os.access(program, os.X_OK)):
        what = "cannot be executed" if os.path.exists(program) else "does not exist"
        raise UnlaunchableError(
            f"the script's interpreter {program!r} {what}", fix="mend the first line of the script, or install it"
        )
    if os.path.basename(program) == "env" and arguments:
        _check_found(arguments[0], path)


def _check_found(argument: str, path: str | None) -> None:
    """Check that the program is there which env(1) is to start."""
    words = [argument]
    if argument.startswith("-S"):
        words = [word for word in argument[2:].split() if "=" not in word]
    if not words or words[0].startswith("-") or "=" in words[0] or shutil.which(words[0], path=path) is not None:
        return
    name, _, rest = words[0].partition(" ")
    fix = f"begin the script with #!/usr/bin/env -S {name} {rest.strip()}" if rest else f"install {name}"
    raise UnlaunchableError(f"the script's interpreter {words[0]!r} is not installed", fix=fix)
