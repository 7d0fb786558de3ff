"""A mistyped input directory is said: it would be an empty one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import pdt


async def nothing(job: str) -> None:
    return None


async def test_an_input_directory_that_does_not_exist_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def task(name: str, source: str, target: str) -> pdt.InProcessSyncTask:
        made = pdt.InProcessSyncTask(name, pdt.InProcessMetadataRepository(), func=nothing)
        made.link("source", pdt.FileRepository(tmp_path / source), is_input=True)
        made.link("target", pdt.FileRepository(tmp_path / target), is_output=True)
        return made

    pipeline = pdt.Pipeline([task("first", "tetxs", "middle"), task("second", "middle", "end")], store=tmp_path)
    with caplog.at_level(logging.WARNING, "pdt.pipeline"):
        for _ in range(2):
            async with pipeline:
                await pipeline.update()
                await pipeline.update()
    assert [record.getMessage() for record in caplog.records] == [
        f"first.source: directory {tmp_path / 'tetxs'} did not exist; it is made, empty"
    ]
