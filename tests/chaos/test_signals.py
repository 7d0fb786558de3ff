"""What a controller does when it is told to stop: its processes run on, and the next one takes them over."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.cases import check
from tests.chaos.site import Site

#: Seconds that a controller may take to leave what it does not wait for.
GRACE = 4.0


@contextmanager
def running(site: Site, failpoints: str = "") -> Iterator[subprocess.Popen[str]]:
    """Start a controller, which is killed at the end if it runs still."""
    process = site.start(failpoints)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        site.clear()


def ends_within(process: subprocess.Popen[str], seconds: float) -> str:
    """Return what a controller that ends soon has written to standard error."""
    began = time.monotonic()
    errors = process.communicate(timeout=seconds)[1]
    assert time.monotonic() - began < seconds
    return errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_f18_a_signal_leaves_jobs_running_for_the_next_controller(number: signal.Signals, tmp_path: Path) -> None:
    site = Site(tmp_path, {"files": 4, "again": 4}, at_once=4, gated=True)
    with running(site) as process:
        site.wait_for_started(4)
        process.send_signal(number)
        errors = ends_within(process, GRACE)
        assert process.returncode == 130, errors
        assert "run on as processes" in errors
        assert len(site.started()) == 4, "it started jobs after the signal"
        assert len(site.processes()) >= 4, "it ended jobs that it was to leave alone"
        site.open_gate()
        check(site)


def test_f18_what_is_being_written_is_written_to_its_end(tmp_path: Path) -> None:
    site = Site(tmp_path, {"streams": 3}, at_once=3, store_seconds=1.0)
    with running(site) as process:
        site.wait_for_started(3)
        while site.processes():
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        ends_within(process, GRACE)
        assert len(list((tmp_path / "streams.stdout").glob("job-*"))) == 3
        check(site)


def test_f18_a_second_signal_leaves_at_once(tmp_path: Path) -> None:
    site = Site(tmp_path, {"streams": 3}, at_once=3, store_seconds=GRACE * 2)
    with running(site) as process:
        site.wait_for_started(3)
        while site.processes():
            time.sleep(0.01)
        assert process.stderr is not None
        process.send_signal(signal.SIGTERM)
        assert process.stderr.readline().startswith("stopping: ")  # before, it would count as the same signal
        process.send_signal(signal.SIGTERM)
        errors = ends_within(process, GRACE)
        assert process.returncode != 0, errors
        site.change(store_seconds=0)
        check(site)
