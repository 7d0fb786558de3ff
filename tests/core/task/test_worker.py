"""Worker processes: they end with their controller, however that ends, and lock what they run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from pathlib import Path
from types import ModuleType

import pytest

import pdt
from pdt.engine import launch as launch_module
from pdt.locks import is_range_locked, lock_range, unlock_range
from pdt.task import worker
from pdt.task.worker import Controller, follow, is_locked, lock_byte
from tests.core.engine.samples import memory, run, until
from tests.core.task.bodies import make_module

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")

#: Seconds in which a worker has to be gone.
LIMIT_S = 2.0
CONTROLLER = """
import asyncio, ctypes, os, sys, time, warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
import pdt

warnings.simplefilter("ignore", DeprecationWarning)

def say():
    with open("begun.part", "x") as file:
        file.write(str(os.getpid()))
    os.rename("begun.part", "begun")

def sleeps(job):
    say()
    time.sleep(60)

def lets_nothing_else_run(job):
    say()
    ctypes.PyDLL(None).sleep(60)

async def idles(job):
    say()
    await asyncio.sleep(60)

async def fork_a_stranger():
    while not os.path.exists("begun"):
        await asyncio.sleep(0.01)
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)

async def main(start, body, stranger):
    make = partial(ProcessPoolExecutor, 3, mp_context=get_context(start))
    task = pdt.ExecutorTask("task", make, pdt.InProcessMetadataRepository(), func=globals()[body])
    task.lock_file = os.path.abspath("locks")
    task.link("input", pdt.InProcessMetadataRepository({"a": {}}), is_input=True)
    async with pdt.Pipeline([task]) as pipeline, asyncio.TaskGroup() as group:
        group.create_task(pipeline.run())
        if stranger == "stranger":
            await fork_a_stranger()
        open("ready", "x").close()

if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return the module of bodies, which workers can import."""
    yield from make_module(tmp_path, monkeypatch)


def eventually(seen: Callable[[], bool], limit: float) -> bool:
    """Tell whether something comes true within `limit` seconds."""
    deadline = time.monotonic() + limit
    while not seen():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def processes_with(mark: str) -> set[int]:
    """Return the processes that have `mark` in their environment."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.add(int(path.parent.name))
        except OSError:
            pass  # it has ended, or is another user's
    return found


