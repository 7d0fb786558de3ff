"""The task contract: a unit of execution that acts on the repositories it is linked to."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..link import Link
from ..repository.base import Repository
from ..repository.combinators import AggregateAndRepository, AggregateOrRepository, BlockingRepository
from ..repository.wrappers import RelatedItemRepository

if TYPE_CHECKING:
    from ..resource_manager import ResourceManager, Resources

__all__ = ["Task"]

NAME = re.compile(r"[A-Za-z0-9_](?:[-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?", re.ASCII)


class Task(ABC):
    """A unit of execution, launched for one job at a time.

    :param name: 1 to 63 letters, digits, "_" and "-"; unique in its pipeline.
    :param ready: Optional: the repository that says which jobs may start, in place of what the links say.
    :param disabled: whether no job is to be started.
    :raises ConfigurationError: if `name` is none.
    """

    #: The quota that a job takes `job_resources` of; the engine reserves it. None: the task minds its own limits.
    resource_manager: ResourceManager | None = None
    job_resources: Resources | None = None
    #: Whether each launch waits for its job's end; set by Pipeline.settings.
    synchronous: bool = False
    #: Whether the end of a job is recorded in `done`; set by Pipeline.settings.
    metadata: bool = True
    #: Whether bodies write to local repositories from other processes.
    runs_elsewhere: bool = False
    #: How many jobs the engine lets the task launch at once.
    concurrency: int = 16
    #: Called from any thread when something has happened that `update` should look at; set by the engine.
    wake: Callable[[], object] | None = None

    def __init__(self, name: str, ready: Repository | None = None, disabled: bool = False) -> None:
        if not _names_task(name):
            raise ConfigurationError(
                f"{name!r} cannot name a task",
                fix="use 1 to 63 letters, digits, '_' and '-', such as 'count_words'",
            )
        if ready is not None and not isinstance(ready, Repository):
            raise ConfigurationError(f"ready of task {name!r} is {type(ready).__name__}, not a repository")
        self.name = name
        self.disabled = disabled
        self.links: dict[str, Link] = {}
        self._ready = ready

    @property
    def ready(self) -> Repository:
        """The repository of jobs that may start: AND(required_for_start) without OR(inhibits_start), or the override.

        :raises ConfigurationError: if no link is required or none inhibits, so that no or every round would start jobs.
        """
        if self._ready is not None:
            return self._ready
        required, inhibiting = self.required_for_start, self.inhibits_start
        if not required:
            raise ConfigurationError(
                f"task {self.name!r} has no required link, so no job can ever start",
                fix=f"link what it reads, for example {self.name}.link('input', repository, is_input=True)",
            )
        if not inhibiting:
            raise ConfigurationError(
                f"task {self.name!r} has no link that inhibits its start, so every job would start again for ever",
                fix=f"link what says that a job is done, for example "
                f"{self.name}.link('done', repository, is_status=True, inhibits_start=True)",
            )
        return BlockingRepository(AggregateAndRepository(**required), AggregateOrRepository(**inhibiting))

    @property
    def shared_concurrency(self) -> int:
        """How many jobs are under way at once where other controllers wait for some."""
        return self.concurrency

    @property
    def has_ready_override(self) -> bool:
        """Whether a repository of the user's, rather than the links, says which jobs may start."""
        return self._ready is not None or type(self).ready is not Task.ready

    def link(
        self,
        name: str,
        repo: Repository,
        is_input: bool = False,
        is_output: bool = False,
        is_status: bool = False,
        inhibits_start: bool = False,
        required_for_start: bool | None = None,
        inhibits_output: bool = False,
        required_for_output: bool | None = None,
    ) -> None:
        """Link a repository to this task.

        :param name: what the task's body, its templates and the command line call it.
        :param repo: the repository.
        :param is_input: the task reads from it.
        :param is_output: the task writes to it.
        :param is_status: it holds what is true of the task for a while.
        :param inhibits_start: a job in it does not start.
        :param required_for_start: only a job in it starts; by default where it is an input.
        :param inhibits_output: it becomes inhibits_start in tasks that this one is plugged into.
        :param required_for_output: it becomes required_for_start there; by default where it is an output.
        :raises ConfigurationError: if `repo` is no repository, or another link has this name.
        """
        if not isinstance(repo, Repository):
            raise ConfigurationError(
                f"link {self.name}.{name} is {type(repo).__name__}, not a repository",
                fix="pass a Repository object",
            )
        if type(repo).__hash__ is None:
            raise ConfigurationError(
                f"link {self.name}.{name}: a {type(repo).__name__} cannot be told from others of its kind",
                fix="let the class compare by identity, for example with @dataclass(eq=False)",
            )
        if not _names_link(name):
            raise ConfigurationError(
                f"{name!r} cannot name a link of task {self.name!r}",
                fix="use a Python identifier, such as 'books', other than 'job'",
            )
        link = Link(
            repo=repo,
            is_input=is_input,
            is_output=is_output,
            is_status=is_status,
            inhibits_start=inhibits_start,
            required_for_start=is_input if required_for_start is None else required_for_start,
            inhibits_output=inhibits_output,
            required_for_output=is_output if required_for_output is None else required_for_output,
        )
        if self.links.get(name, link) != link:
            raise ConfigurationError(
                f"task {self.name!r} has two links named {name!r}: {self.links[name].repo!r} and {repo!r}",
                fix="give one of them another name",
            )
        self.links[name] = link

    def plug(
        self,
        output: Task,
        output_links: Iterable[str] | None = None,
        meta: bool = True,
        translator: Repository | None = None,
        translate_allow_deletes: bool = False,
        translate_prefetch_lookup: bool = True,
    ) -> None:
        """Link the outputs of another task as inputs of this one.

        An output keeps its name; any other link is called after the task and the link, as in "count_done".

        :param output: the task whose outputs this one reads.
        :param output_links: Optional: the names of the only outputs to link.
        :param meta: whether its inhibits_output and required_for_output links decide when this task starts.
        :param translator: Optional: its info(job) is the job of the other task that belongs to this task's job.
        :param translate_allow_deletes: whether a delete through a translated repository deletes.
        :param translate_prefetch_lookup: whether listings load all translations at once.
        :raises ConfigurationError: if a name is unknown, or taken already.
        """
        allowed = None if output_links is None else set(output_links)
        unknown = sorted((allowed or set()) - output.output.keys())
        if unknown:
            raise ConfigurationError(
                f"task {output.name!r} has no output {', '.join(map(repr, unknown))} to plug into {self.name!r}",
                fix=f"its outputs are: {', '.join(map(repr, output.output)) or 'none'}",
            )
        plugged: dict[str, Link] = {}
        for name, link in output.links.items():
            if link.is_output and allowed is not None and name not in allowed:
                continue
            inhibits = link.inhibits_output and meta
            required = link.required_for_output and meta
            if not (link.is_output or inhibits or required):
                continue
            repo = link.repo
            if translator is not None:
                repo = RelatedItemRepository(repo, translator, translate_allow_deletes, translate_prefetch_lookup)
            local = name if link.is_output else f"{_identifier(output.name)}_{name}"
            plugged[local] = Link(
                repo,
                is_input=link.is_output,
                inhibits_start=inhibits,
                required_for_start=required or link.is_output,
            )
            taken = self.links.get(local)
            if taken is not None and taken != plugged[local]:
                raise ConfigurationError(
                    f"plugging {output.name!r} into {self.name!r}: the link {local!r} is there already, "
                    f"from {self._origins.get(local, self.name)!r} ({taken.repo!r})",
                    fix=f"name the outputs of {output.name!r} to take with output_links=..., or rename one of the two",
                )
        self.links.update(plugged)
        self._origins.update(dict.fromkeys(plugged, output.name))

    @property
    def _origins(self) -> dict[str, str]:
        """Which task each plugged link came from."""
        origins: dict[str, str] = self.__dict__.setdefault("_plugged", {})
        return origins

    def _links_that(self, disposition: str) -> dict[str, Repository]:
        return {name: link.repo for name, link in self.links.items() if getattr(link, disposition)}

    @property
    def input(self) -> dict[str, Repository]:
        """The repositories of links marked is_input, by link name."""
        return self._links_that("is_input")

    @property
    def output(self) -> dict[str, Repository]:
        """The repositories of links marked is_output, by link name."""
        return self._links_that("is_output")

    @property
    def status(self) -> dict[str, Repository]:
        """The repositories of links marked is_status, by link name."""
        return self._links_that("is_status")

    @property
    def inhibits_start(self) -> dict[str, Repository]:
        """The repositories of links marked inhibits_start, by link name."""
        return self._links_that("inhibits_start")

    @property
    def required_for_start(self) -> dict[str, Repository]:
        """The repositories of links marked required_for_start, by link name."""
        return self._links_that("required_for_start")

    @property
    def inhibits_output(self) -> dict[str, Repository]:
        """The repositories of links marked inhibits_output, by link name."""
        return self._links_that("inhibits_output")

    @property
    def required_for_output(self) -> dict[str, Repository]:
        """The repositories of links marked required_for_output, by link name."""
        return self._links_that("required_for_output")

    async def validate(self) -> None:  # noqa: B027  a hook that many classes leave alone
        """Raise an exception if the task is misconfigured; called once when its pipeline opens."""

    async def check(self) -> None:  # noqa: B027
        """Raise an exception if no job could be started; called after `validate` where some are to be."""

    @property
    def running(self) -> int:
        """The number of jobs that run on after their launch has returned and count towards `concurrency`."""
        return 0

    @abstractmethod
    async def update(self) -> bool:
        """Look after the live jobs, and tell whether anything is live or anything happened."""

    @abstractmethod
    async def launch(self, job: str) -> None:
        """Start one job; what this raises is reported, and the job is tried again later."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError(f"task {self.name!r} cannot be sent to another process: it is found there by its name")


def _names_task(name: object) -> bool:
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def _names_link(name: object) -> bool:
    return isinstance(name, str) and name.isidentifier() and name != "job"


def _identifier(name: str) -> str:
    return ("_" if name[0].isdigit() else "") + name.replace("-", "_")
