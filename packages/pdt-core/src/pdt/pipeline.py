"""A pipeline: an unordered collection of tasks, related by the repositories they share."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from .controllers import ControllerLock
from .errors import BackendError, ConfigurationError, NotFoundError, PipelineNotOpenError
from .failpoints import hit
from .plugins.hooks import Hooks, current_hooks
from .repository.base import Repository
from .session import Session
from .store import Store
from .task.base import Task
from .task.tracked import TrackedTask
from .validation import check_records, check_shared, missing_inputs, validate_repositories, with_parts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from networkx import DiGraph

    from .engine.report import Report
    from .engine.runner import Runner
    from .engine.snapshot import Remembered
    from .engine.verdict import Verdict
    from .ledger import Ledger
    from .resource_manager import ResourceManager

__all__ = ["Pipeline"]

logger = logging.getLogger("pdt.pipeline")

NAME = re.compile(r"[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", re.ASCII)
#: Seconds that a job waits before what it needs is held for it.
PATIENCE = 300.0


class Pipeline:
    """Tasks, and the session of live resources that they use.

    :param tasks: the tasks; their names are unique.
    :param session: opened and closed with the pipeline.
    :param resources: Optional: resource managers that no task names; those of the tasks are found.
    :param priority: Optional: from a task's name and a job to a number. No job starts before all with a larger one.
    :param name: tells this pipeline from others that share the store; by default the script's name.
    :param store: Optional: the directory for records, attempts, claims and locks; by default `.pdt` beside the script.
    :param durability: "power" if what is recorded as done is to survive a power cut, "process" if only a crash.
    :param patience: seconds that a job waits before what it needs is held for it.
    :raises ConfigurationError: if something here is not what it should be.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        session: Session | None = None,
        resources: Iterable[ResourceManager] = (),
        priority: Callable[[str, str], int] | None = None,
        *,
        name: str | None = None,
        store: Store | str | os.PathLike[str] | None = None,
        durability: Literal["power", "process"] = "power",
        patience: float = PATIENCE,
    ) -> None:
        script = _script(sys._getframe(1).f_globals)
        self.name = _default_name(script) if name is None else name
        if not NAME.fullmatch(self.name):
            raise ConfigurationError(
                f"{self.name!r} cannot name a pipeline", fix="use 1 to 63 letters, digits, '-', '_' and '.'"
            )
        if durability not in ("power", "process"):
            raise ConfigurationError(f"durability {durability!r} is neither 'power' nor 'process'")
        self.store = store if isinstance(store, Store) else Store(store or (script or Path.cwd() / "-").parent / ".pdt")
        self.session = Session() if session is None else session
        self.priority = priority
        self.durability = durability
        self.patience = patience
        self._tasks = _by_name(tasks)
        self._resources = list(resources)
        self._runner: Runner | None = None
        self._stack: AsyncExitStack | None = None
        self._lock: ControllerLock | None = None
        self._missing_inputs: list[str] = []
        #: The tasks whose attempts are kept in the ledger.
        self._booked: set[TrackedTask] = set()
        self._only_looks = False
        self.hooks: Hooks = Hooks()
        #: What was listed since it was opened, of repositories that can tell whether they have changed.
        self.listings: Remembered = {}

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The tasks, by name."""
        return MappingProxyType(self._tasks)

    @property
    def resource_managers(self) -> list[ResourceManager]:
        """The resource managers of the tasks, and those that were given."""
        of_tasks = (task.resource_manager for task in self._tasks.values())
        return list(dict.fromkeys([*self._resources, *(manager for manager in of_tasks if manager is not None)]))

    @property
    def repositories(self) -> list[Repository]:
        """Every repository that a task is linked to, and those that they are made of, each once."""
        linked: list[Repository] = []
        for task in self._tasks.values():
            linked += [link.repo for link in task.links.values()]
            if task.has_ready_override:
                linked.append(task.ready)
        return with_parts(linked)

    def settings(self, synchronous: bool = False, metadata: bool = True) -> None:
        """Set how this run goes.

        :param synchronous: whether a launch waits for its job's end.
        :param metadata: whether the ends of jobs are recorded in `done` or `failed`. Where they are not, each job runs
            once in a run, besides what its `retry` policy says, and again in the next run.
        """
        for task in self._tasks.values():
            task.synchronous = synchronous
            task.metadata = metadata

    # Opening and closing.

    @property
    def is_open(self) -> bool:
        """Whether the pipeline is open."""
        return self._stack is not None

    async def open(self, *, only_look: bool = False, starts: bool = True) -> None:
        """Open the session, and validate every task and repository; if anything fails, all is closed again.

        :param only_look: whether nothing is made or started: a directory or file that is missing counts as empty.
        :param starts: whether jobs are to be started, so that what they need is checked as well, such as templates.
        :raises ConfigurationError: if the pipeline is open already, or something in it is misconfigured.
        """
        if self.is_open:
            raise ConfigurationError(f"pipeline {self.name!r} is open already", fix="close it before opening it again")
        self.hooks = current_hooks()
        await self.hooks.notify("pdt_configure_pipeline", pipeline=self)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.session)
            stack.callback(self._release)
            stack.push_async_callback(self._suspend)
            self._only_looks = only_look
            self._let_launch(self.take_control)
            check_records(self._tasks.values())
            for task in self._tasks.values():
                await task.validate()
                if not task.disabled:
                    task.ready  # noqa: B018  raises if nothing is required, or nothing inhibits
                    if starts and not only_look:
                        await task.check()
            self._missing_inputs = missing_inputs(self._tasks.values())
            await validate_repositories(self._tasks.values(), self.repositories, only_look=only_look)
            await self.hooks.notify("pdt_pipeline_opened", pipeline=self)
            stack.push_async_callback(self.hooks.notify, "pdt_pipeline_closed", pipeline=self)
            self._stack = stack.pop_all()

    async def _suspend(self) -> None:
        """Let go of what runs on without this controller."""
        for task in self._tasks.values():
            if isinstance(task, TrackedTask):
                try:
                    await task.suspend()
                    await task.release()
                except Exception as error:  # its processes run on, and the next controller finds them
                    logger.warning("task %s could not be closed: %s", task.name, error, exc_info=error)

    async def close(self) -> None:
        """Close the session; a closed pipeline stays closed, and can be opened again."""
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()

    def _release(self) -> None:
        """Forget the run, and give the controller's lock back."""
        lock, self._lock, self._runner = self._lock, None, None
        self.listings.clear()
        self._let_launch(None)
        for task in self._booked:
            task.book = None
        self._booked.clear()
        ledger = self.__dict__.pop("ledger", None)
        if ledger is not None:
            ledger.close()
        hit("control.before_release")
        if lock is not None:
            lock.release()
        hit("control.released")
        for repo in self.repositories:
            repo.release()
            repo.expect("write")

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _require_open(self) -> None:
        if not self.is_open:
            raise PipelineNotOpenError(
                f"pipeline {self.name!r} is not open", fix="use it inside `async with pipeline:`"
            )

    def take_control(self, *, shared: bool = False) -> None:
        """Become the only controller of this pipeline, or one of several, until it is closed.

        A pipeline whose repositories live in this process only needs no lock. One that has control keeps it as it is.

        :param shared: whether other controllers that share it may work on it, too: each job is started by one of them.
        :raises HeldError: if another controller works on it, and one of the two does not share it.
        :raises ConfigurationError: if it was opened only to look, or cannot be shared.
        """
        self._require_open()
        if self._only_looks:
            raise ConfigurationError(
                f"pipeline {self.name!r} was opened only to look", fix="open it without only_look=True to run it"
            )
        missing, self._missing_inputs = self._missing_inputs, []
        for what in missing:
            logger.warning("%s did not exist; it is made, empty", what)
        if shared and (self._lock is None or not self._lock.is_shared):
            self._check_shared()
        if self._lock is None and any(repo.shared for repo in self.repositories):
            try:
                self.store.claim_host()
                lock = ControllerLock(self.store.lock_path(self.name))
                lock.acquire(shared=shared)
            except OSError as error:
                raise BackendError(
                    f"the store {self.store.path} of pipeline {self.name!r} cannot be used: {error.strerror or error}",
                    fix="make it a directory that you may write to, or pass another as store=...",
                ) from error
            self._lock = lock
            hit("control.locked")
        self._give_books()

    def _check_shared(self) -> None:
        """Check that this pipeline can be shared.

        :raises ConfigurationError: if it cannot, or this controller has it for itself.
        """
        if self._lock is not None:
            raise ConfigurationError(
                f"this controller has pipeline {self.name!r} for itself", fix="close it, and open it to share it"
            )
        check_shared(self._tasks.values())

    @property
    def shared_lock(self) -> ControllerLock | None:
        """The lock of this controller, if it shares the pipeline with others."""
        return self._lock if self._lock is not None and self._lock.is_shared else None

    def _let_launch(self, take_control: Callable[[], None] | None) -> None:
        """Have tasks whose jobs are launched by hand begin with control, so that the next controller finds those."""
        for task in self._tasks.values():
            if isinstance(task, TrackedTask):
                task.take_control = take_control

    def _give_books(self) -> None:
        """Let tasks keep their attempts where the next controller finds them."""
        from .attempts.book import AttemptBook

        for task in self._tasks.values():
            if not isinstance(task, TrackedTask) or task in self._booked:
                continue
            self._booked.add(task)
            lock = self.shared_lock
            if lock is not None:
                task.book = AttemptBook(self.ledger, task.name, owner=lock.number, owned=lock.numbers)
            elif task.keeps_attempts:
                task.book = AttemptBook(self.ledger, task.name)
            if self._lock is not None:
                task.lock_file = os.fspath(self._lock.path.with_suffix(".workers"))

    async def has_attempts(self) -> bool:
        """Tell whether an earlier controller left attempts that are to be looked after."""
        for task in self._tasks.values():
            if isinstance(task, TrackedTask) and task.claims:
                for kind in ("claim", "commit"):
                    if await self.ledger.list(f"{kind}/{task.name}/"):
                        return True
        return False

    @property
    def has_ledger(self) -> bool:
        """Whether there is a ledger by now, of this controller or of another."""
        return "ledger" in vars(self) or (any(repo.shared for repo in self.repositories) and self.store.has_ledger())

    @cached_property
    def ledger(self) -> Ledger:
        """What controllers of this pipeline agree on; in memory where nothing else of it outlives the process."""
        from .ledger import MemoryLedger

        return self.store.ledger() if any(repo.shared for repo in self.repositories) else MemoryLedger()

    # Running.

    @property
    def runner(self) -> Runner:
        """What drives the pipeline while it is open, on the running event loop."""
        self._require_open()
        if self._runner is None:
            from .engine.runner import Runner

            self._runner = Runner(self, self.hooks)
        return self._runner

    @asynccontextmanager
    async def _controlling(self, *, shared: bool = False) -> AsyncIterator[Runner]:
        self.take_control(shared=shared)
        runner = self.runner
        async with runner.working():
            yield runner

    async def update(self) -> bool:
        """Perform one round: look after live jobs, then launch what is ready; tell whether there is any activity."""
        async with self._controlling() as runner:
            live = await self._update(runner)
            return await runner.launch_ready() or live

    async def update_only_update(self) -> bool:
        """Perform the first half of a round: look after live jobs, and tell whether there were any."""
        async with self._controlling() as runner:
            return await self._update(runner)

    @staticmethod
    async def _update(runner: Runner) -> bool:
        live = await runner.update()
        await runner.launcher.settle()
        return live

    async def update_only_launch(self) -> bool:
        """Perform the second half of a round: launch what is ready, and tell whether anything was."""
        async with self._controlling() as runner:
            return await runner.launch_ready()

    async def run(
        self, *, forever: bool = False, launch_once: bool = False, fail_fast: bool = False, shared: bool = False
    ) -> Report:
        """Update and launch until nothing moves any more, and report what was done.

        :param forever: go on when nothing moves, until stopped.
        :param launch_once: launch what is ready at first, and then only wait for it.
        :param fail_fast: start nothing more after the first failure.
        :param shared: let other controllers that share it work on the pipeline, too.
        """
        async with self._controlling(shared=shared) as runner:
            return await runner.run(forever=forever, launch_once=launch_once, fail_fast=fail_fast)

    def stop(self) -> None:
        """Let a run end once what is under way has ended."""
        if self._runner is not None:
            self._runner.stop()

    async def gather_ready_jobs(self, task: Task) -> set[str]:
        """Return the jobs of `task` that may start.

        :raises BackendError: if what it depends on cannot be listed.
        """
        from .engine.look import look_once

        self._require_open()
        view = await look_once({task.name: task})
        found = view.readiness.get(task.name)
        if found is None:
            return set()
        if found.failure is not None:
            raise BackendError(str(found.failure), fix="see `pdt status` once the store answers again")
        return set(found.jobs)

    async def explain(self, task: Task, job: str) -> Verdict:
        """Look, and say of one job what the engine decides about it."""
        self._require_open()
        await self.runner.look()
        return self.runner.explain(task, job)

    # The graph.

    def graph(self) -> DiGraph[Task | Repository]:
        """Return the directed graph of tasks and repositories: edges lead from what is read to what reads it,
        and from a repository to those that are computed from it."""
        import networkx

        graph: DiGraph[Any] = networkx.DiGraph()
        for task in self._tasks.values():
            graph.add_node(task)
            for link in task.links.values():
                if link.is_input or link.required_for_start or link.inhibits_start:
                    graph.add_edge(link.repo, task)
                    if link.is_output or link.is_status:
                        graph.add_edge(task, link.repo)
                else:
                    graph.add_edge(task, link.repo)
        for repo in self.repositories:
            for part in repo.parts:
                graph.add_edge(part, repo)
        return graph

    def dependants(self, node: Repository | Task, recursive: bool) -> Iterable[Repository | Task]:
        """Return `node`, and then what depends on it.

        :param recursive: whether to follow dependencies of dependencies, rather than only the direct ones.
        :raises NotFoundError: if `node` is no task of the pipeline, and none is linked to it.
        """
        import networkx

        graph = self.graph()
        if node not in graph:
            raise NotFoundError(
                f"{node!r} is not part of pipeline {self.name!r}",
                fix="name a task of it, or a repository that one of them is linked to",
            )
        if recursive:
            return list(networkx.dfs_preorder_nodes(graph, node))
        return [node, *graph.successors(node)]

    def __repr__(self) -> str:
        return f"Pipeline({', '.join(self._tasks)}, name={self.name!r})"


def _by_name(tasks: Iterable[Task]) -> dict[str, Task]:
    found: dict[str, Task] = {}
    for task in tasks:
        if not isinstance(task, Task):
            raise ConfigurationError(
                f"{task!r} in the tasks of a pipeline is {type(task).__name__}, not a task",
                fix="a decorated function becomes its task: list that",
            )
        if found.get(task.name, task) is not task:
            raise ConfigurationError(
                f"two tasks are named {task.name!r}: {found[task.name]!r} and {task!r}",
                fix="give each task of a pipeline a name of its own",
            )
        found[task.name] = task
    return found


def _script(names: Mapping[str, Any]) -> Path | None:
    """Return the file of the module that makes the pipeline, if it has one."""
    file = names.get("__file__")
    return Path(os.path.abspath(file)) if isinstance(file, str) else None


def _default_name(script: Path | None) -> str:
    stem = re.sub(r"[^-_.A-Za-z0-9]", "-", script.stem if script else "pipeline").strip("-_.")[:63].rstrip("-_.")
    return stem or "pipeline"
