"""What is lost on the way is not a job's fault: it is neither recorded nor forgotten."""

from __future__ import annotations

import errno
import importlib
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

import pdt
from pdt import localfs

BODY = """
import os

async def body(job, source, out):
    if job == "j13":
        os._exit(1)
    await out.dump(job, {"job": job})
"""


@pytest.fixture
def body_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a module whose body kills its worker for one job."""
    name = f"pdt_test_body_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(BODY)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return name


async def test_a_worker_that_dies_fails_no_job(tmp_path: Path, body_module: str) -> None:
    source = pdt.FileRepository(tmp_path / "in")
    for number in range(20):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"j{number}").write_text("")
    done = pdt.SqliteMetadataRepository(tmp_path / "r.sqlite", "done")
    out = pdt.SqliteMetadataRepository(tmp_path / "r.sqlite", "out")
    module = importlib.import_module(body_module)
    with ProcessPoolExecutor(1) as executor:
        task = pdt.ExecutorTask("task", executor, done, func=module.body)
        task.link("source", source, is_input=True)
        task.link("out", out, is_output=True)
        async with pdt.Pipeline([task], store=tmp_path / "store") as pipeline:
            from pdt.engine.backoff import Backoff

            runner = pipeline.runner
            runner.launcher.failures = Backoff(0.01, 0.02, 2)
            report = await pipeline.run()
    assert not report.failed
    assert report.exit_code == 1
    assert "j13" not in await done.keys()
    assert await done.keys() == await out.keys()
    [problem] = [text for text in report.problems if "could not be launched" in text]
    assert "BrokenProcessPool" in problem
    sys.modules.pop(body_module)


async def test_what_cannot_be_made_durable_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> None:
        raise OSError(errno.EIO, "Input/output error", path)

    source = pdt.InProcessMetadataRepository({"a": 1})
    done = pdt.SqliteMetadataRepository(tmp_path / "r.sqlite", "done")
    task = pdt.InProcessSyncTask("task", done)

    @task
    async def body(job: str, out: pdt.FileRepository) -> None:
        async with out.open(job, "w") as stream:
            await stream.write("text")

    task.link("source", source, is_input=True)
    task.link("out", pdt.FileRepository(tmp_path / "out"), is_output=True)
    pipeline = pdt.Pipeline([task], store=tmp_path / "store")
    with monkeypatch.context() as patch:
        patch.setattr(localfs, "sync_filesystem", fail)
        patch.setattr(localfs, "sync_path", fail)
        async with pipeline:
            report = await pipeline.run()
            assert await done.keys() == set()
    assert report.exit_code == 5
    assert any("could not be made durable" in problem for problem in report.problems)
    async with pipeline:
        report = await pipeline.run()
        assert report.exit_code == 0
        assert await done.keys() == {"a"}


async def test_a_record_that_no_store_takes_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Picky(pdt.InProcessMetadataRepository):
        async def dump(self, job: str, data: object) -> None:
            if job == "bad":
                raise ConnectionError("no")
            await super().dump(job, data)

        async def dump_all(self, records: object) -> None:
            raise ConnectionError("not together")

    monkeypatch.setattr("pdt.engine.commit.FIRST_DELAY", 0.001)
    source = pdt.InProcessMetadataRepository(dict.fromkeys(["bad", "good", "fine"], 1))
    done = Picky()

    async def body(job: str, source: pdt.MetadataRepository) -> None:
        await source.info(job)

    task = pdt.InProcessSyncTask("task", done, func=body)
    task.link("source", source, is_input=True)
    async with pdt.Pipeline([task], store=tmp_path) as pipeline:
        report = await pipeline.run()
    assert done.data.keys() == {"good", "fine"}
    assert report.exit_code == 5
