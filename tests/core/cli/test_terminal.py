"""The interactive parts, in a real terminal."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pexpect
import pytest

from pdt import SqliteMetadataRepository
from tests.core.cli.support import PROJECT, TEXTS, run_pdt, until, write_processes, write_project

Terminal = Callable[..., Any]

#: Jobs of a process pool, a thread and the event loop that say that they run, and end when they are let go.
GATED = """
import asyncio, os, time
from concurrent.futures import ProcessPoolExecutor
import pdt

HERE = os.path.dirname(os.path.abspath(__file__))
KIND = "{kind}"
done = pdt.SqliteMetadataRepository(HERE + "/.pdt/records.sqlite", "done")
if KIND == "process":
    task = pdt.ExecutorTask("gated", ProcessPoolExecutor(2), done)
else:
    task = pdt.InProcessSyncTask("gated", done)
    task.concurrency = 2
task.link("input", pdt.FileRepository(HERE + "/in", extension=".txt"), is_input=True)

def begin(job):
    open(HERE + "/began-" + job, "w").close()

def is_let_go():
    return os.path.exists(HERE + "/go")

def plain(job):
    begin(job)
    while not is_let_go():
        time.sleep(0.01)

async def asynchronous(job):
    begin(job)
    while not is_let_go():
        await asyncio.sleep(0.01)

task(asynchronous if KIND == "async" else plain)
pipeline = pdt.Pipeline([task])
"""
JOBS = 40


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Return a function that starts a program in a terminal of its own."""
    started: list[Any] = []

    def start(*command: str, cwd: Path, **env: str) -> Any:
        inherited = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "PDT_FILE")}
        environment = {**inherited, "TERM": "xterm", **env}
        child = pexpect.spawn(
            command[0],
            list(command[1:]),
            cwd=str(cwd),
            env=environment,
            encoding="utf-8",
            timeout=40,
            dimensions=(24, 90),
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)


def pdt(terminal: Terminal, *words: str, cwd: Path, **env: str) -> Any:
    return terminal(sys.executable, "-m", "pdt", *words, cwd=cwd, **env)


def ended(child: Any) -> int:
    """Wait for the end of a program, and return its exit status."""
    child.expect(pexpect.EOF)
    child.close()
    assert child.signalstatus is None
    status: int = child.exitstatus
    return status


def gated(directory: Path, kind: str) -> None:
    write_project(directory, {f"j{number:02}": "x" for number in range(JOBS)}, GATED.replace("{kind}", kind))


def wait_until_two_run(directory: Path) -> None:
    while len(list(directory.glob("began-*"))) < 2:
        time.sleep(0.01)


def records(directory: Path) -> dict[str, Any]:
    import asyncio

    repo = SqliteMetadataRepository(directory / ".pdt" / "records.sqlite", "done")
    found = asyncio.run(repo.info_all())
    repo.release()
    return found


KINDS = pytest.mark.parametrize("kind", ["process", "thread", "async"])


@KINDS
def test_ctrl_c_once_lets_what_runs_end(tmp_path: Path, terminal: Terminal, kind: str) -> None:
    gated(tmp_path, kind)
    child = pdt(terminal, "run", cwd=tmp_path)
    wait_until_two_run(tmp_path)
    child.sendintr()
    child.expect(r"stopping: (\d+) jobs running; Ctrl-C again leaves at once")
    running = int(child.match[1])
    (tmp_path / "go").touch()
    child.expect(r"gated: (\d+) ok\r\n")
    assert int(child.match[1]) == running
    child.expect(rf"interrupted: {JOBS - running} jobs left to start; the same command goes on with them")
    assert ended(child) == 130
    # A worker may have taken a job or two on in advance.
    assert 2 <= running <= 5
    found = records(tmp_path)
    assert len(found) == running
    assert all(record["success"] for record in found.values())
    assert run_pdt("run", cwd=tmp_path).returncode == 0
    assert len(records(tmp_path)) == JOBS


@KINDS
def test_ctrl_c_twice_leaves_at_once(tmp_path: Path, terminal: Terminal, kind: str) -> None:
    gated(tmp_path, kind)
    child = pdt(terminal, "run", cwd=tmp_path)
    wait_until_two_run(tmp_path)
    child.sendintr()
    child.expect("Ctrl-C again leaves at once")
    child.sendintr()
    child.expect("interrupted\r\n.*start again when you run the pipeline again")
    assert ended(child) == 130
    assert records(tmp_path) == {}
    (tmp_path / "go").touch()
    assert run_pdt("run", cwd=tmp_path).returncode == 0
    assert len(records(tmp_path)) == JOBS


