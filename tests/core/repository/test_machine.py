"""Any sequence of operations on a repository does what it does on a dict."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import pdt
from tests.core.repository.hostile import HOSTILE

JOBS = st.sampled_from(["a", "b", "a.b", "A", "a-b_c", "0", "x" * 63])
NO_JOBS = st.sampled_from([job for job in HOSTILE if isinstance(job, str)])
BLOBS = st.binary(max_size=40) | st.just(b"x" * 100_000)
RECORDS = st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=3)


class RepositoryMachine(RuleBasedStateMachine):
    """A repository beside the dict that it is to behave like."""

    values: ClassVar[st.SearchStrategy[Any]]

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="pdt-test-"))
        self.runner = asyncio.Runner()
        self.model: dict[str, Any] = {}
        self.repo = self.make()

    def make(self) -> Any:
        """Return the repository, as a program that begins now would see it."""
        raise NotImplementedError

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    async def store(self, job: str, value: Any) -> None:
        raise NotImplementedError

    async def load(self, job: str) -> Any:
        raise NotImplementedError

    @rule(job=JOBS, data=st.data())
    def put(self, job: str, data: st.DataObject) -> None:
        value = data.draw(self.values)
        self.run(self.store(job, value))
        self.model[job] = value

    @rule(job=JOBS)
    def delete(self, job: str) -> None:
        self.run(self.repo.delete(job))
        self.model.pop(job, None)

    @rule(job=JOBS)
    def get(self, job: str) -> None:
        if job in self.model:
            assert self.run(self.load(job)) == self.model[job]
        assert self.run(self.repo.contains(job)) is (job in self.model)

    @rule(job=NO_JOBS, data=st.data())
    def refuse(self, job: str, data: st.DataObject) -> None:
        with pytest.raises(pdt.InvalidJobIdError):
            self.run(self.store(job, data.draw(self.values)))
        with pytest.raises(pdt.InvalidJobIdError):
            self.run(self.repo.delete(job))

    @rule(jobs=st.sets(JOBS | NO_JOBS))
    def ask_for_many(self, jobs: set[str]) -> None:
        assert self.run(self.repo.present(jobs)) == jobs & self.model.keys()

    @rule()
    def reopen(self) -> None:
        self.repo.release()
        self.repo = self.make()

    @invariant()
    def lists_what_the_dict_has(self) -> None:
        assert self.run(self.repo.keys()) == self.model.keys()

    def teardown(self) -> None:
        self.repo.release()
        self.runner.close()
        shutil.rmtree(self.directory)


class BlobMachine(RepositoryMachine):
    values = BLOBS

    async def store(self, job: str, value: bytes) -> None:
        async with self.repo.open(job, "wb") as stream:
            await stream.write(value)

    async def load(self, job: str) -> Any:
        async with self.repo.open(job, "rb") as stream:
            return await stream.read()

    @rule(job=JOBS, value=BLOBS)
    def abandon(self, job: str, value: bytes) -> None:
        async def write() -> None:
            async with self.repo.open(job, "wb") as stream:
                await stream.write(value)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            self.run(write())


class RecordMachine(RepositoryMachine):
    values = RECORDS

    async def store(self, job: str, value: Any) -> None:
        await self.repo.dump(job, value)

    async def load(self, job: str) -> Any:
        return await self.repo.info(job)

    @rule(records=st.dictionaries(JOBS, RECORDS))
    def put_many(self, records: dict[str, Any]) -> None:
        self.run(self.repo.dump_all(records))
        self.model.update(records)

    @invariant()
    def loads_what_the_dict_has(self) -> None:
        assert self.run(self.repo.info_all()) == self.model


class MemoryBlobMachine(BlobMachine):
    def make(self) -> Any:
        return pdt.InProcessBlobRepository(self.repo.data if "repo" in vars(self) else None)


class MemoryRecordMachine(RecordMachine):
    def make(self) -> Any:
        return pdt.InProcessMetadataRepository(self.repo.data if "repo" in vars(self) else None)


class FileMachine(BlobMachine):
    def make(self) -> Any:
        return pdt.FileRepository(self.directory, ".txt")


class YamlMachine(RecordMachine):
    def make(self) -> Any:
        return pdt.YamlMetadataFileRepository(self.directory)


class SqliteMachine(RecordMachine):
    def make(self) -> Any:
        return pdt.SqliteMetadataRepository(self.directory / "records.sqlite", "done")


MACHINES = [MemoryBlobMachine, MemoryRecordMachine, FileMachine, YamlMachine, SqliteMachine]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.__name__)
def test_behaves_like_a_dict(machine: type[RepositoryMachine]) -> None:
    limits = settings(max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=limits)
