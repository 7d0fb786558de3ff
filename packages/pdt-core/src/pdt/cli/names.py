"""From names on the command line to tasks and links, with a suggestion where nothing has the name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..errors import ConfigurationError, NotFoundError
from ..link import Link
from ..pipeline import Pipeline
from ..repository.base import Repository
from ..task.base import Task

__all__ = ["LinkName", "find_link", "find_task", "links_of", "suggestion"]


class LinkName(NamedTuple):
    """A link, and how the command line calls it."""

    task: Task
    name: str
    link: Link

    @property
    def repo(self) -> Repository:
        """The linked repository."""
        return self.link.repo

    def __str__(self) -> str:
        return f"{self.task.name}.{self.name}"


def suggestion(name: str, names: Iterable[str], otherwise: str, prefix: str = "") -> str:
    """Return a fix that names what is spelt nearly like `name`, or else `otherwise`.

    :param prefix: what comes before each of the names; it is not compared.
    """
    from difflib import get_close_matches

    close = get_close_matches(name, list(names), n=1)
    return f"did you mean {prefix}{close[0]}?" if close else otherwise


def find_task(pipeline: Pipeline, name: str) -> Task:
    """Return the task of that name; an underscore may stand for a dash.

    :raises NotFoundError: if there is none.
    """
    tasks = pipeline.tasks
    if name in tasks:
        return tasks[name]
    alike = [task for other, task in tasks.items() if other.replace("-", "_") == name]
    if len(alike) == 1:
        return alike[0]
    raise NotFoundError(
        f"there is no task {name!r}",
        fix=suggestion(name, tasks, f"the tasks are: {', '.join(tasks) or 'none'}"),
    )


def find_link(pipeline: Pipeline, text: str) -> LinkName:
    """Return the link that TASK.LINK names.

    :raises NotFoundError: if there is no such task or link.
    :raises ConfigurationError: if the text names no link.
    """
    task_name, dot, name = text.partition(".")
    task = find_task(pipeline, task_name)
    everything = [f"{task.name}.{link}" for link in task.links]
    if not dot:
        raise ConfigurationError(
            f"{text} is a task, and a link is wanted", fix=f"name one of its links: {', '.join(everything)}"
        )
    if name not in task.links:
        otherwise = f"its links are: {', '.join(everything) or 'none'}"
        raise NotFoundError(
            f"task {task.name!r} has no link {name!r}",
            fix=suggestion(name, task.links, otherwise, prefix=f"{task.name}."),
        )
    return LinkName(task, name, task.links[name])


def links_of(pipeline: Pipeline, all_repos: bool) -> list[LinkName]:
    """Return the links in the order of the status: by task; inputs first, then status, then the others.

    :param all_repos: also those that are neither input, output nor status.
    """
    found = []
    for task in pipeline.tasks.values():
        shown = [
            LinkName(task, name, link)
            for name, link in task.links.items()
            if all_repos or link.is_input or link.is_output or link.is_status
        ]
        found += sorted(shown, key=lambda item: 0 if item.link.is_input else 1 if item.link.is_status else 2)
    return found
