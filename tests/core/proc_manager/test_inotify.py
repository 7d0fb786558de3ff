"""Watches on files."""

from __future__ import annotations

import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdt.proc_manager.inotify import FileWatch


@pytest.fixture
def watch() -> Iterator[FileWatch]:
    made = FileWatch()
    try:
        yield made
    finally:
        made.close()


def is_readable(watch: FileWatch, seconds: float = 5) -> bool:
    return bool(select.select([watch], [], [], seconds)[0])


def test_a_line_wakes_and_a_last_close_is_told_apart(watch: FileWatch, tmp_path: Path) -> None:
    path = tmp_path / "watched"
    path.touch()
    (tmp_path / "other").touch()
    watch.add(str(path))
    watch.add(str(path))
    assert not is_readable(watch, 0)
    (tmp_path / "other").write_text("text")
    path.read_text()
    assert not is_readable(watch, 0)
    with path.open("a") as file:
        file.write("line\n")
        file.flush()
        assert is_readable(watch)
        assert not watch.drain()
        assert not is_readable(watch, 0)
    assert is_readable(watch)
    assert watch.drain()
    assert not watch.drain()


def test_any_number_of_events_are_read(watch: FileWatch, tmp_path: Path) -> None:
    path = tmp_path / "watched"
    path.touch()
    watch.add(str(path))
    for _ in range(5000):
        with path.open("ab", buffering=0) as file:
            file.write(b"x")
    assert watch.drain()
    assert not is_readable(watch, 0)


def test_a_file_that_is_not_there_cannot_be_watched(watch: FileWatch, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        watch.add(str(tmp_path / "none"))


def test_a_watched_file_may_be_removed(watch: FileWatch, tmp_path: Path) -> None:
    path = tmp_path / "watched"
    path.touch()
    watch.add(str(path))
    path.unlink()
    watch.drain()
    path.write_text("another")
    assert not watch.drain()
