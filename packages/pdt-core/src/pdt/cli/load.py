"""Finding the pipeline that the command line names, and saying plainly why there is none."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

from ..errors import ConfigurationError, PdtError
from ..pipeline import Pipeline
from .oserrors import fix_of
from .outcome import is_users_own

__all__ = ["is_loading", "load"]

DEFAULT_FILE = "pipeline.py"
#: The file or module that is being executed.
_loading: list[str] = []


def is_loading() -> str | None:
    """Return the file or module of the user's that is being executed to find its pipeline, if one is."""
    return _loading[-1] if _loading else None


def load(named: str | None) -> Pipeline:
    """Return the pipeline that FILE, FILE:ATTR or MODULE:ATTR names.

    :param named: by default $PDT_FILE, or else pipeline.py in the current directory.
    :raises ConfigurationError: if there is none, or what it is in cannot be executed.
    """
    wanted = named or os.environ.get("PDT_FILE")
    if not wanted:
        if not os.path.isfile(DEFAULT_FILE):
            raise ConfigurationError(
                f"there is no {DEFAULT_FILE} in {os.getcwd()}, and no pipeline was named",
                fix="name one: pdt -f FILE COMMAND, or set PDT_FILE",
            )
        wanted = DEFAULT_FILE
    path, attribute = _split(wanted)
    if path is not None:
        return _pick(_execute_file(path), wanted.removesuffix(f":{attribute}"), attribute)
    module, _, attribute = wanted.partition(":")
    return _pick(_import(module), module, attribute)


def _split(wanted: str) -> tuple[str | None, str]:
    """Return the file and the attribute that were named; no file for MODULE:ATTR.

    :raises ConfigurationError: if a file was meant and is not there.
    """
    if os.path.isfile(wanted):
        return wanted, ""
    left, colon, attribute = wanted.rpartition(":")
    if colon and os.path.isfile(left):
        return left, attribute
    file = left if colon else wanted
    is_module = bool(colon) and all(part.isidentifier() for part in file.split(".")) and not file.endswith(".py")
    if is_module:
        return None, attribute
    if os.path.isdir(file):
        raise ConfigurationError(
            f"{file} is a directory", fix=f"name the file in it: -f {os.path.join(file, DEFAULT_FILE)}"
        )
    raise ConfigurationError(f"there is no file {file}", fix=_near_file(file))


def _near_file(path: str) -> str:
    from difflib import get_close_matches

    directory, name = os.path.split(path)
    try:
        names = [entry.name for entry in os.scandir(directory or ".") if entry.is_file()]
    except OSError:
        return f"there is no directory {directory} either"
    close = get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {os.path.join(directory, close[0])}?"
    return "name a Python file, or a module as MODULE:ATTR"


def _execute_file(path: str) -> ModuleType:
    """Execute a file as a module of its own name, so that worker processes can import it again."""
    from importlib.machinery import ModuleSpec, SourceFileLoader

    path = os.path.abspath(path)
    name = _module_name(path)
    loader = SourceFileLoader(name, path)
    module = ModuleType(name)
    module.__file__ = path
    module.__loader__ = loader
    module.__spec__ = ModuleSpec(name, loader, origin=path)
    sys.path.insert(0, os.path.dirname(path))
    sys.modules[name] = module
    try:
        with _Loading(path):
            loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _module_name(path: str) -> str:
    stem = os.path.splitext(os.path.basename(path))[0]
    taken = sys.modules.get(stem)
    hides = taken is not None and getattr(taken, "__file__", None) != path
    if hides or stem in sys.stdlib_module_names or "." in stem:
        return f"__pdt_main_{stem.replace('.', '_')}__"
    return stem


def _import(name: str) -> ModuleType:
    from importlib import import_module

    sys.path.insert(0, os.getcwd())
    with _Loading(name):
        return import_module(name)


class _Loading:
    """Turns what the user's own code raises while it is loaded into an error that says where.

    :param what: the file or module.
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        _loading.append(self._what)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        _loading.pop()
        if isinstance(error, ModuleNotFoundError) and f"{self._what}.".startswith(f"{error.name}."):
            raise ConfigurationError(
                f"there is no module {error.name}", fix="name an importable module, or a file with its .py"
            ) from error
        if isinstance(error, SyntaxError):
            where = f"{error.filename}:{error.lineno}" if error.filename else self._what
            raise ConfigurationError(
                f"{where}: {type(error).__name__}: {error.msg}", fix="mend that line; it is not Python yet"
            ) from error
        if isinstance(error, PdtError):
            raise ConfigurationError(f"{_where(trace, self._what)}: {error.message}", fix=error.fix) from error
        if isinstance(error, SystemExit):
            raise ConfigurationError(
                f"{_where(trace, self._what)}: it exits when it is loaded",
                fix='put what runs it under `if __name__ == "__main__":`',
            ) from error
        if isinstance(error, Exception):
            text = " ".join(f"{type(error).__name__}: {error}".split())
            fix = fix_of(error) if isinstance(error, OSError) else "mend that line; --debug shows how it was reached"
            raise ConfigurationError(f"{_where(trace, self._what)}: {text}", fix=fix) from error


def _where(trace: Any, what: str) -> str:
    """Return the innermost line that is the user's own, rather than a library's."""
    found = what
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file == what or is_users_own(file):
            found = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _pick(module: ModuleType, what: str, attribute: str) -> Pipeline:
    """Return the pipeline of that name, or the only one."""
    found = {name: value for name, value in vars(module).items() if isinstance(value, Pipeline)}
    if attribute:
        value: Any = module
        for part in attribute.split("."):
            value = getattr(value, part, None)
        if isinstance(value, Pipeline):
            return value
        which = "there is no" if value is None else f"it is {type(value).__name__}, not a pipeline:"
        raise ConfigurationError(f"{what}: {which} {attribute}", fix=_others(what, found))
    if not found:
        raise ConfigurationError(
            f"{what} defines no pipeline", fix="make one at its top level: pipeline = pdt.Pipeline([...])"
        )
    if len({id(value) for value in found.values()}) > 1:
        raise ConfigurationError(f"{what} defines several pipelines: {', '.join(found)}", fix=_others(what, found))
    return next(iter(found.values()))


def _others(what: str, found: dict[str, Pipeline]) -> str:
    if not found:
        return f"{what} defines no pipeline at its top level"
    return f"name one of its pipelines: {' or '.join(f'-f {what}:{name}' for name in found)}"
