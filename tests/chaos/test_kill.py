"""A controller that is killed at any place: the next one finishes, and all is as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdt.failpoints import POINTS
from tests.chaos.cases import KILLED, check, crashing, site_for


@pytest.mark.parametrize("point", POINTS)
def test_f1_f2_killed_at(point: str, tmp_path: Path) -> None:
    with site_for(point, tmp_path) as site:
        ended = site.run(crashing(point, "kill"))
        assert (ended.code, ended.passed) == (KILLED, [point]), ended.errors
        check(site)
