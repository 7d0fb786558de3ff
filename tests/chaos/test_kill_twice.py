"""A controller that is killed at any place, and the next one while it recovers: the third finishes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdt.failpoints import POINTS
from tests.chaos.cases import KILLED, check, crashing, site_for


@pytest.mark.parametrize(("point", "passed"), [(point, 2 + 3 * number % 50) for number, point in enumerate(POINTS)])
def test_f2_killed_at_and_again_after(point: str, passed: int, tmp_path: Path) -> None:
    with site_for(point, tmp_path, {"streams": 9, "again": 7}) as site:
        assert site.run(crashing(point, "kill")).code == KILLED
        site.run(f"*=kill@{passed}")
        check(site)
