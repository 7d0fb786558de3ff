"""Commands that plugins add, from an installed distribution."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.cli.support import run_pdt

PLUGIN = """
from pdt.plugins import CommandSpec, hookimpl

PDT_API = 1

@hookimpl
def pdt_register_commands():
    return [
        CommandSpec("names", "extra_commands:names", "Name the tasks."),
        CommandSpec("keys", "extra_commands:keys", "List the keys of the input."),
        CommandSpec("admin", "extra_commands:admin", "Administer."),
        CommandSpec("hello", "extra_commands:hello", "Greet."),
        CommandSpec("broken", "extra_commands:nothing", "It is not there."),
    ]
"""
COMMANDS = '''
import asyncio
import typer

def names(pipeline, upper: bool = False):
    """Name the tasks, one a line."""
    for name in pipeline.tasks:
        print(name.upper() if upper else name)

async def keys(pipeline, link: str = "input"):
    await asyncio.sleep(0)
    found = await pipeline.tasks["count"].links[link].repo.keys()
    print(*sorted(found))
    return 1 if not found else 0

async def hello(name: str):
    await asyncio.sleep(0)
    print("hello", name)

admin = typer.Typer()

@admin.command("show")
def show(context: typer.Context):
    print(context.obj.pipeline.name)

@admin.command("reset")
def reset():
    raise typer.Abort()
'''


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment in which a distribution with these commands is installed."""
    site = tmp_path_factory.mktemp("site")
    info = site / "pdt_extra-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pdt-extra\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pdt]\nextra = extra_plugin\n")
    (site / "extra_plugin.py").write_text(PLUGIN)
    (site / "extra_commands.py").write_text(COMMANDS)
    return {"PYTHONPATH": str(site)}


@pytest.mark.parametrize(
    ("line", "status", "stdout"),
    [
        ("names", 0, "count\nmake-report\n"),
        ("names --upper", 0, "COUNT\nMAKE-REPORT\n"),
        ("keys", 0, "a b d\n"),
        ("keys --link counts", 1, "\n"),
        ("-f pipeline.py:pipeline keys", 0, "a b d\n"),
        ("hello you", 0, "hello you\n"),
        ("admin show", 0, "pipeline\n"),
        ("admin reset", 1, ""),
    ],
)
def test_they_run_like_pdts_own(project: Path, site: dict[str, str], line: str, status: int, stdout: str) -> None:
    result = run_pdt(*line.split(), cwd=project, env=site)
    assert (result.returncode, result.stdout, result.stderr) == (status, stdout, "")


def test_they_are_in_the_help(project: Path, site: dict[str, str]) -> None:
    lines = [line.split(None, 1) for line in run_pdt("--help", cwd=project, env=site).stdout.splitlines()]
    assert ["names", "Name the tasks."] in lines
    text = run_pdt("names", "--help", cwd=project, env=site).stdout
    assert "--upper" in text
    assert "Name the tasks, one a line." in text
    assert "Administer." in run_pdt("admin", "--help", cwd=project, env=site).stdout
    assert run_pdt("nmaes", cwd=project, env=site).stderr.endswith("fix: did you mean names?\n")


def test_one_that_cannot_be_imported_is_explained(project: Path, site: dict[str, str]) -> None:
    result = run_pdt("broken", cwd=project, env=site)
    assert result.returncode == 2
    assert result.stderr.startswith("error: command 'broken' is not where its plugin says, extra_commands:nothing: ")


def test_pdts_own_commands_go_on(project: Path, site: dict[str, str]) -> None:
    assert run_pdt("status", cwd=project, env=site).returncode == 0
    assert "pdt-extra" in run_pdt("plugins", "-o", "name", cwd=project, env=site).stdout
