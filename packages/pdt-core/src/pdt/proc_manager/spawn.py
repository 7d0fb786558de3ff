"""Starting the script of an attempt, wrapped so that its end is written down whatever becomes of the controller."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Mapping
from errno import E2BIG, EACCES, EISDIR, ENOENT, ENOTDIR

from .. import localfs
from ..errors import UnlaunchableError
from .shebang import SHELL
from .stdout import StderrIsStdout

__all__ = ["above", "encoded", "in_memory", "posix_spawn"]

SCRIPT_FD = 8
JOURNAL_FD = 9
#: Descriptors below it are the script's.
FIRST_DESCRIPTOR = 10
#: What the wrapper returns if it cannot write to the journal, and so does not begin.
UNNOTED = 125

# The script gets the default traps in its subshell; the wrapper outlives a signal to its group, to tell the end.
# A controller that is there is told by the wrapper's own code as well: the line may find no room.
# What shells say of a command that a signal ended is kept from the script's standard error.
_TRAPS = "trap : TERM INT HUP QUIT USR1 USR2; "
_START = f'echo "$1 start $$" 2>/dev/null >&{JOURNAL_FD} || exit {UNNOTED}; '
_END = f'set -- "$1" $?; echo "$1 exit $2" 2>/dev/null >&{JOURNAL_FD}; exit $2'
_READ = f". /proc/self/fd/{SCRIPT_FD}"
_SUBSHELL = f'{_TRAPS}exec 7>&2 2>/dev/null; {_START}( exec 2>&7 7>&-; cd "$2" || exit 126; %s ); {_END}'
#: Reads the script into the wrapper's own subshell: no second interpreter is started for it.
SOURCED = _SUBSHELL % f"set --; {_READ}"
#: Reads a script that is a simple command into the wrapper itself: a subshell would cost more than many a command.
DIRECT = f'{_TRAPS}{_START}{{ cd "$2" || (exit 126); }} && {_READ}; {_END}'
EXECUTED = _SUBSHELL % 'shift 2; exec "$@"'

#: What the controller's own parents may have had ignored, as the script would be bound to as well.
_RESTORED = [
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGCHLD,
]


def posix_spawn(
    arguments: list[str],
    environ: Mapping[str, str] | Mapping[bytes, bytes],
    stdin: str | None,
    stdout: str | None,
    stderr: str | StderrIsStdout | None,
    descriptors: Mapping[int, int],
) -> int:
    """Start the shell in a session of its own, and return its process number.

    :param arguments: what follows `-c`.
    :param environ: the whole environment.
    :param descriptors: by number in the child, what it inherits.
    :raises UnlaunchableError: if it can never be started so.
    :raises OSError: if it cannot be started now.
    """
    _check_stdin(stdin)
    create = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    actions: list[tuple[object, ...]] = [(os.POSIX_SPAWN_OPEN, 0, stdin or os.devnull, os.O_RDONLY, 0)]
    actions.append((os.POSIX_SPAWN_OPEN, 1, stdout or os.devnull, create, 0o666))
    if isinstance(stderr, StderrIsStdout):
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
        if error.errno == E2BIG:
            raise UnlaunchableError(
                f"its environment is larger than the system allows: {error.strerror}",
                fix="pass large values through an input or standard input",
            ) from error
        if error.errno in (ENOENT, EACCES, ENOTDIR, EISDIR):
            raise UnlaunchableError(
                _what_is_missing(stdin, stdout, stderr, error),
                fix="see that the file and its directory are there, and that you may open it",
            ) from error
        raise


def _check_stdin(path: str | None) -> None:
    """Refuse a pipe: opening it would wait for whoever writes to it, and everything else with it."""
    if path is None:
        return
    try:
        is_pipe = stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return  # it is said when it is opened
    if is_pipe:
        raise UnlaunchableError(f"its standard input {path!r} is a pipe", fix="give it a file")


def _what_is_missing(stdin: str | None, stdout: str | None, stderr: object, error: OSError) -> str:
    if stdin is not None and not os.access(stdin, os.R_OK):
        return f"its standard input {stdin!r} cannot be read: {error.strerror}"
    for path in (stdout, stderr):
        if isinstance(path, str) and not _is_writable(path):
            return f"{path!r} cannot be written: {error.strerror}"
    return f"{SHELL} could not be started: {error.strerror}"


def _is_writable(path: str) -> bool:
    if os.path.exists(path):
        return os.path.isfile(path) and os.access(path, os.W_OK)
    return os.access(os.path.dirname(path) or ".", os.W_OK)


def encoded(script: str) -> bytes:
    """Return a script as it is written to a file; names of files that are no text are written as they are.

    :raises UnlaunchableError: if it has characters that no file can hold.
    """
    try:
        return script.encode(errors="surrogateescape")
    except UnicodeEncodeError as error:
        raise UnlaunchableError(
            f"the script has a character that cannot be written to a file: {error}",
            fix="pass the value that it comes from through an input",
        ) from error


def in_memory(script: bytes) -> int:
    """Return the descriptor of a file without a name that holds the script."""
    descriptor = os.memfd_create("script", os.MFD_CLOEXEC)
    try:
        localfs.write_all(descriptor, script)
    except BaseException:
        os.close(descriptor)
        raise
    return above(descriptor)


def above(descriptor: int) -> int:
    """Return a descriptor that none of the script's can be taken for, in place of this one."""
    if descriptor >= FIRST_DESCRIPTOR:
        return descriptor
    import fcntl

    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR)
    finally:
        os.close(descriptor)
