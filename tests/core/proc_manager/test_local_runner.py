"""Attempts on this machine while their controller lives: ends of every kind, kills, and what is left of them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import pdt
from pdt.proc_manager import journals
from pdt.proc_manager.local_runner import LocalRunner
from pdt.proc_manager.processes import TOKEN
from tests.core.proc_manager.runners import Bench, alive, bench, children, descriptors, files, until


@pytest.fixture
async def runs(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


async def begun(runs: Bench, tmp_path: Path, script: str) -> tuple[str, int]:
    """Start a script, and return its token and its wrapper's number once it has said that it is ready."""
    token = await runs.start(script.replace("READY", f": >{tmp_path}/ready"))
    await until((tmp_path / "ready").exists)
    (tmp_path / "ready").unlink()
    return token, wrapper(token)


def wrapper(token: str) -> int:
    return next(pid for pid in alive(token) if os.getsid(pid) == pid)


async def is_running(runs: Bench, token: str, seconds: float = 0.1) -> bool:
    """Tell whether an attempt runs, and does so for a while."""
    await asyncio.sleep(seconds)
    return token not in await runs.look()


async def test_every_code_is_returned_as_it_is(runs: Bench) -> None:
    tokens = [await runs.start(f"exit {code}") for code in range(256)]
    for code, token in enumerate(tokens):
        exit = await runs.end(token)
        assert (exit.return_code, exit.started, exit.killed, exit.is_lost) == (code, True, None, False)
        assert exit.cause is None


async def test_the_end_of_a_child_wakes_at_once(runs: Bench) -> None:
    loop = asyncio.get_running_loop()
    token = await runs.start("sleep 0.3")
    started = loop.time()
    await runs.end(token)
    assert 0.25 < loop.time() - started < 0.8  # nothing looks more often than every second


