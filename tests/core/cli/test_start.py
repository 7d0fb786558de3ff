"""What each command line loads: start-up is paid by every call."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import pdt
from tests.core.cli.support import call, make_pipeline, run_pdt, write_processes, write_project

HEAVY = (
    "asyncio",
    "typer",
    "pydantic",
    "rich",
    "networkx",
    "jinja2",
    "yaml",
    "pluggy",
    "importlib.metadata",
    "difflib",
    "socket",
    "hashlib",
)
PROBE = """
import sys
from pdt.cli import entry
sys.argv = ["pdt", *{words!r}]
try:
    status = entry()
finally:
    print("loaded:", *sorted(set(sys.modules) & set({heavy!r})), file=sys.stderr)
sys.exit(status)
"""


def loaded(words: list[str], cwd: Path, heavy: tuple[str, ...] = HEAVY) -> tuple[int, set[str]]:
    """Run pdt and return its exit status, and which heavy modules it loaded."""
    probe = PROBE.format(words=words, heavy=heavy)
    result = run_pdt(cwd=cwd, command=[sys.executable, "-c", probe])
    line = result.stderr.rstrip().rpartition("\n")[2]
    assert line.startswith("loaded:"), result.stderr
    return result.returncode, set(line.split()[1:])


def test_version_loads_next_to_nothing(tmp_path: Path) -> None:
    status, found = loaded(["--version"], tmp_path, (*HEAVY, "re", "typing", "logging", "pdt.errors"))
    assert (status, found) == (0, set())


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    assert loaded(["--help"], tmp_path, (*HEAVY, "pdt.pipeline")) == (0, set())


@pytest.mark.parametrize(
    "line",
    [
        "status",
        "trace a",
        "ls count.input - count.done",
        "cat count.input a",
        "plan",
        "rm count.done --all",
        "inject count.input x --value hello",
    ],
)
def test_commands_on_local_files_need_no_event_loop(project: Path, line: str) -> None:
    assert loaded(line.split(), project) == (0, set())


def test_a_run_with_nothing_to_do_needs_no_event_loop(tmp_path: Path) -> None:
    write_project(tmp_path, {})
    assert loaded(["run"], tmp_path) == (0, set())


@pytest.mark.parametrize("line", ["status", "inject work.script x --value true", "rm work.done --all"])
def test_templates_are_read_by_what_starts_jobs_only(line: str, tmp_path: Path) -> None:
    script = write_processes(tmp_path, {})
    assert loaded(line.split(), tmp_path, ("jinja2",)) == (0, set())
    script.write_text(script.read_text().replace("{{ script }}", "{{ scirpt }}"))
    assert loaded(line.split(), tmp_path)[0] == 0
    result = run_pdt("run", cwd=tmp_path)
    assert result.returncode == 2
    assert "'scirpt' is undefined" in result.stderr
    assert "fix: did you mean script?" in result.stderr


def test_help_of_one_command_is_typers(tmp_path: Path) -> None:
    status, found = loaded(["status", "--help"], tmp_path)
    assert status == 0
    assert "typer" in found


def test_version(tmp_path: Path) -> None:
    for words in (["--version"], ["--debug", "--version"]):
        result = run_pdt(*words, cwd=tmp_path)
        assert (result.returncode, result.stdout, result.stderr) == (0, f"pdt {pdt.__version__}\n", "")


def test_python_m_pdt_and_scripts_have_the_same_commands(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of_command = run_pdt("status", cwd=project).stdout
    of_script = run_pdt("status", cwd=project, command=[sys.executable, "pipeline.py"]).stdout
    assert call(make_pipeline(project), "status") == 0
    assert of_command == of_script == capsys.readouterr().out


def test_another_projects_package_is_noticed(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "pdt").symlink_to(Path(pdt.__file__).parent)
    (site / "pdt-1.3.dist-info").mkdir()
    (site / "pdt-1.3.dist-info" / "RECORD").write_text("pdt/__init__.py,,\n")
    result = run_pdt("plugins", "-o", "name", cwd=tmp_path, env={"PYTHONPATH": str(site)})
    assert "pdt-core" in result.stdout
    assert "error: another project's package (pdt-1.3)" in result.stderr
    assert "fix: pip uninstall" in result.stderr
