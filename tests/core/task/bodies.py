"""The module that the tests of executors send bodies from: its text, written where workers can import it."""

from __future__ import annotations

import importlib
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

__all__ = ["make_module"]

TEXT = """
import asyncio
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial, wraps
from multiprocessing import get_context

import pdt

FOLDER = {folder!r}
pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def write(job, source, out):
    with source.open(job) as file:
        text = file.read()
    with out.open(job, "w") as file:
        file.write(f"{{text}} {{os.getpid()}}")


async def write_async(job, source, out):
    async with source.open(job) as file:
        text = await file.read()
    await asyncio.sleep(0)
    async with out.open(job, "w") as file:
        await file.write(f"{{text}} {{os.getpid()}}")


def dump(job, records):
    records.dump(job, {{"pid": os.getpid()}})


def nothing(job):
    pass


class Unpicklable(Exception):
    def __init__(self, what):
        super().__init__(what)
        self.what = what
        self.state = lambda: None

    def __reduce__(self):
        raise TypeError("no")


class Odd(BaseException):
    pass


def fails(job):
    if job == "unpicklable":
        raise Unpicklable(job)
    if job == "exit":
        raise SystemExit(7)
    if job == "odd":
        raise Odd(job)
    if job == "stop":
        raise StopIteration(job)
    if job == "cancelled":
        raise asyncio.CancelledError(job)
    if job == "value":
        raise ValueError(job)


def reads(job, records):
    records.info(job)


def kills(job):
    if job.startswith("bad"):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)


def dies_once(job):
    mark = os.path.join(FOLDER, job + ".died")
    if job.startswith("bad") and not os.path.exists(mark):
        open(mark, "x").close()
        os._exit(1)


def waits(job):
    open(os.path.join(FOLDER, job + ".begun"), "a").close()
    while not os.path.exists(os.path.join(FOLDER, "go")):
        time.sleep(0.01)


def note(what):
    with open(os.path.join(FOLDER, "notes"), "a") as file:
        file.write(f"{{what}} {{os.getpid()}}\\n")


def dawdles(job):
    note(f"{{job}} begins")
    try:
        if job.startswith("slow"):
            time.sleep(60)
        if job.startswith("short"):
            time.sleep(0.15)
    finally:
        note(f"{{job}} ends")


async def idles(job):
    note(f"{{job}} begins")
    try:
        if job.startswith("slow"):
            await asyncio.sleep(60)
    finally:
        note(f"{{job}} ends")


def deaf(job):
    note(f"{{job}} begins")
    if job.startswith("slow"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        time.sleep(60)
    if job.startswith("long"):
        waits(job)


def finishes(job):
    note(f"{{job}} begins")
    try:
        time.sleep(60)
    except BaseException:
        note(f"{{job}} finishes")


def looks_around(job):
    with open(os.path.join(FOLDER, job + ".seen"), "x") as file:
        file.write(f"{{os.getpid()}} {{len(os.listdir('/proc/self/fd'))}} {{os.getcwd()}}")


def counts(job):
    with open(os.path.join(FOLDER, "counts"), "a") as file:
        file.write(job + "\\n")


def decorate(func):
    @wraps(func)
    def wrapper(*args, **kwargs):
        return func(*args, **kwargs)
    return wrapper


@decorate
def decorated(job):
    pass


def hidden(job):
    pass


shown = hidden
hidden = None


class Callable:
    def __call__(self, job):
        pass


an_object = Callable()
a_partial = partial(nothing)

done = pdt.SqliteMetadataRepository(os.path.join(FOLDER, "records.sqlite"), "task")
source = pdt.FileRepository(os.path.join(FOLDER, "in"), ".txt")


@pdt.ExecutorTask("task", pool, done)
def task(job, source, out):
    write(job, source, out)


task.link("source", source, is_input=True)
task.link("out", pdt.FileRepository(os.path.join(FOLDER, "decorated"), ".txt"), is_output=True)
"""


def make_module(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Yield the module, importable in this process and in those that it starts."""
    name = f"bodies_{uuid.uuid4().hex}"
    (folder / f"{name}.py").write_text(TEXT.format(folder=str(folder)))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    yield importlib.import_module(name)
    sys.modules.pop(name, None)
