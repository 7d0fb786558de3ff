"""First lines of scripts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pdt.errors import UnlaunchableError
from pdt.proc_manager.shebang import check_interpreter, interpreter_of


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("", []),
        ("echo\n", []),
        ("\n#!/bin/bash\n", []),
        (" #!/bin/bash\n", []),
        ("#!\n", []),
        ("#!  \necho", []),
        ("#!/bin/sh", ["/bin/sh"]),
        ("#! /bin/sh -e \n", ["/bin/sh", "-e"]),
        ("#!/bin/sh\t-e -u\n", ["/bin/sh", "-e -u"]),
        ("#!/usr/bin/env -S python3 -u\nprint()", ["/usr/bin/env", "-S python3 -u"]),
    ],
)
def test_the_line_is_read_as_the_kernel_reads_it(script: str, words: list[str]) -> None:
    assert interpreter_of(script) == words


def test_a_line_of_windows_is_said_to_be_one() -> None:
    with pytest.raises(UnlaunchableError, match=r"carriage return.*\nfix: save the script with Unix line ends"):
        interpreter_of("#!/bin/sh\r\necho\r\n")
    assert interpreter_of("#!/bin/sh\necho\r\n") == ["/bin/sh"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/no/such/shell", "'/no/such/shell' does not exist\nfix: mend the first line"),
        ("/", "'/' cannot be executed"),
        ("python3", "'python3' is not an absolute path\nfix: begin the script with #!/usr/bin/env python3"),
        ("./sh", "'./sh' is not an absolute path"),
        ("/usr/bin/env no-such-shell", "'no-such-shell' is not installed\nfix: install no-such-shell"),
        ("/usr/bin/env -S no-such-shell -u", "'no-such-shell' is not installed"),
        ("/usr/bin/env -SA=1 no-such-shell", "'no-such-shell' is not installed"),
        ("/usr/bin/env sh -e", "'sh -e' is not installed\nfix: begin the script with #!/usr/bin/env -S sh -e"),
    ],
)
def test_an_interpreter_that_cannot_be_used_is_told_with_a_fix(line: str, message: str) -> None:
    with pytest.raises(UnlaunchableError) as caught:
        check_interpreter(interpreter_of(f"#!{line}\n"), os.environ["PATH"])
    assert message in str(caught.value)


def test_one_that_may_not_be_executed(tmp_path: Path) -> None:
    (tmp_path / "shell").write_text("")
    (tmp_path / "shell").chmod(0o644)
    with pytest.raises(UnlaunchableError, match="shell' cannot be executed"):
        check_interpreter([os.fspath(tmp_path / "shell")], None)


@pytest.mark.parametrize(
    "line", ["/usr/bin/env sh", "/usr/bin/env -S sh -e", "/usr/bin/env -i sh", "/usr/bin/env A=1", "/bin/sh -x"]
)
def test_one_that_is_there_is_accepted(line: str) -> None:
    check_interpreter(line.split(None, 1), os.environ["PATH"])


def test_env_looks_where_the_script_will(tmp_path: Path) -> None:
    (tmp_path / "own-python").symlink_to(sys.executable)
    with pytest.raises(UnlaunchableError):
        check_interpreter(["/usr/bin/env", "own-python"], os.environ["PATH"])
    check_interpreter(["/usr/bin/env", "own-python"], os.fspath(tmp_path))
