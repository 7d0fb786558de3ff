"""Attempts whose controller was killed: taken over while they run, reaped if they have ended, told from lost ones."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pdt
from pdt import localfs
from pdt.proc_manager import lookout
from pdt.proc_manager.local_runner import LocalRunner
from tests.core.proc_manager.runners import Bench, alive, bench, children, controller, files, until

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")


def gated(path: Path, code: int = 3) -> str:
    """Return a script that begins, and goes on once it is told to."""
    return f": >{path}/$PDT_ATTEMPT.begun; until test -e {path}/go; do sleep 0.01; done; exit {code}"


async def begun(path: Path, *tokens: str) -> None:
    for token in tokens:
        await until((path / f"{token}.begun").exists)


def wrapper(token: str) -> int:
    return next(pid for pid in alive(token) if os.getsid(pid) == pid)


async def test_what_runs_is_taken_over_and_what_has_ended_is_reaped(tmp_path: Path) -> None:
    async with controller(tmp_path) as former:
        runs, ends = await former.start(gated(tmp_path)), await former.start("exit 9")
        planned = await former.place()
        await begun(tmp_path, runs)
        await until(lambda: not alive(ends))
        former.kill()
        async with bench(tmp_path) as after:
            places = {**former.places}
            assert await after.runner.adopt(places) == {runs: str(former.pids[runs])}
            assert await after.look() == {ends, planned}
            assert (after.exits[ends].return_code, after.exits[ends].started) == (9, True)
            assert (after.exits[planned].return_code, after.exits[planned].started) == (None, False)
            (tmp_path / "go").touch()
            exit = await after.end(runs)
            assert (exit.return_code, exit.killed, exit.started) == (3, None, True)
            await until(lambda: not alive(runs))  # it has told its end, and holds its lock for a moment longer
            await after.runner.forget(places)
        assert files(tmp_path / "processes") == []


@pytest.fixture
def no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "POLL_SECONDS", 3600.0)


@pytest.mark.usefixtures("no_polling")
async def test_the_end_of_an_adopted_job_wakes_at_once(tmp_path: Path) -> None:
    async with controller(tmp_path) as former:
        token = await former.start(f": >{tmp_path}/$PDT_ATTEMPT.begun; sleep 0.5; date +%s.%N >{tmp_path}/end")
        await begun(tmp_path, token)
        former.kill()
        async with bench(tmp_path) as after:
            await after.runner.adopt(former.places)
            assert (await after.end(token)).return_code == 0
            assert time.time() - float((tmp_path / "end").read_text()) < 0.1


@pytest.mark.usefixtures("no_polling")
async def test_an_adopted_job_that_is_killed_wakes_at_once_and_was_lost(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with controller(tmp_path) as former:
        token, other = await former.start(gated(tmp_path)), await former.start(gated(tmp_path))
        await begun(tmp_path, token, other)
        former.kill()
        async with bench(tmp_path) as after:
            await after.runner.adopt(former.places)
            started = loop.time()
            os.killpg(wrapper(token), signal.SIGKILL)
            exit = await after.end(token)
            assert loop.time() - started < 0.5
            assert (exit.is_lost, exit.started) == (True, True)
            assert other not in after.exits


async def test_one_that_was_killed_with_its_controller_is_lost(tmp_path: Path) -> None:
    async with controller(tmp_path) as former:
        token = await former.start(gated(tmp_path))
        await begun(tmp_path, token)
        former.kill()
        os.killpg(wrapper(token), signal.SIGKILL)
        await until(lambda: not alive(token))
        async with bench(tmp_path) as after:
            assert await after.runner.adopt(former.places) == {}
            exit = await after.end(token)
            assert (exit.is_lost, exit.started) == (True, True)


async def test_one_that_closed_what_it_inherited_is_found_by_its_token(tmp_path: Path) -> None:
    async with controller(tmp_path) as former:
        token = await former.start(f"exec 8>&- 9>&-; {gated(tmp_path)}")
        await begun(tmp_path, token)
        former.kill()
        os.kill(wrapper(token), signal.SIGKILL)
        async with bench(tmp_path) as after:
            assert set(await after.runner.adopt(former.places)) == {token}
            assert await after.look() == set()
            (tmp_path / "go").touch()
            assert (await after.end(token)).is_lost
            assert not alive(token)


async def test_f27_after_a_restart_of_the_machine_all_are_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with controller(tmp_path) as former:
        token = await former.start(gated(tmp_path))
        await begun(tmp_path, token)
        former.kill()
        monkeypatch.setattr(localfs, "boot_id", lambda: "another boot")
        async with bench(tmp_path) as after:
            assert await after.runner.adopt(former.places) == {}
            exit = await after.end(token)
            assert (exit.is_lost, exit.started, exit.detail) == (True, True, "the machine was restarted")
            await after.runner.forget(former.places)


async def test_a_job_whose_journal_was_removed_is_ended_before_it_is_lost(tmp_path: Path) -> None:
    """It must not run beside the next attempt."""
    async with controller(tmp_path) as former:
        token = await former.start(gated(tmp_path))
        await begun(tmp_path, token)
        former.kill()
        (tmp_path / "processes" / "journals" / former.places[token]["journal"]).unlink()
        async with bench(tmp_path) as after:
            assert await after.runner.adopt(former.places) == {}
            exit = await after.end(token)
            assert (exit.is_lost, exit.started, exit.detail) == (True, True, "its journal was removed while it ran")
            await until(lambda: not alive(token))


async def test_a_kill_that_was_begun_is_carried_on(tmp_path: Path) -> None:
    async with controller(tmp_path) as former:
        token = await former.start(f"trap '' TERM; {gated(tmp_path)}")
        await begun(tmp_path, token)
        await former.end(token, grace=1.0)
        former.kill()
        async with bench(tmp_path) as after:
            assert set(await after.runner.adopt(former.places)) == {token}
            exit = await after.end(token, 5)
            assert exit.killed == "cancelled"
            await until(lambda: not alive(token))


@pytest.mark.parametrize("without_wrapper", [False, True])
async def test_an_adopted_job_can_be_killed(tmp_path: Path, without_wrapper: bool) -> None:
    async with controller(tmp_path) as former:
        script = f"setsid sh -c 'exec 9>&-; exec sleep 60' & trap '' TERM; {gated(tmp_path)}"
        token = await former.start(script)
        await begun(tmp_path, token)
        former.kill()
        if without_wrapper:
            os.kill(wrapper(token), signal.SIGKILL)
        async with bench(tmp_path) as after:
            await after.runner.adopt(former.places)
            await after.runner.kill(token, "timeout", 0.2)
            exit = await after.end(token, 5)
            assert (exit.killed, exit.is_lost) == ("timeout", False)
            await until(lambda: not alive(token))


async def test_an_adopted_job_that_ends_when_asked_has_a_code(tmp_path: Path) -> None:
    async with controller(tmp_path) as former:
        token = await former.start(f"trap 'exit 7' TERM; {gated(tmp_path)}")
        await begun(tmp_path, token)
        former.kill()
        async with bench(tmp_path) as after:
            await after.runner.adopt(former.places)
            await after.runner.kill(token, "timeout", 60)
            exit = await after.end(token, 5)
            assert (exit.return_code, exit.killed) == (7, "timeout")


async def test_a_controller_that_is_killed_while_it_takes_over_changes_nothing(tmp_path: Path) -> None:
    async with controller(tmp_path) as former:
        token = await former.start(gated(tmp_path))
        await begun(tmp_path, token)
        former.kill()
        for _ in range(2):
            async with controller(tmp_path) as second:
                await second.start("true")
                second.kill()
        async with bench(tmp_path) as after:
            assert set(await after.runner.adopt(former.places)) == {token}
            (tmp_path / "go").touch()
            assert (await after.end(token)).return_code == 3


async def test_a_runner_that_is_closed_leaves_its_jobs_to_the_next_in_the_same_process(tmp_path: Path) -> None:
    processes = children()
    first = Bench(LocalRunner(tmp_path / "processes"))
    await first.runner.open(first.wake)
    token = await first.start(gated(tmp_path))
    await begun(tmp_path, token)
    await first.runner.close()
    async with bench(tmp_path) as after:
        assert set(await after.runner.adopt(first.places)) == {token}
        (tmp_path / "go").touch()
        assert (await after.end(token)).return_code == 3
        await after.runner.forget([token])
    async with bench(tmp_path):
        pass
    assert children() == processes  # nobody leaves a zombie
    assert files(tmp_path / "processes") == []


async def test_without_watches_the_end_is_seen_a_little_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(lookout, "FileWatch", refuse)
    monkeypatch.setattr(lookout, "POLL_SECONDS", 0.05)
    async with controller(tmp_path) as former:
        token = await former.start(gated(tmp_path))
        await begun(tmp_path, token)
        former.kill()
        async with bench(tmp_path) as after:
            await after.runner.adopt(former.places)
            (tmp_path / "go").touch()
            assert (await after.end(token, 5)).return_code == 3


async def test_what_is_recalled_and_forgotten_leaves_nothing(tmp_path: Path) -> None:
    """Its results were decided before the controller was killed."""
    async with controller(tmp_path) as former:
        token = await former.start("true")
        await until(lambda: not alive(token))
        former.kill()
        async with bench(tmp_path) as after:
            await after.runner.recall(former.places)
            assert await after.runner.adopt({}) == {}
            assert await after.look() == set()
            await after.runner.forget(former.places)
        assert files(tmp_path / "processes") == []


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"directory": "/tmp"},
        {"boot": localfs.boot_id(), "journal": "../journals/x", "number": 1},
        {"boot": localfs.boot_id(), "journal": None, "number": 1},
    ],
)
async def test_a_place_that_is_none_is_no_harm(tmp_path: Path, place: dict[str, object]) -> None:
    async with bench(tmp_path) as after:
        assert await after.runner.adopt({"1" * 32: place}) == {}
        assert (await after.end("1" * 32)).return_code is None


async def test_many_are_taken_over_at_once(tmp_path: Path) -> None:
    async with controller(tmp_path) as former:
        tokens = [await former.start(gated(tmp_path)) for _ in range(60)]
        await begun(tmp_path, *tokens)
        former.kill()
        async with bench(tmp_path) as after:
            assert set(await after.runner.adopt(former.places)) == set(tokens)
            (tmp_path / "go").touch()
            for token in tokens:
                assert (await after.end(token)).return_code == 3
            await after.runner.forget(tokens)
        assert files(tmp_path / "processes") == []


FAILPOINTS = ["end.seen", "end.waited", "spawn.spawned", "spawn.noted", "spawn.followed"]


@pytest.mark.parametrize("name", FAILPOINTS)
def test_what_fails_while_it_looks_is_looked_at_again(tmp_path: Path, name: str) -> None:
    """An end that was not seen for whatever reason is not forgotten, and what runs is not started again."""
    script = f"""
import asyncio
from pathlib import Path
from tests.core.proc_manager.runners import bench
async def main():
    async with bench(Path({os.fspath(tmp_path)!r})) as runs:
        print((await runs.run("echo ran >>{tmp_path}/log; exit 3")).return_code)
asyncio.run(main())
"""
    environ = {**os.environ, "PDT_FAILPOINTS": f"{name}=raise", "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.stdout == "3\n", ran.stderr
    assert f"look again in 1 s: {name}" in ran.stderr
    assert (tmp_path / "log").read_text() == "ran\n"


async def test_errors_name_the_directory(tmp_path: Path) -> None:
    (tmp_path / "processes").mkdir(0o700)
    (tmp_path / "processes" / "journals").symlink_to(tmp_path)
    with pytest.raises(pdt.BackendError, match="processes/journals is a link"):
        await LocalRunner(tmp_path / "processes").open(lambda: None)
