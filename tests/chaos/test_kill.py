"""A controller that is killed at any place: the next one finishes, and all is as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdt.failpoints import POINTS
from tests.chaos.cases import KILLED, check, crashing, site_for
from tests.chaos.site import Site


@pytest.mark.parametrize("point", POINTS)
def test_f1_f2_killed_at(point: str, tmp_path: Path) -> None:
    with site_for(point, tmp_path) as site:
        ended = site.run(crashing(point, "kill"))
        assert (ended.code, ended.passed) == (KILLED, [point]), ended.errors
        check(site)


def test_what_is_left_by_one_that_is_killed_at_its_very_end_goes_when_there_is_nothing_to_do(tmp_path: Path) -> None:
    site = Site(tmp_path, {"files": 2}, journal_size=1 << 18)
    assert site.run("journal.before_remove=kill").code == KILLED
    assert len(list((tmp_path / "processes").rglob("journals/*"))) == 1
    check(site)
