"""What every test of this repository stands on: a watch on event loops and processes, a way to be an ordinary user."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from tests.support import ordinary_user
from tests.support.blocking import LIMIT_S, watch_event_loops
from tests.support.leftovers import kill_leftovers

# What a check of a change runs is the same each time; `pytest` by itself explores, and remembers what it finds.
settings.register_profile("steady", derandomize=True, print_blob=True)


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
