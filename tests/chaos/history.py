"""Judging what a crashed and restarted pipeline has left: what is lost, done twice, torn or left behind.

Scripts of `tests.chaos.pipeline` write lines `TASK JOB ATTEMPT start` and `... end`, and their attempt into outputs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["RUNS", "Commit", "Findings", "History", "judge"]

#: How often the body of a job of each task runs, whatever happens to its controllers.
RUNS = {"files": 1, "streams": 1, "again": 2, "slow": 1}


@dataclass(frozen=True)
class Commit:
    """A record of a job's end, as it was written once.

    :param data: its text.
    """

    task: str
    job: str
    data: str


@dataclass
class Findings:
    """What is wrong, by kind; each with a sentence."""

    lost: list[str] = field(default_factory=list)
    duplicate_runs: list[str] = field(default_factory=list)
    duplicate_commits: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How much of each kind there is."""
        return {kind: len(found) for kind, found in vars(self).items()}

    def shortened(self, most: int) -> str:
        """Return the first ones of each kind."""
        return "\n".join(f"{kind}: {what}" for kind, found in vars(self).items() for what in found[:most])

    def __str__(self) -> str:
        return self.shortened(100)


@dataclass
class History:
    """What happened.

    :param jobs: by task, its jobs.
    :param lines: what the scripts wrote, in order.
    :param commits: the records of ends, in the order in which they were written.
    :param outputs: by task and job, what is in each of its outputs, by name.
    :param expected: by task and job, what is to be in them besides the attempt that wrote it.
    :param left: what is there that should be gone.
    """

    jobs: Mapping[str, Iterable[str]]
    lines: list[str]
    commits: list[Commit]
    outputs: Mapping[tuple[str, str], Mapping[str, str]]
    expected: Mapping[tuple[str, str], Mapping[str, str]]
    left: Iterable[str] = ()


def judge(history: History) -> Findings:
    """Return what is wrong."""
    findings = Findings(leaked=list(history.left))
    attempts = _attempts(history.lines, findings)
    records = _records(history.commits, findings)
    for task, jobs in history.jobs.items():
        for job in jobs:
            ran = attempts.pop((task, job), [])
            _judge_runs(task, job, ran, findings)
            data = records.pop((task, job), None)
            if data is None:
                findings.lost.append(f"{task} {job} has no record")
            elif ran:
                _judge_end(task, job, ran, data, findings)
                _judge_outputs(history, task, job, ran[-1], findings)
    findings.duplicate_runs += [f"{task} {job} ran although nobody asked" for task, job in attempts]
    findings.duplicate_commits += [f"{task} {job} is recorded although nobody asked" for task, job in records]
    return findings


def _attempts(lines: Iterable[str], findings: Findings) -> dict[tuple[str, str], list[str]]:
    """Return the attempts of each job in the order of their starts."""
    found: dict[tuple[str, str], list[str]] = {}
    began: set[str] = set()
    ended: set[str] = set()
    for line in lines:
        words = line.split(" ")
        if len(words) != 4 or words[3] not in ("start", "end"):
            findings.torn.append(f"the history has the line {line!r}")
            continue
        task, job, token, event = words
        noted = began if event == "start" else ended
        if token in noted:
            findings.duplicate_runs.append(f"{task} {job}: attempt {token} has a second {event}")
        elif event == "start":
            earlier = found.setdefault((task, job), [])
            running = [other for other in earlier if other not in ended]
            if running:
                findings.duplicate_runs.append(f"{task} {job}: attempt {token} began while {running[0]} ran")
            earlier.append(token)
        elif token not in began:
            findings.duplicate_runs.append(f"{task} {job}: attempt {token} ended and never began")
        noted.add(token)
    return found


def _records(commits: Iterable[Commit], findings: Findings) -> dict[tuple[str, str], str]:
    """Return the record of each job; to write the same one again is to carry out the same decision."""
    found: dict[tuple[str, str], str] = {}
    for commit in commits:
        before = found.setdefault((commit.task, commit.job), commit.data)
        if before != commit.data:
            findings.duplicate_commits.append(f"{commit.task} {commit.job}: {before} and then {commit.data}")
    return found


def _judge_runs(task: str, job: str, ran: list[str], findings: Findings) -> None:
    if len(ran) < RUNS[task]:
        findings.lost.append(f"{task} {job} ran {len(ran)} times, not {RUNS[task]}")
    elif len(ran) > RUNS[task]:
        findings.duplicate_runs.append(f"{task} {job} ran {len(ran)} times, not {RUNS[task]}: {ran}")


def _judge_end(task: str, job: str, ran: list[str], data: str, findings: Findings) -> None:
    """Compare a record with what is known of the attempt that it is about."""
    record = json.loads(data)
    reason = "timeout" if task == "slow" else "success"
    if record["reason"] != reason:
        findings.lost.append(f"{task} {job} ended by {record['reason']}, not {reason}: {data}")
    if record["attempt"] != len(ran):
        findings.duplicate_commits.append(f"{task} {job}: attempt {record['attempt']} counts, but {len(ran)} ran")


def _judge_outputs(history: History, task: str, job: str, token: str, findings: Findings) -> None:
    outputs = history.outputs.get((task, job), {})
    for name, wanted in history.expected.get((task, job), {}).items():
        if name not in outputs:
            findings.lost.append(f"{task} {job} is recorded without its {name}")
            continue
        wrote, _, rest = outputs[name].partition("\n")
        if wrote != token:
            findings.duplicate_commits.append(f"{task} {job}: {name} is of attempt {wrote!r}, not {token}")
        if rest != wanted:
            findings.torn.append(f"{task} {job}: {name} is {outputs[name]!r}")
