"""What is checked of a pipeline's parts, apart from what each checks of itself, when it is opened."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from .errors import ConfigurationError
from .link import Link
from .repository.base import Repository
from .repository.filesystem import FileRepositoryBase
from .task.base import Task
from .task.tracked import TrackedTask

__all__ = ["check_records", "check_shared", "missing_inputs", "validate_repositories", "with_parts"]


def with_parts(repos: Iterable[Repository]) -> list[Repository]:
    """Return repositories and those that they are made of, each once."""
    waiting = list(repos)
    found: dict[Repository, None] = {}
    while waiting:
        repo = waiting.pop(0)
        if repo not in found:
            found[repo] = None
            waiting += repo.parts
    return list(found)


def check_records(tasks: Iterable[Task]) -> None:
    """Refuse two tasks that write their records to one repository: neither would start what the other has done.

    :raises ConfigurationError: if there are such.
    """
    writers: dict[Repository, str] = {}
    for task in tasks:
        link = task.links.get("done")
        if task.disabled or link is None or link.repo is not getattr(task, "done", None):
            continue
        if link.is_status and link.inhibits_start and link.repo in writers:
            raise ConfigurationError(
                f"tasks {writers[link.repo]!r} and {task.name!r} both write their records to {link.repo!r}, "
                "so neither would start a job that the other has done",
                fix="give each task a repository of its own, for example "
                f"done=SqliteMetadataRepository('.pdt/records.sqlite', {task.name!r})",
            )
        writers[link.repo] = task.name


def check_shared(tasks: Iterable[Task]) -> None:
    """Refuse tasks of which several controllers would start the same job.

    :raises ConfigurationError: if there is one.
    """
    for task in tasks:
        if task.disabled:
            continue
        if not isinstance(task, TrackedTask):
            raise ConfigurationError(
                f"task {task.name!r} cannot be shared by several controllers: {type(task).__name__} claims no jobs",
                fix="derive it from TrackedTask, or run the pipeline without --shared",
            )
        for name, repo in (("done", task.done), ("failed", task.failed)):
            if repo is not None and not repo.shared:
                raise ConfigurationError(
                    f"task {task.name!r} cannot be shared by several controllers: its {name} lives in this process, "
                    "where no other sees which jobs have ended",
                    fix="keep the records on disk, for example "
                    f"{name}=SqliteMetadataRepository('.pdt/records.sqlite', {task.name!r}), or run without --shared",
                )
        if not task.metadata:
            raise ConfigurationError(
                f"task {task.name!r} cannot be shared by several controllers: its jobs leave no records",
                fix="leave out settings(metadata=False), or run without --shared",
            )


def missing_inputs(tasks: Iterable[Task]) -> list[str]:
    """Name the input directories that are about to be made: a name may be mistyped."""
    local = [
        (f"{task.name}.{name}", link, link.repo.basedir)
        for task in tasks
        for name, link in task.links.items()
        if isinstance(link.repo, FileRepositoryBase)
    ]
    written = {directory for _, link, directory in local if link.is_output or link.is_status}
    return [
        f"{name}: directory {directory}"
        for name, link, directory in local
        if link.is_input and directory not in written and not directory.exists()
    ]


async def validate_repositories(tasks: Collection[Task], repos: Iterable[Repository], *, only_look: bool) -> None:
    """Validate repositories, and add a note on which link leads there to what one of them raises.

    :param only_look: whether nothing is to be made.
    """
    written = set(with_parts(link.repo for task in tasks for link in task.links.values() if _writes(link)))
    for repo in repos:
        repo.expect("look" if only_look else "write" if repo in written else "read")
        try:
            await repo.validate()
        except Exception as error:
            error.add_note(f"{_link_to(repo, tasks)}: {repo!r}")
            raise


def _writes(link: Link) -> bool:
    """Tell whether a task may write to what it is linked to; where nothing is said of the link, it may."""
    reads = link.is_input or link.required_for_start or link.inhibits_start
    return link.is_output or link.is_status or not reads


def _link_to(repo: Repository, tasks: Iterable[Task]) -> str:
    """Name a link that leads to a repository."""
    links = ((f"{task.name}.{name}", link) for task in tasks for name, link in task.links.items())
    return next((name for name, link in links if repo in with_parts([link.repo])), "ready")
