"""Where one attempt of a process finds its inputs and leaves its outputs until they count."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .. import localfs
from ..proc_manager.stdout import STDOUT, StderrIsStdout
from ..repository.base import Repository
from .record import Outcome

if TYPE_CHECKING:
    from ..proc_manager.runner import ProcessRunner
    from ..template import Template
    from .process import ProcessTask

__all__ = ["NAMES", "SPACES", "Staging"]

#: Bytes of a log that are looked at for the cause of a failure.
TAIL = 8192
#: Ends by which the script's own results are whole.
WHOLE = ("success", "exit")
#: What a template calls the links of a kind, and which of a task's properties has them.
SPACES = {"inputs": "input", "outputs": "output", "status": "status"}
#: What else a template may use, besides the links themselves.
NAMES = ("job", "task", "env", "argv0", "attempt")


class Staging:
    """The files of one attempt.

    :param task: the task.
    :param job: the job.
    :param token: of the attempt.
    :param runner: what runs it.
    :param is_new: whether it is this controller's own.
    """

    def __init__(self, task: ProcessTask, job: str, token: str, runner: ProcessRunner, *, is_new: bool = True) -> None:
        self._task = task
        self._job = job
        self._token = token
        self._runner = runner
        #: By link, where an output is staged and where it belongs.
        self._outputs: dict[str, tuple[str, str]] = {}
        for name, link in task.links.items():
            if link.is_output and not link.is_input and runner.is_local:
                places = link.repo.staged(job, token)
                if places is not None:
                    self._outputs[name] = places
        #: Outputs that were put in place.
        self._moved: set[str] = set()
        #: Files of the attempt's own that there may be.
        self._files: list[str] = [name for name in ("stdin", "stdout", "stderr") if name in task.links]
        if not is_new or not task.is_shell_script:
            self._files.append("script")

    @property
    def log(self) -> str | None:
        """Where streams go that have no repository."""
        return self._runner.path(self._token, "log") if self._task.keep_log else None

    @property
    def stdout(self) -> str | None:
        """Where standard output goes."""
        return self._stream("stdout") if self._task.stdout is not None else self.log

    @property
    def stderr(self) -> str | StderrIsStdout | None:
        """Where standard error goes."""
        if isinstance(self._task._stderr, StderrIsStdout):
            return STDOUT
        if self._task._stderr is not None:
            return self._stream("stderr")
        if self._task.stdout is None:
            return STDOUT
        return self.log

    def _stream(self, name: str) -> str:
        staged = self._outputs.get(name)
        return staged[0] if staged is not None else self._runner.path(self._token, name)

    async def values(self, template: Template) -> dict[str, Any]:
        """Return what a template may use: the job's info in each link that it names."""
        task, job = self._task, self._job
        values: dict[str, Any] = {"job": job, "task": task.name, "env": task.environ, "argv0": _argv0()}
        values["attempt"] = self._token
        wanted = template.names
        spaces = {space: getattr(task, property) for space, property in SPACES.items() if space in wanted}
        in_spaces = {name for links in spaces.values() for name in links}
        infos = {
            name: await self._info(name, link.repo)
            for name, link in task.links.items()
            if name in wanted or name in in_spaces
        }
        for space, links in spaces.items():
            values[space] = {name: infos[name] for name in links}
        return {**infos, **values}

    async def _info(self, name: str, repo: Repository) -> Any:
        staged = self._outputs.get(name)
        return staged[0] if staged is not None else await repo.info(self._job)

    def tail(self) -> bytes:
        """Return the end of what the attempt wrote to standard error, or to what takes it."""
        if not self._runner.is_local:
            return b""
        for path in (self.stderr, self.stdout):
            if isinstance(path, str):
                try:
                    with open(path, "rb") as file:
                        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
                        return file.read(TAIL)
                except OSError:
                    continue
        return b""

    def results(self, outcome: Outcome, failure_ok: bool) -> tuple[list[list[str]], list[list[str]]]:
        """Return what is to be put in place, and what is to be copied into a repository, after an attempt's end."""
        whole = outcome["reason"] in WHOLE
        moves: list[list[str]] = []
        streams: list[list[str]] = []
        for name, (staged, target) in self._outputs.items():
            counts = whole if name in ("stdout", "stderr") else outcome["success"] or (failure_ok and whole)
            if (counts or name == "stderr") and os.path.lexists(staged):
                moves.append([staged, target])
                self._moved.add(staged)
        for name, repo in (("stdout", self._task.stdout), ("stderr", self._task._stderr)):
            if repo is None or isinstance(repo, StderrIsStdout) or name in self._outputs:
                continue
            if whole or name == "stderr":
                streams.append([self._stream(name), name])
        return moves, streams

    def discard(self, *, failed: int | None = None) -> None:
        """Remove what the attempt left that does not count.

        :param failed: the number of the attempt, if it failed, so that its log is worth reading.
        """
        if not self._runner.is_local:
            return
        for staged, _ in self._outputs.values():
            if staged not in self._moved:
                localfs.remove(staged)
        for name in self._files:
            localfs.remove(self._runner.path(self._token, name))
        log = self.log
        if log is None:
            return
        if failed is None:
            localfs.remove(log)
        else:
            self._task.kept_logs.keep(log, self._job, failed)


def _argv0() -> str:
    import sys

    return os.path.basename(sys.argv[0])
