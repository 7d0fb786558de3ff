"""Tasks whose jobs are scripts, run as processes that outlive their controller."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from .. import localfs
from ..attempts.policy import Retry
from ..errors import ConfigurationError
from ..failpoints import hit
from ..proc_manager.runner import Command, ProcessRunner
from ..proc_manager.stdout import STDOUT, StderrIsStdout
from ..repository.base import BlobRepository, MetadataRepository, Repository
from ..repository.filesystem import FileRepository
from ..streams import async_copyfile
from .attempted import AttemptedTask
from .logs import KeptLogs
from .staging import NAMES, SPACES, Staging
from .tracked import _seconds

if TYPE_CHECKING:
    from ..attempts.book import Claim
    from ..proc_manager.base import AbstractProcessManager
    from ..resource_manager import ResourceManager, Resources
    from ..template import Template
    from .live import Running

__all__ = ["STDOUT", "ProcessTask"]


class ProcessTask(AttemptedTask):
    """A task that runs a script for each job; its first line says by which interpreter, by default the shell.

    In the script's text a link's name stands for the job's info in it, and an output for a path that is put in place
    when the script has succeeded.

    :param name: the task's name.
    :param manager: a process manager, or a callable that returns one, such as a session's resource.
    :param resource_manager: the quota that each running job takes `job_resources` of.
    :param job_resources: what one job takes.
    :param pids: takes a record of each running process; linked as "pids".
    :param template: the script's text, or the path of a file with it.
    :param window: for how long a start counts towards the quota's launches.
    :param environ: variables to add to the environment.
    :param done: Optional: takes a record of each job's end; linked as "done".
    :param stdin: Optional: what each job reads; linked as "stdin".
    :param stdout: Optional: takes what each job writes; linked as "stdout".
    :param stderr: Optional: takes what each job writes to standard error, or STDOUT to mix the two; linked as "stderr".
    :param ready: Optional: the repository that says which jobs may start.
    :param cwd: Optional: the directory to start in; by default one of the process manager's, which all jobs share.
    :param keep_log: whether what a job writes to streams that have no repository is kept until it has succeeded.
    :param failed: Optional: takes the records of failed jobs in place of `done`, so that what depends on them waits;
        linked as "failed".
    :param retry: when a failed job is tried again; by default never.
    :param timeout: Optional: seconds, or a timedelta, that a job may take.
    :param grace: seconds, or a timedelta, that it has to end when it is told to.
    :param failure_ok: whether a failed job counts as done, and its run as successful.
    :param disabled: whether no job is to be started.
    :raises ConfigurationError: if one of them is not what it should be.
    """

    counts_starts = True

    def __init__(
        self,
        name: str,
        manager: Callable[[], AbstractProcessManager] | AbstractProcessManager,
        resource_manager: ResourceManager,
        job_resources: Resources,
        pids: MetadataRepository,
        template: str | os.PathLike[str],
        window: timedelta = timedelta(seconds=60),
        environ: dict[str, str] | None = None,
        done: MetadataRepository | None = None,
        stdin: BlobRepository | None = None,
        stdout: BlobRepository | None = None,
        stderr: BlobRepository | StderrIsStdout | None = None,
        ready: Repository | None = None,
        *,
        cwd: str | os.PathLike[str] | None = None,
        keep_log: bool = True,
        failed: MetadataRepository | None = None,
        retry: Retry | int | None = None,
        timeout: float | timedelta | None = None,
        grace: float | timedelta = 10.0,
        failure_ok: bool = False,
        disabled: bool = False,
    ) -> None:
        given: object = pids
        if not isinstance(given, MetadataRepository):
            raise ConfigurationError(
                f"pids of task {name!r} is {type(given).__name__}, which cannot hold records",
                fix="pass a MetadataRepository, for example SqliteMetadataRepository('.pdt/records.sqlite', 'pids')",
            )
        self._window = _seconds(name, "window", window)
        self._starts: deque[float] = deque()
        super().__init__(
            name,
            done,
            ready,
            pids,
            resource_manager=resource_manager,
            job_resources=job_resources,
            failed=failed,
            retry=retry,
            timeout=timeout,
            grace=grace,
            failure_ok=failure_ok,
            disabled=disabled,
        )
        self._manager = manager
        self.environ = dict(environ or {})
        self.template = template
        self.cwd = None if cwd is None else os.path.abspath(cwd)
        self.keep_log = keep_log
        self.kept_logs = KeptLogs(lambda: os.path.join(self.basedir, "logs"))
        self.stdin = stdin
        self.stdout = stdout
        self._stderr = stderr
        separate = None if isinstance(stderr, StderrIsStdout) else stderr
        wrong = _not_blobs(name, stdin=stdin, stdout=stdout, stderr=separate)
        if wrong is not None:
            raise wrong
        if not all(isinstance(text, str) for variable in self.environ.items() for text in variable):
            raise ConfigurationError(f"environ of task {name!r} has names or values that are not text")
        if stdin is not None:
            self.link("stdin", stdin, is_input=True)
        if stdout is not None:
            self.link("stdout", stdout, is_output=True)
        if separate is not None:
            self.link("stderr", separate, is_output=True)
        self._template: Template | None = None

    @property
    def manager(self) -> AbstractProcessManager:
        """The process manager.

        :raises SessionNotOpenError: if it comes from a session that is closed.
        """
        from ..proc_manager.base import AbstractProcessManager

        return self._manager if isinstance(self._manager, AbstractProcessManager) else self._manager()

    @property
    def stderr(self) -> BlobRepository | None:
        """The repository that takes what jobs write to standard error, or None if none does."""
        return self.stdout if isinstance(self._stderr, StderrIsStdout) else self._stderr

    @property
    def basedir(self) -> Path:
        """The directory on the target where this task keeps what belongs to its attempts."""
        return self.manager.basedir / self.name

    def log_path(self, job: str, number: int) -> str:
        """Return where the log of a failed attempt is kept, on this machine.

        :param number: of the attempt: 1 for the first.
        """
        return self.kept_logs.path(job, number)

    async def _take_over(self) -> None:
        if self.keep_log:
            # Also of jobs that are tried again by hand: no attempt writes over the log of an earlier one.
            await localfs.in_thread(self.kept_logs.load)
            self.book.above = self.kept_logs.newest
        await super()._take_over()

    def _on_success(self, running: Running) -> None:
        """Remove the logs of earlier attempts, also of those that are forgotten."""
        if self._runner is not None and self._runner.is_local and self.keep_log:
            self.kept_logs.forget(running.claim.job, running.claim.number)

    @property
    def is_shell_script(self) -> bool:
        """Whether the script has no first line that names an interpreter."""
        return self._template is not None and not self._template.text.startswith("#!")

    async def _load(self) -> Resources:
        """Report what this task's jobs hold of the quota, and how many were started lately."""
        since = time.monotonic() - self._window
        while self._starts and self._starts[0] < since:
            self._starts.popleft()
        alive = (running for running in self.live.running.values() if running.is_alive)
        begun = sum(running.holds and running.pid is not None for running in alive)
        starts = len(self._starts) + max(0, self.holding - begun)
        each = 1 if self.job_resources is None else self.job_resources.launches or 0
        return (await super()._load()).with_launches(starts * each)

    async def validate(self) -> None:
        """Read the template.

        :raises ConfigurationError: if it cannot be read, or is none.
        """
        from ..template import Template

        self._template = Template(self.template, name=f"script of task {self.name!r}")
        self.blocked.clear()

    async def check(self) -> None:
        """Find what is wrong with the template whatever its values are.

        :raises ConfigurationError: if something is.
        """
        assert self._template is not None  # noqa: S101  `validate` has read it
        spaces = {space: getattr(self, property) for space, property in SPACES.items()}
        self._template.check({*self.links, *NAMES, *spaces}, spaces)

    def _new_runner(self) -> ProcessRunner:
        return self.manager.runner()

    def staging(self, claim: Claim, runner: ProcessRunner, *, is_new: bool = True) -> Staging:
        """Return where an attempt finds its inputs and leaves its outputs until they count."""
        return Staging(self, claim.job, claim.token, runner, is_new=is_new)

    async def _start(self, running: Running, runner: ProcessRunner) -> str:
        staging = running.staging
        if self._template is None:
            await self.validate()
        template = self._template
        assert template is not None  # noqa: S101  it was read
        script = template.render(await staging.values(template))
        hit("launch.rendered")
        stdin = await self._stdin(running, runner)
        command = Command(
            running.claim.token,
            self.name,
            script,
            {**self.environ, "PDT_TASK": self.name, "PDT_JOB": running.claim.job},
            self.cwd,
            stdin,
            staging.stdout,
            staging.stderr,
        )
        hit("launch.before_start")
        pid = await runner.start(command, running.claim.place)
        self._starts.append(time.monotonic())
        return pid

    async def _stdin(self, running: Running, runner: ProcessRunner) -> str | None:
        """Return where the process finds its standard input."""
        if self.stdin is None:
            return None
        job = running.claim.job
        if runner.is_local and isinstance(self.stdin, FileRepository):
            return os.fspath(self.stdin.fullpath(job))
        path = runner.path(running.claim.token, "stdin")
        async with await self.stdin.open(job, "rb") as source, await runner.open_file(path, "wb") as target:
            await async_copyfile(source, target)
        return path


def _not_blobs(task: str, **repos: object) -> ConfigurationError | None:
    """Return the error that one of the repositories of a task holds no blobs, if that is so."""
    for name, repo in repos.items():
        if repo is not None and not isinstance(repo, BlobRepository):
            return ConfigurationError(
                f"{name} of task {task!r} is {type(repo).__name__}, which holds no blobs",
                fix="pass a BlobRepository, for example FileRepository('logs', '.txt')",
            )
    return None
