"""Which scripts are one simple command, and that the wrapper outlives each of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pdt.proc_manager import simple
from pdt.proc_manager.simple import is_simple_command
from pdt.proc_manager.spawn import DIRECT, JOURNAL_FD, SCRIPT_FD, SOURCED

SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]


@pytest.mark.parametrize(
    "script",
    [
        "cat",
        "\n  cat  \n\n",
        "wc -w < '/in/a b.txt' > /out/c.txt\n",
        "cat 2>&1 >out 3</dev/null",
        'cat \'a\nb; exit $(x) `y`\' "c d" "" e\'f\'"g"',
        'cat $HOME/x ${HOME}* "$HOME/y" a=b c#d ~/e f? x=~',
        "/no/such/exit 3",
        "cat " + "a " * 100_000,
    ],
)
def test_simple(script: str) -> None:
    assert is_simple_command(script)


@pytest.mark.parametrize(
    "script",
    [
        *[
            "",
            " ",
            "\n",
            "# cat",
            "#!/bin/sh\ncat",
            "no-such-program",
            "exit 3",
            "cd /",
            ". x",
            "exec cat",
            "set -e",
            "if",
        ],
        *["eval cat", "A=1 cat", "A=1", "< in cat", "! cat", "{ cat; }", "(cat)", "echo hi", "trap x EXIT", "return"],
        *[
            "cat; exit",
            "cat & exit",
            "cat && exit",
            "cat || exit",
            "cat | cat",
            "cat\nexit",
            "cat\r\n",
            "cat\vx",
            "cat\0",
        ],
        *[
            "cat $(exit)",
            "cat `exit`",
            'cat "$(exit)"',
            'cat "`exit`"',
            "cat $((1/0))",
            "cat ${x?}",
            "cat ${x=y}",
            "cat $1",
        ],
        *["cat $", "cat ${", "cat ${x", 'cat "$x', "cat 'a", "cat \\\nx", "cat 'a\\''b' ; exit", "cat 'a'\\''b'"],
        *[
            "cat <<E\nE",
            "cat <<< x",
            "cat >|x",
            "cat <>x",
            "cat >&-",
            "cat >&9",
            "cat <(ls)",
            "cat {a,b}",
            "cat #x",
            "cat é",
        ],
    ],
)
def test_not_simple(script: str) -> None:
    assert not is_simple_command(script)


def test_a_shell_that_does_not_answer_is_not_relied_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simple, "SHELL", "/no/such/shell")
    simple._is_program.cache_clear()
    try:
        assert not is_simple_command("cat")
    finally:
        simple._is_program.cache_clear()


def run(shell: str, wrapper: str, script: str, place: Path) -> tuple[str, bytes, int]:
    """Run a script, and return what the wrapper noted of its end, what it wrote, and what the wrapper returned."""
    files = {}
    for name, content in {"script": script, "journal": "", "output": ""}.items():
        (place / name).write_text(content)
        files[name] = os.open(place / name, os.O_RDWR | os.O_APPEND)
    os.lseek(files["script"], 0, os.SEEK_SET)
    work = place / "work"
    work.mkdir()
    command = [shell, *(["sh"] if shell == "busybox" else []), "-c", wrapper, "task", "token", str(work)]

    def inherit() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever runs the tests may ignore it
        for name, number in (("script", SCRIPT_FD), ("journal", JOURNAL_FD)):
            os.dup2(files[name], number)

    ran = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=files["output"], stderr=subprocess.DEVNULL,
        preexec_fn=inherit, close_fds=False, timeout=20,
    )  # fmt: skip
    for descriptor in files.values():
        os.close(descriptor)
    shutil.rmtree(work)
    start, end = (place / "journal").read_text().splitlines()
    assert start.startswith("token start ")
    return end, (place / "output").read_bytes(), ran.returncode


pieces = st.lists(
    st.sampled_from([*"a2/.-=<>&|;$\"'`\\(){}#~*?[!", "$HOME", "${A}", '"$A"', "2>&1", ">x", " ", " ", "\n"])
)


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=60, deadline=None)
@given(pieces.map(lambda found: "cat " + "".join(found)))
def test_the_wrapper_says_of_a_simple_command_what_a_subshell_would(shell: str, script: str) -> None:
    assume(is_simple_command(script))
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        direct = run(shell, DIRECT, script, Path(one))
        assert direct == run(shell, SOURCED, script, Path(other))
        assert direct[0] == f"token exit {direct[2]}"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("sleep 0", 0),
        ("cat /no/such/file", 1),
        ("/no/such/program", 127),
        ("/", 126),
        ("sh -c 'exit 200'", 200),
        ("sh -c 'kill -KILL $$'", 137),
        ("sh -c 'kill -INT $$'", 130),
    ],
)
def test_codes(shell: str, script: str, code: int, tmp_path: Path) -> None:
    assert is_simple_command(script)
    assert run(shell, DIRECT, script, tmp_path)[0] == f"token exit {code}"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_directory_that_is_gone(shell: str, tmp_path: Path) -> None:
    gone = DIRECT.replace('"$2"', "/no/such/directory")
    assert run(shell, gone, "sleep 0", tmp_path)[0] == "token exit 126"