def test_sigterm_is_like_one_ctrl_c(tmp_path: Path, terminal: Terminal) -> None:
    gated(tmp_path, "process")
    child = pdt(terminal, "run", cwd=tmp_path)
    wait_until_two_run(tmp_path)
    child.kill(signal.SIGTERM)
    child.expect("stopping: ")
    (tmp_path / "go").touch()
    assert ended(child) == 130
    assert all(record["success"] for record in records(tmp_path).values())


def test_a_third_ctrl_c_needs_no_cooperation(tmp_path: Path, terminal: Terminal) -> None:
    stubborn = """
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("no, " + job)
"""
    source = GATED.replace("{kind}", "async").replace("\n        await asyncio.sleep(0.01)\n", stubborn)
    write_project(tmp_path, {"a": "x"}, source)
    child = pdt(terminal, "run", "--no-progress", cwd=tmp_path)
    while not (tmp_path / "began-a").exists():
        time.sleep(0.01)
    child.sendintr()
    child.expect("Ctrl-C again leaves at once")
    child.sendintr()
    child.expect("no, a")
    child.sendintr()
    assert ended(child) == 130


def test_ctrl_c_ends_a_run_for_ever_that_waits(project: Path, terminal: Terminal) -> None:
    child = pdt(terminal, "run", "--forever", cwd=project)
    child.expect(r"make-report +\[#+\] 2/2")
    child.sendintr()
    child.expect("stopping: 0 jobs running")
    child.expect("stopped after")
    assert ended(child) == 130


#: A script that runs until it is let go.
LET_GO = "touch began-{job}; while [ ! -e go ]; do sleep 0.05; done"


def processes(directory: Path, count: int = 5) -> None:
    names = [f"j{number}" for number in range(count)]
    write_processes(directory, {name: LET_GO.replace("{job}", name) for name in names})
    script = directory / "pipeline.py"
    script.write_text(script.read_text().replace("cpu=100", "cpu=2"))


def test_ctrl_c_leaves_processes_to_the_next_run(tmp_path: Path, terminal: Terminal) -> None:
    processes(tmp_path)
    child = pdt(terminal, "run", cwd=tmp_path)
    wait_until_two_run(tmp_path)
    child.sendintr()
    child.expect("stopping: 2 jobs run on as processes, and the next run takes them over; Ctrl-C again leaves at once")
    child.expect("interrupted: 3 jobs left to start; the same command goes on with them")
    child.expect("2 jobs run on as processes, and the next run takes them over; pdt cancel TASK JOB ends one")
    assert ended(child) == 130
    (tmp_path / "go").touch()
    child = pdt(terminal, "run", cwd=tmp_path)
    child.expect("work: 5 ok")
    assert ended(child) == 0


def test_ctrl_c_twice_leaves_processes_too(tmp_path: Path, terminal: Terminal) -> None:
    # The function keeps the first Ctrl-C from ending the run.
    processes(tmp_path, 1)
    script = tmp_path / "pipeline.py"
    source = script.read_text().replace("func=lambda job: None", "func=wait")
    source = source.replace("import os\n", "import os, asyncio\nasync def wait(job):\n    await asyncio.sleep(60)\n")
    script.write_text(source.replace('count.link("work", work.done', 'count.link("script", work.links["script"].repo'))
    child = pdt(terminal, "run", cwd=tmp_path)
    until((tmp_path / "began-j0").exists)
    child.sendintr()
    child.expect("stopping: 1 job running; 1 job runs on as a process, and the next run takes it over; Ctrl-C again")
    child.sendintr()
    child.expect("the jobs that were running in this process start again when you run the pipeline again")
    child.expect("processes of jobs run on, and the next run takes them over")
    assert ended(child) == 130
    (tmp_path / "go").touch()
    assert run_pdt("run", "--timeout", "5", cwd=tmp_path).returncode == 4
    assert run_pdt("ls", "work.done", cwd=tmp_path).stdout == "j0\n"


def test_progress_counts_jobs_that_are_to_be_tried_again(tmp_path: Path, terminal: Terminal) -> None:
    scripts = {"a": "exit 1", "b": "exit 1", "c": LET_GO.replace("{job}", "c")}
    write_processes(tmp_path, scripts, "retry=pdt.Retry(attempts=2, delay=600, jitter=0),")
    child = pdt(terminal, "run", cwd=tmp_path)
    child.expect(r"work +\[-{24}\] 0/3, 2 to be tried again")
    (tmp_path / "go").touch()
    child.expect(r"work +\[#{8}-{16}\] 1/3, 2 to be tried again")
    child.sendintr()
    child.expect("work: 1 ok, 2 tried again")
    assert ended(child) == 130