async def test_a_group_that_somebody_kills_was_ended_by_a_signal(runs: Bench, tmp_path: Path) -> None:
    token, pid = await begun(runs, tmp_path, "READY; sleep 60")
    os.killpg(pid, signal.SIGKILL)
    exit = await runs.end(token)
    assert (exit.return_code, exit.is_lost) == (128 + signal.SIGKILL, False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_the_wrapper_outlives_what_ends_the_script(runs: Bench, tmp_path: Path, number: int) -> None:
    token, pid = await begun(runs, tmp_path, "READY; sleep 60")
    os.killpg(pid, number)
    assert (await runs.end(token)).return_code == 128 + number


async def test_a_script_whose_wrapper_was_killed_runs_on_and_its_end_is_unknown(runs: Bench, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    token, pid = await begun(runs, tmp_path, f"READY; read line <{tmp_path}/gate; sleep 0.3; : >{tmp_path}/end")
    os.kill(pid, signal.SIGKILL)
    assert await is_running(runs, token)
    (tmp_path / "gate").write_text("go\n")
    exit = await runs.end(token)
    assert (tmp_path / "end").exists()
    assert exit.is_lost
    assert exit.detail == "signal 9 ended its wrapper, and the script ran on; what it returned is not known"


async def test_a_script_without_wrapper_and_descriptors_is_found_by_its_token(runs: Bench, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    script = f"exec 8>&- 9>&-; READY; read line <{tmp_path}/gate; : >{tmp_path}/end"
    token, pid = await begun(runs, tmp_path, script)
    os.kill(pid, signal.SIGKILL)
    assert await is_running(runs, token)
    (tmp_path / "gate").write_text("go\n")
    exit = await runs.end(token)
    assert (tmp_path / "end").exists()
    assert exit.is_lost


async def test_a_daemon_that_a_script_leaves_behind_does_not_keep_it(runs: Bench, tmp_path: Path) -> None:
    exit = await runs.run(
        f"setsid sh -c ': >{tmp_path}/daemon; exec sleep 60' & until test -e {tmp_path}/daemon; do :; done"
    )
    assert exit.return_code == 0
    (token,) = runs.exits
    assert len(alive(token)) == 1


async def test_f17_a_job_that_ignores_term_is_killed_after_its_grace(runs: Bench, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    token, _ = await begun(runs, tmp_path, "trap '' TERM; READY; while :; do sleep 0.01; done")
    await runs.runner.kill(token, "timeout", 0.3)
    started = loop.time()
    exit = await runs.end(token)
    assert 0.2 < loop.time() - started < 2
    assert (exit.return_code, exit.killed, exit.is_lost) == (128 + signal.SIGKILL, "timeout", False)
    await until(lambda: not alive(token))


async def test_a_job_that_ends_when_asked_is_not_killed(runs: Bench, tmp_path: Path) -> None:
    token, _ = await begun(
        runs, tmp_path, f"trap ': >{tmp_path}/tidy; exit 7' TERM; READY; while :; do sleep 0.01; done"
    )
    await runs.runner.kill(token, "cancelled", 60)
    await runs.runner.kill(token, "timeout", 0)  # it has been asked already
    exit = await runs.end(token, 5)
    assert (exit.return_code, exit.killed) == (7, "cancelled")
    assert (tmp_path / "tidy").exists()


async def test_the_reason_is_written_down_before_the_signal(runs: Bench, tmp_path: Path) -> None:
    script = f"trap 'cat /proc/self/fd/9 >{tmp_path}/journal; exit' TERM; READY; while :; do sleep 0.01; done"
    token, _ = await begun(runs, tmp_path, script)
    await runs.runner.kill(token, "cancelled", 60)
    await runs.end(token)
    assert f"{token} kill cancelled " in (tmp_path / "journal").read_text()


@pytest.mark.parametrize("how", ["setsid sleep 60", "setsid sh -c 'exec 9>&- 8>&-; exec sleep 60'"])
@pytest.mark.parametrize("ignores", ["", "trap '' TERM; "])
async def test_what_has_left_the_group_is_killed_as_well(runs: Bench, tmp_path: Path, how: str, ignores: str) -> None:
    token, _ = await begun(runs, tmp_path, f"{ignores}{how} & READY; while :; do sleep 0.01; done")
    await until(lambda: any(os.getsid(pid) == pid != wrapper(token) for pid in alive(token)) or len(alive(token)) > 2)
    await runs.runner.kill(token, "cancelled", 0.2)
    assert (await runs.end(token)).killed == "cancelled"
    await until(lambda: not alive(token))


async def test_a_stopped_job_is_killed(runs: Bench, tmp_path: Path) -> None:
    token, pid = await begun(runs, tmp_path, "READY; sleep 60")
    os.killpg(pid, signal.SIGSTOP)
    await runs.runner.kill(token, "timeout", 0.1)
    assert (await runs.end(token)).killed == "timeout"


@pytest.mark.parametrize("grace", [-1.0, float("inf"), float("nan"), 1e300])
async def test_an_absurd_grace_ends_a_job_all_the_same(runs: Bench, tmp_path: Path, grace: float) -> None:
    token, _ = await begun(runs, tmp_path, "READY; sleep 60")
    await runs.runner.kill(token, "cancelled", grace)
    assert (await runs.end(token)).killed == "cancelled"


async def test_a_job_killed_before_it_begins_was_killed(runs: Bench) -> None:
    for _ in range(20):
        token = await runs.start("sleep 60")
        await runs.runner.kill(token, "cancelled", 0)
        exit = await runs.end(token)
        assert (exit.killed, exit.started) == ("cancelled", True)


async def test_killing_what_has_ended_does_nothing(runs: Bench) -> None:
    token = await runs.start("exit 3")
    assert (await runs.end(token)).return_code == 3
    await runs.runner.kill(token, "cancelled", 0)
    await runs.runner.kill("0" * 32, "cancelled", 0)
    assert await runs.look() == {token}


async def test_many_are_killed_without_holding_up_the_loop(runs: Bench) -> None:
    tokens = [await runs.start("trap '' TERM; while :; do sleep 60; done") for _ in range(60)]
    for token in tokens:
        await runs.runner.kill(token, "cancelled", 0.1)
    for token in tokens:
        assert (await runs.end(token)).killed == "cancelled"


async def test_500_short_jobs_leave_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as runs:
        await runs.run("true")  # what is loaded once
        before, found, processes = descriptors(), files(tmp_path), children()
        for _ in range(10):
            scripts = ["wc -c </dev/null >/dev/null", "#!/bin/sh -e\ntrue\n"] * 25
            tokens = [await runs.start(script) for script in scripts]
            for token in tokens:
                assert (await runs.end(token)).return_code == 0
            await runs.runner.forget(tokens)
            for token in tokens:  # the task removes what it knows by name
                Path(runs.runner.path(token, "script")).unlink(missing_ok=True)
        assert descriptors() == before
        assert files(tmp_path) == found
        assert children() == processes
    assert files(tmp_path) == []


LIMITED = """
import asyncio, os, resource, sys, uuid
from pathlib import Path
from pdt.proc_manager.local_runner import LocalRunner
from pdt.proc_manager.runner import Command

async def main():
    woken = asyncio.Event()
    runner = LocalRunner(Path(sys.argv[1]))
    await runner.open(woken.set)
    places = []
    async def start(script):
        token = uuid.uuid4().hex
        places.append(token)
        await runner.start(Command(token, "job", script), runner.place(token))
        return token
    async def ended(wanted):
        while wanted:
            await woken.wait()
            woken.clear()
            for exit in await runner.ended():
                assert exit.return_code == 0, exit
                wanted.discard(exit.token)
    await ended({await start("true")})
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    before = len(os.listdir("/proc/self/fd"))
    os.mkfifo(sys.argv[2])
    tokens, failures = set(), 0
    for _ in range(100):
        try:
            tokens.add(await start(f"read line <{sys.argv[2]}"))
        except OSError as error:
            assert "Too many open files" in str(error), error
            failures += 1
    assert len(tokens) > 30 and failures > 20, (len(tokens), failures)
    gate = os.open(sys.argv[2], os.O_RDWR)
    os.write(gate, b"go\\n" * len(tokens))
    await asyncio.wait_for(ended(tokens), 20)
    os.close(gate)
    assert len(os.listdir("/proc/self/fd")) == before
    await asyncio.wait_for(ended({await start("true") for _ in range(5)}), 20)
    await runner.forget(places)
    await runner.close()
    print("fine")

asyncio.run(main())
"""


def test_f23_without_descriptors_a_start_fails_and_leaks_nothing(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, os.fspath(tmp_path / "processes"), os.fspath(tmp_path / "gate")],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.stdout == "fine\n", ran.stderr
    assert files(tmp_path / "processes") == []


async def test_f25_a_directory_removed_under_a_running_job(runs: Bench, tmp_path: Path) -> None:
    token, _ = await begun(runs, tmp_path, f"READY; until test -e {tmp_path}/go; do sleep 0.01; done; exit 3")
    place = runs.runner.place("1" * 32)
    shutil.rmtree(tmp_path / "processes")
    from pdt.proc_manager.runner import Command

    with pytest.raises(pdt.BackendError, match=r"journal .* was removed or replaced"):
        await runs.runner.start(Command("1" * 32, "job", "true"), place)
    assert (await runs.run("exit 4")).return_code == 4  # made anew
    (tmp_path / "go").touch()
    assert (await runs.end(token)).return_code == 3


async def test_f25_a_directory_replaced_by_a_link_is_refused(runs: Bench, tmp_path: Path) -> None:
    token, _ = await begun(runs, tmp_path, f"READY; until test -e {tmp_path}/go; do sleep 0.01; done; exit 3")
    (tmp_path / "processes").rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "processes").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(pdt.BackendError, match="removed or replaced"):
        await runs.start("true")
    with pytest.raises(pdt.BackendError, match="is a link or a file, not a directory\nfix: "):
        await runs.start("true")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    (tmp_path / "go").touch()
    assert (await runs.end(token)).return_code == 3


async def test_f25_the_working_directory_of_a_task_is_gone(runs: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    script = f": >{tmp_path}/ready; until test -e {tmp_path}/go; do sleep 0.01; done; exit 3"
    token = await runs.start(script, cwd=os.fspath(folder))
    await until((tmp_path / "ready").exists)
    folder.rmdir()
    with pytest.raises(pdt.UnlaunchableError, match="folder' does not exist"):
        await runs.start("true", cwd=os.fspath(folder))
    (tmp_path / "go").touch()
    assert (await runs.end(token)).return_code == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda path: path.symlink_to("/tmp"), "is a link or a file", id="link"),
        pytest.param(lambda path: path.write_text(""), "is a link or a file", id="file"),
        pytest.param(
            lambda path: path.mkdir(0o755), "is open to others .mode 0755.\nfix: .*chmod 700", id="open to others"
        ),
    ],
)
async def test_a_directory_that_is_not_ours_alone_is_refused(tmp_path: Path, make: object, message: str) -> None:
    assert callable(make)
    make(tmp_path / "processes")
    with pytest.raises(pdt.BackendError, match=message):
        await LocalRunner(tmp_path / "processes").open(lambda: None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
async def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "processes").mkdir(0o700)
    os.chown(tmp_path / "processes", 12345, 12345)
    with pytest.raises(pdt.BackendError, match="belongs to user 12345\nfix: "):
        await LocalRunner(tmp_path / "processes").open(lambda: None)


async def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "is_range_locked", lambda *arguments: False)
    with pytest.raises(pdt.BackendError, match="has no locks, by which pdt sees what runs\nfix: "):
        await LocalRunner(tmp_path / "processes").open(lambda: None)


