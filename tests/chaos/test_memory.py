"""What a controller needs in memory does not depend on what its jobs write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.chaos.cases import IS_FULL

MEGABYTE = 1 << 20
SIZE = 4096 * MEGABYTE
#: What writes so much: all of it, or only a hole at the end of it, which the disks of other tests do not wait for.
WRITE = f"head -c {SIZE} /dev/zero" if IS_FULL else f"truncate -s {SIZE} /dev/stdout"
SCRIPT = """
import sys
from pathlib import Path
import pdt

class Hole(pdt.InProcessBlobRepository):
    shared = True

    def open(self, job, mode="r"):
        return Sink(self, job)

class Sink:
    def __init__(self, hole, job):
        self.hole, self.job, self.size = hole, job, 0

    async def write(self, data):
        self.size += len(data)
        return len(data)

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, trace):
        print(self.size)
        self.hole.data[self.job] = b""

where, script = Path(sys.argv.pop(1)), sys.argv.pop(1)
(where / "in").mkdir(parents=True)
(where / "in" / "job").touch()
records = where / ".pdt" / "records.sqlite"
task = pdt.ProcessTask(
    "task", pdt.LocalLinuxManager("memory", where / "processes"), pdt.ResourceManager(pdt.Resources.parse(1, 1)),
    pdt.Resources.parse(1, 0), pdt.SqliteMetadataRepository(records, "pids"), script,
    done=pdt.SqliteMetadataRepository(records, "done"), stdout=Hole(),
)
task.link("input", pdt.FileRepository(where / "in"), is_input=True)
pdt.main(pdt.Pipeline([task], store=where / ".pdt"))
"""


def peak(where: Path, job: str, size: int) -> int:
    """Return the bytes that a controller had in memory at most, of a job that writes so much to its standard output."""
    where.mkdir()
    script = where / "pipeline.py"
    script.write_text(SCRIPT)
    arguments = [sys.executable, str(script), str(where / "data"), job, "run", "-q"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    written = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    assert (process.returncode, written) == (0, f"{size}\n")
    return usage.ru_maxrss * 1024


def test_f22_four_gigabytes_of_output_take_no_memory(tmp_path: Path) -> None:
    little = peak(tmp_path / "little", "echo", 1)
    assert peak(tmp_path / "much", WRITE, SIZE) - little < 64 * MEGABYTE
