"""An event loop that ends while a run is under way, wherever that is: everything is cancelled at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, faulthandler, sys
from pathlib import Path
import pdt

faulthandler.dump_traceback_later(50, exit=True)
place, kind = Path(sys.argv[1]), sys.argv[2]

async def main(turns):
    home = place / str(turns)
    (home / "in").mkdir(parents=True)
    for job in "abc":
        (home / "in" / job).write_text(job)
    done = pdt.SqliteMetadataRepository(home / ".pdt" / "records.sqlite", "done")
    if kind == "process":
        manager = pdt.LocalLinuxManager("tested", home / "processes")
        quota = pdt.ResourceManager(pdt.Resources.parse(cpu=2, mem="1G"))
        pids = pdt.SqliteMetadataRepository(home / ".pdt" / "records.sqlite", "pids")
        needed = pdt.Resources.parse(cpu=1, mem=1)
        task = pdt.ProcessTask("task", lambda: manager, quota, needed, pids, "echo {{job}}", done=done)
    else:
        async def body(job):
            await asyncio.sleep(0)
        task = pdt.InProcessSyncTask("task", done, func=body)
    task.link("source", pdt.FileRepository(home / "in"), is_input=True)
    pipeline = pdt.Pipeline([task], name="p", store=home / ".pdt")
    await pipeline.open()
    running = asyncio.create_task(pipeline.run(shared=kind == "shared"))
    for _ in range(turns):
        if running.done():
            break
        await asyncio.sleep(0)
    else:
        if turns % 2:
            await pipeline.close()
        return False  # now the run is cancelled, at once with all that it has begun
    await pipeline.close()
    return True

for turns in range(0, 400):
    if asyncio.run(main(turns)):
        break
print("ended")
"""


@pytest.mark.parametrize("kind", ["function", "shared", "process"])
def test_nothing_keeps_an_event_loop_from_ending(tmp_path: Path, kind: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path, kind], cwd=tmp_path, capture_output=True, text=True, timeout=55
    )
    assert ran.stdout.endswith("ended\n"), ran.stderr[-3000:]
    assert ran.returncode == 0
