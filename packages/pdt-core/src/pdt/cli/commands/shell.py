"""`pdt shell`: an interactive shell with the pipeline open and top-level await."""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
from code import InteractiveConsole
from importlib import import_module
from importlib.util import find_spec
from types import CodeType, FunctionType
from typing import Any

from ...errors import ConfigurationError
from ...pipeline import Pipeline
from .. import exits, output
from ..drive import open_pipeline

__all__ = ["shell"]

NAMES = "pipeline, tasks, pdt"


def shell(pipeline: Pipeline) -> int:
    """Start an interactive shell; IPython where it is installed and stdin is a terminal.

    :param pipeline: opened while the shell runs, unless it is open.
    :raises ConfigurationError: if it is called from a coroutine, whose event loop could not run meanwhile.
    """
    if asyncio._get_running_loop() is not None:
        raise ConfigurationError("a shell cannot be started inside a running event loop", fix="call it outside of it")
    import pdt

    names = {"pipeline": pipeline, "tasks": dict(pipeline.tasks), "pdt": pdt, "asyncio": asyncio}
    banner = f"pdt {pdt.__version__}: {len(pipeline.tasks)} tasks; names: {NAMES}; await works here"
    has_ipython = find_spec("IPython") is not None and sys.stdin.isatty()
    with _Loop(pipeline, _ipython_loop() if has_ipython else asyncio.new_event_loop()) as loop:
        if has_ipython:
            _ipython(names, banner)
        else:
            _Console(names, loop).interact(banner, exitmsg="")
    return exits.OK


class _Loop:
    """An event loop on which the pipeline is open.

    :param pipeline: closed again at the end, unless it was open.
    """

    def __init__(self, pipeline: Pipeline, loop: asyncio.AbstractEventLoop) -> None:
        self._pipeline = pipeline
        self._loop = loop
        self._opens = not pipeline.is_open

    def __enter__(self) -> asyncio.AbstractEventLoop:
        if self._opens:
            self._loop.run_until_complete(open_pipeline(self._pipeline))
        return self._loop

    def __exit__(self, *error: object) -> None:
        try:
            if self._opens:
                self._loop.run_until_complete(self._pipeline.close())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()


class _Console(InteractiveConsole):
    """Python's console, in which `await` works at the top level.

    :param loop: where it waits.
    """

    def __init__(self, names: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__({"__name__": "__console__", "__doc__": None, **names})
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._loop = loop
        if sys.stdin.isatty():
            import readline
            from rlcompleter import Completer

            readline.set_completer(Completer(self.locals).complete)
            readline.parse_and_bind("tab: complete")

    def runcode(self, code: CodeType) -> None:
        """Run a statement, and wait for it where it is asynchronous."""
        try:
            result = FunctionType(code, self.locals)()
            if inspect.iscoroutine(result):
                self._loop.run_until_complete(result)
        except SystemExit:
            raise
        except KeyboardInterrupt:
            output.note("KeyboardInterrupt")
        except BaseException:
            self.showtraceback()


def _ipython_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop on which IPython runs what is awaited."""
    loop: asyncio.AbstractEventLoop = import_module("IPython.core.async_helpers").get_asyncio_loop()
    return loop


def _ipython(names: dict[str, Any], banner: str) -> None:
    config = import_module("traitlets.config").Config()
    config.TerminalInteractiveShell.banner1 = f"{banner}\n"
    import_module("IPython").start_ipython(argv=[], user_ns=names, config=config)
