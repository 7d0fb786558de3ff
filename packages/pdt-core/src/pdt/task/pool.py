"""Where the bodies of an ExecutorTask run: an executor that was given, or ones that the task makes for itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .remote import Call, Ended, run_call
from .worker import follow_from_start
from .workers import Workers, workers_of

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

__all__ = ["Pool", "Running"]


class Running:
    """A call that an executor has.

    :param future: its end.
    :param workers: Optional: the processes that run it, where they are the task's own.
    :param place: where they note that they do.
    """

    def __init__(self, future: Future[Ended], workers: Workers | None = None, place: int = 0) -> None:
        self.future = future
        self._workers = workers
        self._place = place

    @property
    def began(self) -> float | None:
        """When its body began, by the monotonic clock; None if it has not, or nobody can tell."""
        return None if self._workers is None else self._workers.began(self._place)

    @property
    def can_be_ended(self) -> bool:
        """Whether `end` has any effect once the body runs."""
        return self._workers is not None

    def end(self) -> None:
        """Have the body end: its worker raises Stopped where it is."""
        if self._workers is not None:
            self._workers.end(self._place)

    def kill(self) -> None:
        """Kill the workers, of which none is of any use when one is lost: the next call gets new ones."""
        if self._workers is not None:
            self._workers.were_killed = True
            self._workers.kill()

    @property
    def was_killed(self) -> bool:
        """Whether its workers were killed for the sake of a call."""
        return self._workers is not None and self._workers.were_killed

    def forget(self) -> None:
        """Let another call have its place."""
        if self._workers is not None:
            self._workers.board.give_back(self._place)


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
        #: Its processes, if they are this task's own.
        self._workers: Workers | None = None
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
            self.made, self._workers = made, workers_of(made)
        return self.made

    def _unusable(self, executor: object) -> ConfigurationError:
        return ConfigurationError(
            f"executor of task {self._task!r} is {executor!r}, to which no function can be submitted",
            fix="pass an executor, such as ThreadPoolExecutor(4), or what makes one: partial(ProcessPoolExecutor, 4)",
        )

    @property
    def makes(self) -> bool:
        """Whether executors are made here."""
        return self._make is not None

    @property
    def has_own_processes(self) -> bool:
        """Whether what the executor, which is made now, runs can be ended: in processes of the task's own."""
        self.get()
        return self._workers is not None

    def submit(self, call: Call) -> Running:
        """Have a job run; in a new executor, if this one has lost a worker and is not its maker's."""
        from concurrent.futures import BrokenExecutor

        try:
            return self._submit(call)
        except BrokenExecutor:
            if self._make is None:
                raise
        broken, self.made = self.get(), None
        if self._workers is not None:
            self._workers.kill()  # none of them runs on while its job runs again
            self._workers.close()
        broken.shutdown(wait=False, cancel_futures=True)
        return self._submit(call)

    def _submit(self, call: Call) -> Running:
        executor = self.get()
        if self._workers is None:
            follow_from_start(executor)
            return Running(executor.submit(run_call, call))
        place = self._workers.board.take()
        try:
            return Running(executor.submit(run_call, call, place), self._workers, place)
        except BaseException:
            self._workers.board.give_back(place)
            raise

    async def release(self) -> None:
        """Shut down what was made here, once the functions that it runs have returned; the next one is made anew."""
        if self._make is not None and self.made is not None:
            import asyncio

            made, self.made = self.made, None
            await asyncio.to_thread(made.shutdown, cancel_futures=True)
            workers, self._workers = self._workers, None
            if workers is not None:
                workers.close()
