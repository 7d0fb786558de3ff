"""Every speed claim of pdt, measured beside the plain loop that is its limit.

Usage: python benchmarks/run.py [--quick] [--repeat N] [--dir DIRECTORY] [--markdown FILE] [CASE ...]

Each case runs the loop and pdt in turn, in a new directory each time, and reports the median of the ratios of the
pairs, so that a machine whose speed drifts does not decide. The directory should lie on the file system of interest.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
TEXT = "some small text of words\n" * 4


@dataclass(frozen=True)
class Figure:
    """One measured line of the table.

    :param case: what was done.
    :param plain: what the limit took, as text.
    :param pdt: what pdt took, as text.
    :param value: the figure that counts.
    :param limit: what it may be; None for a figure that is there for comparison.
    :param unit: how both are written.
    """

    case: str
    plain: str
    pdt: str
    value: float
    limit: float | None
    unit: str = "x"

    @property
    def cells(self) -> list[str]:
        """The line as text."""
        measured = f"{self.value:.2f} {self.unit}"
        if self.limit is None:
            return [self.case, self.plain, self.pdt, measured, "", ""]
        kept = "yes" if self.is_kept else "NO"
        return [self.case, self.plain, self.pdt, measured, f"{self.limit:g} {self.unit}", kept]

    @property
    def is_kept(self) -> bool:
        """Whether the figure is within its limit, if it has one."""
        return self.limit is None or self.value <= self.limit


class Bench:
    """Where and how often the cases are measured.

    :param base: a directory on the file system of interest.
    :param repeat: the number of pairs.
    """

    def __init__(self, base: Path, repeat: int) -> None:
        self.base = base
        self.repeat = repeat
        self.environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}

    def directory(self) -> Path:
        """Return a new directory.

        It stays until everything is measured: for minutes after a deletion ext4 searches for an inode that was not
        freed lately each time that a file is made, which takes ten times as long as making it.
        """
        return Path(tempfile.mkdtemp(dir=self.base))

    def call(self, *arguments: object, **settings: str) -> dict[str, float]:
        """Run a script of this folder and return what it prints, and the seconds of the whole process."""
        command = [sys.executable, *map(str, arguments)]
        start = time.perf_counter()
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=self.environment | settings,
            check=False,
            cwd=self.base,
        )
        wall = time.perf_counter() - start
        if result.returncode:
            raise RuntimeError(f"{command} failed:\n{result.stderr}")
        last = result.stdout.strip().rpartition("\n")[2]
        printed: dict[str, float] = json.loads(last) if last.startswith("{") else {}
        return printed | {"wall": wall}

    def pairs(self, plain: Callable[[], float], pdt: Callable[[], float]) -> tuple[float, float, float]:
        """Return the medians of both in seconds, and of the ratios of the pairs."""
        measured = [(plain(), pdt()) for _ in range(self.repeat)]
        ratios = [mine / limit for limit, mine in measured]
        return (
            statistics.median(limit for limit, _ in measured),
            statistics.median(mine for _, mine in measured),
            statistics.median(ratios),
        )


def fill(directory: Path, count: int) -> None:
    """Write `count` small files, and wait for the disk to take them."""
    directory.mkdir(parents=True)
    for number in range(count):
        (directory / f"job-{number:07d}.txt").write_text(TEXT)
    os.sync()


def jobs(bench: Bench, count: int, records: str, limit: float) -> Iterator[Figure]:
    """Run `count` in-process jobs."""
    grown: list[float] = []

    def plain() -> float:
        directory = bench.directory()
        fill(directory / "in", count)
        return bench.call(HERE / "plain.py", "jobs", directory)["seconds"]

    def pdt() -> float:
        directory = bench.directory()
        fill(directory / "in", count)
        printed = bench.call(HERE / "pipeline.py", "time", BENCH_DIR=str(directory), BENCH_RECORDS=records)
        if printed["jobs"] != count:
            raise RuntimeError(f"{printed['jobs']} of {count} jobs succeeded")
        grown.append(printed["grown_kib"])
        return printed["seconds"]

    limit_seconds, seconds, ratio = bench.pairs(plain, pdt)
    memory = f", memory grew {statistics.median(grown) / 1024:.0f} MiB"
    case = f"{count} in-process jobs, {records} records{memory}"
    yield Figure(case, f"{limit_seconds:.2f} s", f"{seconds:.2f} s", ratio, limit)


def peer(bench: Bench, count: int) -> Iterator[Figure]:
    """Run the same jobs with doit, where it is installed, for comparison."""
    if importlib.util.find_spec("doit") is None:
        return

    def plain() -> float:
        directory = bench.directory()
        fill(directory / "in", count)
        return bench.call(HERE / "plain.py", "jobs", directory)["wall"]

    def doit() -> float:
        directory = bench.directory()
        fill(directory / "in", count)
        return bench.call("-m", "doit", "-f", HERE / "dodo.py", BENCH_DIR=str(directory))["wall"]

    limit_seconds, seconds, ratio = bench.pairs(plain, doit)
    case = f"{count} jobs with doit, whole command (for comparison)"
    yield Figure(case, f"{limit_seconds:.2f} s", f"{seconds:.2f} s", ratio, None)


def nothing(bench: Bench, count: int, new: int, limit: float) -> Iterator[Figure]:
    """Start the whole command when all but `new` of `count` jobs are done."""
    directory = bench.directory()
    fill(directory / "in", count)
    settings = {"BENCH_DIR": str(directory)}
    bench.call(HERE / "pipeline.py", "time", **settings)
    bench.call(HERE / "plain.py", "jobs", directory)
    made = iter(range(count, count + new * (bench.repeat + 1)))

    def plain() -> float:
        return bench.call(HERE / "plain.py", "pending", directory)["wall"]

    def pdt() -> float:
        for _ in range(new):
            (directory / "in" / f"job-{next(made):07d}.txt").write_text(TEXT)
        return bench.call(HERE / "pipeline.py", "run", **settings)["wall"]

    pdt()  # the first start writes bytecode
    limit_seconds, seconds, ratio = bench.pairs(plain, pdt)
    case = (
        f"{new} new among {count} finished jobs, whole command"
        if new
        else f"nothing to do over {count} finished jobs, whole command"
    )
    yield Figure(case, f"{limit_seconds:.3f} s", f"{seconds:.3f} s", ratio, limit)


def chain(bench: Bench, count: int, limit: float) -> Iterator[Figure]:
    """Run three stages of `count` jobs each."""

    def plain() -> float:
        directory = bench.directory()
        fill(directory / "s0", count)
        return bench.call(HERE / "plain.py", "chain", directory)["seconds"]

    def pdt() -> float:
        directory = bench.directory()
        fill(directory / "s0", count)
        return bench.call(HERE / "pipeline.py", "time", BENCH_DIR=str(directory), BENCH_STAGES="3")["seconds"]

    limit_seconds, seconds, ratio = bench.pairs(plain, pdt)
    yield Figure(f"3-stage chain of {count} jobs", f"{limit_seconds:.2f} s", f"{seconds:.2f} s", ratio, limit)


def processes(
    bench: Bench, count: int, concurrency: int, script: str, limit: float | None, *, log: bool = False
) -> Iterator[Figure]:
    """Run `count` short processes, so many at once."""
    settings = {"BENCH_CONCURRENCY": str(concurrency), "BENCH_SCRIPT": script, "BENCH_LOG": "yes" if log else "no"}

    def plain() -> float:
        directory = bench.directory()
        fill(directory / "in", count)
        return bench.call(HERE / "plain.py", "processes", directory, concurrency, script)["seconds"]

    def pdt() -> float:
        directory = bench.directory()
        fill(directory / "in", count)
        printed = bench.call(HERE / "processes.py", "time", BENCH_DIR=str(directory), **settings)
        if printed["jobs"] != count:
            raise RuntimeError(f"{printed['jobs']} of {count} jobs succeeded")
        return printed["seconds"]

    plain(), pdt()  # the first start writes bytecode
    limit_seconds, seconds, ratio = bench.pairs(plain, pdt)
    case = f"{count} {script} processes, {concurrency} at once" + (", a log each" if log else "")
    yield Figure(case, f"{limit_seconds:.2f} s", f"{seconds:.2f} s", ratio, limit)


def process_peer(bench: Bench, count: int, concurrency: int) -> Iterator[Figure]:
    """Run the same processes with make, where it is installed, for comparison."""
    if shutil.which("make") is None:
        return

    def plain() -> float:
        directory = bench.directory()
        fill(directory / "in", count)
        return bench.call(HERE / "plain.py", "processes", directory, concurrency, "sh")["seconds"]

    def make() -> float:
        directory = bench.directory()
        fill(directory / "in", count)
        start = time.perf_counter()
        subprocess.run(
            ["make", "-s", f"-j{concurrency}", "-f", HERE / "processes.mk"], cwd=directory, check=True, timeout=600
        )
        return time.perf_counter() - start

    limit_seconds, seconds, ratio = bench.pairs(plain, make)
    case = f"{count} sh processes with make, {concurrency} at once (for comparison)"
    yield Figure(case, f"{limit_seconds:.2f} s", f"{seconds:.2f} s", ratio, None)


def ready_set(bench: Bench, keys: int) -> Iterator[Figure]:
    """Compute the ready set over many keys in memory."""
    printed = [bench.call(HERE / "readyset.py", keys) for _ in range(bench.repeat)]
    seconds = statistics.median(run["seconds"] for run in printed)
    size = statistics.median(run["bytes"] for run in printed)
    yield Figure(f"ready set over {keys} keys in memory", "", f"{seconds:.2f} s", seconds, 1.0, "s")
    yield Figure("memory per key and listing", "", f"{size:.0f} B", size, 120.0, "B")


def tokens(bench: Bench, count: int) -> Iterator[Figure]:
    """Allocate and release tokens in memory."""
    printed = [bench.call(HERE / "tokens.py", count) for _ in range(bench.repeat)]
    seconds = statistics.median(run["seconds"] for run in printed)
    growth = statistics.median(run["among_many"] / run["seconds"] for run in printed)
    yield Figure(f"{count} tokens allocated and released", "", f"{seconds:.2f} s", seconds, 2.0, "s")
    yield Figure(f"the same while {count // 10} are held, to none", "", f"{growth * seconds:.2f} s", growth, 1.2)


def start_up(bench: Bench) -> Iterator[Figure]:
    """Start the command for little things."""
    directory = bench.directory()
    fill(directory / "in", 10)
    settings = {"BENCH_DIR": str(directory)}
    commands: list[tuple[str, float, list[object]]] = [
        ("pdt --version", 60, ["-m", "pdt", "--version"]),
        ("pdt --help", 200, ["-m", "pdt", "--help"]),
        ("status of a small pipeline", 300, [HERE / "pipeline.py", "status"]),
    ]
    for name, limit, arguments in commands:
        bench.call(*arguments, **settings)
        bare, seconds, _ = bench.pairs(
            lambda: bench.call("-c", "pass")["wall"],
            lambda arguments=arguments: bench.call(*arguments, **settings)["wall"],  # type: ignore[misc]
        )
        over = (seconds - bare) * 1000
        yield Figure(
            f"{name}, over bare Python",
            f"{bare * 1000:.0f} ms",
            f"{seconds * 1000:.0f} ms",
            over,
            limit,
            "ms",
        )


def cases(bench: Bench, quick: bool) -> dict[str, Callable[[], Iterator[Figure]]]:
    """Return the cases by name; the quick ones are a tenth of the size."""
    small, large = (1_000, 10_000) if quick else (10_000, 100_000)
    return {
        "jobs": lambda: jobs(bench, small, "sqlite", 1.0),
        "jobs-many": lambda: jobs(bench, large, "sqlite", 1.0),
        "jobs-yaml": lambda: jobs(bench, small, "yaml", 2.0),
        "jobs-yaml-many": lambda: jobs(bench, large, "yaml", 2.0),
        "nothing": lambda: nothing(bench, large, 0, 1.5),
        "ten-new": lambda: nothing(bench, large, 10, 2.5),
        "sh-2": lambda: processes(bench, small // 5, 2, "sh", 1.4),
        "sh-16": lambda: processes(bench, small // 5, 16, "sh", 1.4),
        "sh-2-log": lambda: processes(bench, small // 5, 2, "sh", None, log=True),
        "sh-16-log": lambda: processes(bench, small // 5, 16, "sh", None, log=True),
        "python3-2": lambda: processes(bench, small // 50, 2, "python3", None),
        "python3-16": lambda: processes(bench, small // 50, 16, "python3", None),
        "make": lambda: process_peer(bench, small // 5, 2),
        "chain": lambda: chain(bench, small // 5, 2.0),
        "ready-set": lambda: ready_set(bench, large * 10),
        "tokens": lambda: tokens(bench, large),
        "start-up": lambda: start_up(bench),
        "peer": lambda: peer(bench, small),
    }


def main() -> int:
    """Measure the chosen cases and print the table; the status says whether every limit was kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="all by default")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size; its ratios are not the claims'")
    parser.add_argument("--repeat", type=int, default=5, help="pairs per case (default 5)")
    parser.add_argument("--dir", type=Path, help="on the file system of interest (default: the temporary directory)")
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pdt-bench-", dir=options.dir) as base:
        bench = Bench(Path(base), options.repeat)
        known = cases(bench, options.quick)
        unknown = [name for name in options.cases if name not in known]
        if unknown:
            parser.error(f"unknown case {unknown[0]!r}; the cases are: {', '.join(known)}")
        figures = []
        for name in options.cases or known:
            for figure in known[name]():
                figures.append(figure)
                print(" | ".join(figure.cells), flush=True)
    head = ["case", "plain loop", "pdt", "measured", "limit", "kept"]
    table = [" | ".join(line) for line in (head, ["---"] * len(head), *(figure.cells for figure in figures))]
    if options.markdown:
        options.markdown.write_text("".join(f"| {line} |\n" for line in table))
    kept = all(figure.is_kept for figure in figures)
    return 0 if kept or options.quick else 1


if __name__ == "__main__":
    sys.exit(main())
