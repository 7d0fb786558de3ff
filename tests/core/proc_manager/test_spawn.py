"""Scripts of every kind, as the runner of this machine starts them."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import pdt
from pdt.proc_manager import STDOUT
from tests.core.proc_manager.runners import Bench, bench, until
from tests.support.ordinary_user import AsOrdinaryUser


@pytest.fixture
async def runs(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("", "- himBH-free", id="none"),
        pytest.param("#!/bin/sh\n", "-", id="sh"),
        pytest.param("#!/bin/sh -e\n", "e", id="sh -e"),
        pytest.param("#!/bin/bash\n", "bash", id="bash"),
        pytest.param("#!/usr/bin/env bash\n", "bash", id="env bash"),
        pytest.param("#!/usr/bin/env -S sh -e -u\n", "eu", id="env -S"),
    ],
)
async def test_shells(runs: Bench, line: str, said: str) -> None:
    script = line + 'false\necho "${BASH:+bash }$-" "$#" "$PDT_JOB" "${0##*/}"\nexit 3\n'
    path = runs.runner.path("out", "log")
    exit = await runs.run(script, stdout=path, stderr=STDOUT, environ={"PDT_JOB": "j"})
    if "e" in said and "bash" not in said and line:
        assert (exit.return_code, Path(path).read_text()) == (1, "")
        return
    assert exit.return_code == 3
    words = Path(path).read_text().split()
    assert ("bash" in words) == ("bash" in said)
    assert words[-3:-1] == ["0", "j"]
    assert words[-1] == ("job" if not line or line == "#!/bin/sh\n" else words[-1])


async def test_other_interpreters_get_a_file(runs: Bench) -> None:
    script = (
        "#!/usr/bin/env python3\nimport os, sys\nprint(sys.argv[1:], os.environ['GREETING'], __file__)\nsys.exit(9)\n"
    )
    path = Path(runs.runner.path("out", "log"))
    exit = await runs.run(script, stdout=str(path), environ={"GREETING": "hällo\n", "PYTHONUTF8": "1"})
    assert exit.return_code == 9
    assert path.read_text().startswith("[] hällo\n")


@pytest.mark.parametrize("line", ["", "#!/bin/sh -u\n", "#!/bin/bash\n"])
@pytest.mark.parametrize(
    ("script", "code", "output"),
    [
        pytest.param("exit 5; echo no", 5, "", id="exit"),
        pytest.param("set -e; false; echo no", 1, "", id="set -e"),
        pytest.param("echo a; return 6 2>/dev/null || exit 6", 6, "a\n", id="return"),
        pytest.param("trap 'echo left' EXIT; exit 4", 4, "left\n", id="trap on exit"),
        pytest.param(
            "trap 'echo asked; exit 8' TERM; sh -c 'kill $PPID'; echo no", 8, "asked\n", id="trap on a signal"
        ),
        pytest.param("exec 8>&- 9>&-; echo on; exit 3", 3, "on\n", id="closes what it inherits"),
        pytest.param("exec 8</dev/null 9>/dev/null; echo x >&9; echo on", 0, "on\n", id="uses the numbers itself"),
        pytest.param("read line; echo got $line; cat", 0, "got one\ntwo\n", id="reads stdin"),
        pytest.param("exec sh -c 'echo other; exit 7'; echo no", 7, "other\n", id="exec"),
        pytest.param("sh -c 'kill -KILL $PPID'; echo no", 128 + 9, "", id="killed"),
        pytest.param("(sleep 60; echo late) >/dev/null & echo done", 0, "done\n", id="leaves something behind"),
        pytest.param("no-such-command 2>/dev/null", 127, "", id="unknown command"),
        pytest.param("/ 2>/dev/null", 126, "", id="no command"),
        pytest.param("", 0, "", id="nothing"),
        pytest.param("# no line end", 0, "", id="comment"),
        pytest.param("cat <<'END'\n$x `y` \\\nEND\n", 0, "$x `y` \\\n", id="heredoc"),
    ],
)
async def test_what_scripts_do(runs: Bench, tmp_path: Path, line: str, script: str, code: int, output: str) -> None:
    (tmp_path / "in").write_text("one\ntwo\n")
    path = runs.runner.path("out", "log")
    exit = await runs.run(line + script, stdin=os.fspath(tmp_path / "in"), stdout=path, stderr=STDOUT)
    text = Path(path).read_text()
    assert (exit.return_code, text.replace("Killed\n", "")) == (code, output)


async def test_a_syntax_error_is_told_with_its_line(runs: Bench) -> None:
    path = runs.runner.path("out", "log")
    exit = await runs.run("echo begun\nif true; then\nfi done\n", stdout=path, stderr=STDOUT)
    assert exit.return_code == 2
    assert "yntax error" in Path(path).read_text()


async def test_a_large_script(runs: Bench, tmp_path: Path) -> None:
    script = ": " + "x" * 1000 + "\n"
    script = script * (10 * 2**20 // len(script)) + f"echo end >{shlex.quote(os.fspath(tmp_path / 'end'))}\nexit 3"
    assert (await runs.run(script)).return_code == 3
    assert (tmp_path / "end").read_text() == "end\n"
    assert (await runs.run("#!/bin/bash\n" + script)).return_code == 3


async def test_no_secret_shows_in_the_arguments(runs: Bench, tmp_path: Path) -> None:
    token = await runs.start(f"PASSWORD=sesame; : >{tmp_path}/begun; sleep 60")
    await until((tmp_path / "begun").exists)
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert b"sesame" not in entry.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
    await runs.runner.kill(token, "cancelled", 5)
    assert (await runs.end(token)).killed == "cancelled"


async def test_text_that_is_no_utf8_arrives_as_it_is(runs: Bench, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    await runs.run(f": >'{tmp_path}/{name}'")
    assert (tmp_path / name).exists()
    with pytest.raises(pdt.UnlaunchableError, match="cannot be written to a file"):
        await runs.start("echo \ud800")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        pytest.param({"A": "x\0y"}, "null byte.*\nfix: let no variable contain a NUL", id="NUL"),
        pytest.param({"A\0B": "x"}, "null byte", id="NUL in a name"),
        pytest.param({"A=B": "x"}, "illegal environment variable name", id="equals sign"),
        pytest.param(
            {"A": "x" * 200_000}, "larger than the system allows.*\nfix: pass large values through", id="large"
        ),
        pytest.param({f"A{n}": "x" * 100_000 for n in range(100)}, "larger than the system allows", id="large in all"),
    ],
)
async def test_an_environment_that_cannot_be(runs: Bench, environ: dict[str, str], message: str) -> None:
    with pytest.raises(pdt.UnlaunchableError, match=message):
        await runs.start("true", environ=environ)
    assert (await runs.run("exit 3")).return_code == 3


async def test_the_environment_is_added_to(runs: Bench) -> None:
    said = await runs.output('echo "$PATH|$A|$B"', environ={"A": "a b", "B": "'\"\n$x"})
    assert said == f"{os.environ['PATH']}|a b|'\"\n$x\n"


async def test_an_interpreter_is_looked_for_where_the_script_would(runs: Bench, tmp_path: Path) -> None:
    (tmp_path / "own-python").symlink_to(sys.executable)
    script = "#!/usr/bin/env own-python\nprint('own')\n"
    with pytest.raises(pdt.UnlaunchableError, match="not installed"):
        await runs.start(script)
    assert await runs.output(script, environ={"PATH": f"{tmp_path}:{os.environ['PATH']}"}) == "own\n"


@pytest.mark.parametrize("line", ["#!/no/such", "#!python3", "#!/bin/sh\r", "#!/usr/bin/env no-such-thing"])
async def test_a_script_that_nobody_can_read_is_refused_and_leaves_nothing(
    runs: Bench, tmp_path: Path, line: str
) -> None:
    with pytest.raises(pdt.UnlaunchableError, match="script's"):
        await runs.start(f"{line}\nexit 0\n")
    assert list((tmp_path / "processes" / "attempts").iterdir()) == []


async def test_an_interpreter_that_is_none_says_so(runs: Bench, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "text").chmod(0o755)
    said = await runs.output(f"#!{tmp_path}/text\n")
    assert "text" in said
    assert {exit.return_code for exit in runs.exits.values()} <= {2, 126, 127}


async def test_streams_that_cannot_be_opened_are_named(runs: Bench, tmp_path: Path) -> None:
    none = os.fspath(tmp_path / "none" / "file")
    with pytest.raises(pdt.UnlaunchableError, match=r"standard input .*none/file.* cannot be read: No such file"):
        await runs.start("true", stdin=none)
    for options in ({"stdout": none}, {"stderr": none}, {"stdout": os.fspath(tmp_path)}):
        with pytest.raises(pdt.UnlaunchableError, match="cannot be written"):
            await runs.start("true", **options)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(pdt.UnlaunchableError, match="is a pipe\nfix: give it a file"):
        await runs.start("true", stdin=os.fspath(tmp_path / "pipe"))


def test_streams_that_may_not_be_opened_are_named(tmp_path: Path, as_ordinary_user: AsOrdinaryUser) -> None:
    import asyncio

    (tmp_path / "secret").touch(mode=0)

    async def refused() -> str:
        async with bench(tmp_path) as runs:
            with pytest.raises(pdt.UnlaunchableError) as caught:
                await runs.start("true", stdin=os.fspath(tmp_path / "secret"))
            return str(caught.value)

    assert "cannot be read: Permission denied" in as_ordinary_user(lambda: asyncio.run(refused()))


async def test_streams_apart_and_together(runs: Bench, tmp_path: Path) -> None:
    out, err = os.fspath(tmp_path / "out"), os.fspath(tmp_path / "err")
    script = "echo 1; echo 2 >&2; echo 3"
    await runs.run(script, stdout=out, stderr=err)
    assert (Path(out).read_text(), Path(err).read_text()) == ("1\n3\n", "2\n")
    await runs.run(script, stdout=out, stderr=STDOUT)
    assert Path(out).read_text() == "1\n2\n3\n"
    await runs.run(script, stdout=out, stderr=out)
    assert Path(out).read_text() == "1\n2\n3\n"
    assert (await runs.run(script)).return_code == 0
    assert await runs.output("wc -c") == "0\n"


async def test_it_has_a_session_of_its_own_and_signals_as_ever(runs: Bench) -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        said = await runs.output("ps -o sid= -p $$; echo $$; grep -E 'SigBlk|SigIgn' /proc/self/status")
    finally:
        signal.signal(signal.SIGUSR1, before)
    session, own, _, blocked, _, ignored = said.split()
    assert session == own
    assert int(ignored, 16) & 0x7FFFFFFF == 0
    assert int(blocked, 16) == 0


async def test_the_working_directory_is_the_given_one_or_the_runners(runs: Bench, tmp_path: Path) -> None:
    strange = tmp_path / "-a b'\"$(x)\n"
    strange.mkdir()
    assert await runs.output("pwd -P", cwd=os.fspath(strange)) == f"{strange}\n"
    assert await runs.output("pwd -P") == f"{tmp_path}/processes\n"
    assert await runs.output("#!/bin/bash\npwd -P", cwd=os.fspath(strange)) == f"{strange}\n"
    strange.rmdir()
    with pytest.raises(pdt.UnlaunchableError, match=r"working directory .* does not exist\nfix: make it"):
        await runs.start("pwd", cwd=os.fspath(strange))
