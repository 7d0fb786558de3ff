"""Several controllers of one pipeline: one at a time, whatever becomes of it."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.cases import KILLED, check
from tests.chaos.site import Site

HELD = 6


def test_f3_of_controllers_that_start_together_one_works(tmp_path: Path) -> None:
    site = Site(tmp_path, {"files": 10, "streams": 10})
    try:
        processes = [site.start() for _ in range(4)]
        errors = [process.communicate(timeout=30)[1] for process in processes]
        codes = [process.returncode for process in processes]
        assert 0 in codes, errors
        assert set(codes) <= {0, HELD}, errors
        check(site)
    finally:
        site.clear()


def test_f3_the_lock_names_its_holder_and_is_free_once_it_is_killed(tmp_path: Path) -> None:
    site = Site(tmp_path, {"files": 4})
    holder = site.start("control.locked=hang")
    try:
        assert holder.stderr is not None
        assert holder.stderr.readline() == "failpoint control.locked: hang\n"
        refused = site.run()
        assert refused.code == HELD
        assert f"process {holder.pid} on " in refused.errors
        assert site.started() == []
    finally:
        holder.kill()
        holder.communicate()
    assert holder.returncode == KILLED
    check(site)


def test_f3_a_controller_that_was_stopped_and_goes_on_keeps_its_lock(tmp_path: Path) -> None:
    """Nothing but its end frees a controller's lock: however long it stands still, no other takes its jobs."""
    site = Site(tmp_path, {"files": 8}, at_once=2)
    holder = site.start("launch.started=hang@3")
    try:
        site.wait_for_started(3)
        assert [site.run().code for _ in range(3)] == [HELD] * 3
        assert len(site.started()) == 3
    finally:
        holder.kill()
        holder.communicate()
    check(site)
