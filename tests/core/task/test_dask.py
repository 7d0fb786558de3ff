"""ExecutorTask on a dask cluster, through the executor that its client offers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from types import ModuleType

import pytest

import pdt
from tests.core.engine.samples import jobs_of, memory, run
from tests.core.task.bodies import make_module

distributed = pytest.importorskip("distributed", reason="the extra pdt-core[dask] is not installed")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.blocking(reason="dask's client and cluster talk to each other on loops of their own"),
]


@pytest.fixture
def bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return the module of bodies, which workers can import."""
    yield from make_module(tmp_path, monkeypatch)


@pytest.fixture(params=[True, False], ids=["processes", "threads"])
def executor(request: pytest.FixtureRequest, bodies: ModuleType, tmp_path: Path) -> Iterator[Executor]:
    """Return the executor of a small cluster on this machine."""
    cluster = distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=request.param,
        dashboard_address=":0",
        local_directory=str(tmp_path / "dask"),
        silence_logs=50,
    )
    with cluster, distributed.Client(cluster) as client:
        yield client.get_executor()


async def test_bodies_run_on_the_cluster(executor: Executor, bodies: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for job in jobs_of(20):
        (tmp_path / "in" / f"{job}.txt").write_text(f"text of {job}")
    done = pdt.SqliteMetadataRepository(tmp_path / "records.sqlite", "task")
    task = pdt.ExecutorTask("task", executor, done, func=bodies.write)
    task.link("source", pdt.FileRepository(tmp_path / "in", ".txt"), is_input=True)
    task.link("out", pdt.FileRepository(tmp_path / "out", ".txt"), is_output=True)
    report = await run(task, store=tmp_path / "store")
    assert report.succeeded == Counter(task=20)
    assert (tmp_path / "out" / "j00007.txt").read_text().startswith("text of j00007 ")
    assert all(record["success"] for record in (await done.info_all()).values())


async def test_failures_on_the_cluster_are_recorded(executor: Executor, bodies: ModuleType) -> None:
    done = memory()
    task = pdt.ExecutorTask("task", executor, done, func=bodies.fails)
    task.link("input", memory("value", "unpicklable", "good"), is_input=True)
    report = await run(task)
    assert report.failed == Counter(task=2)
    assert "".join(done.data["value"]["traceback"]).startswith("Traceback")
    assert done.data["unpicklable"]["exception"] == "Unpicklable('unpicklable')"
    assert done.data["good"]["success"]


async def test_a_waiting_job_of_the_cluster_can_be_cancelled(executor: Executor, bodies: ModuleType) -> None:
    done = memory()
    task = pdt.ExecutorTask("task", executor, done, func=bodies.nothing)
    await task.validate()
    await task.launch("a")
    await task.cancel("a")
    await task.cancel("unknown")
    await task.update()
    assert os.getpid()
