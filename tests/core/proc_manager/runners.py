"""Runners of attempts to test with, controllers that are killed, and looks at what is left."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pdt.proc_manager.local_runner import LocalRunner
from pdt.proc_manager.processes import carriers, kill_carriers
from pdt.proc_manager.runner import Command, Exit, Place, ProcessRunner

__all__ = ["Bench", "Controller", "alive", "bench", "children", "controller", "descriptors", "files", "until"]

DEADLINE = 20.0
CONTROLLER = """
import asyncio, json, sys
from pathlib import Path
from pdt.proc_manager.local_runner import LocalRunner
from pdt.proc_manager.runner import Command

async def main():
    runner = LocalRunner(Path(sys.argv[1]))
    await runner.open(lambda: None)
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "kill":
            await runner.kill(order["token"], "cancelled", order["grace"])
            answer = None
        else:
            answer = {"place": dict(runner.place(order["token"]))}
            if order["do"] == "start":
                answer["pid"] = await runner.start(Command(order["token"], "job", order["script"]), answer["place"])
        print(json.dumps(answer), flush=True)

asyncio.run(main())
"""


async def until(holds: Callable[[], object], deadline: float = DEADLINE) -> None:
    """Return once something holds that nothing tells of."""
    async with asyncio.timeout(deadline):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class Bench:
    """A runner that is open, and its attempts."""

    def __init__(self, runner: ProcessRunner) -> None:
        self.runner = runner
        self.places: dict[str, Place] = {}
        self.exits: dict[str, Exit] = {}
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def start(self, script: str, **options: Any) -> str:
        """Start a script, and return its token."""
        token = uuid.uuid4().hex
        self.places[token] = self.runner.place(token)
        await self.runner.start(Command(token, "job", script, **options), self.places[token])
        await asyncio.sleep(0)  # as between the jobs of a round
        return token

    async def end(self, token: str, deadline: float = DEADLINE) -> Exit:
        """Return how an attempt ended, once the runner has called for a look."""
        async with asyncio.timeout(deadline):
            while token not in self.exits:
                self._woken.clear()
                await self.look()
                if token not in self.exits:
                    await self._woken.wait()
        return self.exits[token]

    async def look(self) -> set[str]:
        """Return which attempts have ended so far."""
        for exit in await self.runner.ended():
            assert exit.token not in self.exits
            self.exits[exit.token] = exit
        return set(self.exits)

    async def run(self, script: str, **options: Any) -> Exit:
        """Run a script, and return how it ended."""
        token = await self.start(script, **options)
        exit = await self.end(token)
        await self.runner.forget([token])
        return exit

    async def output(self, script: str, **options: Any) -> str:
        """Return what a script writes to both of its outputs."""
        from pdt.proc_manager import STDOUT

        path = self.runner.path(uuid.uuid4().hex, "log")
        await self.run(script, stdout=path, stderr=STDOUT, **options)
        return Path(path).read_text()


@asynccontextmanager
async def bench(path: Path) -> AsyncIterator[Bench]:
    """Open a runner whose directory is below `path`; nothing of its attempts is left in the end."""
    made = Bench(LocalRunner(path / "processes"))
    await made.runner.open(made.wake)
    try:
        yield made
    finally:
        kill_carriers(list(made.places))
        await made.runner.close()


class Controller:
    """Another process that starts attempts."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.places: dict[str, Place] = {}
        self.pids: dict[str, int] = {}

    async def _order(self, **order: Any) -> Any:
        return await asyncio.to_thread(self._answer, order)

    def _answer(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    async def start(self, script: str) -> str:
        """Start a script, and return its token."""
        token = uuid.uuid4().hex
        answer = await self._order(do="start", token=token, script=script)
        self.places[token], self.pids[token] = answer["place"], int(answer["pid"])
        return token

    async def place(self) -> str:
        """Say where an attempt will run, and no more."""
        token = uuid.uuid4().hex
        self.places[token] = (await self._order(do="place", token=token))["place"]
        return token

    async def end(self, token: str, grace: float) -> None:
        """Have an attempt end."""
        await self._order(do="kill", token=token, grace=grace)

    def kill(self) -> None:
        """Kill the controller."""
        self._process.kill()
        self._process.wait()


@asynccontextmanager
async def controller(path: Path) -> AsyncIterator[Controller]:
    """Start a controller whose directory is the one of `bench`; nothing of it is left in the end."""
    with subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, os.fspath(path / "processes")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        made = Controller(process)
        try:
            yield made
        finally:
            process.kill()
            kill_carriers(list(made.places))


def descriptors() -> list[str]:
    """Return what this process has open, apart from the directory that is read for it."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return sorted(found)


def children() -> list[int]:
    """Return the children of this process, those that nobody has waited for among them."""
    return sorted(
        int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()
    )


def files(directory: Path) -> list[str]:
    """Return the files in a directory and those below it."""
    return sorted(os.fspath(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir())


def alive(token: str) -> list[int]:
    """Return the processes that have a token."""
    return carriers([token])[token]