def test_logs_are_shown_and_not_obeyed(tmp_path: Path, terminal: Terminal) -> None:
    text = r"printf 'h\303\251 \033[31mred\033[0m\ttab \377 \007\n'; exit 1"
    write_processes(tmp_path, {"a": text})
    run_pdt("run", "-q", cwd=tmp_path)
    child = pdt(terminal, "logs", "work", "a", cwd=tmp_path)
    child.expect(pexpect.EOF)
    assert child.before == "h\xe9 \\x1b[31mred\\x1b[0m\ttab \\xff \\x07\r\n"


def test_ctrl_c_ends_following_a_log(tmp_path: Path, terminal: Terminal) -> None:
    write_processes(tmp_path, {"a": f"echo so far; {LET_GO.replace('{job}', 'a')}"})
    child = pdt(terminal, "run", "--no-progress", cwd=tmp_path)
    until((tmp_path / "began-a").exists)
    following = pdt(terminal, "logs", "work", "a", "-f", cwd=tmp_path)
    following.expect("so far\r\n")
    following.sendintr()
    following.expect("interrupted")
    assert ended(following) == 130
    (tmp_path / "go").touch()
    assert ended(child) == 0


@pytest.mark.parametrize(("answer", "left"), [("y", ""), ("n", "a\nb\n")])
def test_retry_asks_about_many(tmp_path: Path, terminal: Terminal, answer: str, left: str) -> None:
    write_processes(tmp_path, {"a": "exit 1", "b": "exit 1"})
    run_pdt("run", "-q", cwd=tmp_path)
    child = pdt(terminal, "retry", "--failed", cwd=tmp_path)
    child.expect_exact("Forget that 2 jobs failed? [y/N] ")
    child.sendline(answer)
    assert ended(child) == (1 if left else 0)
    assert run_pdt("ls", "work.failed", cwd=tmp_path).stdout == left


@pytest.mark.parametrize("words", [["work", "a"], ["-y", "--failed"], ["-n", "--failed"]])
def test_retry_asks_about_nothing_else(tmp_path: Path, terminal: Terminal, words: list[str]) -> None:
    write_processes(tmp_path, {"a": "exit 1", "b": "exit 1"})
    run_pdt("run", "-q", cwd=tmp_path)
    assert ended(pdt(terminal, "retry", *words, cwd=tmp_path)) == 0


def test_progress_is_shown_and_taken_away(tmp_path: Path, terminal: Terminal) -> None:
    gated(tmp_path, "async")
    child = pdt(terminal, "run", cwd=tmp_path)
    child.expect(r"gated \[-{24}\] 0/40\r\n0/40 jobs, 0/s, 0:00")
    (tmp_path / "go").touch()
    child.expect(r"\x1b\[Jgated: 40 ok\r\n")
    child.expect(r"done after 0:\d\d\r\n")
    assert ended(child) == 0


def test_messages_do_not_tear_the_progress(tmp_path: Path, terminal: Terminal) -> None:
    gated(tmp_path, "async")
    (tmp_path / "in" / "two words.txt").touch()
    child = pdt(terminal, "run", cwd=tmp_path)
    child.expect(r"warning:\x1b\[0m Skipping 'two words' .*\r\n")
    (tmp_path / "go").touch()
    assert ended(child) == 0


@pytest.mark.parametrize("words", [["--no-progress"], ["-q"]])
def test_progress_can_be_turned_off(project: Path, terminal: Terminal, words: list[str]) -> None:
    child = pdt(terminal, "run", *words, cwd=project)
    child.expect(pexpect.EOF)
    assert "\x1b[J" not in child.before
    assert "jobs, " not in child.before


def test_colours_on_a_terminal_and_no_color(project: Path, terminal: Terminal) -> None:
    child = pdt(terminal, "status", cwd=project)
    child.expect_exact("\x1b[1mcount\x1b[0m\r\ncount.input 3\r\n")
    assert ended(child) == 0
    child = pdt(terminal, "status", cwd=project, NO_COLOR="1")
    child.expect(pexpect.EOF)
    assert child.before.startswith("count\r\ncount.input 3\r\n")
    assert "\x1b" not in child.before


