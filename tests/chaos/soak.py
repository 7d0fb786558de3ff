"""Kills controllers at random moments, thousands of short jobs long, and judges what is left: `nox -s chaos`.

It prints its seed, and exits with 1 if anything is lost, done twice, torn or left behind; what it found stays there.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos import syscalls
from tests.chaos.history import Findings
from tests.chaos.site import Ended, Site

__all__ = ["main"]

#: Jobs of each task of one pipeline, which is killed this often.
JOBS = {"files": 250, "streams": 150, "again": 80, "slow": 1}
KILLS_EACH = 25
#: Seconds until a controller is killed, at most, where it is killed by the clock.
LONGEST = 1.0
#: The most passed places after which one is killed, where it is killed at one of them.
MOST_PASSED = 1500
TOGETHER = 2
#: Findings of each kind that are shown of one pipeline.
MOST_SHOWN = 5


class Soak:
    """One pipeline after the other, killed and restarted.

    :param where: a directory for them.
    :param seed: decides when they are killed.
    """

    def __init__(self, where: Path, seed: int) -> None:
        self._where = where
        self._seed = seed
        self.counts: Counter[str] = Counter()
        self.findings: list[tuple[Path, Findings]] = []

    def pipeline(self, number: int, kills: int) -> None:
        """Make a pipeline, kill its controllers so often, and have one finish."""
        chance = random.Random(f"{self._seed}/{number}")
        directory = self._where / f"pipeline-{number}"
        directory.mkdir()
        site = Site(
            directory, JOBS, at_once=chance.choice([2, 8, 32]), journal_size=chance.choice([400, 4000, 1 << 18])
        )
        try:
            done = self._kill(site, kills, chance)
            ended = site.run()
        except AssertionError as error:  # one does not end
            self.counts.update(lost=1)
            self.findings.append((directory, Findings(lost=[str(error)])))
            return
        self.counts.update(pipelines=1, kills=done, jobs=sum(JOBS.values()), bodies=len(site.started()))
        self._judge(site, ended, ended.code in (0, 1))

    def _kill(self, site: Site, kills: int, chance: random.Random) -> int:
        """Kill controllers as often as is wanted, or until all is done; return how many were."""
        done = 0
        while done < kills:
            kill = chance.choice([self._kill_by_clock, self._kill_at_place, self._kill_after_failure])
            done += kill(site, chance)
            if not self._left(site):
                break
        return done

    @staticmethod
    def _left(site: Site) -> bool:
        ends = (site.directory / "history").read_text().count(" end\n") if site.started() else 0
        return ends < sum(count * (2 if task == "again" else 1) for task, count in JOBS.items() if task != "slow")

    @staticmethod
    def _kill_by_clock(site: Site, chance: random.Random) -> bool:
        process = site.start()
        try:
            process.communicate(timeout=0.15 + chance.random() * LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return True
        return False

    @staticmethod
    def _kill_at_place(site: Site, chance: random.Random) -> bool:
        return site.run(f"*=kill@{int(MOST_PASSED ** chance.random())}").code < 0

    @staticmethod
    def _kill_after_failure(site: Site, chance: random.Random) -> bool:
        failure, kill = int(MOST_PASSED ** chance.random()), int(MOST_PASSED ** chance.random())
        return site.run(f"*=raise@{failure};+=kill@{kill}").code < 0

    def syscall(self, case: tuple[str, int]) -> None:
        """Kill a controller at a system call, and have another finish."""
        name, number = case
        directory = self._where / f"{name}-{number}"
        directory.mkdir()
        site = Site(directory, syscalls.JOBS)
        self.counts.update(syscalls=1, kills=syscalls.kill_at(site, name, number), jobs=sum(syscalls.JOBS.values()))
        ended = site.run()
        self.counts["bodies"] += len(site.started())
        self._judge(site, ended, ended.code == 0)

    def _judge(self, site: Site, ended: Ended, ended_well: bool) -> None:
        findings = site.judge()
        site.clear()
        if not ended_well:
            findings.lost.insert(0, f"the last run did not end as it should: {ended.errors}")
        self.counts.update(findings.counts)
        if any(findings.counts.values()):
            self.findings.append((site.directory, findings))
        else:
            shutil.rmtree(site.directory)


def main() -> int:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="how many controllers to kill (default: 1000)")
    parser.add_argument("--seed", type=int, default=None, help="as an earlier run printed it")
    parser.add_argument("--no-syscalls", action="store_true", help="leave out the kills at system calls")
    asked = parser.parse_args()
    seed = random.randrange(1 << 32) if asked.seed is None else asked.seed
    sys.stdout.write(f"seed {seed}\n")
    began = time.monotonic()
    where = Path(tempfile.mkdtemp(prefix="pdt-chaos-"))
    soak = Soak(where, seed)
    cases = [] if asked.no_syscalls else syscalls.cases(where)
    with ThreadPoolExecutor(TOGETHER) as threads:
        list(threads.map(soak.syscall, random.Random(seed).sample(cases, min(len(cases), asked.kills // 4))))
        number = 0
        while soak.counts["kills"] < asked.kills and not soak.findings:
            left = asked.kills - soak.counts["kills"]
            wanted = [min(KILLS_EACH, left - KILLS_EACH * turn) for turn in range(TOGETHER) if left > KILLS_EACH * turn]
            list(threads.map(soak.pipeline, range(number, number + len(wanted)), wanted))
            number += len(wanted)
    _report(soak, time.monotonic() - began, sys.stdout.write)
    if not soak.findings:
        shutil.rmtree(where)
    return 1 if soak.findings else 0


def _report(soak: Soak, seconds: float, write: Callable[[str], object]) -> None:
    for directory, findings in soak.findings:
        write(f"{directory}:\n{findings.shortened(MOST_SHOWN)}\n")
    rows = ("kills", "syscalls", "pipelines", "jobs", "bodies")
    for row in (*rows, "lost", "duplicate_runs", "duplicate_commits", "torn", "leaked"):
        write(f"| {row.replace('_', ' ')} | {soak.counts[row]:,} |\n")
    write(f"| seconds | {seconds:.0f} |\n")


if __name__ == "__main__":
    sys.exit(main())
