"""The first command of the README, in a fresh copy of this repository, where there is only Python and pip."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tests.docs.snippets import blocks_of

ROOT = Path(__file__).parents[2]
# What is not in a fresh clone.
LEFT_BEHIND = shutil.ignore_patterns(".*", "__pycache__", "dist", "htmlcov", "report", "*.egg-info")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a copy of this repository without anything that was made in it."""
    return Path(shutil.copytree(ROOT, tmp_path / "clone", ignore=LEFT_BEHIND))


@pytest.fixture
def python_and_pip(tmp_path: Path) -> Path:
    """Return a folder whose `bin/python3` has pip, and nothing of what this test was started with."""
    folder = tmp_path / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder


def test_readme_opens_with_two_commands() -> None:
    example, tests = blocks_of(ROOT / "README.md")[:2]
    assert (example.language, tests.language) == ("sh", "sh")
    assert "pipeline.py run" in example.text
    assert "bin/nox" in tests.text
    before = (ROOT / "README.md").read_text(encoding="utf-8").split("```sh")[0]
    assert len(before.splitlines()) < 10


@pytest.mark.timeout(300)
def test_first_command(clone: Path, python_and_pip: Path) -> None:
    installed = {entry.name for entry in python_and_pip.glob("lib/python*/site-packages/*")}
    command = blocks_of(ROOT / "README.md")[0].text
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HOME"))}
    shown = io.StringIO()
    child = pexpect.spawn(
        "bash",
        ["--noprofile", "--norc", "-euo", "pipefail", "-c", command],
        cwd=str(clone),
        env={**kept, "PATH": f"{python_and_pip / 'bin'}:/usr/bin:/bin", "TERM": "xterm", "LANG": "C.UTF-8"},
        dimensions=(30, 120),
        encoding="utf-8",
        timeout=280,
        logfile=shown,
    )
    child.expect(pexpect.EOF)
    child.close()
    printed = shown.getvalue()
    assert child.exitstatus == 0, printed
    assert re.search(r"count .*\d+/\d+", printed), "there is no progress bar"
    pages = list((clone / "examples" / "modules" / "report").glob("*.md"))
    assert len(pages) > 20
    assert f"{len(pages)} reports are in {clone / 'examples' / 'modules' / 'report'}" in printed
    nexts = printed.replace("\r", "").split("Next, try:\n")[1].splitlines()
    assert len(nexts) == 3
    assert all(line.startswith("  .venv/bin/python examples/modules/pipeline.py ") for line in nexts)
    # A Python that the system manages must be left alone.
    assert {entry.name for entry in python_and_pip.glob("lib/python*/site-packages/*")} == installed
