"""Repositories for plain functions: the same methods, which return when they are done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from inspect import isawaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

__all__ = ["BlockingView", "BodyThread", "complete"]

T = TypeVar("T")


def complete(awaitable: Awaitable[T]) -> T:
    """Return the result of something that never waits, without an event loop.

    :raises RuntimeError: if it does wait.
    """
    steps = awaitable.__await__()
    try:
        next(steps)
    except StopIteration as ended:
        result: T = ended.value
        return result
    steps.close()
    raise RuntimeError(f"{awaitable!r} waits for something, so it needs an event loop")


class BlockingView:
    """An asynchronous object as a plain function sees it: calls block, `async with` is `with`, `async for` is `for`.

    :param target: the object.
    :param run: completes a coroutine of the object's.
    """

    __slots__ = ("_run", "_target")

    def __init__(self, target: Any, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._target = target
        self._run = run

    def _complete(self, awaitable: Awaitable[Any]) -> Any:
        async def finish() -> Any:
            return await awaitable

        return self._run(finish())

    def _view(self, value: Any) -> Any:
        return BlockingView(value, self._run) if _is_asynchronous(value) else value

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._target, name)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            result = attribute(*args, **kwargs)
            if isawaitable(result) and not _is_asynchronous(result):
                result = self._complete(result)
            return self._view(result)

        return call

    def __enter__(self) -> Any:
        entered = self._complete(self._target.__aenter__())
        return self if entered is self._target else self._view(entered)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        result: bool | None = self._complete(self._target.__aexit__(kind, error, trace))
        return result

    def __iter__(self) -> Iterator[Any]:
        iterator = aiter(self._target)
        while True:
            try:
                item = self._complete(anext(iterator))
            except StopAsyncIteration:
                return
            yield tuple(map(self._view, item)) if isinstance(item, tuple) else self._view(item)

    def __repr__(self) -> str:
        return f"BlockingView({self._target!r})"


def _is_asynchronous(value: Any) -> bool:
    return hasattr(value, "__aenter__") or hasattr(value, "__aiter__")


class BodyThread:
    """A call of func(*arguments) in a thread that nobody else uses; make it on the event loop.

    A shared pool could be full of functions that wait for a repository which needs a thread of that pool itself.
    """

    def __init__(self, func: Callable[..., None], *arguments: Any) -> None:
        import asyncio
        import contextvars
        import threading

        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        #: Whether the function has not returned; it may go on when nobody waits for it any more.
        self.is_running = True
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._work, func, arguments), name="pdt-body", daemon=True).start()

    def _work(self, func: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        error: BaseException | None = None
        try:
            func(*arguments)
        except BaseException as raised:
            error = raised
        self.is_running = False
        try:
            self._loop.call_soon_threadsafe(self._note, error)
        except RuntimeError:
            return  # the loop is closed

    def _note(self, error: BaseException | None) -> None:
        if self._ended.done():
            return  # whoever waited was cancelled
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)

    async def ended(self) -> None:
        """Return, or raise, what the function did."""
        await self._ended
