"""The contract of repositories, for each class of them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pdt
from tests.core.repository.contract import BlobContract, MetadataContract, RepositoryContract


def tree(directory: Path) -> dict[str, bytes | None]:
    """Return everything under a directory: the content of files, None for directories."""
    found = {}
    for path in sorted(directory.rglob("*")):
        found[os.fspath(path.relative_to(directory))] = None if path.is_dir() else path.read_bytes()
    return found


def rows(path: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT name, job, data FROM records ORDER BY name, job").fetchall()
    finally:
        connection.close()


class TestInProcessMetadata(MetadataContract[pdt.InProcessMetadataRepository]):
    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.InProcessMetadataRepository:
        return pdt.InProcessMetadataRepository()

    def stored(self, repo: pdt.InProcessMetadataRepository) -> object:
        return dict(repo.data)


class TestInProcessBlob(BlobContract[pdt.InProcessBlobRepository]):
    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.InProcessBlobRepository:
        return pdt.InProcessBlobRepository()

    def stored(self, repo: pdt.InProcessBlobRepository) -> object:
        return dict(repo.data)


class TestFile(BlobContract[pdt.FileRepository]):
    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.FileRepository:
        (tmp_path / "in").mkdir()
        (tmp_path / "x").write_text("a victim")
        return pdt.FileRepository(tmp_path / "in")

    def stored(self, repo: pdt.FileRepository) -> object:
        return tree(repo.basedir.parent)

    def methods_of_a_job(self, repo: pdt.FileRepository) -> list[Any]:
        async def fullpath(job: str) -> None:
            repo.fullpath(job)

        return [*super().methods_of_a_job(repo), fullpath]


class TestFileWithExtension(TestFile):
    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.FileRepository:
        (tmp_path / "in").mkdir()
        return pdt.FileRepository(tmp_path / "in", ".txt")


class TestFileCaseInsensitive(TestFile):
    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.FileRepository:
        (tmp_path / "in").mkdir()
        return pdt.FileRepository(tmp_path / "in", ".txt", case_insensitive=True)


class OnANetwork:
    """Makes every file system one that a network is behind."""

    @pytest.fixture(autouse=True)
    def network(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        mounts = tmp_path.parent / f"{tmp_path.name}-mounts"
        mounts.write_text("server:/home / nfs4 rw 0 0\n")
        monkeypatch.setattr("pdt.mounts.MOUNTS", os.fspath(mounts))


class TestFileOnANetwork(OnANetwork, TestFileWithExtension):
    pass


class TestFileWithoutUnnamedFiles(TestFileWithExtension):
    @pytest.fixture(autouse=True)
    def no_unnamed_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pdt.localfs._UNNAMED", 0)


class TestDirectory(RepositoryContract[pdt.DirectoryRepository]):
    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.DirectoryRepository:
        (tmp_path / "in").mkdir()
        (tmp_path / "x").mkdir()
        return pdt.DirectoryRepository(tmp_path / "in")

    async def put(self, repo: pdt.DirectoryRepository, job: str) -> None:
        await repo.mkdir(job)

    def stored(self, repo: pdt.DirectoryRepository) -> object:
        return tree(repo.basedir.parent)

    def methods_of_a_job(self, repo: pdt.DirectoryRepository) -> list[Any]:
        async def fullpath(job: str) -> None:
            repo.fullpath(job)

        return [*super().methods_of_a_job(repo), repo.mkdir, fullpath]


class TestDirectoryDiscardingEmpty(TestDirectory):
    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.DirectoryRepository:
        (tmp_path / "in").mkdir()
        return pdt.DirectoryRepository(tmp_path / "in", ".d", case_insensitive=True, discard_empty=True)

    async def put(self, repo: pdt.DirectoryRepository, job: str) -> None:
        await repo.mkdir(job)
        (repo.fullpath(job) / "file").write_text("x")


class TestYamlFile(MetadataContract[pdt.YamlMetadataFileRepository]):
    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.YamlMetadataFileRepository:
        (tmp_path / "in").mkdir()
        return pdt.YamlMetadataFileRepository(tmp_path / "in")

    def stored(self, repo: pdt.YamlMetadataFileRepository) -> object:
        return tree(repo.basedir.parent)


class TestYamlFileOnANetwork(OnANetwork, TestYamlFile):
    pass


class YamlInProcess(pdt.YamlMetadataRepository, pdt.InProcessBlobRepository):
    """YAML over a blob repository of another kind."""

    async def info(self, job: str) -> Any:
        return await pdt.YamlMetadataRepository.info(self, job)


class TestYamlOverBlobs(MetadataContract[YamlInProcess]):
    @pytest.fixture
    def repo(self, tmp_path: Path) -> YamlInProcess:
        return YamlInProcess()

    def stored(self, repo: YamlInProcess) -> object:
        return dict(repo.data)


class TestSqlite(MetadataContract[pdt.SqliteMetadataRepository]):
    @pytest.fixture
    def repo(self, tmp_path: Path) -> Iterator[pdt.SqliteMetadataRepository]:
        repo = pdt.SqliteMetadataRepository(tmp_path / "records.sqlite", "done")
        yield repo
        repo.release()

    def stored(self, repo: pdt.SqliteMetadataRepository) -> object:
        return rows(repo.path)


class TestSqliteOnANetwork(OnANetwork, TestSqlite):
    pass


class TestOr(RepositoryContract[pdt.AggregateOrRepository]):
    left: pdt.InProcessMetadataRepository
    right: pdt.InProcessBlobRepository

    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.AggregateOrRepository:
        self.left, self.right = pdt.InProcessMetadataRepository(), pdt.InProcessBlobRepository()
        return pdt.AggregateOrRepository(left=self.left, right=self.right)

    async def put(self, repo: pdt.AggregateOrRepository, job: str) -> None:
        if len(job) % 2:
            self.left.data[job] = 1
        else:
            self.right.data[job] = b"1"

    def stored(self, repo: pdt.AggregateOrRepository) -> object:
        return dict(self.left.data), dict(self.right.data)


class TestAnd(RepositoryContract[pdt.AggregateAndRepository]):
    left: pdt.InProcessMetadataRepository
    right: pdt.InProcessBlobRepository

    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.AggregateAndRepository:
        self.left = pdt.InProcessMetadataRepository({"only-left": 1})
        self.right = pdt.InProcessBlobRepository({"only-right": b"2"})
        return pdt.AggregateAndRepository(left=self.left, right=self.right)

    async def put(self, repo: pdt.AggregateAndRepository, job: str) -> None:
        self.left.data[job] = 1
        self.right.data[job] = b"1"

    def stored(self, repo: pdt.AggregateAndRepository) -> object:
        return dict(self.left.data), dict(self.right.data)


class TestBlocking(RepositoryContract[pdt.BlockingRepository]):
    source: pdt.InProcessMetadataRepository
    enumerate_unless = True

    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.BlockingRepository:
        self.source = pdt.InProcessMetadataRepository({"blocked": 1})
        unless = pdt.InProcessMetadataRepository({"blocked": 1, "unrelated": 1})
        return pdt.BlockingRepository(self.source, unless, enumerate_unless=self.enumerate_unless)

    async def put(self, repo: pdt.BlockingRepository, job: str) -> None:
        self.source.data[job] = job

    def stored(self, repo: pdt.BlockingRepository) -> object:
        return dict(self.source.data)

    async def test_info_all_is_the_info_of_each(self, repo: pdt.BlockingRepository) -> None:
        await self.put(repo, "a")
        assert await repo.info_all() == {"a": "a"}
        assert await repo.info("blocked") == 1


class TestBlockingByAsking(TestBlocking):
    enumerate_unless = False


class TestMap(MetadataContract[pdt.MapRepository]):
    base: pdt.InProcessMetadataRepository

    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.MapRepository:
        self.base = pdt.InProcessMetadataRepository({"reject-me": 1})

        async def keep(job: str) -> bool:
            return not job.startswith("reject")

        return self.base.map(lambda info: info, keep, allow_deletes=True)

    def stored(self, repo: pdt.MapRepository) -> object:
        return dict(self.base.data)


class TestMapOfBlobs(BlobContract[pdt.MapRepository]):
    deletes = False
    base: pdt.InProcessBlobRepository

    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.MapRepository:
        self.base = pdt.InProcessBlobRepository()
        return self.base.map(lambda info: info)

    def stored(self, repo: pdt.MapRepository) -> object:
        return dict(self.base.data)


def translation(job: str) -> str:
    return f"{job[:40]}.{len(job)}.of"


class Translator(pdt.InProcessMetadataRepository):
    """Has a translation of every job."""

    async def info(self, job: str) -> Any:
        return translation(self.job_ids.check(job))


class Translated:
    """How jobs come into a translated repository."""

    prefetch = True
    translator: Translator

    @pytest.fixture(autouse=True)
    def make_translator(self) -> None:
        self.translator = Translator({"without-data": ""})

    def known(self, job: str) -> str:
        self.translator.data[job] = translation(job)
        return translation(job)


class TestRelated(Translated, RepositoryContract[pdt.RelatedItemRepository]):
    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.RelatedItemRepository:
        (tmp_path / "in").mkdir()
        base = pdt.DirectoryRepository(tmp_path / "in")
        return pdt.RelatedItemRepository(base, self.translator, True, self.prefetch)

    async def put(self, repo: pdt.RelatedItemRepository, job: str) -> None:
        self.known(job)
        await repo.mkdir(job)

    def stored(self, repo: pdt.RelatedItemRepository) -> object:
        return tree(repo.basedir)

    def methods_of_a_job(self, repo: pdt.RelatedItemRepository) -> list[Any]:
        return [*super().methods_of_a_job(repo), repo.mkdir]


class TestRelatedWithoutPrefetch(TestRelated):
    prefetch = False


class TestRelatedBlobs(Translated, BlobContract[pdt.RelatedItemRepository]):
    deletes = False
    base: pdt.InProcessBlobRepository

    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.RelatedItemRepository:
        self.base = pdt.InProcessBlobRepository()
        repo = pdt.RelatedItemRepository(self.base, self.translator)
        for job in ("a", "b", "new"):
            self.known(job)
        return repo

    async def put(self, repo: pdt.RelatedItemRepository, job: str) -> None:
        self.known(job)
        await super().put(repo, job)

    def stored(self, repo: pdt.RelatedItemRepository) -> object:
        return dict(self.base.data)


class TestRelatedRecords(Translated, MetadataContract[pdt.RelatedItemRepository]):
    base: pdt.SqliteMetadataRepository

    @pytest.fixture
    def repo(self, tmp_path: Path) -> Iterator[pdt.RelatedItemRepository]:
        self.base = pdt.SqliteMetadataRepository(tmp_path / "records.sqlite", "base")
        for job in ("a", "b", "c"):
            self.known(job)
        yield pdt.RelatedItemRepository(self.base, self.translator, allow_deletes=True)
        self.base.release()

    async def put(self, repo: pdt.RelatedItemRepository, job: str) -> None:
        self.known(job)
        await super().put(repo, job)

    def stored(self, repo: pdt.RelatedItemRepository) -> object:
        return rows(self.base.path)


class TestGroup(RepositoryContract[pdt.GroupRepository]):
    source: pdt.InProcessMetadataRepository
    by: pdt.InProcessMetadataRepository

    @pytest.fixture
    def repo(self, tmp_path: Path) -> pdt.GroupRepository:
        self.source = pdt.InProcessMetadataRepository({"m1": 1})
        self.by = pdt.InProcessMetadataRepository({"m1": "incomplete", "m2": "incomplete", "m3": None})
        return pdt.GroupRepository(self.source, self.by, allow_deletes=True)

    async def put(self, repo: pdt.GroupRepository, job: str) -> None:
        for member in (f"x{hash(job) % 10**9}", f"y{hash(job) % 10**9}"):
            self.source.data[member] = job
            self.by.data[member] = job

    def stored(self, repo: pdt.GroupRepository) -> object:
        return dict(self.source.data), dict(self.by.data)

    def methods_of_a_job(self, repo: pdt.GroupRepository) -> list[Any]:
        async def members(job: str) -> None:
            async for _ in repo.open(job):
                pass

        return [*super().methods_of_a_job(repo), members]
