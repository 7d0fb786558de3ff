"""Attempts by a stranger's manager, which has the abstract methods only, and answers badly at times."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import pdt
from pdt.proc_manager import STDOUT, plain
from pdt.proc_manager.plain import PlainRunner
from pdt.proc_manager.runner import Command
from tests.core.proc_manager.runners import Bench, until
from tests.core.proc_manager.strangers import Stranger


@pytest.fixture
def stranger(tmp_path: Path) -> Stranger:
    return Stranger(tmp_path / "remote")


@asynccontextmanager
async def opened(stranger: Stranger) -> AsyncIterator[Bench]:
    runner = stranger.runner()
    assert isinstance(runner, PlainRunner)
    made = Bench(runner)
    await runner.open(made.wake)
    try:
        yield made
    finally:
        await runner.close()


@pytest.fixture
async def runs(stranger: Stranger) -> AsyncIterator[Bench]:
    async with opened(stranger) as made:
        yield made


def gated(tmp_path: Path, code: int = 3) -> str:
    return f": >{tmp_path}/ready; until test -e {tmp_path}/go; do sleep 0.01; done; exit {code}"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 7", 7),
        ("true", 0),
        ("#!/bin/sh -e\nfalse\nexit 3", 1),
        ("#!/usr/bin/env python3\nraise SystemExit(9)", 9),
        ("no-such-command 2>/dev/null", 127),
        ("kill -9 $$", 137),
    ],
)
async def test_ends_are_told(runs: Bench, tmp_path: Path, script: str, code: int) -> None:
    exit = await runs.run(script)
    assert (exit.return_code, exit.started, exit.killed) == (code, True, None)
    assert list((tmp_path / "remote" / "attempts").iterdir()) == []


async def test_a_script_has_its_environment_streams_and_directory(runs: Bench, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("12345")
    out = os.fspath(tmp_path / "out")
    script = 'echo "$A" "$(wc -c)"; echo error >&2; pwd -P; test -n "$PATH"'
    exit = await runs.run(
        script, environ={"A": "a b"}, cwd=os.fspath(tmp_path), stdin=f"{tmp_path}/in", stdout=out, stderr=STDOUT
    )
    assert exit.return_code == 0
    assert Path(out).read_text() == f"a b 5\nerror\n{tmp_path}\n"


async def test_files_of_attempts_are_written_and_read(runs: Bench) -> None:
    path = runs.runner.path("1" * 32, "stdin")
    with pytest.raises(FileNotFoundError):
        async with await runs.runner.open_file(path, "rb") as file:
            await file.read()
    async with await runs.runner.open_file(path, "wb") as file:
        await file.write(b"data")
    async with await runs.runner.open_file(path, "rb") as file:
        assert await file.read() == b"data"


@pytest.mark.parametrize("line", ["#!/no/such", "#!/etc/passwd"])
async def test_an_interpreter_that_is_not_there_is_the_scripts_fault(runs: Bench, line: str) -> None:
    with pytest.raises(pdt.UnlaunchableError, match=r"Stranger\(\) cannot start '/.*\nfix: see that the script's"):
        await runs.start(f"{line}\n")


async def test_an_environment_that_cannot_be_is_the_scripts_fault(runs: Bench) -> None:
    with pytest.raises(pdt.UnlaunchableError, match="null byte"):
        await runs.start("true", environ={"A": "\0"})
    with pytest.raises(pdt.UnlaunchableError, match="carriage return"):
        await runs.start("#!/bin/sh\r\n")


async def test_a_start_that_fails_for_another_reason_may_be_tried_again(runs: Bench, stranger: Stranger) -> None:
    stranger.failures["spawn"] = [ConnectionResetError("gone")]
    with pytest.raises(ConnectionResetError):
        await runs.start("true")
    assert (await runs.run("exit 4")).return_code == 4


async def test_a_process_whose_identifier_cannot_be_written_down_is_killed(
    runs: Bench, stranger: Stranger, tmp_path: Path
) -> None:
    stranger.failures["open pid"] = [OSError(28, "No space left on device")]
    with pytest.raises(OSError, match="No space"):
        await runs.start(gated(tmp_path))
    assert len(stranger.killed) == 1
    assert await stranger.get_live_pids(set(stranger.killed)) in (set(), set(stranger.killed))
    assert await runs.look() == set()


async def test_a_manager_that_does_not_answer_has_no_dead_processes(
    runs: Bench, stranger: Stranger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = await runs.start(gated(tmp_path))
    await until((tmp_path / "ready").exists)
    failures = stranger.failures["get_live_pids"] = [ConnectionResetError("gone") for _ in range(3)]
    await until(lambda: not failures)
    assert await runs.look() == set()
    (tmp_path / "go").touch()
    assert (await runs.end(token)).return_code == 3
    assert (
        "Stranger() does not say which processes run, and is asked again: ConnectionResetError('gone')" in caplog.text
    )


async def test_an_exit_code_that_cannot_be_read_now_is_read_later(runs: Bench, stranger: Stranger) -> None:
    stranger.failures["open return_code"] = [ConnectionResetError("gone") for _ in range(3)]
    assert (await runs.run("exit 5")).return_code == 5


async def test_processes_of_others_are_nobodys(runs: Bench, stranger: Stranger) -> None:
    stranger.others = {"p1", "other", "p99999"}
    assert (await runs.run("exit 5")).return_code == 5
    assert stranger.killed == []


async def test_an_exit_code_that_comes_late_is_waited_for(runs: Bench, stranger: Stranger) -> None:
    stranger.late = 0.4
    assert (await runs.run("exit 5")).return_code == 5


async def test_an_exit_code_that_never_comes_is_a_loss(
    runs: Bench, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "LATE_SECONDS", 0.2)
    stranger.late = None
    exit = await runs.run("exit 5")
    assert (exit.is_lost, exit.detail) == (True, "its process is gone, and left no exit code")


async def test_an_exit_code_that_is_none_is_waited_for(runs: Bench, stranger: Stranger, tmp_path: Path) -> None:
    stranger.late = None
    token = await runs.start("exit 5")
    path = Path(runs.runner.path(token, "return_code"))
    path.write_text("")
    await asyncio.sleep(0.2)
    assert await runs.look() == set()
    path.write_text("12\n")
    assert (await runs.end(token)).return_code == 12


async def test_a_job_is_killed_with_its_reason(runs: Bench, stranger: Stranger, tmp_path: Path) -> None:
    stranger.late = None
    token, other = await runs.start(gated(tmp_path)), await runs.start(gated(tmp_path))
    await runs.runner.kill(token, "timeout", 10)
    await runs.runner.kill(token, "cancelled", 10)
    exit = await runs.end(token)
    assert (exit.return_code, exit.killed, exit.is_lost) == (None, "timeout", False)
    assert Path(runs.runner.path(token, "killed")).read_text() == "timeout"
    await runs.runner.kill(token, "cancelled", 10)
    assert await runs.look() == {token}
    stranger.late = 0.0
    (tmp_path / "go").touch()
    assert (await runs.end(other)).killed is None


async def test_a_kill_that_did_not_arrive_is_sent_again(
    runs: Bench, stranger: Stranger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = await runs.start(gated(tmp_path))
    stranger.failures["kill"] = [ConnectionResetError("gone"), ConnectionResetError("gone")]
    await runs.runner.kill(token, "cancelled", 10)
    assert (await runs.end(token)).killed == "cancelled"
    assert "Stranger() has not ended process p" in caplog.text


async def test_what_cannot_be_removed_is_reported(
    runs: Bench, stranger: Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    stranger.failures["rmtree"] = [PermissionError("no")]
    assert (await runs.run("true")).return_code == 0
    assert "Stranger() has not removed " in caplog.text


async def test_another_controller_takes_over(stranger: Stranger, tmp_path: Path) -> None:
    async with opened(stranger) as first:
        running, killed = await first.start(gated(tmp_path)), await first.start(gated(tmp_path))
        ended, unwritten, late = await first.start("exit 4"), await first.start("exit 5"), await first.start("exit 6")
        stranger.failures["kill"] = [ConnectionResetError("gone")]
        await first.runner.kill(killed, "timeout", 1)
        planned = "1" * 32
        first.places[planned] = first.runner.place(planned)
        codes = [Path(first.runner.path(token, "return_code")) for token in (ended, unwritten, late)]
        await until(lambda: all(code.exists() for code in codes))
    Path(first.runner.path(unwritten, "pid")).unlink()
    Path(first.runner.path(late, "pid")).unlink()
    codes[-1].unlink()
    stranger.failures["get_live_pids"] = [ConnectionResetError("gone")]
    async with opened(stranger) as second:
        alive = await second.runner.adopt(first.places)
        assert {running, killed} <= set(alive) <= {running, killed, ended}
        assert (await second.end(ended)).return_code == 4
        assert (await second.end(unwritten)).return_code == 5
        lost = await second.end(late)
        assert (lost.is_lost, lost.started, lost.detail) == (True, True, "nobody wrote down its process identifier")
        assert (await second.end(planned)).started is False
        assert (await second.end(killed)).killed == "timeout"
        assert running not in second.exits
        (tmp_path / "go").touch()
        assert (await second.end(running)).return_code == 3


async def test_a_manager_that_does_not_answer_at_all_cannot_be_taken_over_from(
    stranger: Stranger, tmp_path: Path
) -> None:
    """Its attempts are unreachable, and must not be taken for lost."""
    async with opened(stranger) as first:
        await first.start(gated(tmp_path))
    stranger.failures["open pid"] = [ConnectionResetError("gone")]
    async with opened(stranger) as second:
        with pytest.raises(ConnectionResetError):
            await second.runner.adopt(first.places)
        assert await second.look() == set()
        assert set(await second.runner.adopt(first.places)) == set(first.places)
        (tmp_path / "go").touch()
        assert (await second.end(next(iter(first.places)))).return_code == 3


async def test_a_manager_that_never_answers_has_a_deadline(
    runs: Bench, stranger: Stranger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "DEADLINE", 0.05)

    async def hang(path: Path) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(stranger, "mkdir", hang)
    token = "1" * 32
    with pytest.raises(TimeoutError):
        await runs.runner.start(Command(token, "job", "true"), runs.runner.place(token))
