"""Killed and started again: what is done is complete, and what is not is done once more at most."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import pdt
from pdt.engine.commit import BATCH, MOST_PENDING
from tests.core.engine.samples import jobs_of

JOBS = 5000
#: Writes a file per job and appends the job to a log; records go to one database, or to a file each.
SCRIPT = """
import asyncio, os, sys
import pdt

folder, kind, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
log = os.open(os.path.join(folder, "log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
done = (
    pdt.SqliteMetadataRepository(os.path.join(folder, "records.sqlite"), "task")
    if kind == "sqlite" else pdt.YamlMetadataFileRepository(os.path.join(folder, "done"))
)


@pdt.InProcessSyncTask("task", done)
async def task(job, out):
    os.write(log, (job + "\\n").encode())
    async with out.open(job, "w") as file:
        await file.write(job * 100)


task.link("input", pdt.InProcessMetadataRepository({f"j{n:05}": {} for n in range(count)}), is_input=True)
task.link("out", pdt.FileRepository(os.path.join(folder, "out")), is_output=True)


async def main():
    async with pdt.Pipeline([task], pdt.Session(), name="killed", store=os.path.join(folder, "store")) as pipeline:
        report = await pipeline.run()
        sys.exit(report.exit_code)


asyncio.run(main())
"""


def lines(folder: Path) -> list[str]:
    log = folder / "log"
    return log.read_text().split() if log.exists() else []


@pytest.mark.parametrize("kind", ["sqlite", "yaml"])
async def test_a_killed_run_goes_on_where_it_was(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), kind, str(JOBS)]
    at = [JOBS // 3, JOBS // 2]
    for number, executions in enumerate(at):
        process = await asyncio.create_subprocess_exec(*command)
        async with asyncio.timeout(30):
            while len(lines(tmp_path)) < executions:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
        done = await records(tmp_path, kind).keys()
        assert 0 < len(done) < JOBS
        for job in done:  # done is written last
            assert (tmp_path / "out" / job).read_text() == job * 100
        extra = len(lines(tmp_path)) - len(set(lines(tmp_path)))
        assert extra <= number * (MOST_PENDING + 2 * BATCH)
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0
    executions_of = Counter(lines(tmp_path))
    assert set(executions_of) == set(jobs_of(JOBS))
    assert max(executions_of.values()) <= 1 + len(at)
    assert executions_of.total() - JOBS <= len(at) * (MOST_PENDING + 2 * BATCH)
    assert await records(tmp_path, kind).keys() == set(jobs_of(JOBS))
    written = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert written == {job: job * 100 for job in jobs_of(JOBS)}


def records(folder: Path, kind: str) -> pdt.MetadataRepository:
    if kind == "sqlite":
        return pdt.SqliteMetadataRepository(folder / "records.sqlite", "task")
    return pdt.YamlMetadataFileRepository(folder / "done")


def can_trace() -> bool:
    """Return whether strace is here and may look at a process."""
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-f", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_trace(), reason="strace is not here, or not allowed")
@pytest.mark.parametrize("kind", ["sqlite", "yaml"])
def test_the_kernel_sees_outputs_synced_before_their_records_are_written(kind: str, tmp_path: Path) -> None:
    """Of each job: its output gets its name, then a sync ends, then the first write of its record begins."""
    trace = tmp_path / "trace"
    calls = "link,linkat,rename,renameat,renameat2,syncfs,fsync,fdatasync,pwrite64,write"
    subprocess.run(
        ["strace", "-f", "-tt", "-s", "100000", "-y", "-o", trace, "-e", f"trace={calls}",
         sys.executable, "-c", SCRIPT, str(tmp_path), kind, "300"],
        check=True,
        timeout=50,
    )  # fmt: skip
    named: dict[str, int] = {}
    recorded: dict[str, int] = {}
    begun: dict[str, int] = {}
    synced: list[tuple[int, int]] = []
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        process, _, call = line.split(maxsplit=2)
        if f'"{tmp_path}/out/' in call and re.match(r"(link|rename)", call):
            named.setdefault(call.rpartition("/out/")[2].partition('"')[0], number)
        elif re.match(r"(syncfs|fsync|fdatasync)\(", call) and "unfinished" in call:
            begun[process] = number
        elif re.match(r"(syncfs|fsync|fdatasync)\(", call):
            synced.append((number, number))
        elif re.match(r"<\.\.\. (syncfs|fsync|fdatasync) resumed", call):
            synced.append((begun.pop(process), number))
        elif kind == "sqlite" and re.match(r"pwrite64\(\d+<[^>]*records.sqlite-wal>", call):
            for job in re.findall(r"j\d{5}", call):
                recorded.setdefault(job, number)
        elif kind == "yaml" and f'"{tmp_path}/done/' in call and re.match(r"(link|rename)", call):
            recorded.setdefault(call.rpartition("/done/")[2].partition(".yaml")[0], number)
    assert set(named) == set(recorded) == set(jobs_of(300))
    for job in named:
        assert any(named[job] < start and end < recorded[job] for start, end in synced), job


def test_what_only_has_to_survive_the_process_is_not_synced(tmp_path: Path) -> None:
    script = SCRIPT.replace('name="killed",', 'name="killed", durability="process",')
    assert script != SCRIPT
    if not can_trace():
        subprocess.run([sys.executable, "-c", script, str(tmp_path), "yaml", "100"], check=True, timeout=50)
        return
    trace = tmp_path / "trace"
    subprocess.run(
        ["strace", "-f", "-o", trace, "-e", "trace=syncfs,sync,fsync,fdatasync",
         sys.executable, "-c", script, str(tmp_path), "yaml", "100"],
        check=True,
        timeout=50,
    )  # fmt: skip
    assert "sync(" not in trace.read_text()
    assert len(list((tmp_path / "done").iterdir())) == 100


async def test_a_controller_that_is_killed_frees_its_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), "sqlite", str(10**5)]
    for executions in (100, 200):
        process = await asyncio.create_subprocess_exec(*command)
        deadline = time.monotonic() + 30
        while len(lines(tmp_path)) < executions:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        process.kill()
        await process.wait()
    assert os.path.exists(tmp_path / "store" / "killed.lock")
