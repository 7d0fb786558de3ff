"""A directory in which a pipeline is run by real controllers that end at a named place, or whenever they are killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from pdt.failpoints import VARIABLE
from pdt.repository.filesystem import STAGING
from pdt.repository.sqlite import SCHEMA
from tests.chaos.history import Commit, Findings, History, judge

__all__ = ["Ended", "Site"]

SCRIPT = Path(__file__).with_name("pipeline.py")
#: Seconds after which a run that does not end is a failure of the test.
TIMEOUT = 40.0
#: The outputs of each task: the directory, and what of an entry holds the attempt and the source.
OUTPUTS = {"files": ("file", "stdout", "folder"), "streams": ("stdout",), "again": ("file",), "slow": ()}
#: Writes down every record of an end, also those that a later one replaces.
AUDIT = """
CREATE TABLE audit (seq INTEGER PRIMARY KEY, name TEXT, job TEXT, data TEXT);
CREATE TRIGGER inserted AFTER INSERT ON records WHEN NEW.name LIKE '%.done'
BEGIN INSERT INTO audit (name, job, data) VALUES (NEW.name, NEW.job, NEW.data); END;
CREATE TRIGGER updated AFTER UPDATE ON records WHEN NEW.name LIKE '%.done'
BEGIN INSERT INTO audit (name, job, data) VALUES (NEW.name, NEW.job, NEW.data); END;
"""


class Ended:
    """How a controller ended.

    :param code: its exit status; negative for the signal that ended it.
    :param errors: what it wrote to standard error.
    """

    def __init__(self, code: int, errors: str) -> None:
        self.code = code
        self.errors = errors

    @property
    def passed(self) -> list[str]:
        """The places at which something happened to it."""
        lines = [line.split() for line in self.errors.splitlines()]
        return [words[1].rstrip(":") for words in lines if len(words) == 3 and words[0] == "failpoint"]


class Site:
    """A pipeline of some jobs, in a directory of its own.

    :param directory: an empty one.
    :param jobs: the number of jobs of each task; it is the pipeline's only if it is named.
    :param at_once: how many jobs run at once.
    :param pause: seconds that a job takes.
    :param gated: whether jobs wait until `open_gate` is called instead.
    :param journal_size: bytes after which a journal is left for a new one.
    :param store_seconds: what a store that knows no paths takes for each value.
    """

    def __init__(
        self,
        directory: Path,
        jobs: Mapping[str, int],
        *,
        at_once: int = 6,
        pause: float = 0.01,
        gated: bool = False,
        journal_size: int = 400,
        store_seconds: float = 0.0,
    ) -> None:
        self.directory = directory
        self._controllers: list[subprocess.Popen[str]] = []
        self.jobs = {task: [f"job-{number}" for number in range(count)] for task, count in jobs.items()}
        plan = {
            "tasks": list(jobs),
            "at_once": at_once,
            "pause": pause,
            "gated": gated,
            "journal_size": journal_size,
            "store_seconds": store_seconds,
        }
        (directory / "plan.json").write_text(json.dumps(plan))
        for task, names in self.jobs.items():
            (directory / f"{task}.in").mkdir()
            for job in names:
                (directory / f"{task}.in" / job).write_text(self.source(task, job))
        store = directory / ".pdt"
        store.mkdir()
        with sqlite3.connect(store / "records.sqlite") as database:
            database.executescript(";".join(SCHEMA) + ";" + AUDIT)
        database.close()

    def change(self, **plan: object) -> None:
        """Have controllers that are started from now on go by another plan in some points."""
        path = self.directory / "plan.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **plan}))

    def open_gate(self) -> None:
        """Let jobs go on that wait for it."""
        (self.directory / "gate").touch()

    @staticmethod
    def source(task: str, job: str) -> str:
        """Return what a job reads."""
        return f"{task} {job}\n" * 3 + "complete\n"

    # Running controllers.

    def start(self, failpoints: str = "", *arguments: str) -> subprocess.Popen[str]:
        """Start a controller; its standard error is to be read."""
        environ = {name: value for name, value in os.environ.items() if name != VARIABLE}
        if failpoints:
            environ[VARIABLE] = failpoints
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(self.directory), "run", *arguments],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._controllers.append(process)
        return process

    def run(self, failpoints: str = "", *arguments: str) -> Ended:
        """Run a controller until it ends.

        :raises AssertionError: if it does not.
        """
        process = self.start(failpoints, *arguments)
        try:
            errors = process.communicate(timeout=TIMEOUT)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            errors = process.communicate()[1]
            raise AssertionError(f"the controller did not end within {TIMEOUT:g} s:\n{errors}") from None
        return Ended(process.returncode, errors)

    def started(self) -> list[str]:
        """Return the attempts whose bodies have begun so far."""
        try:
            lines = (self.directory / "history").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line.split()[2] for line in lines if line.endswith(" start")]

    def wait_for_started(self, count: int) -> None:
        """Return when so many bodies have begun.

        :raises AssertionError: if they do not.
        """
        give_up = time.monotonic() + TIMEOUT
        while len(self.started()) < count:
            assert time.monotonic() < give_up, f"only {len(self.started())} of {count} bodies have begun"
            time.sleep(0.01)

    def wait_for_records(self, count: int) -> None:
        """Return when the ends of so many jobs are recorded.

        :raises AssertionError: if they are not.
        """
        give_up = time.monotonic() + TIMEOUT
        query = "SELECT count(*) FROM records WHERE name LIKE '%.done'"
        while int(self._rows("records", query)[0][0]) < count:
            assert time.monotonic() < give_up, f"fewer than {count} ends are recorded"
            time.sleep(0.05)

    # Judging.

    def judge(self) -> Findings:
        """Return what is wrong now, after a run that was not disturbed."""
        jobs = [(task, job) for task, names in self.jobs.items() for job in names]
        try:
            lines = (self.directory / "history").read_text().splitlines()
        except FileNotFoundError:
            lines = []
        return judge(
            History(
                jobs=self.jobs,
                lines=lines,
                commits=[
                    Commit(name.removesuffix(".done"), job, data)
                    for name, job, data in self._rows("records", "SELECT name, job, data FROM audit ORDER BY seq")
                ],
                outputs={(task, job): self._outputs(task, job) for task, job in jobs},
                expected={(task, job): dict.fromkeys(OUTPUTS[task], self.source(task, job)) for task, job in jobs},
                left=list(self._left()),
            )
        )

    def _rows(self, database: str, query: str) -> list[tuple[str, ...]]:
        path = self.directory / ".pdt" / f"{database}.sqlite"
        if not path.exists():
            return []
        connection = sqlite3.connect(path)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def _outputs(self, task: str, job: str) -> dict[str, str]:
        found = {}
        for name in OUTPUTS[task]:
            path = self.directory / f"{task}.{name}" / job
            if path.is_dir():
                found[name] = "".join(part.read_text() for part in sorted(path.iterdir()))
            elif path.exists():
                found[name] = path.read_text()
        return found

    def _left(self) -> Iterator[str]:
        """Yield what should be gone, now that all is done and no controller runs."""
        for pid in self.processes():
            yield f"process {pid} runs"
        for (key,) in self._rows("attempts", "SELECT key FROM ledger"):
            yield f"the ledger has {key}"
        for name, job in self._rows("records", "SELECT name, job FROM records WHERE name NOT LIKE '%.done'"):
            yield f"{name} has a record of {job}"
        processes = self.directory / "processes" / "chaos"
        kept = {f"{job}.1.log" for job in self.jobs.get("slow", ())}
        for path in sorted(processes.rglob("*")):
            if not (path.is_dir() or (path.parent.name == "logs" and path.name in kept and "slow" in path.parts)):
                yield f"the manager has {path.relative_to(processes)}"
        for task, names in self.jobs.items():
            for name in ("in", *OUTPUTS[task]):
                directory = self.directory / f"{task}.{name}"
                for entry in os.listdir(directory) if directory.exists() else ():
                    if entry not in names and not (entry == STAGING and not os.listdir(directory / entry)):
                        yield f"{directory.name} has {entry}: {os.listdir(directory / entry)}"
        holders = Path("/proc/locks").read_text()
        for path in sorted((self.directory / ".pdt").glob("*.lock")):
            if f":{path.stat().st_ino} " in holders:
                yield f"{path.name} is locked"

    def processes(self) -> list[int]:
        """Return the processes of this site's jobs."""
        mark, found = f"\0PDT_CHAOS={self.directory}\0".encode(), []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                environment = Path("/proc", name, "environ").read_bytes()
            except OSError:
                continue  # gone, or a stranger's
            if mark in b"\0" + environment + b"\0":
                found.append(int(name))
        return found

    def clear(self) -> None:
        """Kill what runs still."""
        for process in self._controllers:
            if process.poll() is None:
                process.kill()
                process.communicate()
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has ended
