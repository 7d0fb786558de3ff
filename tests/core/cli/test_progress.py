"""What a run shows on a terminal."""

from __future__ import annotations

import pytest

from pdt.cli.progress import BAR_WIDTH, TaskProgress, bar, duration, is_wanted, lines


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (9.9, "0:09"), (61, "1:01"), (3599, "59:59"), (3600, "1h00"), (90061, "25h01")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_bars() -> None:
    assert [bar(share, 4) for share in (0, 0.3, 0.5, 1)] == ["----", "#---", "##--", "####"]
    assert len(bar(0.7)) == BAR_WIDTH


def test_tasks_that_move_and_the_sum() -> None:
    found = lines([TaskProgress("a", 30, 10, 50), TaskProgress("idle", 0, 0, 0), TaskProgress("long", 0, 0, 30)], 4.0)
    assert found == [
        f"a    [{bar(0.8)}] 40/50, 10 failed",
        f"long [{bar(0)}] 0/30",
        "40/80 jobs, 10/s, 0:04, 0:04 left",
    ]
    assert lines([], 0.0) == ["0/0 jobs, 0/s, 0:00"]


def test_it_is_shown_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_wanted(True)
    assert not is_wanted(False)
    assert not is_wanted(None)
