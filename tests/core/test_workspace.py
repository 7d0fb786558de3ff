"""The workspace itself: what is said in two places is said alike, and what people paste works."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import pdt

ROOT = Path(__file__).parents[2]
CORE = ROOT / "packages" / "pdt-core"


@pytest.fixture(scope="module")
def commands() -> list[str]:
    """Return the shell blocks of the README, in order."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```sh\n(.*?)^```$", readme, flags=re.DOTALL | re.MULTILINE)


def test_version_is_that_of_the_distribution() -> None:
    project = tomllib.loads((CORE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert pdt.__version__ == project["version"] == importlib.metadata.version("pdt-core")


def test_types_are_shipped() -> None:
    assert importlib.resources.files("pdt").joinpath("py.typed").is_file()


def test_license_of_the_package_is_that_of_the_repository() -> None:
    assert (CORE / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_readme_opens_with_the_example_and_the_tests(commands: list[str]) -> None:
    example, tests = commands[:2]
    assert "examples/modules" in example
    assert "nox" in tests


def test_readme_commands_are_shell(commands: list[str]) -> None:
    for command in commands:
        checked = subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True)
        assert checked.returncode == 0, f"{command}\n{checked.stderr}"


def test_ci_runs_the_test_command_of_the_readme(commands: list[str]) -> None:
    printed = subprocess.run(
        [ROOT / ".ci" / "run", "--print"],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert printed.stdout == commands[1]
