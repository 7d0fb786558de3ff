"""`pdt why`: why a job starts or does not, as one proof tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from ...engine.verdict import Lookup, Verdict, VerdictKind
from ...errors import CorruptRecordError
from ...pipeline import Pipeline
from ...repository.base import MetadataRepository
from ...task.base import Task
from ...task.function import FunctionTask
from ...task.tracked import TrackedTask
from .. import exits, output
from ..attempts import attempts_of
from ..cause import cause_of
from ..jobs import resolve_jobs
from ..known import keys_of, unknown_jobs
from ..names import find_task
from ..oserrors import fix_of_text

__all__ = ["why"]

COLUMNS = ("task", "job", "verdict", "reason")
DEEPEST = 8
MOST_UPSTREAM = 5


class _Answer(NamedTuple):
    """A verdict, what is known of it beyond the listings, and the verdicts that would change it."""

    verdict: Verdict
    remarks: tuple[str, ...]
    upstream: tuple[_Answer, ...]


async def why(pipeline: Pipeline, *, task: str, jobs: list[str], form: str | None = None) -> int:
    """Print what the engine says of jobs, down to the keys that decide it and the tasks that would write them.

    :param task: the task's name.
    :param jobs: job ids, globs, or - for those on stdin.
    :param form: Optional: table, json, jsonl, yaml or name.
    """
    found = find_task(pipeline, task)
    repos = [link.repo for link in found.links.values()]
    named = await resolve_jobs(jobs, repos, lambda: keys_of(repos))
    answers: list[_Answer] = []
    for job in named:
        # The first looks at everything; the rest of this command goes by what it saw.
        verdict = pipeline.runner.explain(found, job) if answers else await pipeline.explain(found, job)
        answers.append(await _answer(pipeline, found, verdict, frozenset()))
    if form is None:
        for answer in answers:
            for line in _lines(answer, 0):
                output.write(f"{line}\n")
    else:
        rows = [_row(answer) for answer in answers]
        output.emit(rows, form, COLUMNS, "job")
    output.flush()
    unknown = await unknown_jobs(pipeline, found, [answer.verdict for answer in answers])
    for error in unknown.values():
        output.fail(error.message, error.fix)
    return exits.NOT_FOUND if unknown else exits.OK


async def _put_off(pipeline: Pipeline, task: Task, verdict: Verdict) -> Verdict:
    """Return the verdict on a job that is ready by its links, and may wait to be tried again."""
    attempts = await attempts_of(pipeline, task, verdict.job)
    seconds = attempts.seconds_left()
    if seconds is None or not isinstance(task, TrackedTask):
        return verdict
    cause = cause_of(attempts.ends[max(attempts.ends)])
    made = len(attempts.ends)
    number = f"attempt {made + 1} of {max(task.retry.attempts, made + 1)}"
    if not seconds:
        return replace(verdict, reason=f"{number} starts, as the last one failed: {cause}")
    reason = f"{number} starts in {seconds:.1f} s, as the last one failed: {cause}"
    return replace(verdict, kind=VerdictKind.BACKING_OFF, reason=reason, until=seconds)


async def _read_inputs(task: Task, verdict: Verdict) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict on a ready job as its body would find it, which reads its records first, and remarks."""
    reads = task.arguments if isinstance(task, FunctionTask) else {}
    remarks = []
    for name, repo in task.input.items():
        if name in reads and isinstance(repo, MetadataRepository):
            try:
                await repo.info(verdict.job)
            except CorruptRecordError as error:
                reason = f"{name} cannot be read: {error.message}"
                blocked = Verdict(task.name, verdict.job, VerdictKind.BLOCKED, reason, link=name)
                return blocked, (f"fix: {error.fix}",)
            except Exception as error:  # the body may make something of it
                remarks.append(f"{name} cannot be read: {type(error).__name__}: {error}")
    return verdict, tuple(remarks)


