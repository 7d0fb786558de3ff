"""Process tasks among hostile names and values, and in front of entries that are broken or of another version."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path

import pytest

import pdt
from tests.core.task.scripts import Place

SHELL = ["-rf", "a b", "$(touch pwned)", "`touch pwned`", "x;touch pwned"]
HOSTILE = [*SHELL, "..", ".hidden", "line\nend", "x" * 64, "ä"]
VALUE = "a'b\"c $(touch pwned) `touch pwned`; touch pwned #\\\n*\t{{ job }}"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_f14_hostile_names_are_no_jobs_and_harm_none(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    inputs = place.files("in", fine="text")
    for name in HOSTILE:
        if name != "..":
            (place.path / "in" / name).write_text("text")
    out = place.files("out")
    task = place.task("cat {{ input }} > {{ out }}", cwd=place.path)
    task.link("input", inputs, is_input=True)
    task.link("out", out, is_output=True)
    with caplog.at_level(logging.WARNING):
        report = await place.run(task)
    assert (report.exit_code, report.succeeded) == (0, {"task": 1})
    assert await out.keys() == {"fine"}
    assert not (place.path / "pwned").exists()
    assert {record.__dict__["skipped_key"] for record in caplog.records if "skipped_key" in record.__dict__} >= {
        name for name in HOSTILE if not name.startswith(".")
    }


async def test_f15_hostile_values_reach_the_script_as_they_are(place: Place) -> None:
    values = pdt.InProcessMetadataRepository({"a": {"text": VALUE}})
    out = pdt.InProcessBlobRepository()
    script = "printf %s {{ values.text }}; printf %s \"{{ values.text }}\"; cat <<'END'\n{{ values.text }}\nEND\n"
    task = place.task(script, stdout=out, cwd=place.path, environ={"HOSTILE": VALUE})
    task.link("values", values, is_input=True)
    report = await place.run(task)
    assert report.exit_code == 0, report.problems
    assert out.data["a"].decode() == VALUE + VALUE + VALUE + "\n"
    assert not (place.path / "pwned").exists()


def spoil(place: Place, value: str) -> None:
    """Put something else in place of what the ledger has of one task."""
    with sqlite3.connect(place.path / "store" / "attempts.sqlite") as database:
        database.execute("INSERT OR REPLACE INTO ledger VALUES ('claim/task/a/1', ?)", [value])
    database.close()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        pytest.param("{tor", "claim/task/a/1", id="f20_torn"),
        pytest.param('{"format": 1}', "it has no token", id="f20_incomplete"),
        pytest.param(json.dumps({"format": 2}), "a newer pdt wrote it", id="f28_newer"),
    ],
)
async def test_f20_f28_an_entry_that_cannot_be_read_blocks_its_task_only(value: str, why: str, place: Place) -> None:
    await place.run(place.task("true", "x", name="first", done=place.records("first")))
    spoil(place, value)
    task = place.task("echo ran >> ran", "a", "b", cwd=place.path)
    other = place.task("true", "c", name="other", done=place.records("other"))
    async with place.pipeline(task, other) as pipeline:
        report = await pipeline.run()
    assert report.succeeded == {"other": 1}
    assert report.exit_code != 0
    assert any(why in problem for problem in report.problems), report.problems
    assert not (place.path / "ran").exists()
