"""How a repository relates to a task."""

from __future__ import annotations

from dataclasses import dataclass

from .repository.base import Repository

__all__ = ["Link"]


@dataclass
class Link:
    """A repository and its dispositions towards a task; made by Task.link.

    :param repo: the repository.
    :param is_input: the task reads from it.
    :param is_output: the task writes to it.
    :param is_status: it holds what is true of the task for a while.
    :param inhibits_start: a job in it does not start.
    :param required_for_start: only a job in it starts.
    :param inhibits_output: it becomes inhibits_start in tasks that this one is plugged into.
    :param required_for_output: it becomes required_for_start in tasks that this one is plugged into.
    """

    repo: Repository
    is_input: bool = False
    is_output: bool = False
    is_status: bool = False
    inhibits_start: bool = False
    required_for_start: bool = False
    inhibits_output: bool = False
    required_for_output: bool = False
