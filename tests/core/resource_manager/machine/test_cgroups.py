"""What control groups of both versions allow, on made-up trees and on this machine."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from pdt.resource_manager.machine.cgroups import Cgroups

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


def tree(root: Path, groups: str, mounts: str, **files: str) -> Cgroups:
    """Make a tree of files; in their names, + stands for / and __ for a dot."""
    contents = {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts}
    contents |= {f"sys/fs/cgroup/{name.replace('+', '/').replace('__', '.')}": text for name, text in files.items()}
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Cgroups(root)


def test_version_2(tmp_path: Path) -> None:
    groups = tree(
        tmp_path,
        "0::/a/b\n",
        V2,
        **{
            "a+b+cpu__max": "max 100000\n",
            "a+cpu__max": "150000 100000\n",
            "a+b+memory__max": "1000\n",
            "a+b+memory__current": "700\n",
            "a+b+memory__stat": "anon 1\ninactive_file 200\n",
            "a+memory__max": "max\n",
        },
    )
    assert groups.cpus() == Fraction(3, 2)  # of the group above
    assert (groups.memory(), groups.free_memory()) == (1000, 500)  # what is cached can be given back


def test_version_1(tmp_path: Path) -> None:
    groups = tree(
        tmp_path,
        "4:memory:/job\n3:cpu,cpuacct:/job\n0::/\n",
        V1,
        **{
            "cpu,cpuacct+job+cpu__cfs_quota_us": "50000\n",
            "cpu,cpuacct+job+cpu__cfs_period_us": "100000\n",
            "cpu,cpuacct+cpu__cfs_quota_us": "-1\n",
            "cpu,cpuacct+cpu__cfs_period_us": "100000\n",
            "memory+job+memory__limit_in_bytes": "2000\n",
            "memory+job+memory__usage_in_bytes": "2500\n",
            "memory+memory__limit_in_bytes": "9223372036854771712\n",
            "memory+memory__usage_in_bytes": "1\n",
        },
    )
    assert groups.cpus() == Fraction(1, 2)
    assert (groups.memory(), groups.free_memory()) == (2000, 0)


def test_in_a_container_the_root_of_the_file_system_is_its_group(tmp_path: Path) -> None:
    mounts = "30 23 0:26 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    groups = tree(tmp_path, "0::/docker/x\n", mounts, cpu__max="200000 100000\n", memory__max="77\n")
    assert (groups.cpus(), groups.memory(), groups.free_memory()) == (Fraction(2), 77, 77)


def test_of_a_path_that_is_not_shown_the_root_is_taken(tmp_path: Path) -> None:
    for path in ("/../../elsewhere", "/not/there"):
        groups = tree(tmp_path, f"0::{path}\n", V2, memory__max="78\n")
        assert groups.memory() == 78


@pytest.mark.parametrize("text", ["", "max\n", "x y\n", "1 0\n", "-1 100000\n", "1 2 3\n"])
def test_what_says_nothing_limits_nothing(tmp_path: Path, text: str) -> None:
    groups = tree(tmp_path, "0::/\n", V2, cpu__max=text, memory__max=text.partition(" ")[0].replace("1", "max"))
    assert (groups.cpus(), groups.memory(), groups.free_memory()) == (None, None, None)


def test_without_control_groups_nothing_is_limited(tmp_path: Path) -> None:
    assert (Cgroups(tmp_path).cpus(), Cgroups(tmp_path).memory()) == (None, None)


def test_this_machine_can_be_read() -> None:
    limit, free, cpus = Cgroups().memory(), Cgroups().free_memory(), Cgroups().cpus()
    assert limit is None or limit > 0
    assert free is None or (limit is not None and free <= limit)
    assert cpus is None or cpus > 0
