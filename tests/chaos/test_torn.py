"""What others see of the outputs while a controller is gone: all of one, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.cases import KILLED, check
from tests.chaos.site import Site

POINTS = ["stream.begin", "stream.middle", "stream.copied", "commit.decided", "publish.move", "publish.moved"]


@pytest.mark.parametrize("point", POINTS)
def test_f13_a_killed_controller_leaves_no_output_in_part(point: str, tmp_path: Path) -> None:
    site = Site(tmp_path, {"files": 6, "streams": 6}, at_once=12)
    try:
        assert site.run(f"{point}=kill@{1 if point.startswith('commit') else 3}").code == KILLED
        assert site.judge().torn == []
        check(site)
    finally:
        site.clear()