@contextmanager
def controller(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start a controller and wait until its job runs; yield it, and what is in the environment of all it starts."""
    (folder / "controller.py").write_text(CONTROLLER)
    mark = f"pdt-test-{uuid.uuid4().hex}"
    command = [sys.executable, "controller.py", *words]
    with subprocess.Popen(command, cwd=folder, env={**os.environ, "PDT_TEST_MARK": mark}) as process:
        try:
            started = [folder / "begun", folder / "ready"]
            assert eventually(lambda: all(path.exists() for path in started) or process.poll() is not None, 20)
            assert process.poll() is None
            yield process, mark
        finally:
            process.kill()
            process.wait()
            for left in processes_with(mark):
                os.kill(left, signal.SIGKILL)


# The end of a controller.


@pytest.mark.parametrize("body", ["sleeps", "idles", "lets_nothing_else_run"])
@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_a_killed_controller_leaves_no_worker_and_no_lock(start: str, body: str, tmp_path: Path) -> None:
    with controller(tmp_path, start, body, "alone") as (process, mark):
        locks, byte = tmp_path / "locks", lock_byte("task", "a")
        assert len(processes_with(mark)) > 1
        assert is_locked(locks, byte)
        process.kill()
        process.wait()
        assert eventually(lambda: not is_locked(locks, byte), LIMIT_S)
        assert eventually(lambda: not processes_with(mark), LIMIT_S)


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_what_else_the_controller_has_forked_keeps_no_worker(start: str, tmp_path: Path) -> None:
    """It has inherited every pipe to the workers, so that none of them closes."""
    with controller(tmp_path, start, "sleeps", "stranger") as (process, mark):
        body = int((tmp_path / "begun").read_text())
        assert body in processes_with(mark)
        process.kill()
        process.wait()
        assert eventually(lambda: body not in processes_with(mark), LIMIT_S)
        assert processes_with(mark)
        assert not is_locked(tmp_path / "locks", lock_byte("task", "a"))


def test_a_controller_that_is_not_reaped_is_gone_all_the_same(tmp_path: Path) -> None:
    with controller(tmp_path, "fork", "sleeps", "alone") as (process, mark):
        process.kill()
        assert eventually(lambda: not processes_with(mark), LIMIT_S)


@pytest.mark.parametrize(
    ("other", "code"),
    [(lambda this: this, 0), (lambda this: this._replace(started=this.started + 1), 1)],
    ids=["the controller", "a later process of its number"],
)
def test_a_later_process_of_the_controllers_number_is_not_followed(
    other: Callable[[Controller], Controller], code: int
) -> None:
    child = get_context("fork").Process(target=follow, args=(other(Controller.this()),))
    child.start()
    child.join(10)
    assert child.exitcode == code


def looks_for_the_follower(controller: Controller) -> None:
    follow(controller)
    sys.exit(any(thread.name == "pdt-follow" for thread in threading.enumerate()))


def follows_in_a_thread(controller: Controller) -> None:
    thread = threading.Thread(target=follow, args=(controller,))
    thread.start()
    thread.join()
    sys.exit(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)


def test_only_children_that_the_controller_started_to_run_jobs_follow_it() -> None:
    this = Controller.this()
    for target, followed, code in [
        (looks_for_the_follower, this, 1),
        (looks_for_the_follower, this._replace(pid=this.pid + 1), 0),
        (looks_for_the_follower, this._replace(origin="another boot"), 0),
        (follows_in_a_thread, this, 0),
    ]:
        child = get_context("fork").Process(target=target, args=(followed,))
        child.start()
        child.join(10)
        assert child.exitcode == code
    before = signal.getsignal(signal.SIGINT)
    follow(this)
    assert signal.getsignal(signal.SIGINT) is before


# Locks.


def test_the_byte_of_a_job_is_the_same_in_every_process() -> None:
    assert lock_byte("task", "job") == 220953343804363
    assert len({lock_byte(task, job) for task in ("a", "ab") for job in ("c", "bc", "")}) == 6
    assert lock_byte("task", "\udcff") > 0


async def test_a_lock_is_held_while_the_body_runs_and_no_longer(bodies: ModuleType, tmp_path: Path) -> None:
    locks, done = tmp_path / "locks", memory()
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        task = pdt.ExecutorTask("task", pool, done, func=bodies.waits)
        task.lock_file = str(locks)
        assert not is_locked(locks, lock_byte("task", "a"))
        await task.launch("a")
        await until((tmp_path / "a.begun").exists)
        assert is_locked(locks, lock_byte("task", "a"))
        assert not is_locked(locks, lock_byte("task", "b"))
        assert not is_locked(locks, lock_byte("other", "a"))
        (tmp_path / "go").touch()
        await until(lambda: task.rev_jobs["a"].done())
        assert not is_range_locked(locks, 0, 0)
        await task.update()
    assert done.data["a"]["success"]
    assert locks.stat().st_size == 0


async def test_a_lock_is_free_after_a_body_that_raised(bodies: ModuleType, tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        task = pdt.ExecutorTask("task", pool, memory(), func=bodies.fails)
        task.lock_file = str(tmp_path / "locks")
        await task.launch("value")
        await until(lambda: task.rev_jobs["value"].done())
        assert not is_range_locked(tmp_path / "locks", 0, 0)


def has_open(pid: int | None, path: Path) -> bool:
    return any(os.path.realpath(found) == str(path) for found in Path(f"/proc/{pid}/fd").iterdir())


async def test_an_earlier_run_that_ends_soon_is_waited_for(bodies: ModuleType, tmp_path: Path) -> None:
    locks = tmp_path / "locks"
    done = memory()
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool, locks.open("wb") as earlier:
        task = pdt.ExecutorTask("task", pool, done, func=bodies.counts)
        task.lock_file = str(locks)
        await task.launch("other")
        await until(lambda: task.rev_jobs["other"].done())
        assert lock_range(earlier.fileno(), lock_byte("task", "a"))
        await task.launch("a")
        [child] = active_children()
        await until(lambda: has_open(child.pid, locks))
        assert (tmp_path / "counts").read_text() == "other\n"
        unlock_range(earlier.fileno(), lock_byte("task", "a"))
        await until(lambda: task.rev_jobs["a"].done())
        await task.update()
    assert done.data["a"]["success"]


async def test_an_earlier_run_that_does_not_end_lets_no_second_one_begin(
    bodies: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOCK_PATIENCE", 0.1)
    monkeypatch.setattr(launch_module, "FIRST_DELAY", 0.01)
    locks, done = tmp_path / "locks", memory()
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool, locks.open("wb") as earlier:
        task = pdt.ExecutorTask("task", pool, done, func=bodies.counts)
        task.lock_file = str(locks)
        task.link("input", memory("a", "b"), is_input=True)
        assert lock_range(earlier.fileno(), lock_byte("task", "a"))
        report = await run(task)
    assert report.succeeded == Counter(task=1)
    assert report.exit_code == 1
    assert any(f"it holds byte {lock_byte('task', 'a')} of {locks}" in problem for problem in report.problems)
    assert (tmp_path / "counts").read_text() == "b\n"


async def test_a_lock_file_that_cannot_be_opened_fails_no_job(
    bodies: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch_module, "FIRST_DELAY", 0.01)
    done = memory()
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        task = pdt.ExecutorTask("task", pool, done, func=bodies.counts)
        task.lock_file = str(tmp_path / "missing" / "locks")
        task.link("input", memory("a"), is_input=True)
        report = await run(task)
    assert not done.data
    assert any("missing/locks" in problem for problem in report.problems)


async def test_threads_lock_nothing(tmp_path: Path) -> None:
    seen: list[str] = []
    with ThreadPoolExecutor(1) as threads:
        task = pdt.ExecutorTask("task", threads, memory(), func=lambda job: seen.append(job))
        task.lock_file = str(tmp_path / "locks")
        task.link("input", memory("a"), is_input=True)
        await run(task)
    assert seen == ["a"]
    assert not (tmp_path / "locks").exists()
