"""Starting the script of an attempt, wrapped so that its end is written down whatever becomes of the controller."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping
from errno import E2BIG, EACCES, ENOENT, ENOEXEC, ENOTDIR

from ..errors import UnlaunchableError
from .base import _StderrIsStdout

__all__ = ["interpreter_of", "is_shell", "posix_spawn"]

SHELL = "/bin/sh"
SCRIPT_FD = 8
JOURNAL_FD = 9

# The script gets the default traps in its subshell; the wrapper outlives a signal to its group, to tell the end.
_HEAD = 'trap : TERM INT HUP QUIT USR1 USR2; echo "$1 start $$" >&9; '
_TAIL = ' ) ; echo "$1 exit $?" >&9'
#: Reads the script into the wrapper's own subshell: no second interpreter is started for it.
SOURCED = f'{_HEAD}( cd "$2" || exit 126; set --; . /proc/self/fd/{SCRIPT_FD}{_TAIL}'
EXECUTED = f'{_HEAD}( cd "$2" || exit 126; shift 2; exec "$@"{_TAIL}'

_RESTORED = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]


def interpreter_of(script: str) -> list[str]:
    """Return the interpreter that a script's first line names, and its argument if any, as the kernel reads it.

    A script without such a line has none: it is the default shell's.

    :raises UnlaunchableError: if the interpreter is missing, or may not be executed.
    """
    if not script.startswith("#!"):
        return []
    line = script[2:].partition("\n")[0].strip()
    if not line:
        return []
    words = line.split(None, 1)
    _check_executable(words[0])
    if os.path.basename(words[0]) == "env" and len(words) > 1 and not words[1].startswith("-"):
        name = words[1].split()[0]
        if "=" not in name and shutil.which(name) is None:
            raise UnlaunchableError(f"the script's interpreter {name!r} is not installed", fix=f"install {name}")
    return words


def _check_executable(path: str) -> None:
    if os.path.isfile(path) and os.access(path, os.X_OK):
        return
    what = "cannot be executed" if os.path.exists(path) else "does not exist"
    raise UnlaunchableError(
        f"the script's interpreter {path!r} {what}", fix="mend the first line of the script, or install it"
    )


def is_shell(interpreter: list[str]) -> bool:
    """Tell whether a script may be read by the wrapper itself."""
    return not interpreter or interpreter == [SHELL]


def posix_spawn(
    arguments: list[str],
    environ: Mapping[str, str],
    stdin: str | None,
    stdout: str | None,
    stderr: str | _StderrIsStdout | None,
    descriptors: Mapping[int, int],
) -> int:
    """Start the shell in a session of its own, and return its process number.

    :param arguments: what follows `-c`.
    :param environ: the whole environment.
    :param descriptors: by number in the child, what it inherits.
    :raises UnlaunchableError: if it can never be started so.
    :raises OSError: if it cannot be started now.
    """
    create = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions: list[tuple[object, ...]] = [(os.POSIX_SPAWN_OPEN, 0, stdin or os.devnull, os.O_RDONLY, 0)]
    actions.append((os.POSIX_SPAWN_OPEN, 1, stdout or os.devnull, create, 0o666))
    if isinstance(stderr, _StderrIsStdout):
        actions.append((os.POSIX_SPAWN_DUP2, 1, 2))
    else:
        actions.append((os.POSIX_SPAWN_OPEN, 2, stderr or os.devnull, create, 0o666))
    actions += [(os.POSIX_SPAWN_DUP2, mine, theirs) for theirs, mine in descriptors.items()]
    try:
        return os.posix_spawn(
            SHELL,
            ["sh", "-c", *arguments],
            environ,
            file_actions=actions,
            setsid=True,
            setsigdef=_RESTORED,
            setsigmask=[],
        )
    except ValueError as error:
        raise UnlaunchableError(
            f"its environment or its arguments cannot be passed to a process: {error}",
            fix="let no variable contain a NUL, nor its name an '='",
        ) from error
    except OSError as error:
        if error.errno in (E2BIG, ENOEXEC):
            raise UnlaunchableError(
                f"its environment is larger than the system allows: {error.strerror}",
                fix="pass large values through an input or standard input",
            ) from error
        if error.errno in (ENOENT, EACCES, ENOTDIR):
            raise UnlaunchableError(_what_is_missing(stdin, stdout, stderr, error)) from error
        raise


def _what_is_missing(stdin: str | None, stdout: str | None, stderr: object, error: OSError) -> str:
    if stdin is not None and not os.access(stdin, os.R_OK):
        return f"its standard input {stdin!r} cannot be read"
    for path in (stdout, stderr):
        if isinstance(path, str) and not os.access(os.path.dirname(path), os.W_OK):
            return f"{path!r} cannot be written"
    return f"{SHELL} could not be started: {error.strerror}"


