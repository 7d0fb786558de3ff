"""What is done at which place: the rows of the crash matrix."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.site import Site

__all__ = ["IS_FULL", "KILLED", "check", "crashing", "site_for"]

#: Whether the sizes are those of `nox -s chaos`, rather than those of every run of the tests.
IS_FULL = "PDT_CHAOS_FULL" in os.environ
KILLED = -9
#: Controllers that are crashed first, so that there is something to take over.
BEFORE = {"adopt": "spawn.followed=kill@5", "unclaim": "claim.after=kill@2"}
#: The time at which a place is worth more than the first.
TIMES = {"spawn.spawned": 3, "reap.begin": 2, "commit.decided": 2, "publish.moved": 4, "stream.middle": 3}


#: The jobs of each task: what is passed first is passed for the first one.
JOBS = {"files": 8, "streams": 7, "again": 6}


@contextmanager
def site_for(point: str, directory: Path, jobs: Mapping[str, int] = JOBS) -> Iterator[Site]:
    """Make a pipeline that passes a place."""
    if point.startswith("kill."):
        jobs = {"slow": 2}
    elif point.startswith("publish."):
        jobs = JOBS
    # What ends at once is never noted among the processes that run.
    site = Site(directory, jobs, pause=0.15 if point.startswith("pids.") else 0.01)
    try:
        before = BEFORE.get(point.partition(".")[0])
        if before is not None:
            assert site.run(before).code == KILLED
        yield site
    finally:
        site.clear()


def crashing(point: str, action: str) -> str:
    """Return what arms a place."""
    return f"{point}={action}@{TIMES.get(point, 1)}"


def check(site: Site) -> None:
    """Run the pipeline once more, undisturbed, and judge everything that has happened."""
    ended = site.run()
    findings = site.judge()
    assert not any(findings.counts.values()), f"{findings}\n{ended.errors}"
    assert ended.code in ({0, 1} if "slow" in site.jobs else {0}), ended.errors
