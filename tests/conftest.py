"""What every test of this repository stands on: a watch on event loops and processes, a way to be an ordinary user."""

from __future__ import annotations

import faulthandler
import gc
import logging
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from tests.support import ordinary_user
from tests.support.blocking import LIMIT_S, watch_event_loops
from tests.support.leftovers import kill_leftovers

# What a check of a change runs is the same each time; `pytest` by itself explores, and remembers what it finds.
settings.register_profile("steady", derandomize=True, print_blob=True)

# asyncio's debug mode warns of slow callbacks on a busy machine; what holds an event loop is found below.
logging.getLogger("asyncio").setLevel(logging.ERROR)

#: Seconds after which all tests together say where they are and end: pytest's time limits are those of single tests.
SESSION_LIMIT_S = 30 * 60


def pytest_sessionstart() -> None:
    faulthandler.dump_traceback_later(SESSION_LIMIT_S, exit=True)


def pytest_sessionfinish() -> None:
    faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Collect no garbage while a failure is described.

    A task whose exception nobody retrieved would be reported by asyncio in the midst of it, and Python 3.11 cannot
    parse source for a traceback while it does so for another: pytest would end with an internal error, or never.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _nothing_runs_on(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Kill what runs still in the tests' directories at the end; no test that passes leaves anything."""
    yield
    left = kill_leftovers(tmp_path_factory.getbasetemp())
    if left and not request.session.testsfailed:
        pytest.fail(f"tests have left processes running: {left}", pytrace=False)


@pytest.fixture(scope="session")
def as_ordinary_user() -> ordinary_user.AsOrdinaryUser:
    """Return a function that calls its argument without root's powers."""
    return ordinary_user.as_ordinary_user


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test in which a callback held its event loop, unless it is marked `blocking(reason=...)`."""
    marker = item.get_closest_marker("blocking")
    if marker is not None:
        if not marker.kwargs.get("reason"):
            pytest.fail(
                "@pytest.mark.blocking needs reason=...: why may this test hold the event loop?",
                pytrace=False,
            )
        return (yield)
    with watch_event_loops() as found:
        yield
    if found:
        calls = "\n".join(f"  {call.seconds:.3f} s in {call.callback}" for call in found)
        pytest.fail(
            f"held the event loop for more than {LIMIT_S} s:\n{calls}\n"
            "Do what takes long in a thread, or mark the test @pytest.mark.blocking(reason=...).",
            pytrace=False,
        )
