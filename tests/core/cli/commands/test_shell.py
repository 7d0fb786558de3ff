"""`pdt shell` with its input from a pipe; the terminal has a test of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdt import ConfigurationError, Pipeline
from pdt.cli.commands.shell import shell
from tests.core.cli.support import run_pdt


def test_the_pipeline_is_open_and_await_works(project: Path) -> None:
    lines = [
        "print(sorted(tasks), pipeline.is_open)",
        "keys = await tasks['count'].links['input'].repo.keys()",
        "print(sorted(keys))",
        "async def twice(x):",
        "    await asyncio.sleep(0)",
        "    return 2 * x",
        "",
        "await twice(21)",
        "1 / 0",
        "await twice(None)",
        "(await pipeline.run()).succeeded['count']",
    ]
    result = run_pdt("shell", cwd=project, stdin="\n".join(lines) + "\n")
    assert result.returncode == 0
    output = result.stdout
    assert "['count', 'make-report'] True" in output
    assert "['a', 'b', 'd']" in output
    assert "42" in output
    assert output.endswith(">>> 2\n>>> "), result.stderr
    assert "ZeroDivisionError: division by zero" in result.stderr
    assert "TypeError: unsupported operand" in result.stderr


def test_it_can_be_left(project: Path) -> None:
    assert run_pdt("shell", cwd=project, stdin="exit()\n").returncode == 0


async def test_it_cannot_run_inside_an_event_loop(pipeline: Pipeline) -> None:
    with pytest.raises(ConfigurationError, match="inside a running event loop"):
        shell(pipeline)
