"""`pdt plan`: what would be launched now, and why; it changes nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ...engine.schedule import Load, admit, make_plan
from ...pipeline import Pipeline
from ...resource_manager import Resources
from ...resource_manager.resources import label_of
from .. import exits, output
from ..glance import look
from ..oserrors import fix_of_text
from ..summary import skipped_lines

__all__ = ["plan"]

COLUMNS = ("task", "job", "decision", "reason")
READY = "everything that it requires is there, and nothing inhibits it"


async def plan(pipeline: Pipeline, *, limit: int = 20, form: str | None = None) -> int:
    """Print the jobs that are ready, in the order in which they would be launched.

    :param limit: how many jobs to name of each task.
    :param form: Optional: table, json, jsonl, yaml or name.
    """
    found = await look(pipeline)
    ready = {name: task.jobs for name, task in found.items()}
    order = make_plan(ready, pipeline.priority)
    reasons = _denials(pipeline, ready)
    shown: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    for priority, queues in order.levels:
        for name, queue in queues.items():
            for job in list(queue)[: limit - shown[name]]:
                shown[name] += 1
                decision, reason = reasons.get(name, ("launch", READY))
                rows.append({"task": name, "job": job, "decision": decision, "reason": reason, "priority": priority})
    if form is None and not rows:
        output.note("nothing would be launched")
    else:
        output.emit(rows, form or "table", COLUMNS, "job")
    output.flush()
    for name, jobs in ready.items():
        if jobs:
            more = f", {shown[name]} of them shown" if shown[name] < len(jobs) else ""
            output.note(f"{name}: {len(jobs)} ready{more}")
    for line in skipped_lines({name: task.skipped for name, task in found.items() if task.skipped}):
        output.note(line)
    failures = dict.fromkeys(str(task.failure) for task in found.values() if task.failure is not None)
    for failure in failures:
        output.fail_with(failure, fix_of_text(failure))
    return exits.BACKEND if failures else exits.OK


def _denials(pipeline: Pipeline, ready: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return, by task, why a quota lets none of its jobs start even when nothing runs."""
    loads: dict[str, Load] = {}
    quotas: dict[int, Resources] = {}
    for name, task in pipeline.tasks.items():
        if task.resource_manager is not None and task.job_resources is not None:
            loads[name] = Load(id(task.resource_manager), task.job_resources)
            quotas[id(task.resource_manager)] = task.resource_manager.quota
    found = {}
    for name, load in loads.items():
        if ready.get(name):
            alone = make_plan({name: list(ready[name])[:1]})
            admission = admit(alone, {name: 1}, {name: load}, dict.fromkeys(quotas, Resources.zero()), quotas)
            denial = admission.denials.get(name)
            if denial is not None:
                wanted = f"{denial.wanted} of {label_of(denial.resource)}"
                reason = f"one job wants {wanted}, and the quota is {denial.cap} in all"
                found[name] = ("never-fits", reason)
    return found