@pytest.mark.parametrize(
    ("answer", "left"), [("y", ["b", "d"]), ("yes", ["b", "d"]), ("n", ["a", "b", "d"]), ("", ["a", "b", "d"])]
)
def test_rm_asks(project: Path, terminal: Terminal, answer: str, left: list[str]) -> None:
    child = pdt(terminal, "rm", "count.input", "a", cwd=project)
    child.expect(r"FileRepository\(.*\): 1 job \(a\)\r\n")
    child.expect_exact("Delete 1 job? [y/N] ")
    child.sendline(answer)
    assert ended(child) == (0 if "a" not in left else 1)
    assert sorted(path.stem for path in (project / "in").iterdir()) == left


def test_rm_does_not_ask_where_it_is_told_not_to(project: Path, terminal: Terminal) -> None:
    assert ended(pdt(terminal, "rm", "-n", "count.input", "a", cwd=project)) == 0
    assert (project / "in" / "a.txt").exists()
    assert ended(pdt(terminal, "rm", "-y", "count.input", "a", cwd=project)) == 0
    assert not (project / "in" / "a.txt").exists()


def test_ctrl_c_at_a_question_changes_nothing(project: Path, terminal: Terminal) -> None:
    child = pdt(terminal, "rm", "count.input", "--all", cwd=project)
    child.expect_exact("Delete 3 jobs? [y/N] ")
    child.sendintr()
    child.expect("interrupted")
    assert ended(child) == 130
    assert len(list((project / "in").iterdir())) == 3


def test_the_shell(tmp_path: Path, terminal: Terminal) -> None:
    write_project(tmp_path, TEXTS, "import sys\nsys.modules['IPython'] = None\n" + PROJECT)
    child = pdt(terminal, "shell", cwd=tmp_path)
    child.expect("await works here")
    child.expect(">>> ")
    child.sendline("sorted(await tasks['count'].links['input'].repo.keys())")
    child.expect_exact("['a', 'b', 'd']")
    child.expect(">>> ")
    child.sendline("print('so', 'far'); await asyncio.sleep(60)")
    child.expect_exact("so far")
    child.sendintr()
    child.expect("KeyboardInterrupt")
    child.expect(">>> ")
    child.sendline("pipeline.is_open")
    child.expect("True")
    child.expect(">>> ")
    child.sendeof()
    assert ended(child) == 0


@pytest.mark.skipif(find_spec("IPython") is None, reason="the extra `shell` is not installed")
def test_the_shell_is_ipython_where_it_is_installed(project: Path, terminal: Terminal) -> None:
    child = pdt(terminal, "shell", cwd=project, TERM="dumb", PROMPT_TOOLKIT_NO_CPR="1", IPYTHONDIR=str(project))
    child.expect("await works here")
    child.expect("In ")
    child.sendline("await asyncio.sleep(0.01, sorted(await tasks['count'].links['input'].repo.keys()))")
    child.expect_exact("['a', 'b', 'd']")
    child.expect("In ")
    child.sendline("exit")
    assert ended(child) == 0


def test_status_redraws_itself(project: Path, terminal: Terminal) -> None:
    child = pdt(terminal, "status", "-w", "-n", "0.1", cwd=project, NO_COLOR="1")
    child.expect(r"\x1b\[H\x1b\[2J.*count\.input 3\r\n")
    (project / "in" / "new.txt").touch()
    child.expect(r"\x1b\[H\x1b\[2J.*count\.input 4\r\n")
    child.sendintr()
    child.expect("interrupted")
    assert ended(child) == 130


def test_bash_completes(project: Path, terminal: Terminal, tmp_path_factory: pytest.TempPathFactory) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    programs = tmp_path_factory.mktemp("bin")
    (programs / "pdt").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pdt "$@"\n')
    (programs / "pdt").chmod(0o755)
    child = terminal(
        bash,
        "--norc",
        "--noprofile",
        cwd=project,
        PS1="$ ",
        PATH=f"{programs}:{os.environ['PATH']}",
        TERM="dumb",
        INPUTRC="/dev/null",
    )
    child.expect_exact("$ ")
    child.sendline('eval "$(pdt completion bash)"; bind "set bell-style none"; echo ready')
    child.expect(r"\nready")
    for typed, completed in {
        "pdt sta": "pdt status ",
        "pdt cat count.i": "pdt cat count.input ",
        "pdt run --fa": "pdt run --fail-fast ",
        "pdt -f pipe": "pdt -f pipeline.py ",
        "pdt retry cou": "pdt retry count ",
        "pdt failures --group-by re": "pdt failures --group-by reason ",
        "pdt logs -f cou": "pdt logs -f count ",
    }.items():
        child.expect_exact("$ ")
        child.send(f"{typed}\t")
        child.expect_exact(completed)
        child.send("\x15\r")  # discards the line, and asks for another prompt