async def _answer(pipeline: Pipeline, task: Task, verdict: Verdict, above: frozenset[tuple[str, str]]) -> _Answer:
    """Add to a verdict what is known of the keys behind it."""
    above |= {(task.name, verdict.job)}
    upstream = []
    if verdict.kind is VerdictKind.MISSING and len(above) < DEEPEST:
        wanted = {(name, key) for lookup in verdict.proof for key, names in _absent(lookup) for name in names}
        for name, key in sorted(wanted - above)[:MOST_UPSTREAM]:
            writer = pipeline.tasks[name]
            upstream.append(await _answer(pipeline, writer, pipeline.runner.explain(writer, key), above))
    remarks: tuple[str, ...] = ()
    if verdict.is_ready:
        verdict = await _put_off(pipeline, task, verdict)
        verdict, remarks = await _read_inputs(task, verdict) if verdict.is_ready else (verdict, ())
    return _Answer(verdict, remarks or await _remarks(task, verdict), tuple(upstream))


def _absent(lookup: Lookup) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the keys that are missing at the bottom of a proof, and who writes them."""
    below = [step for step in lookup.because if step.present is False]
    if below:
        for step in below:
            yield from _absent(step)
    elif lookup.present is False and lookup.writers:
        yield lookup.key, lookup.writers


async def _remarks(task: Task, verdict: Verdict) -> tuple[str, ...]:
    """Return what the record says that keeps a job from running again, or how to mend what blocks it."""
    if verdict.kind is VerdictKind.BLOCKED and "[Errno " in verdict.reason:
        return (f"fix: {fix_of_text(verdict.reason)}",)
    if verdict.kind is not VerdictKind.INHIBITED or verdict.link is None:
        return ()
    repo = task.links[verdict.link].repo
    if not isinstance(repo, MetadataRepository):
        return ()
    try:
        record = await repo.info(verdict.job)
    except Exception as error:  # the verdict stands without the record
        return (f"its record cannot be read: {type(error).__name__}: {error}",)
    if not isinstance(record, dict) or "success" not in record:
        return ()
    if record["success"]:
        return (f"it succeeded, at {record.get('end_time')}",)
    reason = record.get("exception") or cause_of(record)
    return (f"it failed: {reason}", f"to run it again: pdt retry {task.name} {verdict.job}")


def _lines(answer: _Answer, depth: int) -> Iterator[str]:
    verdict = answer.verdict
    indent = "  " * depth
    yield output.printable(f"{indent}{verdict.task} {verdict.job}: {verdict.kind.value}: {verdict.reason}")
    if verdict.cap is not None:
        used = f", used {verdict.used}" if verdict.used is not None else ""
        yield f"{indent}  {verdict.scope} of {verdict.resource}: wanted {verdict.wanted}{used}, cap {verdict.cap}"
    for remark in answer.remarks:
        yield output.printable(f"{indent}  {remark}")
    for lookup in verdict.proof:
        yield from _proof_lines(lookup, depth + 1)
    for above in answer.upstream:
        yield from _lines(above, depth + 1)


def _proof_lines(lookup: Lookup, depth: int) -> Iterator[str]:
    state = {True: "has", False: "lacks", None: "may have"}[lookup.present]
    writers = f" (written by {', '.join(lookup.writers)})" if lookup.writers else ""
    indent = "  " * depth
    yield output.printable(f"{indent}{lookup.link}: {lookup.repository} {state} {lookup.key!r}{writers}")
    for step in lookup.because:
        yield from _proof_lines(step, depth + 1)


def _row(answer: _Answer) -> dict[str, Any]:
    verdict = answer.verdict
    return {
        "task": verdict.task,
        "job": verdict.job,
        "verdict": verdict.kind.value,
        "reason": verdict.reason,
        "link": verdict.link,
        "resource": verdict.resource,
        "scope": verdict.scope,
        "wanted": verdict.wanted,
        "used": verdict.used,
        "cap": verdict.cap,
        "until": verdict.until,
        "remarks": list(answer.remarks),
        "proof": [_lookup_row(lookup) for lookup in verdict.proof],
        "upstream": [_row(above) for above in answer.upstream],
    }


def _lookup_row(lookup: Lookup) -> dict[str, Any]:
    return {
        "link": lookup.link,
        "repository": lookup.repository,
        "key": lookup.key,
        "present": lookup.present,
        "writers": list(lookup.writers),
        "because": [_lookup_row(step) for step in lookup.because],
    }
