"""`pdt ls`: jobs of links and of set expressions."""

from __future__ import annotations

import json
from collections.abc import Set

import pytest

from pdt import InProcessMetadataRepository, InProcessSyncTask, Pipeline, list_data
from tests.core.cli.support import call


class Broken(InProcessMetadataRepository):
    async def keys(self) -> Set[str]:
        raise ConnectionError("no route to host")


@pytest.fixture
def memory() -> Pipeline:
    """Return a pipeline of repositories in memory: my-task.x has 1 2 3, my-task.y has 2 3 4, t.z has 3."""
    first = InProcessSyncTask("my-task", InProcessMetadataRepository(), func=lambda job: None)
    first.link("x", InProcessMetadataRepository(dict.fromkeys("123")), is_input=True)
    first.link("y", InProcessMetadataRepository(dict.fromkeys("234")), is_output=True)
    second = InProcessSyncTask("t", InProcessMetadataRepository(), func=lambda job: None)
    second.link("z", InProcessMetadataRepository({"3": 1}), is_input=True)
    second.link("broken", Broken(), is_output=True)
    return Pipeline([first, second], name="p")


@pytest.mark.parametrize(
    ("words", "jobs"),
    [
        (["my-task.x"], "1 2 3"),
        (["my-task.x", "-", "my-task.y"], "1"),
        (["my-task.x & my-task.y"], "2 3"),
        (["my-task.x", "|", "my-task.y"], "1 2 3 4"),
        (["my-task.x", "^", "my-task.y"], "1 4"),
        (["(my-task.x | my-task.y) - t.z"], "1 2 4"),
        (["my_task.x-my_task.y"], "1"),
    ],
)
def test_set_expressions(memory: Pipeline, capsys: pytest.CaptureFixture[str], words: list[str], jobs: str) -> None:
    assert call(memory, "ls", *words) == 0
    assert capsys.readouterr().out == "".join(f"{job}\n" for job in jobs.split())


async def test_list_data(memory: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    async with memory:
        await list_data(memory, ["my-task.x", "-", "t.z"])
    assert capsys.readouterr().out == "1\n2\n"


def test_formats(memory: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    for form, text in {
        "json": json.dumps(["1", "2", "3"], indent=2) + "\n",
        "jsonl": '"1"\n"2"\n"3"\n',
        "yaml": "- '1'\n- '2'\n- '3'\n",
        "name": "1\n2\n3\n",
        "table": "JOB\n1\n2\n3\n",
    }.items():
        assert call(memory, "ls", "my-task.x", "-o", form) == 0
        assert capsys.readouterr().out == text


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["my-task.x", "t.z"], 2, "column 11: an operator is missing"),
        (["my-tsak.x"], 3, "there is no task 'my-tsak'"),
        (["my-task.q"], 3, "task 'my-task' has no link 'q'"),
        (["my-task"], 2, "column 1: 'my-task' names no link"),
        (["t.z | t.broken"], 5, "Broken(0 jobs) could not be listed: ConnectionError: no route to host"),
    ],
)
def test_mistakes_and_failures(
    memory: Pipeline, capsys: pytest.CaptureFixture[str], words: list[str], status: int, message: str
) -> None:
    assert call(memory, "ls", *words) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {message}")
