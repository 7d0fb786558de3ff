"""Sessions: what is opened, in which order, and what becomes of it when something fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import pytest

import pdt


class Log(list[str]):
    def resource(self, session: pdt.Session, name: str, fail: str = "") -> Any:
        """Define a resource that notes what happens to it, and fails on opening or closing."""

        async def manager() -> AsyncGenerator[str, None]:
            if fail == "open":
                raise OSError(f"{name} would not open")
            self.append(f"open {name}")
            try:
                yield name.upper()
            except BaseException as error:
                self.append(f"{name} saw {type(error).__name__}")
                raise
            finally:
                self.append(f"close {name}")
                if fail == "close":
                    raise OSError(f"{name} would not close")

        manager.__name__ = name
        return session.resource(manager)


async def test_the_example_of_the_reference(tmp_path: Any) -> None:
    (tmp_path / "src").write_bytes(b"content")
    session = pdt.Session()

    @session.resource
    async def my_file_dst() -> AsyncGenerator[Any, None]:
        """Where it goes."""
        with open(tmp_path / "dst", "wb") as file:
            yield file

    @session.resource
    async def my_file_src() -> AsyncGenerator[Any, None]:
        with open(tmp_path / "src", "rb") as file:
            yield file

    async with session:
        my_file_dst().write(my_file_src().read())
    assert (tmp_path / "dst").read_bytes() == b"content"
    assert my_file_dst.__doc__ == "Where it goes."
    assert repr(my_file_dst) == "<session resource my_file_dst>"


async def test_closes_in_reverse_order() -> None:
    session, log = pdt.Session(), Log()
    for name in "abc":
        log.resource(session, name)
    was_open = [session.is_open]
    async with session as entered:
        assert entered is session
        was_open.append(session.is_open)
    was_open.append(session.is_open)
    assert was_open == [False, True, False]
    assert log == ["open a", "open b", "open c", "close c", "close b", "close a"]


async def test_a_later_resource_uses_an_earlier_one_to_the_end() -> None:
    session, log = pdt.Session(), Log()
    first = log.resource(session, "first")

    @session.resource
    async def second() -> AsyncGenerator[str, None]:
        yield f"second of {first()}"
        log.append(f"teardown sees {first()}")

    async with session:
        assert second() == "second of FIRST"
    assert log == ["open first", "teardown sees FIRST", "close first"]


async def test_two_resources_of_one_name_are_two() -> None:
    session, log = pdt.Session(), Log()
    one, two = log.resource(session, "x"), log.resource(session, "x")
    async with session:
        assert one() == two() == "X"
    assert log.count("close x") == 2


async def test_a_failing_open_closes_what_was_opened() -> None:
    session, log = pdt.Session(), Log()
    good = log.resource(session, "good")
    log.resource(session, "bad", fail="open")
    log.resource(session, "never")
    for _ in range(2):
        log.clear()
        with pytest.raises(OSError, match="bad would not open"):
            await session.open()
        assert log == ["open good", "good saw OSError", "close good"]
        assert not session.is_open
        with pytest.raises(pdt.SessionNotOpenError):
            good()


async def test_a_failing_close_lets_the_others_be_closed() -> None:
    session, log = pdt.Session(), Log()
    first = log.resource(session, "first")
    log.resource(session, "bad", fail="close")
    log.resource(session, "last")
    await session.open()
    with pytest.raises(OSError, match="bad would not close"):
        await session.close()
    assert [entry for entry in log if entry.startswith("close")] == ["close last", "close bad", "close first"]
    assert not session.is_open
    with pytest.raises(pdt.SessionNotOpenError):
        first()


async def test_can_be_opened_again() -> None:
    session, log = pdt.Session(), Log()
    resource = log.resource(session, "x")
    for _ in range(3):
        async with session:
            assert resource() == "X"
    assert log == ["open x", "close x"] * 3


async def test_a_resource_says_what_to_do_before_open_and_after_close() -> None:
    session, log = pdt.Session(), Log()
    resource = log.resource(session, "bucket")
    with pytest.raises(pdt.SessionNotOpenError, match=r"session resource 'bucket' is not open\nfix: use it inside"):
        resource()
    async with session:
        pass
    with pytest.raises(RuntimeError):
        resource()


async def test_open_twice_and_close_twice() -> None:
    session, log = pdt.Session(), Log()
    resource = log.resource(session, "x")
    await session.close()
    await session.open()
    with pytest.raises(pdt.ConfigurationError, match="open already"):
        await session.open()
    assert resource() == "X"
    await session.close()
    await session.close()
    assert log == ["open x", "close x"]


async def test_a_resource_cannot_be_defined_while_the_session_is_open() -> None:
    session, log = pdt.Session(), Log()
    async with session:
        with pytest.raises(pdt.ConfigurationError, match="'late' was defined while the session is open"):
            log.resource(session, "late")
    log.resource(session, "later")
    async with session:
        pass
    assert log == ["open later", "close later"]


async def test_an_exception_in_the_block_reaches_every_resource() -> None:
    session, log = pdt.Session(), Log()
    log.resource(session, "a")
    log.resource(session, "b")
    with pytest.raises(ZeroDivisionError):
        async with session:
            raise ZeroDivisionError
    assert log[2:] == ["b saw ZeroDivisionError", "close b", "a saw ZeroDivisionError", "close a"]


async def test_a_resource_cannot_hide_an_exception_of_the_block() -> None:
    session = pdt.Session()

    @session.resource
    async def greedy() -> AsyncGenerator[None, None]:
        try:
            yield
        except ZeroDivisionError:
            return

    with pytest.raises(ZeroDivisionError):
        async with session:
            raise ZeroDivisionError


async def test_cancellation_while_opening_closes_what_was_opened() -> None:
    session, log = pdt.Session(), Log()
    log.resource(session, "a")
    reached = asyncio.Event()

    @session.resource
    async def slow() -> AsyncGenerator[None, None]:
        reached.set()
        await asyncio.sleep(3600)
        yield

    task = asyncio.get_running_loop().create_task(session.open())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["open a", "a saw CancelledError", "close a"]
    assert not session.is_open


async def test_what_does_not_yield_is_refused_when_it_is_defined() -> None:
    session = pdt.Session()

    async def coroutine() -> None: ...

    def generator() -> Any:
        yield 1

    for manager in (coroutine, generator):
        with pytest.raises(pdt.ConfigurationError, match=f"'{manager.__name__}' is not an async generator function"):
            session.resource(manager)  # type: ignore[arg-type]
    async with session:
        pass


async def test_any_callable_that_returns_an_async_generator_will_do() -> None:
    async def manager(value: int) -> AsyncGenerator[int, None]:
        yield value

    session = pdt.Session()
    resource = session.resource(partial(manager, 5))
    async with session:
        assert resource() == 5
        with pytest.raises(pdt.ConfigurationError, match="'resource' was defined while"):
            session.resource(partial(manager, 6))


async def test_a_resource_may_be_none() -> None:
    session = pdt.Session()

    @session.resource
    async def nothing() -> AsyncGenerator[None, None]:
        yield None

    async with session:
        assert nothing() is None