async def test_a_script_knows_its_token_only(runs: Bench) -> None:
    said = await runs.output(f"echo ${TOKEN}", environ={TOKEN: "forged"})
    assert said.strip() in runs.exits


async def test_a_script_that_writes_lines_of_others_ends_none_of_them(runs: Bench, tmp_path: Path) -> None:
    token, _ = await begun(runs, tmp_path, f"READY; until test -e {tmp_path}/go; do sleep 0.01; done; exit 3")
    assert (
        await runs.run(f"printf 'x%0999d' 1 >&9; echo {'a' * 32} exit 0 >&9; printf {token[:-1]} >&9; exit 4")
    ).return_code == 4
    assert await is_running(runs, token)
    (tmp_path / "go").touch()
    assert (await runs.end(token)).return_code == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
async def test_f12_a_full_disk_hides_no_result(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir(0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        async with bench(disk) as runs:
            token, _ = await begun(runs, tmp_path, f"READY; until test -e {tmp_path}/go; do sleep 0.01; done; exit 3")
            with pytest.raises(OSError, match="No space left"):
                (disk / "filler").write_bytes(b"x" * 4 * 2**20)
            (tmp_path / "go").touch()
            assert (await runs.end(token)).return_code == 3
            for code in range(50):
                assert (await runs.run(f"exit {code}")).return_code == code
            journal = "".join(path.read_text() for path in (disk / "processes" / "journals").iterdir())
            assert f"{token} exit 3\n" in journal
    finally:
        subprocess.run(["umount", disk], check=True)
