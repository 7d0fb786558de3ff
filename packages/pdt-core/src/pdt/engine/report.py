"""What a run did, for whoever asked for it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Report"]

logger = logging.getLogger("pdt.engine")


@dataclass
class Report:
    """What a run did so far.

    :param launched: by task, the launches that succeeded.
    :param succeeded: by task, the jobs whose body returned.
    :param failed: by task, the jobs whose body raised.
    :param retried: by task, the attempts that failed and were followed by another.
    :param problems: what went wrong apart from jobs' bodies, in order.
    :param backend_failed: whether a store or a task failed in a way that is not a job's fault.
    :param last_failure: the task, the job and the record of the last job that failed.
    :param interrupted: whether the run was told to stop before it was done.
    """

    launched: Counter[str] = field(default_factory=Counter)
    succeeded: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    retried: Counter[str] = field(default_factory=Counter)
    problems: dict[str, None] = field(default_factory=dict)
    backend_failed: bool = False
    last_failure: tuple[str, str, Mapping[str, Any]] | None = None
    interrupted: bool = False

    def problem(self, text: str, *, backend: bool = False) -> None:
        """Note something that went wrong, once.

        :param backend: whether a store or a task is at fault, rather than a job.
        """
        self.backend_failed = self.backend_failed or backend
        if text not in self.problems:
            self.problems[text] = None
            logger.error("%s", text)

    @property
    def exit_code(self) -> int:
        """The exit status of a command that ran this: 130 interrupted, 5 a backend failed, 1 other failures, else 0."""
        if self.interrupted:
            return 130
        if self.backend_failed:
            return 5
        return 1 if self.failed or self.problems else 0
