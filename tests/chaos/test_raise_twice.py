"""Something fails at any place, the controller is killed soon after, and the next one while it recovers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdt.failpoints import POINTS
from tests.chaos.cases import KILLED, check, crashing, site_for

#: Each place, and how many others are passed after it, and by the next controller, before they are killed.
CASES = [(point, 1 + number % 5, 2 + 3 * number % 50) for number, point in enumerate(POINTS)]


@pytest.mark.parametrize(("point", "soon", "passed"), CASES)
def test_f2_failed_at_and_killed_twice_after(point: str, soon: int, passed: int, tmp_path: Path) -> None:
    with site_for(point, tmp_path, {"streams": 9, "again": 7}) as site:
        ended = site.run(f"{crashing(point, 'raise')};+=kill@{soon}")
        assert ended.passed[0] == point, ended.errors
        assert len(ended.passed) == 1 or ended.code == KILLED, ended.errors
        site.run(f"*=kill@{passed}")
        check(site)
