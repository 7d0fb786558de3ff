"""The suite's own instruments: a check that never fires would pass everything."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.support.blocking import watch_event_loops
from tests.support.ordinary_user import AsOrdinaryUser

ROOT = Path(__file__).parents[2]

SAMPLE = """
import time
import pytest

async def test_blocks():
    time.sleep(0.8)

@pytest.mark.blocking(reason="x")
async def test_blocks_with_a_reason():
    time.sleep(0.8)

@pytest.mark.blocking
async def test_without_a_reason():
    pass
"""


def test_a_blocking_call_fails_its_test_unless_a_reason_permits_it(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(SAMPLE, encoding="utf-8")
    settings = ["-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *settings, "-rA", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    summary = re.findall(r"^(PASSED|FAILED) \S*test_sample.py::(\w+)", ran.stdout, re.MULTILINE)
    assert sorted(summary) == [
        ("FAILED", "test_blocks"),
        ("FAILED", "test_without_a_reason"),
        ("PASSED", "test_blocks_with_a_reason"),
    ]
    assert "held the event loop for more than 0.5 s" in ran.stdout
    assert "needs reason=" in ran.stdout


@pytest.mark.blocking(reason="blocks on purpose, under a watch of its own")
def test_calls_in_any_loop_are_seen_and_short_ones_are_not() -> None:
    async def body() -> None:
        await asyncio.sleep(0)
        time.sleep(0.7)  # noqa: ASYNC251

    with watch_event_loops(0.1) as found:
        other = threading.Thread(target=asyncio.run, args=(body(),))
        other.start()
        other.join()
        asyncio.run(asyncio.sleep(0.7))
    (call,) = found
    assert call.seconds >= 0.3
    assert "body" in call.callback


def test_waiting_for_a_processor_is_not_a_blocking_call() -> None:
    if not hasattr(os, "sched_setaffinity") or not Path("/proc/thread-self/schedstat").exists():
        pytest.skip("needs Linux with scheduler statistics")

    async def spin(until: float) -> None:
        while time.thread_time() < until:
            pass

    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        with watch_event_loops(0.15) as found:
            started = time.perf_counter()
            asyncio.run(spin(time.thread_time() + 0.1))
            wall_s = time.perf_counter() - started
    finally:
        os.sched_setaffinity(0, allowed)
        for other in others:
            other.kill()
            other.wait()
    assert wall_s > 0.15
    assert found == []


def test_ordinary_user_is_bound_by_permissions(as_ordinary_user: AsOrdinaryUser, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x", encoding="utf-8")
    secret.chmod(0)
    with pytest.raises(PermissionError) as caught:
        as_ordinary_user(secret.read_text)
    assert caught.value.filename == str(secret)


def test_programs_of_an_ordinary_user_are_bound_too(as_ordinary_user: AsOrdinaryUser, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    ran = as_ordinary_user(lambda: subprocess.run(["touch", str(tmp_path / "new")], capture_output=True))
    assert ran.returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_ordinary_user_runs_coroutines_and_returns(as_ordinary_user: AsOrdinaryUser) -> None:
    async def answer() -> str:
        import colorsys  # what is needed late must still load from where root's Python lies

        return colorsys.__name__

    assert as_ordinary_user(lambda: asyncio.run(answer())) == "colorsys"
