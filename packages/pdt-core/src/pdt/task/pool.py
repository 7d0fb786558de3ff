"""Where the bodies of an ExecutorTask run: an executor that was given, or ones that the task makes for itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ConfigurationError
from .worker import follow_from_start

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

__all__ = ["Pool"]

T = TypeVar("T")


class Pool:
    """The executor of a task.

    :param task: the task's name.
    :param executor: an executor, which stays its maker's; or what makes one, which is made when it is first needed,
        replaced when it is broken, and shut down by `release`.
    :raises ConfigurationError: if it is neither.
    """

    def __init__(self, task: str, executor: Executor | Callable[[], Executor]) -> None:
        self._task = task
        #: The executor, if there is one by now.
        self.made: Executor | None = None
        self._make: Callable[[], Executor] | None = None
        given: Any = executor
        if not isinstance(given, type) and hasattr(given, "submit"):
            self.made = given
        elif callable(given):
            self._make = given
        else:
            raise self._unusable(given)

    @property
    def kind(self) -> type | None:
        """The executor's class, if that can be told before it is made."""
        if self.made is not None:
            return type(self.made)
        make: Any = self._make
        while isinstance(make, partial):
            make = make.func
        return make if isinstance(make, type) else None

    def get(self) -> Executor:
        """Return the executor; make it if there is none."""
        if self.made is None:
            assert self._make is not None  # noqa: S101  one of them is given
            made = self._make()
            if not hasattr(made, "submit"):
                raise self._unusable(made)
            self.made = made
        return self.made

    def _unusable(self, executor: object) -> ConfigurationError:
        return ConfigurationError(
            f"executor of task {self._task!r} is {executor!r}, to which no function can be submitted",
            fix="pass an executor, such as ThreadPoolExecutor(4), or what makes one: partial(ProcessPoolExecutor, 4)",
        )

    def submit(self, func: Callable[..., T], *arguments: Any) -> Future[T]:
        """Have func(*arguments) called; in a new executor, if this one has lost a worker and is not its maker's."""
        from concurrent.futures import BrokenExecutor

        try:
            return self._submit(func, *arguments)
        except BrokenExecutor:
            if self._make is None:
                raise
        broken, self.made = self.get(), None
        broken.shutdown(wait=False, cancel_futures=True)
        return self._submit(func, *arguments)

    def _submit(self, func: Callable[..., T], *arguments: Any) -> Future[T]:
        executor = self.get()
        follow_from_start(executor)
        return executor.submit(func, *arguments)

    async def release(self) -> None:
        """Shut down what was made here, once the functions that it runs have returned; the next one is made anew."""
        if self._make is not None and self.made is not None:
            import asyncio

            made, self.made = self.made, None
            await asyncio.to_thread(made.shutdown, cancel_futures=True)
