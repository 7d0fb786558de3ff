"""One look at a pipeline without an event loop: where nothing is ready, none has to be started."""

from __future__ import annotations

from ..engine.readiness import Readiness, ready_jobs
from ..engine.snapshot import Lister, transient_leaves
from ..pipeline import Pipeline
from ..task.executor import ExecutorTask
from ..task.function import InProcessSyncTask

__all__ = ["can_glance", "look"]


def can_glance(pipeline: Pipeline) -> bool:
    """Tell whether a look shows all there is: nothing of this pipeline can be live when a process begins."""
    return all(type(task) in (ExecutorTask, InProcessSyncTask) for task in pipeline.tasks.values())


async def look(pipeline: Pipeline) -> dict[str, Readiness]:
    """List each repository of an open pipeline once, and return, by task, what may start."""
    tasks = {name: task for name, task in pipeline.tasks.items() if not task.disabled}
    ready = {name: task.ready for name, task in tasks.items()}
    lister = Lister(lambda repo, error: None, pipeline.listings)
    snapshot = await lister.take(ready.values(), transient_leaves(tasks.values()))
    return {name: ready_jobs(task, ready[name], snapshot) for name, task in tasks.items()}
