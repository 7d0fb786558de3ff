"""Numbers of jobs and attempts that real pipelines have: nothing of them leaks, and taking them over is quick."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos import abandoned
from tests.chaos.cases import IS_FULL, KILLED
from tests.chaos.site import Site

JOBS = 50_000 if IS_FULL else 3_000
ATTEMPTS = 10_000
#: Seconds that it may take to take over so many.
RECOVERED_WITHIN = 30.0
#: Seconds after which a test that does not end has failed.
TIMEOUT = 1800.0 if IS_FULL else 300.0


def left_open(site: Site) -> list[str]:
    """Run a pipeline, and return what its controller has open before it ends; it has no children then."""
    process = site.start("control.before_release=hang")
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if line == "failpoint control.before_release: hang\n":
                break
        else:
            raise AssertionError(f"the controller ended with {process.wait()}")
        assert site.processes() == []
        where = Path("/proc", str(process.pid))
        assert "".join(path.read_text() for path in where.glob("task/*/children")) == ""
        return sorted(os.readlink(path) for path in (where / "fd").iterdir())
    finally:
        process.kill()
        process.communicate()


@pytest.mark.timeout(TIMEOUT)
def test_many_short_jobs_leave_nothing_behind(tmp_path: Path) -> None:
    """No descriptor, process, file, directory, lock or entry of the ledger, besides what one of them leaves."""
    opened = {}
    for count in (2, JOBS):
        directory = tmp_path / str(count)
        directory.mkdir()
        site = Site(directory, {"files": count // 2, "streams": count // 2}, pause=0, journal_size=1 << 14)
        try:
            opened[count] = [name.replace(str(directory), "") for name in left_open(site)]
            findings = site.judge()
            assert not any(findings.counts.values()), findings.shortened(5)
        finally:
            site.clear()
    assert len(opened[JOBS]) == len(opened[2]), opened


@pytest.mark.timeout(TIMEOUT)
def test_f1_ten_thousand_attempts_of_a_killed_controller_are_taken_over_in_time(tmp_path: Path) -> None:
    site = Site(tmp_path, {"files": ATTEMPTS // 2, "streams": ATTEMPTS // 2}, gated=True, journal_size=1 << 18)
    try:
        arguments = [sys.executable, "-m", "tests.chaos.abandoned", str(tmp_path)]
        killed = subprocess.run(arguments, cwd=Path(__file__).parents[2], check=False)
        assert killed.returncode == KILLED
        assert len(site.processes()) >= abandoned.RUNNING
        began = time.monotonic()
        process = site.start()
        site.wait_for_records(ATTEMPTS // 10)
        site.open_gate()
        assert process.stderr is not None
        with process.stderr:
            errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, errors
        findings = site.judge()
        assert not any(findings.counts.values()), findings.shortened(5)
        # Beside other tests the processor's time counts, whoever else has it.
        worked = usage.ru_utime + usage.ru_stime
        assert (seconds if IS_FULL else worked) < RECOVERED_WITHIN
    finally:
        site.clear()
