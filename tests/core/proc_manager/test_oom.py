"""Ends for want of memory, told from other kills."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdt.proc_manager import oom
from pdt.proc_manager.oom import OomCounter

LIMIT = 60 * 2**20
EATING = """
import asyncio, json, sys
from pathlib import Path
from tests.core.proc_manager.runners import bench

async def main():
    async with bench(Path(sys.argv[1])) as runs:
        for script in (
            "exit 1", f"exec {sys.executable} -c 'b = bytearray(300_000_000)'", "kill -9 0",
            f"{sys.executable} -c 'b = bytearray(300_000_000)'; exit 5", "exit 0",
            f"{sys.executable} -c 'b = bytearray(300_000_000)'",
        ):
            exit = await runs.run(script)
            print(exit.return_code, exit.cause, exit.detail)

asyncio.run(main())
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """Return a new memory cgroup with a limit."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a cgroup")
    for root, limit in (("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")):
        path = Path(root) / f"pdt-test-{os.getpid()}"
        try:
            path.mkdir()
        except OSError:
            continue
        try:
            if (path / limit).exists():
                (path / limit).write_text(str(LIMIT))
                for swap in ("memory.swap.max", "memory.memsw.limit_in_bytes"):
                    if (path / swap).exists():
                        (path / swap).write_text(str(LIMIT) if "memsw" in swap else "0")
                yield path
                return
        finally:
            path.rmdir()
    pytest.skip("no memory cgroup with a limit can be made here")


def test_f24_a_job_that_the_kernel_kills_for_want_of_memory_says_so(group: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', group, sys.executable, "-c", EATING, tmp_path],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ran.stdout.splitlines() == [
        "1 None None",
        "137 oom None",
        "137 None None",
        "5 None None",
        "0 None None",
        "137 oom None",
    ], ran.stderr


class Counts:
    """A file that counts, as one of the kernel's."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        monkeypatch.setattr(oom, "_find", lambda: os.fspath(path))

    def write(self, text: str) -> None:
        self.path.write_text(text)


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counts:
    return Counts(tmp_path / "memory.events", monkeypatch)


def test_each_kill_is_of_one_attempt(counts: Counts) -> None:
    counts.write("low 0\noom 9\noom_kill 5\noom_group_kill 8\n")
    counter = OomCounter()
    assert counter.took(was_killed=True) is False  # those were before
    counts.write("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n")
    assert counter.took(was_killed=True) is True
    assert counter.took(was_killed=True) is True
    assert counter.took(was_killed=True) is False
    counts.write("oom_kill 8\n")
    assert counter.took(was_killed=False) is False  # a part of it was killed
    assert counter.took(was_killed=True) is False


def test_where_nothing_counts_nobody_knows(counts: Counts, tmp_path: Path) -> None:
    assert OomCounter().took(was_killed=True) is None
    counts.write("low 0\n")
    assert OomCounter().took(was_killed=True) is None


async def test_a_kill_of_which_nobody_knows_may_have_been_for_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.core.proc_manager.runners import bench

    monkeypatch.setattr(oom, "_find", lambda: None)
    async with bench(tmp_path) as runs:
        exit = await runs.run("sh -c 'kill -KILL $PPID'; exit")
        assert (exit.return_code, exit.cause, exit.detail) == (137, None, "killed (memory?)")
        exit = await runs.run("sh -c 'kill -TERM $PPID'; exit")
        assert (exit.return_code, exit.cause, exit.detail) == (143, None, None)


@pytest.mark.parametrize(
    ("mounts", "groups", "found"),
    [
        pytest.param(
            "30 1 0:26 / {0}/sys rw - cgroup2 cgroup2 rw,nsdelegate\n",
            "0::/user/me\n",
            "sys/user/me/memory.events",
            id="v2",
        ),
        pytest.param(
            "31 1 0:27 / {0}/sys/cpu rw - cgroup cgroup rw,cpu\n"
            "32 1 0:28 / {0}/sys/memory rw - cgroup cgroup rw,memory\n",
            "5:cpu:/other\n4:memory:/user\n0::/\n",
            "sys/memory/user/memory.oom_control",
            id="v1",
        ),
        pytest.param(
            "32 1 0:28 /docker/1 {0}/sys/memory rw - cgroup cgroup rw,memory\n",
            "4:memory:/docker/1\n",
            "sys/memory/memory.oom_control",
            id="container",
        ),
        pytest.param("30 1 0:26 / / rw - ext4 /dev/vda rw\n", "0::/\n", None, id="none"),
    ],
)
def test_the_file_of_ones_own_group_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str, groups: str, found: str | None
) -> None:
    import builtins
    import io

    if found is not None:
        (tmp_path / found).parent.mkdir(parents=True)
        (tmp_path / found).write_text("oom_kill 3\n")
    texts = {"/proc/self/mountinfo": mounts.format(tmp_path), "/proc/self/cgroup": groups}
    real = builtins.open

    def fake(path: str, *arguments: object) -> object:
        return io.StringIO(texts[path]) if path in texts else real(path, *arguments)  # type: ignore[call-overload]

    monkeypatch.setattr(oom, "open", fake, raising=False)
    assert oom._find() == (None if found is None else os.fspath(tmp_path / found))
