"""Live resources that are defined before they exist: a session opens and closes them together."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from inspect import iscoroutinefunction, isgeneratorfunction
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from .errors import ConfigurationError, SessionNotOpenError

__all__ = ["Session"]

T = TypeVar("T")


class _Resource(Generic[T]):
    """The callable that stands for a resource: the live object while its session is open."""

    def __init__(self, manager: Callable[[], AsyncGenerator[T, None]]) -> None:
        self._open = asynccontextmanager(manager)
        self.__name__ = getattr(manager, "__name__", "resource")
        self.__doc__ = manager.__doc__
        self._live: list[T] = []

    def __call__(self) -> T:
        if not self._live:
            raise SessionNotOpenError(
                f"session resource {self.__name__!r} is not open",
                fix="use it inside `async with session:` or `async with pipeline:`",
            )
        return self._live[0]

    def __repr__(self) -> str:
        return f"<session resource {self.__name__}>"

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None, None]:
        async with self._open() as live:
            self._live.append(live)
            try:
                yield
            finally:
                self._live.clear()


class Session:
    """The owner of live connections: opened together, closed in reverse order, as often as needed.

    A later resource may use an earlier one.
    """

    def __init__(self) -> None:
        self._resources: list[_Resource[Any]] = []
        self._stack: AsyncExitStack | None = None

    @property
    def is_open(self) -> bool:
        """Whether the session's resources are live."""
        return self._stack is not None

    def resource(self, manager: Callable[[], AsyncGenerator[T, None]]) -> Callable[[], T]:
        """Register an async generator function that yields one live object and then tears it down.

        :return: a callable that returns the live object while the session is open.
        :raises ConfigurationError: if the session is open already, or `manager` is no such function.
        """
        resource = _Resource(manager)
        if self.is_open:
            raise ConfigurationError(
                f"session resource {resource.__name__!r} was defined while the session is open",
                fix="define every resource before the session or its pipeline is opened",
            )
        if iscoroutinefunction(manager) or isgeneratorfunction(manager):
            raise ConfigurationError(
                f"session resource {resource.__name__!r} is not an async generator function",
                fix="write it as `async def`, and `yield` the live object once",
            )
        self._resources.append(resource)
        return resource

    async def open(self) -> None:
        """Open every resource in the order of definition; if one fails, the opened ones are closed again.

        :raises ConfigurationError: if the session is open already.
        """
        if self.is_open:
            raise ConfigurationError("this session is open already", fix="close it before opening it again")
        async with AsyncExitStack() as stack:
            for resource in self._resources:
                await stack.enter_async_context(resource.opened())
            self._stack = stack.pop_all()

    async def close(self) -> None:
        """Close every resource, the last one first; a closed session stays closed."""
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.__aexit__(kind, error, trace)
