"""Stamps: a listing is remembered only as long as nobody has changed the store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import pdt
from pdt.engine.snapshot import Lister, Remembered
from pdt.mounts import has_exact_stamps


class Counting(pdt.FileRepository):
    """Counts its listings."""

    listings = 0

    async def keys(self) -> set[str]:
        self.listings += 1
        return set(await super().keys())


def refuse(repo: object, error: BaseException) -> None:
    raise AssertionError(f"{repo} failed: {error}")


async def test_an_unchanged_directory_is_listed_once_by_all_listers_of_a_pipeline(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    os.utime(tmp_path, (1, 1))
    repo = Counting(tmp_path)
    remembered: Remembered = {}
    for _ in range(3):
        snapshot = await Lister(refuse, remembered).take([repo], set())
        assert snapshot.keys_of(repo) == {"a"}
    assert repo.listings == 1
    (tmp_path / "b").touch()
    snapshot = await Lister(refuse, remembered).take([repo], set())
    assert snapshot.keys_of(repo) == {"a", "b"}
    assert repo.listings == 2


def test_a_young_stamp_is_trusted_only_where_it_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()
    coarse, exact = pdt.FileRepository(tmp_path), pdt.FileRepository(tmp_path)
    monkeypatch.setattr("pdt.repository.filesystem.has_exact_stamps", lambda path: False)
    assert coarse.stamp() is None
    os.utime(tmp_path, (1, 1))
    assert coarse.stamp() is not None
    monkeypatch.setattr("pdt.repository.filesystem.has_exact_stamps", lambda path: True)
    (tmp_path / "b").touch()
    assert exact.stamp() is not None


def test_where_stamps_are_said_to_be_exact_every_change_shows(tmp_path: Path) -> None:
    if not has_exact_stamps(tmp_path):
        assert pdt.FileRepository(tmp_path).stamp() is None
        return
    repo = pdt.FileRepository(tmp_path)
    seen = set()
    for number in range(500):
        (tmp_path / str(number)).touch()
        seen.add(repo.stamp())
    assert len(seen) == 500


async def test_the_stamp_of_a_sqlite_repository_changes_with_every_commit_by_whomever(tmp_path: Path) -> None:
    repo, other = (pdt.SqliteMetadataRepository(tmp_path / "r.sqlite", "name") for _ in range(2))
    stamps = [repo.stamp()]
    await repo.dump("a", {})
    stamps.append(repo.stamp())
    await other.dump("b", {})
    stamps.append(repo.stamp())
    repo.dump_durably({"c": {"x": 1}})
    stamps.append(repo.stamp())
    await repo.delete("a")
    stamps.append(repo.stamp())
    assert len(set(stamps)) == 5
    await repo.keys()
    assert repo.stamp() == stamps[-1]
