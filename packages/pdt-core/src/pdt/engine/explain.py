"""What the engine says of one job: the listings' verdict, and then what else holds it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..resource_manager.resources import Resource, label_of, name_of
from ..task.base import Task
from ..task.tracked import TrackedTask
from .readiness import judge, writers_of
from .schedule import Denial
from .verdict import Verdict, VerdictKind

if TYPE_CHECKING:
    from .launch import Launcher
    from .look import View

__all__ = ["explain", "never_fits"]


def explain(task: Task, job: str, view: View, launcher: Launcher, tasks: Mapping[str, Task]) -> Verdict:
    """Say of one job what the engine decides about it."""
    writers = writers_of(list(tasks.values()))
    ready = None if task.disabled else view.ready.get(task.name) or task.ready
    lane = launcher.lanes[task.name]
    verdict = judge(task, job, ready, view.snapshot, writers, lane.busy)
    has_ended = verdict.kind is VerdictKind.RUNNING and job not in lane.in_flight
    if not verdict.is_ready and not has_ended:
        return verdict
    if isinstance(task, TrackedTask) and job in task.blocked:
        return Verdict(task.name, job, VerdictKind.BLOCKED, task.blocked[job])
    delayed = _explain_delay(task, job, launcher)
    if has_ended:
        return delayed or _ended(task, job, job in lane.finished)
    return delayed or _explain_quota(task, job, launcher.denials) or verdict


def _ended(task: Task, job: str, for_good: bool) -> Verdict:
    """Say of a job that ended in this run why it does not start again."""
    if for_good:
        reason = "it has ended in this run, and nothing records that it is done"
        return Verdict(task.name, job, VerdictKind.BLOCKED, reason)
    return Verdict(task.name, job, VerdictKind.RUNNING, "it has ended just now")


def _explain_delay(task: Task, job: str, launcher: Launcher) -> Verdict | None:
    thing = (task.name, job)
    veto = launcher.vetoes.reason(thing)
    if veto is not None:
        return Verdict(task.name, job, VerdictKind.VETOED, f"a plugin holds it back: {veto}")
    for backoff in (launcher.failures, launcher.retries, launcher.idle):
        reason = backoff.reason(thing)
        if reason is None:
            continue
        if backoff.given_up(thing):
            return Verdict(task.name, job, VerdictKind.BLOCKED, f"it could not be launched: {reason}")
        until = backoff.wait(thing)
        return Verdict(task.name, job, VerdictKind.BACKING_OFF, f"tried again in {until:.1f} s: {reason}", until=until)
    return None


def never_fits(task: Task) -> Resource | None:
    """Return the resource of which one job of `task` wants more than there is in all, or None."""
    if task.resource_manager is None or task.job_resources is None:
        return None
    return task.resource_manager.can_ever_fit(task.job_resources)


def _explain_quota(task: Task, job: str, denials: Mapping[str, Denial]) -> Verdict | None:
    manager, request = task.resource_manager, task.job_resources
    if manager is None or request is None:
        return None
    resource = never_fits(task)
    if resource is not None:
        wanted, cap = request.amount(resource), manager.quota.amount(resource)
        return Verdict(
            task.name,
            job,
            VerdictKind.NEVER_FITS,
            f"one job wants {wanted} of {label_of(resource)}, and the quota is {cap} in all",
            resource=name_of(resource),
            scope="quota",
            wanted=str(wanted),
            cap=str(cap),
        )
    denial = denials.get(task.name)
    if denial is None:
        return None
    held = ", some of it held for jobs that waited longer" if denial.held else ""
    return Verdict(
        task.name,
        job,
        VerdictKind.DENIED,
        f"the quota on {label_of(denial.resource)} denies it: "
        f"wanted {denial.wanted}, used {denial.used} of {denial.cap}{held}",
        resource=name_of(denial.resource),
        scope="quota",
        wanted=str(denial.wanted),
        used=str(denial.used),
        cap=str(denial.cap),
    )
