"""The part of an ExecutorTask that runs in the executor's worker."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigurationError, CorruptRecordError
from ..repository.base import Repository
from .blocking import BlockingView, complete
from .board import stoppable
from .body import call_plain, is_async
from .record import Outcome, failure, now
from .worker import Controller, follow, holding

if TYPE_CHECKING:
    from .function import FunctionTask

__all__ = ["Call", "Ended", "Named", "by_name", "run_call"]


class Named(NamedTuple):
    """A function by the place where it is defined.

    :param module: the module's name.
    :param path: the module's file, for a module that runs as a script.
    :param name: the function's qualified name there; a task of that name stands for its body.
    """

    module: str
    path: str | None
    name: str

    def resolve(self) -> Callable[..., Any]:
        """Return the function, importing its module if need be."""
        found: Any = self._module()
        for part in self.name.split("."):
            found = getattr(found, part)
        func: Callable[..., Any] = getattr(found, "func", found)
        return func

    def _module(self) -> Any:
        # Not from sys.modules: another thread may be importing it just now.
        return importlib.import_module(self.module) if self.module != "__main__" else _script(self.path)


_importing_script = threading.Lock()


def _script(path: str | None) -> Any:
    """Return the module of the script that the controller runs, under the name that multiprocessing gives it."""
    import importlib.util

    with _importing_script:
        for name in ("__main__", "__mp_main__"):
            if getattr(sys.modules.get(name), "__file__", None) == path:
                return sys.modules[name]
        spec = importlib.util.spec_from_file_location("__mp_main__", path) if path else None
        if spec is None or spec.loader is None:
            raise ImportError(f"the script {path} cannot be imported here")
        module = sys.modules["__mp_main__"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


class Call(NamedTuple):
    """A job as it is sent to an executor.

    :param body: the function, or where it is found.
    :param job: its job.
    :param arguments: its repositories.
    :param controller: Optional: whose end a process that only runs jobs is to follow.
    :param lock: Optional: the file, and the byte of it, that is locked while the body runs.
    """

    body: Callable[..., Any] | Named
    job: str
    arguments: dict[str, Repository]
    controller: Controller | None = None
    lock: tuple[str, int] | None = None


class Ended(NamedTuple):
    """How a body ended: its times, and the record of what it raised, made where the traceback is."""

    start: datetime
    end: datetime
    failure: Outcome | None = None
    corrupt: CorruptRecordError | None = None


def by_name(task: str, func: Callable[..., Any], owner: FunctionTask) -> Named:
    """Return the name by which another process finds the body of a task.

    :raises ConfigurationError: if it cannot.
    """
    module = sys.modules.get(func.__module__)
    # An object that can be called, such as a partial, has no name of its own.
    named = Named(func.__module__, getattr(module, "__file__", None), getattr(func, "__qualname__", repr(func)))
    try:
        found: Any = module
        for part in named.name.split("."):
            found = getattr(found, part)
    except AttributeError:
        found = None
    if found is not func and found is not owner:
        raise ConfigurationError(
            f"task {task!r} runs in other processes, which cannot find its body {named.name!r}",
            fix="make it a plain function at the top level of a module, under its own name",
        )
    return named


def run_call(call: Call, place: int | None = None) -> Ended:
    """Run the body of a task for one job; called in the worker.

    :param place: of the call on the pool's board, by which the controller can end it.
    :raises BackendError: if an earlier run of the job does not end.
    """
    if call.controller is not None:
        follow(call.controller)
    if call.lock is None:
        return _ended(call, place)
    with holding(*call.lock):
        return _ended(call, place)


def _ended(call: Call, place: int | None) -> Ended:
    body = call.body.resolve() if isinstance(call.body, Named) else call.body
    start = now()
    try:
        with stoppable(place):
            _run_body(body, call.job, call.arguments)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        end = now()
        corrupt = error if isinstance(error, CorruptRecordError) else None
        return Ended(start, end, failure(error, start, end), corrupt)
    return Ended(start, now())


def _run_body(body: Callable[..., Any], job: str, arguments: dict[str, Repository]) -> None:
    import asyncio

    if is_async(body):
        asyncio.run(body(job=job, **arguments))
    elif all(repo.inline for repo in arguments.values()):
        call_plain(body, job, {name: BlockingView(repo, complete) for name, repo in arguments.items()})
    else:
        with asyncio.Runner() as runner:
            call_plain(body, job, {name: BlockingView(repo, runner.run) for name, repo in arguments.items()})
