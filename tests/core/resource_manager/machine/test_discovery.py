"""What this machine is found to have."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from pdt.resource_manager.machine.discovery import Amount, disk_at, memory, processors


def test_processors_of_this_machine() -> None:
    found = processors()
    assert found.total == os.cpu_count()
    assert 0 < found.available <= len(os.sched_getaffinity(0))


def test_affinity_counts() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert processors().available <= 1
    finally:
        os.sched_setaffinity(0, before)


def test_a_share_of_a_processor_counts(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    (tmp_path / "proc/self/mountinfo").write_text("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("33333 100000\n")
    assert processors(tmp_path).available == Decimal("0.333")
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 500 kB\nOdd: 1\n")
    assert memory(tmp_path) == Amount(Decimal(1_024_000), Decimal(512_000))
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("100000\n")
    (tmp_path / "sys/fs/cgroup/memory.current").write_text("40000\n")
    assert memory(tmp_path) == Amount(Decimal(100_000), Decimal(60_000))


def test_memory_of_this_machine() -> None:
    found = memory()
    assert 0 < found.available <= found.total


def test_a_tenth_of_the_disk_is_left_alone(tmp_path: Path) -> None:
    state, found = os.statvfs(tmp_path), disk_at(tmp_path)
    assert found.total == state.f_blocks * state.f_frsize
    assert found.available <= state.f_bavail * state.f_frsize - found.total / 10 + 2**30


def test_a_disk_that_is_almost_full_has_nothing_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Full:
        f_frsize, f_blocks, f_bavail = 4096, 1000, 99

    monkeypatch.setattr(os, "statvfs", lambda path: Full)
    assert disk_at(tmp_path).available == 0


def test_the_path_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        disk_at(tmp_path / "nowhere")
