"""A directory that may not be read is a failure, also where a first look needs no event loop."""

from __future__ import annotations

from pathlib import Path

import pytest

import pdt
from pdt.cli.commands.run import run
from tests.support.ordinary_user import AsOrdinaryUser


async def nothing(job: str, source: pdt.FileRepository) -> None:
    return None


def test_a_run_over_an_unreadable_directory_fails(
    tmp_path: Path, as_ordinary_user: AsOrdinaryUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pdt.engine.look.FIRST_DELAY", 0.01)
    (tmp_path / "in").mkdir()
    task = pdt.InProcessSyncTask("task", pdt.SqliteMetadataRepository(tmp_path / "r.sqlite", "done"), func=nothing)
    # A directory that is written to, too, is not looked into when the pipeline is opened.
    task.link("source", pdt.FileRepository(tmp_path / "in"), is_input=True, is_output=True)
    pipeline = pdt.Pipeline([task], store=tmp_path / "store")
    (tmp_path / "in").chmod(0o300)
    try:
        assert as_ordinary_user(lambda: run(pipeline, progress=False)) == 5
    finally:
        (tmp_path / "in").chmod(0o700)
    assert run(pipeline, progress=False) == 0
