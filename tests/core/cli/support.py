"""What the tests of the command line share: a small real project, and two ways to run a command on it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from pdt import FileRepository, InProcessMetadataRepository, InProcessSyncTask, Pipeline, SqliteMetadataRepository
from pdt.cli.invocation import Invocation
from pdt.cli.program import run_in

__all__ = [
    "PROCESSES",
    "PROJECT",
    "TEXTS",
    "call",
    "make_pipeline",
    "pdt_command",
    "run_pdt",
    "running_pdt",
    "until",
    "write_processes",
    "write_project",
]

#: The jobs of a project, of which d fails.
TEXTS = {"a": "one two", "b": "one", "d": "boom"}
#: A pipeline of two tasks on disk: `count` fails for a text that contains "boom", `make-report` reads its output.
PROJECT = """
import os
import pdt

HERE = os.path.dirname(os.path.abspath(__file__))
RECORDS = HERE + "/.pdt/records.sqlite"
texts = pdt.FileRepository(HERE + "/in", extension=".txt")
counts = pdt.SqliteMetadataRepository(RECORDS, "counts")
reports = pdt.FileRepository(HERE + "/out", extension=".txt")

count = pdt.InProcessSyncTask("count", pdt.SqliteMetadataRepository(RECORDS, "count-done"))
count.link("input", texts, is_input=True)
count.link("counts", counts, is_output=True)

@count
async def count_words(job, input, counts):
    async with input.open(job) as stream:
        text = await stream.read()
    if "boom" in text:
        raise ValueError("boom")
    await counts.dump(job, {"words": len(text.split())})

report = pdt.InProcessSyncTask("make-report", pdt.SqliteMetadataRepository(RECORDS, "report-done"))
report.plug(count)
report.link("out", reports, is_output=True)

@report
async def make_report(job, counts, out):
    record = await counts.info(job)
    async with out.open(job, "w") as stream:
        await stream.write(f"{job} has {record['words']} words\\n")

pipeline = pdt.Pipeline([count, report])

if __name__ == "__main__":
    pdt.main(pipeline)
"""


def write_project(directory: Path, texts: Mapping[str, str], source: str = PROJECT, name: str = "pipeline.py") -> Path:
    """Write a script and its input, and return the script's path."""
    (directory / "in").mkdir(parents=True, exist_ok=True)
    for job, text in texts.items():
        (directory / "in" / f"{job}.txt").write_text(text)
    script = directory / name
    script.write_text(dedent(source))
    return script


def pdt_command(*words: str) -> list[str]:
    """Return the command that runs pdt with this interpreter."""
    return [sys.executable, "-m", "pdt", *words]


def run_pdt(
    *words: str,
    cwd: Path,
    stdin: str | bytes = "",
    env: Mapping[str, str] | None = None,
    command: Sequence[str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run pdt as a user does, in a process of its own."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PDT_FILE", "NO_COLOR")}
    given = stdin if isinstance(stdin, bytes) else stdin.encode()
    result = subprocess.run(
        [*command, *words] if command is not None else pdt_command(*words),
        cwd=cwd,
        input=given,
        capture_output=True,
        env={**environment, **(env or {})},
        timeout=50,
    )
    stdout, stderr = (text.decode(errors="surrogateescape") for text in (result.stdout, result.stderr))
    return subprocess.CompletedProcess(result.args, result.returncode, stdout, stderr)


def make_pipeline(directory: Path) -> Pipeline:
    """Return a pipeline like the project's; `make-report` keeps its records in memory."""
    texts = FileRepository(directory / "in", extension=".txt")
    counts = SqliteMetadataRepository(directory / "records.sqlite", "counts")
    count = InProcessSyncTask("count", SqliteMetadataRepository(directory / "records.sqlite", "count-done"))
    count.link("input", texts, is_input=True)
    count.link("counts", counts, is_output=True)

    @count
    async def count_words(job: str, input: FileRepository, counts: SqliteMetadataRepository) -> None:
        async with input.open(job) as stream:
            text = await stream.read()
        if "boom" in text:
            raise ValueError("boom")
        await counts.dump(job, {"words": len(text.split())})

    report = InProcessSyncTask("make-report", InProcessMetadataRepository())
    report.plug(count)
    report.link("out", FileRepository(directory / "out", extension=".txt"), is_output=True)

    @report
    async def make_report(job: str, counts: SqliteMetadataRepository, out: FileRepository) -> None:
        async with out.open(job, "w") as stream:
            await stream.write(str(await counts.info(job)))

    return Pipeline([count, report], store=directory / ".pdt", name="example")


def call(pipeline: Pipeline, *words: str) -> int:
    """Run a command on a pipeline in this process, as a user's own script does."""
    return run_in(Invocation("script.py", pipeline), words)


#: A pipeline of scripts, which are the inputs' texts: what a job does is in its file.
PROCESSES = """
import os
import pdt

HERE = os.path.dirname(os.path.abspath(__file__))

def records(name):
    return pdt.SqliteMetadataRepository(HERE + "/.pdt/records.sqlite", name)

work = pdt.ProcessTask(
    "work",
    pdt.LocalLinuxManager("tested", HERE + "/processes"),
    pdt.ResourceManager(pdt.Resources.parse(cpu=100, mem="1Gi")),
    pdt.Resources.parse(cpu=1, mem=1),
    records("pids"),
    "cd " + HERE + "; . {{ script }}",
    done=records("done"),
    failed=records("failed"),
    grace=2,
    {options}
)
work.link("script", pdt.FileRepository(HERE + "/in", extension=".txt"), is_input=True)
count = pdt.InProcessSyncTask("count", records("counted"), func=lambda job: None)
count.link("work", work.done, is_input=True)

pipeline = pdt.Pipeline([work, count])
"""


def write_processes(directory: Path, scripts: Mapping[str, str], options: str = "") -> Path:
    """Write a pipeline of scripts, by job."""
    return write_project(directory, scripts, PROCESSES.replace("{options}", options))


@contextmanager
def running_pdt(*words: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """Run pdt beside the test, and see to it that it ends."""
    child = subprocess.Popen(pdt_command(*words), cwd=cwd, text=True, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until a condition holds."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it never came true"
        time.sleep(0.01)
