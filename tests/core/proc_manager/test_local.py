"""The process manager of this machine, by the methods that every manager has."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt.proc_manager import STDOUT, LocalLinuxManager
from pdt.proc_manager.processes import kill_carriers
from tests.core.proc_manager.runners import alive, until
from tests.support.ordinary_user import AsOrdinaryUser


class Started:
    """A manager, and what it has started."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manager = LocalLinuxManager("tested", path / "processes")
        self.code = path / "code"
        self.handles: list[str] = []

    async def spawn(self, *args: str, **options: Any) -> str:
        kept = {"environ": {}, "cwd": os.fspath(self.path), "stdin": None, "stdout": None, "stderr": None, **options}
        handle = await self.manager.spawn(list(args), return_code=os.fspath(self.code), **kept)
        self.handles.append(handle)
        return handle

    async def run(self, *args: str, **options: Any) -> str:
        """Run a command to its end, and return what it has written as its exit code."""
        self.code.unlink(missing_ok=True)
        handle = await self.spawn(*args, **options)
        await until(lambda: self.code.exists() and self.code.read_text())
        text = self.code.read_text()
        while await self.manager.get_live_pids({handle}):
            pass
        return text.strip()


@pytest.fixture
async def started(tmp_path: Path) -> AsyncIterator[Started]:
    made = Started(tmp_path)
    yield made
    kill_carriers([handle.partition("-")[2] for handle in made.handles])


def token(handle: str) -> str:
    return handle.partition("-")[2]


