"""Something fails at any place of a controller: it goes on, or leaves the rest to the next run, and no body runs twice.

A failure may cost the controller its run (what it could not record is reported, and recorded by the next run), but
never an execution: what has been started is followed to its end, what has not been started is started once.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pdt.failpoints import POINTS
from tests.chaos.cases import KILLED, check, crashing, site_for
from tests.chaos.site import Site

#: Places of which a failure ends the run: there is no pipeline to go on with.
FATAL = {"control.locked"}


@pytest.mark.parametrize("point", POINTS)
def test_failed_at(point: str, tmp_path: Path) -> None:
    with site_for(point, tmp_path) as site:
        ended = site.run(crashing(point, "raise"))
        assert ended.passed == [point], ended.errors
        assert ended.code in ({0, 1, 5, 7} if point not in FATAL else {7}), ended.errors
        check(site)


def test_a_take_over_that_fails_takes_nothing_of_the_quota(tmp_path: Path) -> None:
    site = Site(tmp_path, {"files": 8}, at_once=8)
    try:
        assert site.run("commit.decided=kill").code == KILLED
        site.change(at_once=1)
        assert site.run("adopt.end=raise").passed == ["adopt.end"]
        check(site)
    finally:
        site.clear()
