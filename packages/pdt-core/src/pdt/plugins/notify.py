"""Telling plugins what happens, one by one, so that none can stop the pipeline or another plugin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from inspect import isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any, NamedTuple

from pdt.plugins.contract import VETO_HOOK
from pdt.plugins.hooks import Hooks
from pdt.plugins.problems import Problem, Problems

if TYPE_CHECKING:
    import asyncio

    from pdt.plugins.loading import Tracer
    from pdt.plugins.watch import Watch

__all__ = ["DEADLINE", "Observer", "PluginHooks"]

DEADLINE = 30.0
BLOCKING = 5.0
LATE_CALLS = 3
_GRACE = 1.0


class Observer(NamedTuple):
    """One plugin's implementation of one hook.

    :param dist: the distribution that it is in.
    :param hook: the hook's name.
    :param function: the implementation.
    :param arguments: the names of those of the hook's arguments that it takes.
    """

    dist: str
    hook: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]


class PluginHooks(Hooks):
    """What the engine tells plugins through, where there are some.

    :param observers: the implementations of each hook, in the order in which they are called.
    :param deadline: how many seconds an implementation may be awaited.
    :param blocking: after how many seconds one that blocks the event loop is reported.
    :param tracer: told of every call.
    """

    def __init__(
        self,
        observers: Mapping[str, tuple[Observer, ...]],
        *,
        deadline: float = DEADLINE,
        blocking: float = BLOCKING,
        tracer: Tracer | None = None,
    ) -> None:
        from pdt.plugins.watch import Watch

        self._observers = dict(observers)
        self._deadline = deadline
        self._tracer = tracer
        self._problems = Problems()
        self._given_up: set[Observer] = set()
        self._abandoned: set[asyncio.Task[None]] = set()
        self._watch: Watch[Observer] = Watch(blocking, self._blocks)
        self._blocking = blocking

    @property
    def problems(self) -> list[Problem]:
        """What plugins did wrong so far."""
        return list(self._problems)

    def active(self, hook: str) -> bool:
        """Return whether any plugin implements a hook."""
        return hook in self._observers or super().active(hook)

    async def notify(self, hook: str, /, **arguments: object) -> None:
        """Tell every plugin that implements an observer's hook, one after the other.

        A plugin that raises, or that is awaited for too long, is reported and the next one is told.
        """
        for observer in self._observers.get(hook, ()):
            if observer in self._given_up:
                continue
            given = {name: arguments[name] for name in observer.arguments}
            try:
                result = self._call(observer, given)
                if isawaitable(result):
                    await self._settle(observer, result)
                elif result is not None:
                    self._garbage(observer, f"returned {type(result).__name__}, which means nothing to pdt")
            except (Exception, SystemExit) as error:
                self._raised(observer, error)

    def vetoes(self, pipeline: object, task: object, jobs: Iterable[str]) -> dict[str, str]:
        """Ask every plugin which jobs must not be launched now; the first veto of a job gives its reason.

        A plugin that raises, or that returns something else than a mapping, has no say.
        """
        batch = tuple(jobs)
        arguments = {"pipeline": pipeline, "task": task, "jobs": batch}
        refused: dict[str, str] = {}
        for observer in self._observers.get(VETO_HOOK, ()):
            given = {name: arguments[name] for name in observer.arguments}
            try:
                answer = self._call(observer, given)
                for job, reason in self._understood(observer, answer, frozenset(batch)):
                    refused.setdefault(job, f"{observer.dist}: {reason}")
            except (Exception, SystemExit) as error:
                self._raised(observer, error)
        return refused

    def _call(self, observer: Observer, given: Mapping[str, object]) -> Any:
        outcome = "raised"
        self._watch.begin(observer)
        try:
            result = observer.function(*given.values())
            outcome = f"returned {type(result).__name__}"
            return result
        finally:
            self._watch.end()
            if self._tracer is not None:
                self._tracer(observer.dist, observer.hook, given, outcome)

    async def _settle(self, observer: Observer, awaitable: Awaitable[object]) -> None:
        import asyncio

        # Not in a task group, which would wait for ever for a plugin that never returns.
        task = asyncio.get_running_loop().create_task(self._await(observer, awaitable))
        try:
            await asyncio.wait({task}, timeout=self._deadline)
        except asyncio.CancelledError:
            await self._abandon(task)
            raise
        if not task.done():
            await self._abandon(task)
            self._late(observer)
        elif task.cancelled():
            self._garbage(observer, "was cancelled by something other than pdt")
        else:
            task.result()

    async def _await(self, observer: Observer, awaitable: Awaitable[object]) -> None:
        try:
            if isinstance(awaitable, Coroutine):
                await self._watch.steps(observer, awaitable)
            else:
                await awaitable
        except SystemExit as error:
            # A task that raises this stops the event loop itself.
            self._raised(observer, error)

    async def _abandon(self, task: asyncio.Task[None]) -> None:
        import asyncio

        def forget(ended: asyncio.Task[None]) -> None:
            self._abandoned.discard(ended)
            if not ended.cancelled():
                ended.exception()

        self._abandoned.add(task)
        task.add_done_callback(forget)
        task.cancel()
        await asyncio.wait({task}, timeout=min(_GRACE, self._deadline))
        if not task.done():
            # asyncio.run waits for every task that is registered, and this one resists being cancelled.
            asyncio._unregister_task(task)

    def _understood(self, observer: Observer, answer: object, batch: frozenset[str]) -> Iterable[tuple[str, str]]:
        if answer is None:
            return
        if not isinstance(answer, Mapping):
            if iscoroutine(answer):
                answer.close()
            self._garbage(observer, f"returned {type(answer).__name__}, not a mapping of jobs to reasons")
            return
        for job, reason in answer.items():
            if job not in batch:
                self._garbage(observer, f"vetoed {job!r}, which it was not asked about")
            elif not isinstance(reason, str) or not reason:
                self._garbage(observer, f"vetoed {job!r} for a reason that is not a text: {reason!r}")
            else:
                yield job, reason

    def _raised(self, observer: Observer, error: BaseException) -> None:
        text = f"raised {type(error).__name__}: {error}"
        self._problems.add(observer.dist, observer.hook, f"raised {type(error).__name__}", text, error)

    def _garbage(self, observer: Observer, text: str) -> None:
        self._problems.add(observer.dist, observer.hook, "garbage", text)

    def _blocks(self, observer: Observer, place: str) -> None:
        text = f"has blocked the event loop for {self._blocking:g} s, and nothing else moves:\n{place}"
        self._problems.add(observer.dist, observer.hook, "blocks", text)

    def _late(self, observer: Observer) -> None:
        text = f"did not return within {self._deadline:g} s and was abandoned"
        if self._problems.add(observer.dist, observer.hook, "late", text) >= LATE_CALLS:
            self._given_up.add(observer)
            again = f"was late {LATE_CALLS} times and is not called again"
            self._problems.add(observer.dist, observer.hook, "given up", again)
