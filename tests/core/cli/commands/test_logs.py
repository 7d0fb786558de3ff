"""`pdt logs`: what a job writes, wherever that is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pdt import Pipeline
from pdt.cli.logfiles import BLOCK, last_lines, offset_of_last
from tests.core.cli.support import call, pdt_command, run_pdt, running_pdt, until, write_processes

STREAMS = "stdout=pdt.FileRepository(HERE + '/stdout', '.out'),"
BOTH = f"{STREAMS} stderr=pdt.FileRepository(HERE + '/stderr', '.err'),"
#: Writes a line, and the next when it is let go.
SLOW = "echo begun; touch began; while [ ! -e go ]; do sleep 0.05; done; echo over; exit {code}"


def logs(directory: Path, *words: str, status: int = 0) -> str:
    result = run_pdt("logs", "work", *words, cwd=directory)
    assert result.returncode == status, result.stderr
    return result.stdout if status == 0 else result.stderr


def test_of_a_failed_job(tmp_path: Path) -> None:
    write_processes(tmp_path, {"a": "echo out; echo err >&2; exit 3"})
    run_pdt("run", "-q", cwd=tmp_path)
    assert logs(tmp_path, "a") == "out\nerr\n"
    assert logs(tmp_path, "a", "--tail", "1") == "err\n"
    assert logs(tmp_path, "a", "--tail", "0") == ""
    assert logs(tmp_path, "a", "--tail=5", "--stream", "log", "-f") == "out\nerr\n"


def test_of_each_attempt(tmp_path: Path) -> None:
    write_processes(
        tmp_path, {"a": "echo x >> n; echo this is $(wc -l < n); exit 1"}, "retry=pdt.Retry(attempts=3, delay=0),"
    )
    assert run_pdt("run", "-q", cwd=tmp_path).returncode == 1
    assert logs(tmp_path, "a") == "this is 3\n"
    assert [logs(tmp_path, "a", "--attempt", str(number)) for number in (1, 2, 3)] == [
        f"this is {number}\n" for number in (1, 2, 3)
    ]
    error = logs(tmp_path, "a", "--attempt", "4", status=3)
    assert "there is no log of attempt 4 of work a; looked at /" in error
    assert "fix: these attempts have one: 1, 2, 3" in error


def test_of_a_job_that_waits_to_be_tried_again(tmp_path: Path) -> None:
    write_processes(tmp_path, {"a": "echo tried; exit 1"}, "retry=pdt.Retry(attempts=3, delay=3600),")
    assert run_pdt("run", "--timeout", "1", cwd=tmp_path).returncode == 4
    assert logs(tmp_path, "a") == "tried\n"


@pytest.mark.parametrize("options", ["", STREAMS, BOTH])
def test_of_a_job_that_another_controller_runs(tmp_path: Path, options: str) -> None:
    write_processes(tmp_path, {"a": SLOW.replace("{code}", "0")}, options)
    with running_pdt("run", "-q", cwd=tmp_path) as run:
        until((tmp_path / "began").exists)
        assert logs(tmp_path, "a") == "begun\n"
        (tmp_path / "go").touch()
        run.wait(30)
    if options:
        assert logs(tmp_path, "a") == "begun\nover\n"
    else:
        error = logs(tmp_path, "a", status=3)
        assert "there is no log of work a" in error
        assert "fix: a log is kept of failed attempts only" in error


@pytest.mark.parametrize("code", [0, 3])
@pytest.mark.parametrize("words", [[], ["--tail", "1"]])
def test_followed_to_its_end(tmp_path: Path, code: int, words: list[str]) -> None:
    write_processes(tmp_path, {"a": SLOW.replace("{code}", str(code))})
    with running_pdt("run", "-q", cwd=tmp_path):
        until((tmp_path / "began").exists)
        with subprocess.Popen(
            pdt_command("logs", "work", "a", "-f", *words), cwd=tmp_path, stdout=subprocess.PIPE, text=True
        ) as following:
            assert following.stdout is not None
            assert following.stdout.readline() == "begun\n"
            (tmp_path / "go").touch()
            assert following.stdout.read() == "over\n"
            assert following.wait(30) == 0


def test_followed_where_nobody_controls_it_any_more(tmp_path: Path) -> None:
    write_processes(tmp_path, {"a": SLOW.replace("{code}", "0")})
    with running_pdt("run", "-q", cwd=tmp_path):
        until((tmp_path / "began").exists)
    with subprocess.Popen(
        pdt_command("logs", "work", "a", "-f"), cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "begun\n"
        (tmp_path / "go").touch()
        assert following.stdout.read() == "over\n"
        assert following.wait(30) == 0


def test_streams_of_their_own(tmp_path: Path) -> None:
    write_processes(tmp_path, {"a": "echo out; echo err >&2", "b": "echo out; exit 1"}, BOTH)
    run_pdt("run", "-q", cwd=tmp_path)
    assert logs(tmp_path, "a") == "out\n"
    assert logs(tmp_path, "a", "--stream", "stderr") == "err\n"
    assert logs(tmp_path, "a", "--stream", "stdout", "--attempt", "1") == "out\n"
    assert logs(tmp_path, "b") == "out\n"
    assert "there is no log of work a" in logs(tmp_path, "a", "--stream", "log", status=3)
    error = logs(tmp_path, "a", "--attempt", "2", status=3)
    assert "stderr', extension='.err')" in error
    assert "fix: no attempt has one" in error


def test_a_stream_without_a_repository(tmp_path: Path) -> None:
    write_processes(tmp_path, {"a": "exit 1"})
    run_pdt("run", "-q", cwd=tmp_path)
    error = logs(tmp_path, "a", "--stream", "stdout", status=3)
    assert "task 'work' has no repository for stdout" in error
    assert "fix: leave out --stream" in error


def test_jobs_without_a_log(tmp_path: Path) -> None:
    write_processes(tmp_path, {"a": "exit 1", "b": "true"}, "keep_log=False,")
    error = logs(tmp_path, "b", status=3)
    assert "fix: it has not run yet: pdt why work b" in error
    run_pdt("run", "-q", cwd=tmp_path)
    assert "fix: the task has keep_log=False" in logs(tmp_path, "a", status=3)
    assert "there is no job 'c' in this pipeline" in logs(tmp_path, "c", status=3)
    assert "error: " in logs(tmp_path, "no/job", status=2)


def test_a_pipe_gets_it_as_it_is(tmp_path: Path) -> None:
    write_processes(tmp_path, {"a": r"printf '\033[31mred\033[0m \377\n'; exit 1"})
    run_pdt("run", "-q", cwd=tmp_path)
    result = subprocess.run(pdt_command("logs", "work", "a"), cwd=tmp_path, capture_output=True, check=True)
    assert result.stdout == b"\x1b[31mred\x1b[0m \xff\n"


def test_looking_makes_nothing(tmp_path: Path) -> None:
    write_processes(tmp_path, {"a": "true"})
    logs(tmp_path, "a", status=3)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == ["in", "pipeline.py"]


# Not ru_maxrss, which a process that was forked and then executed has from the one that forked it.
PROBE = """
import re, sys
from pdt.cli import entry
sys.argv = ["pdt", "logs", "work", "a", *{words!r}]
entry()
sys.stdout.flush()
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1], file=sys.stderr)
"""


@pytest.mark.parametrize(("words", "size"), [([], 200_000_004), (["--tail", "1"], 4), (["--tail", "2"], 5)])
def test_a_long_log_takes_little_memory(tmp_path: Path, words: list[str], size: int) -> None:
    write_processes(
        tmp_path, {"a": "yes 'a line that is written again and again' | head -c 199999999; echo; echo end; exit 1"}
    )
    run_pdt("run", "-q", cwd=tmp_path)
    command = [sys.executable, "-c", PROBE.format(words=words)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        printed = 0
        while block := child.stdout.read(1 << 20):
            printed += len(block)
        assert int(child.stderr.read()) < 100 * 1024
    assert printed >= size


def test_of_a_function(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "run", "-q") == 1
    capsys.readouterr()
    assert call(pipeline, "logs", "count", "d") == 0
    text = capsys.readouterr().out
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("ValueError: boom\n")
    assert call(pipeline, "logs", "count", "d", "--tail", "1") == 0
    assert capsys.readouterr().out == "ValueError: boom\n"
    assert call(pipeline, "logs", "count", "a") == 3
    assert "there is no log of count a" in capsys.readouterr().err
    assert call(pipeline, "logs", "count", "zz") == 3
    assert "there is no job 'zz'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "lines", "left"),
    [
        (b"", 2, b""),
        (b"one", 1, b"one"),
        (b"one\n", 1, b"one\n"),
        (b"one\ntwo\n", 1, b"two\n"),
        (b"one\ntwo", 1, b"two"),
        (b"one\ntwo\n", 2, b"one\ntwo\n"),
        (b"one\ntwo\n", 9, b"one\ntwo\n"),
        (b"one\n\n\n", 2, b"\n\n"),
        (b"one\ntwo\n", 0, b""),
        (b"x" * BLOCK + b"\n" + b"y" * BLOCK + b"\n", 1, b"y" * BLOCK + b"\n"),
        (b"x" * (BLOCK - 1) + b"\n" + b"y" * (BLOCK - 1) + b"\n", 1, b"y" * (BLOCK - 1) + b"\n"),
        (b"\n" * (3 * BLOCK), 2 * BLOCK, b"\n" * (2 * BLOCK)),
    ],
)
def test_the_last_lines_of_a_file(tmp_path: Path, text: bytes, lines: int, left: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(text)
    assert text[offset_of_last(str(file), lines) :] == left


def test_the_last_lines_for_a_summary(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one\n" + b"x" * 1000 + b"\n\xff\n")
    assert last_lines(str(file), 2, 100) == ["x" * 97, "\\xff"]
    assert last_lines(str(tmp_path / "absent"), 2, 100) == []
