"""Directories that are ours alone, results put in place, and what is removed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import pdt
from pdt.localfs import check_directory, make_private, move_into_place, remove, remove_tree, write_private
from tests.support.ordinary_user import AsOrdinaryUser


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def tree(path: Path) -> dict[str, str]:
    """Return the files below a directory, and what they hold."""
    return {str(file.relative_to(path)): file.read_text() for file in path.rglob("*") if file.is_file()}


# Directories that nobody else may look into.


def test_a_private_directory_is_made_with_those_above_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    for _ in range(2):
        make_private(os.fspath(path))
        assert mode(path) == 0o700


def test_what_is_in_it_stays(tmp_path: Path) -> None:
    make_private(os.fspath(tmp_path / "a"))
    (tmp_path / "a" / "file").touch()
    make_private(os.fspath(tmp_path / "a"))
    assert (tmp_path / "a" / "file").exists()


@pytest.mark.parametrize("wrong", [0o755, 0o750, 0o701, 0o777, 0o1777])
def test_one_that_others_may_look_into_is_refused_and_left_alone(tmp_path: Path, wrong: int) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(wrong)
    with pytest.raises(pdt.BackendError, match=rf"a is open to others \(mode {wrong:04o}\)\nfix: .*chmod 700"):
        make_private(os.fspath(tmp_path / "a"))
    assert mode(tmp_path / "a") == wrong


def test_links_and_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(0o700)
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "dangling").symlink_to("none")
    (tmp_path / "file").touch(0o600)
    for name in ("link", "dangling", "file"):
        with pytest.raises(pdt.BackendError, match=f"{name} is a link or a file, not a directory\nfix: "):
            make_private(os.fspath(tmp_path / name))
    with pytest.raises(pdt.BackendError, match=r"cannot make the directory .*file/a: .*\nfix: give a directory"):
        make_private(os.fspath(tmp_path / "file" / "a"))
    assert not (tmp_path / "none").exists()


def test_a_directory_in_which_anybody_may_replace_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(
        pdt.BackendError, match=r"others may replace the directory .* 0777\nfix: give a directory inside"
    ):
        make_private(os.fspath(tmp_path / "open" / "a"))
    (tmp_path / "open").chmod(0o1777)
    make_private(os.fspath(tmp_path / "open" / "a"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_directories_of_other_users_are_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(0o755)
    (tmp_path / "theirs" / "a").mkdir(0o700)
    os.chown(tmp_path / "theirs" / "a", 12345, 12345)
    with pytest.raises(pdt.BackendError, match="a belongs to user 12345\nfix: "):
        make_private(os.fspath(tmp_path / "theirs" / "a"))
    os.chown(tmp_path / "theirs", 12345, 12345)
    with pytest.raises(pdt.BackendError, match=r"others may replace .*theirs belongs to user 12345"):
        make_private(os.fspath(tmp_path / "theirs" / "b"))


def test_where_nothing_may_be_made(tmp_path: Path, as_ordinary_user: AsOrdinaryUser) -> None:
    (tmp_path / "closed").mkdir(0o500)
    with pytest.raises(
        pdt.BackendError, match=r"cannot make the directory .*: Permission denied\nfix: give a directory"
    ):
        as_ordinary_user(lambda: make_private(os.fspath(tmp_path / "closed" / "a")))


def test_a_working_directory_is_one(tmp_path: Path) -> None:
    check_directory(os.fspath(tmp_path))
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(pdt.UnlaunchableError, match=f"{name}' does not exist\nfix: make it"):
            check_directory(os.fspath(tmp_path / name))


def test_a_private_file_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data in (b"longer", b"x"):
        write_private(os.fspath(path), data)
        assert (path.read_bytes(), mode(path)) == (data, 0o600)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        write_private(os.fspath(tmp_path / "link"), b"y")


# Results that are put in place.


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    (tmp_path / "staged").mkdir()
    (tmp_path / "staged" / "new").write_text("new")
    return tmp_path / "staged"


@pytest.mark.parametrize("former", ["none", "empty", "full"])
def test_a_directory_takes_the_place_of_another(tmp_path: Path, staged: Path, former: str) -> None:
    target = tmp_path / "target"
    if former != "none":
        target.mkdir()
    if former == "full":
        (target / "old").write_text("old")
    for _ in range(2):  # whoever finds the decision may carry it out again
        move_into_place(os.fspath(staged), os.fspath(target))
        assert tree(tmp_path) == {"target/new": "new"}
        assert sorted(os.listdir(tmp_path)) == ["target"]


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    staged, target = tmp_path / "staged", tmp_path / "target"
    for text in ("first", "second"):
        staged.write_text(text)
        move_into_place(os.fspath(staged), os.fspath(target))
        move_into_place(os.fspath(staged), os.fspath(target))
        assert tree(tmp_path) == {"target": text}


def test_a_move_that_was_interrupted_is_carried_on(tmp_path: Path, staged: Path) -> None:
    target, old = tmp_path / "target", tmp_path / "staged.old"
    old.mkdir()
    (old / "old").write_text("old")
    move_into_place(os.fspath(staged), os.fspath(target))  # what was there had made room
    assert tree(tmp_path) == {"target/new": "new"}
    assert sorted(os.listdir(tmp_path)) == ["target"]
    old.mkdir()
    (old / "old").write_text("old")
    move_into_place(os.fspath(staged), os.fspath(target))  # the new one was in place
    assert tree(tmp_path) == {"target/new": "new"}
    assert sorted(os.listdir(tmp_path)) == ["target"]


def test_room_is_made_also_where_an_earlier_move_had_made_some(tmp_path: Path, staged: Path) -> None:
    for name in ("target", "staged.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old").write_text(name)
    move_into_place(os.fspath(staged), os.fspath(tmp_path / "target"))
    assert tree(tmp_path) == {"target/new": "new"}


def test_what_cannot_be_put_in_place_stays_where_it_is(tmp_path: Path, staged: Path) -> None:
    with pytest.raises(FileNotFoundError):
        move_into_place(os.fspath(staged), os.fspath(tmp_path / "none" / "target"))
    (tmp_path / "file").write_text("file")
    with pytest.raises(NotADirectoryError):
        move_into_place(os.fspath(staged), os.fspath(tmp_path / "file"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(IsADirectoryError):
        move_into_place(os.fspath(tmp_path / "file"), os.fspath(tmp_path / "full"))
    assert tree(staged) == {"new": "new"}
    assert (tmp_path / "file").read_text() == "file"


# Removing.


@pytest.mark.parametrize("how", [remove, remove_tree])
def test_whatever_is_there_is_removed(tmp_path: Path, how: object) -> None:
    assert callable(how)
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("kept")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(kept)
    (tmp_path / "dangling").symlink_to("none")
    (tmp_path / "tree" / "a").mkdir(parents=True)
    (tmp_path / "tree" / "a" / "link").symlink_to(kept)
    for name in ("file", "link", "dangling", "tree", "none"):
        how(os.fspath(tmp_path / name))
    assert tree(tmp_path) == {"kept/file": "kept"}
    assert os.listdir(tmp_path) == ["kept"]


def test_a_tree_that_forbids_it_is_removed_all_the_same(tmp_path: Path, as_ordinary_user: AsOrdinaryUser) -> None:
    """As scripts leave some that write-protect what they have made."""
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    (tmp_path / "tree" / "a" / "b" / "file").touch()
    for path in ("tree/a/b", "tree/a", "tree"):
        (tmp_path / path).chmod(0)
    as_ordinary_user(lambda: remove(os.fspath(tmp_path / "tree")))
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_removed_stays(tmp_path: Path, as_ordinary_user: AsOrdinaryUser) -> None:
    (tmp_path / "closed" / "tree").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o500)
    as_ordinary_user(lambda: remove(os.fspath(tmp_path / "closed" / "tree")))
    with pytest.raises(PermissionError):
        as_ordinary_user(lambda: remove_tree(os.fspath(tmp_path / "closed" / "tree")))
    (tmp_path / "closed").chmod(0o700)