async def test_a_command_has_what_it_is_given(started: Started, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("12345")
    (tmp_path / "out").write_text("old text that is longer than the new one\n" * 9)
    script = 'echo "$A|$1|$(wc -c)|$(pwd -P)"; test -n "$PATH" && echo error >&2; exit 9'
    options: dict[str, Any] = {
        "environ": {"A": "a b", "code": "kept"},
        "stdin": f"{tmp_path}/in",
        "stdout": f"{tmp_path}/out",
        "stderr": STDOUT,
    }
    assert await started.run("sh", "-c", script, "sh", "x y", **options) == "9"
    assert (tmp_path / "out").read_text() == f"a b|x y|5|{tmp_path}\nerror\n"
    assert (
        await started.run("sh", "-c", 'echo "$code" >&2', **{**options, "stdout": None, "stderr": f"{tmp_path}/err"})
        == "0"
    )
    assert (tmp_path / "err").read_text() == "kept\n"


async def test_what_cannot_be_executed_has_a_code_as_well(started: Started, tmp_path: Path) -> None:
    assert await started.run("no-such-command") == "127"
    assert await started.run(os.fspath(tmp_path)) == "126"
    assert await started.run("/bin/true", environ={"PATH": "/nowhere"}) == "0"


async def test_what_can_never_be_started_says_so(started: Started, tmp_path: Path) -> None:
    with pytest.raises(pdt.UnlaunchableError, match=r"working directory .* does not exist"):
        await started.spawn("true", cwd=f"{tmp_path}/none")
    with pytest.raises(pdt.UnlaunchableError, match="null byte"):
        await started.spawn("true", environ={"A": "\0"})
    with pytest.raises(pdt.UnlaunchableError, match="there is no command"):
        await started.spawn()


async def test_paths_are_those_of_the_caller(started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path)
    handle = await started.manager.spawn(["pwd"], {}, "work", "relative", None, "out", None)
    started.handles.append(handle)
    await until((tmp_path / "relative").exists)
    assert (tmp_path / "out").read_text() == f"{tmp_path}/work\n"


async def test_live_processes_are_those_that_run(started: Started) -> None:
    first, second = await started.spawn("sleep", "60"), await started.spawn("sleep", "60")
    hint = {first, second, "1", "", "x-y", f"{os.getpid()}-{'0' * 32}", f"1-{token(first)[:-1]}"}
    assert await started.manager.get_live_pids(hint) == {first, second}
    assert await started.manager.get_live_pids(set()) == set()
    await started.manager.kill(first)
    assert await started.manager.get_live_pids(hint) == {second}
    assert started.code.read_text() == "137\n"
    assert await started.manager.get_live_pids(hint) == {second}
    # Another manager, as of a later controller, sees the same.
    assert await LocalLinuxManager("tested", started.path / "processes").get_live_pids(hint) == {second}


async def test_f16_a_handle_whose_number_is_another_processes_is_dead(started: Started) -> None:
    """As if the number had been used again by a child of this very process."""
    handle = await started.spawn("true")
    await until(started.code.exists)
    while await started.manager.get_live_pids({handle}):
        pass
    with subprocess.Popen(["sh", "-c", "exit 7"]) as stranger:
        stale = f"{stranger.pid}-{token(handle)}"
        os.waitid(os.P_PID, stranger.pid, os.WEXITED | os.WNOWAIT)
        assert await started.manager.get_live_pids({stale}) == set()
        await started.manager.kill(stale)
        assert stranger.wait() == 7  # nobody else has waited for it
    with subprocess.Popen(["sleep", "60"]) as stranger:
        await started.manager.kill(f"{stranger.pid}-{token(handle)}")
        assert stranger.poll() is None
        stranger.kill()


async def test_killing_what_is_dead_does_nothing(started: Started) -> None:
    handle = await started.spawn("sh", "-c", "exit 4")
    await until(started.code.exists)
    await started.manager.kill(handle)
    await started.manager.kill("nonsense")
    await started.manager.kill("")
    assert started.code.read_text() == "4\n"


async def test_one_that_has_hardly_begun_is_killed_as_well(started: Started) -> None:
    for _ in range(10):
        started.code.unlink(missing_ok=True)
        handle = await started.spawn("sleep", "60")
        await started.manager.kill(handle)
        while alive(token(handle)):
            pass
        assert started.code.read_text() == "137\n"


async def test_a_kill_ends_everything_and_leaves_a_code(started: Started, tmp_path: Path) -> None:
    script = f"trap '' TERM; setsid sleep 60 & sleep 60 & : >{tmp_path}/ready; wait"
    handle = await started.spawn("sh", "-c", script)
    await until((tmp_path / "ready").exists)
    await started.manager.kill(handle)
    await until(lambda: started.code.read_text() == "137\n")
    await until(lambda: not alive(token(handle)))


async def test_a_command_whose_wrapper_was_killed_is_alive(started: Started) -> None:
    handle = await started.spawn("sleep", "60")
    await until(lambda: len(alive(token(handle))) == 2)
    os.kill(int(handle.partition("-")[0]), signal.SIGKILL)
    assert await started.manager.get_live_pids({handle}) == {handle}
    await started.manager.kill(handle)
    while await started.manager.get_live_pids({handle}):
        pass


async def test_a_daemon_that_is_left_behind_does_not_keep_it_alive(started: Started, tmp_path: Path) -> None:
    script = f"setsid sh -c ': >{tmp_path}/daemon; exec sleep 60' & until test -e {tmp_path}/daemon; do :; done"
    handle = await started.spawn("sh", "-c", script)
    await until(started.code.exists)
    deadline = time.monotonic() + 5
    while await started.manager.get_live_pids({handle}):
        assert time.monotonic() < deadline
    assert len(alive(token(handle))) == 1


async def test_files_are_written_as_a_whole_and_read(started: Started, tmp_path: Path) -> None:
    manager, path = started.manager, started.manager.basedir / "a" / "b" / "file"
    await manager.mkdir(path.parent)
    await manager.mkdir(path.parent)
    async with await manager.open(path, "w") as file:
        await file.write("häl")
        assert not path.exists()
        await file.write("lo")
    async with await manager.open(path, "r") as file:
        assert await file.read() == "hällo"
    async with await manager.open(path, "wb") as file:
        await file.write(b"\xff")
    async with await manager.open(path, "rb") as file:
        assert await file.read() == b"\xff"
    with pytest.raises(FileNotFoundError):
        async with await manager.open(path.parent / "none", "r") as file:
            await file.read()
    with pytest.raises(ValueError, match="mode 'a' is none of r, rb, w, wb"):
        await manager.open(path, "a")  # type: ignore[arg-type]
    await manager.rmtree(path.parent.parent)
    await manager.rmtree(path.parent.parent)
    assert list(manager.basedir.iterdir()) == []
    assert manager.basedir.stat().st_mode & 0o777 == 0o700


async def test_removing_a_link_leaves_what_it_points_to(started: Started, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    tree = started.manager.basedir / "tree"
    await started.manager.mkdir(tree)
    (tree / "link").symlink_to(kept)
    (started.manager.basedir / "link").symlink_to(kept)
    await started.manager.rmtree(started.manager.basedir / "link")
    await started.manager.rmtree(tree)
    assert list(started.manager.basedir.iterdir()) == []
    assert (kept / "file").exists()


async def test_a_directory_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tested").mkdir(0o755)
    with pytest.raises(pdt.BackendError, match="open to others"):
        await LocalLinuxManager("tested", tmp_path).mkdir(tmp_path / "tested" / "x")


def test_by_default_it_lies_in_the_users_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", os.fspath(tmp_path))
    assert LocalLinuxManager("tested").basedir == tmp_path / "pdt" / "processes" / "tested"
    assert (tmp_path / "pdt" / "processes").stat().st_mode & 0o777 == 0o700
    assert LocalLinuxManager("tested", "relative").basedir == Path.cwd() / "relative" / "tested"


@pytest.mark.parametrize("app", ["", "a/b", "..", "-a", "a" * 64, "a b", "ä", "a\n", "a."])
def test_an_app_has_a_plain_name(app: str) -> None:
    with pytest.raises(pdt.ConfigurationError, match="cannot name an app\nfix: use 1 to 63 letters"):
        LocalLinuxManager(app)


def test_what_may_not_be_removed_is_said(tmp_path: Path, as_ordinary_user: AsOrdinaryUser) -> None:
    import asyncio

    tree = tmp_path / "outer" / "tree"
    tree.mkdir(parents=True)
    (tmp_path / "outer").chmod(0o500)
    manager = LocalLinuxManager("tested", tmp_path)
    with pytest.raises(PermissionError):
        as_ordinary_user(lambda: asyncio.run(manager.rmtree(tree)))
    (tmp_path / "outer").chmod(0o700)


def test_importing_the_managers_imports_no_template_or_terminal() -> None:
    code = "import sys, pdt; pdt.LocalLinuxManager; print({'jinja2', 'typer', 'rich', 'yaml'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
