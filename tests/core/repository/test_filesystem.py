"""Repositories of files and directories, and what strangers leave in them."""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

import pdt
from pdt import localfs
from pdt.errors import BackendError
from pdt.job import CHARSET, CHARSET_START_END
from pdt.task.blocking import complete
from tests.support.ordinary_user import AsOrdinaryUser


async def listed(repo: pdt.Repository) -> set[str]:
    """Return the jobs that a repository lists; contains and present have to agree."""
    jobs = {job async for job in repo}
    assert await repo.present(jobs) == jobs
    assert all([await repo.contains(job) for job in jobs])
    return jobs


def put_behind_a_network(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = path.parent / f"{path.name}-mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {path} nfs4 rw 0 0\n")
    monkeypatch.setattr("pdt.mounts.MOUNTS", os.fspath(mounts))


# Parameters.


async def test_basedir_and_extension_make_the_path(tmp_path: Path) -> None:
    repo = pdt.FileRepository(tmp_path / "in", extension=".tar.gz")
    assert repo.fullpath("a.b") == tmp_path / "in" / "a.b.tar.gz"
    assert await repo.info("a.b") == f"{tmp_path}/in/a.b.tar.gz"
    assert pdt.FileRepository(os.fspath(tmp_path)).fullpath("a") == tmp_path / "a"
    assert repo.basedir == tmp_path / "in"
    assert repr(repo) == f"FileRepository('{tmp_path}/in', extension='.tar.gz')"


async def test_info_is_a_full_path_wherever_the_program_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    repo = pdt.FileRepository("in")
    monkeypatch.chdir("/")
    assert await repo.info("a") == f"{tmp_path}/in/a"
    await repo.validate()
    assert (tmp_path / "in").is_dir()


async def test_only_entries_with_the_extension_are_jobs(tmp_path: Path) -> None:
    for name in ("a.txt", "b.TXT", "c", "d.txt.bak", "e.txt.txt", "ftxt"):
        (tmp_path / name).touch()
    assert await listed(pdt.FileRepository(tmp_path, ".txt")) == {"a", "e.txt"}
    assert await listed(pdt.FileRepository(tmp_path)) == {"a.txt", "b.TXT", "c", "d.txt.bak", "e.txt.txt", "ftxt"}
    assert await listed(pdt.FileRepository(tmp_path, "txt")) == {"f"}  # "a." and the like are no job ids


@pytest.mark.parametrize("extension", ["/x", "a/../b", "\0"])
def test_an_extension_cannot_lead_elsewhere(tmp_path: Path, extension: str) -> None:
    with pytest.raises(ValueError, match="no file name can"):
        pdt.FileRepository(tmp_path, extension)


@pytest.mark.parametrize("behind_a_network", [False, True])
async def test_case_insensitive_means_the_extension(
    tmp_path: Path, behind_a_network: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if behind_a_network:
        put_behind_a_network(tmp_path, monkeypatch)
    (tmp_path / "bar.TXT").write_text("bar")
    (tmp_path / "foo.txt").write_text("foo")
    repo = pdt.FileRepository(tmp_path, ".txt", case_insensitive=True)
    assert await listed(repo) == {"bar", "foo"}
    assert await listed(pdt.FileRepository(tmp_path, ".txt", case_insensitive=False)) == {"foo"}
    assert not await repo.contains("BAR")
    assert await repo.present(["bar", "BAR"]) == {"bar"}
    assert await repo.info("bar") == f"{tmp_path}/bar.TXT"
    assert repo.fullpath("bar") == tmp_path / "bar.TXT"
    assert await repo.info("new") == f"{tmp_path}/new.txt"
    assert await repo.info_all() == {"bar": f"{tmp_path}/bar.TXT", "foo": f"{tmp_path}/foo.txt"}
    async with repo.open("bar") as stream:
        assert await stream.read() == "bar"
    async with await repo.open("bar", "w") as text:
        await text.write("new")
    assert sorted(os.listdir(tmp_path)) == ["bar.TXT", "foo.txt"]
    await repo.delete("bar")
    assert await listed(repo) == {"foo"}
    with pytest.raises(FileNotFoundError):
        await repo.open("bar")


async def test_of_several_spellings_the_own_one_counts_and_all_are_deleted(tmp_path: Path) -> None:
    (tmp_path / "a.TXT").write_text("upper")
    (tmp_path / "a.txt").write_text("lower")
    (tmp_path / "b.TxT").write_text("mixed")
    (tmp_path / "b.TXT").write_text("upper")
    repo = pdt.FileRepository(tmp_path, ".txt", case_insensitive=True)
    assert await repo.info_all() == {job: await repo.info(job) for job in ("a", "b")}
    assert await repo.info("a") == f"{tmp_path}/a.txt"
    assert await repo.info("b") == f"{tmp_path}/b.TXT"
    for job in ("a", "b"):
        await repo.delete(job)
    assert os.listdir(tmp_path) == []


async def test_a_spelling_that_is_no_file_does_not_hide_one_that_is(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    (tmp_path / "a.TXT").write_text("upper")
    repo = pdt.FileRepository(tmp_path, ".txt", case_insensitive=True)
    assert await listed(repo) == {"a"}
    assert await repo.info("a") == f"{tmp_path}/a.TXT"


async def test_case_insensitive_directories_and_records(tmp_path: Path) -> None:
    (tmp_path / "a.D").mkdir()
    directories = pdt.DirectoryRepository(tmp_path, extension=".d", case_insensitive=True)
    await directories.mkdir("a")
    assert os.listdir(tmp_path) == ["a.D"]
    await directories.delete("a")
    (tmp_path / "r.YAML").write_text("x: 1")
    records = pdt.YamlMetadataFileRepository(tmp_path, case_insensitive=True)
    assert await records.info("r") == {"x": 1}
    await records.dump("r", {"x": 2})
    assert os.listdir(tmp_path) == ["r.YAML"]
    assert await records.info_all() == {"r": {"x": 2}}


def test_a_thousand_other_spellings_take_no_time(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"j{number}.TXT").touch()
    repo = pdt.FileRepository(tmp_path, ".txt", case_insensitive=True)
    start = time.process_time()
    assert (
        len(complete(repo.info_all())) == len(complete(repo.present([f"j{number}" for number in range(2000)]))) == 1000
    )
    assert time.process_time() - start < 0.5


async def test_discard_empty(tmp_path: Path) -> None:
    repo = pdt.DirectoryRepository(tmp_path, discard_empty=True)
    await repo.mkdir("a")
    assert await listed(repo) == set()
    assert not await repo.contains("a")
    assert await listed(pdt.DirectoryRepository(tmp_path)) == {"a"}
    assert repo.stamp() is None
    (tmp_path / "a" / "x").mkdir()
    assert await listed(repo) == {"a"}
    await repo.delete("a")
    assert os.listdir(tmp_path) == []


async def test_mkdir(tmp_path: Path) -> None:
    repo = pdt.DirectoryRepository(tmp_path / "in", ".d")
    with pytest.raises(FileNotFoundError):
        await repo.mkdir("a")
    await repo.validate()
    await repo.mkdir("a")
    (repo.fullpath("a") / "kept").touch()
    await repo.mkdir("a")
    assert os.listdir(tmp_path / "in" / "a.d") == ["kept"]
    (tmp_path / "in" / "f.d").touch()
    with pytest.raises(FileExistsError):
        await repo.mkdir("f")


# Hostile rules.


class Slashes(pdt.FileRepository):
    CHARSET: ClassVar[str] = CHARSET + "/\0\n"
    CHARSET_START_END: ClassVar[str] = CHARSET_START_END + "/.-"


class DirectorySlashes(pdt.DirectoryRepository):
    CHARSET: ClassVar[str] = CHARSET + "/"
    CHARSET_START_END: ClassVar[str] = CHARSET_START_END + "/."


@pytest.mark.parametrize("extension", ["", ".txt"])
async def test_a_wider_rule_does_not_lead_out_of_the_directory(tmp_path: Path, extension: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "victim").mkdir()
    (tmp_path / f"x{extension}").write_text("precious")
    files, directories = Slashes(tmp_path / "in", extension), DirectorySlashes(tmp_path / "in", extension)
    for job in (
        "../x",
        "../victim",
        "/etc/passwd",
        "a/b",
        "a\0b",
        ".pdt-tmp-x",
        *([".", ".."] if not extension else []),
    ):
        for repo in (files, directories):
            if "\0" in job and repo is directories:
                continue
            assert repo.is_valid_job_id(job)
            assert not await repo.contains(job)
            assert await repo.present([job]) == set()
            for method in (repo.info, repo.delete, getattr(repo, "open", None), getattr(repo, "mkdir", None)):
                if method is not None:
                    with pytest.raises(pdt.InvalidJobIdError, match="cannot be a file name"):
                        await method(job)
            with pytest.raises(pdt.InvalidJobIdError):
                repo.fullpath(job)
    assert sorted(os.listdir(tmp_path)) == ["in", "victim", f"x{extension}"]
    async with files.open("a\nb", "w") as stream:
        await stream.write("x")
    assert await listed(files) == {"a\nb"}


# Junk.


def fill_with_junk(directory: Path) -> None:
    """Put into a directory what no job is, in every way there is, and the job "good"."""
    (directory / "good.txt").write_text("x")
    (directory / "subdirectory.txt").mkdir()
    (directory / "noextension").touch()
    (directory / ".txt").touch()
    (directory / ".hidden.txt").touch()
    (directory / "two words.txt").touch()
    (directory / "new\nline.txt").touch()
    (directory / ("x" * 64 + ".txt")).touch()
    os.mkfifo(directory / "fifo.txt")
    (directory / "dangling.txt").symlink_to("nowhere")
    (directory / "loop.txt").symlink_to("loop.txt")
    (directory / "todirectory.txt").symlink_to("subdirectory.txt")
    (directory / "tofifo.txt").symlink_to("fifo.txt")
    Path(os.fsdecode(os.fsencode(directory) + b"/caf\xe9.txt")).touch()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(directory / "socket.txt"))


@pytest.mark.parametrize("behind_a_network", [False, True])
@pytest.mark.parametrize("kind", [pdt.FileRepository, pdt.YamlMetadataFileRepository])
async def test_junk_is_skipped_with_one_warning_each(
    tmp_path: Path,
    kind: Callable[..., Any],
    behind_a_network: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if behind_a_network:
        put_behind_a_network(tmp_path, monkeypatch)
    fill_with_junk(tmp_path)
    repo = kind(tmp_path, ".txt")
    for _ in range(2):
        assert await listed(repo) == {"good"}
        assert (await repo.info_all()).keys() == (await repo.items()).keys() == {"good"}
    messages = [record.getMessage() for record in caplog.records]
    skipped = ["''", "'.hidden'", "'two words'", r"'new\nline'", r"'caf\udce9'", "'" + "x" * 64 + "'"]
    assert len(messages) == len(skipped)
    assert all(
        any(message.startswith(f"Skipping {key} in {kind.__name__}(") for message in messages) for key in skipped
    )
    assert all("valid job" in message for message in messages)


async def test_what_is_no_file_is_absent_for_every_method(tmp_path: Path) -> None:
    fill_with_junk(tmp_path)
    files, records = pdt.FileRepository(tmp_path, ".txt"), pdt.YamlMetadataFileRepository(tmp_path, ".txt")
    for job in ("subdirectory", "fifo", "loop", "dangling", "todirectory", "tofifo", "socket"):
        assert not await files.contains(job)
        assert await files.info(job) == f"{tmp_path}/{job}.txt"
        if job != "loop":
            with pytest.raises(FileNotFoundError):
                await files.open(job, "rb")
            assert await records.info(job) == {}
    for job in ("subdirectory", "fifo", "socket"):
        await files.delete(job)
        assert (tmp_path / f"{job}.txt").exists()
    for job in ("loop", "dangling", "tofifo"):
        await files.delete(job)
        assert not (tmp_path / f"{job}.txt").is_symlink()


async def test_junk_among_directories(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill_with_junk(tmp_path)
    repo = pdt.DirectoryRepository(tmp_path, ".txt")
    assert await listed(repo) == {"subdirectory", "todirectory"}
    assert caplog.records == []
    for job in ("good", "fifo", "dangling"):
        assert not await repo.contains(job)
    await repo.delete("good")
    await repo.delete("todirectory")
    assert (tmp_path / "good.txt").exists()
    assert (tmp_path / "subdirectory.txt").exists()
    assert await listed(repo) == {"subdirectory"}


async def test_a_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("content")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").symlink_to(tmp_path / "elsewhere")
    repo = pdt.FileRepository(tmp_path / "in")
    assert await listed(repo) == {"a"}
    async with repo.open("a") as stream:
        assert await stream.read() == "content"
    await repo.delete("a")
    assert (tmp_path / "elsewhere").read_text() == "content"


# Permissions.


async def test_validate_makes_the_directory(tmp_path: Path) -> None:
    repo = pdt.FileRepository(tmp_path / "a" / "b")
    with pytest.raises(FileNotFoundError, match="a/b"):
        await repo.keys()
    assert not await repo.contains("x")
    await repo.delete("x")
    await repo.validate()
    await repo.validate()
    assert await listed(repo) == set()
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        await pdt.FileRepository(tmp_path / "file").validate()


def test_directories_that_one_may_not_use(tmp_path: Path, as_ordinary_user: AsOrdinaryUser) -> None:
    (tmp_path / "a").touch()
    repo = pdt.FileRepository(tmp_path)

    async def write() -> None:
        async with repo.open("b", "w") as stream:
            await stream.write("x")

    tmp_path.chmod(0o500)
    try:
        for work in (repo.validate, write, lambda: repo.delete("a")):
            with pytest.raises(PermissionError) as caught:
                as_ordinary_user(lambda work=work: asyncio.run(work()))  # type: ignore[misc]
            assert os.fspath(tmp_path) in str(caught.value)
        assert as_ordinary_user(lambda: asyncio.run(listed(repo))) == {"a"}
        tmp_path.chmod(0)
        with pytest.raises(PermissionError) as caught:
            as_ordinary_user(lambda: asyncio.run(repo.keys()))
        assert os.fspath(tmp_path) in str(caught.value)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("kind", [pdt.FileRepository, pdt.DirectoryRepository])
def test_a_directory_that_one_may_not_search_has_nobody_told_that_it_is_empty(
    kind: Any, tmp_path: Path, as_ordinary_user: AsOrdinaryUser
) -> None:
    repo = kind(tmp_path / "closed")
    (tmp_path / "closed").mkdir(mode=0o600)
    try:
        for ask in (lambda: repo.contains("a"), lambda: repo.present(["a", "b"])):
            with pytest.raises(BackendError, match=r"whether there is .*/closed/a cannot be told") as caught:
                as_ordinary_user(lambda ask=ask: asyncio.run(ask()))  # type: ignore[misc]
            assert "the mode of the directories above it" in str(caught.value.fix)
    finally:
        (tmp_path / "closed").chmod(0o700)


@pytest.mark.parametrize("kind", [pdt.FileRepository, pdt.DirectoryRepository])
async def test_only_what_is_not_there_counts_as_absent(kind: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for absent in (tmp_path / "nowhere", tmp_path / "file"):
        repo = kind(absent)
        assert not await repo.contains("a")
        assert await repo.present(["a"]) == set()
    assert not await kind(tmp_path).contains("loop")
    for broken, why in ((tmp_path / "loop", "Too many levels"), (tmp_path / "/".join(["x" * 200] * 25), "too long")):
        repo = kind(broken)
        with pytest.raises(BackendError, match=why):
            await repo.contains("a")
        with pytest.raises(BackendError, match=why):
            await repo.present(["a"])


def test_a_directory_that_cannot_be_looked_into_is_held_to_be_full(
    tmp_path: Path, as_ordinary_user: AsOrdinaryUser
) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "empty").mkdir()
    repo = pdt.DirectoryRepository(tmp_path, discard_empty=True)
    try:
        assert as_ordinary_user(lambda: asyncio.run(listed(repo))) == {"closed"}
    finally:
        (tmp_path / "closed").chmod(0o700)


# Crashes.


KILLED = """
import asyncio, os, signal, sys
import pdt
from pdt import localfs
if sys.argv[2] == "named":
    localfs._UNNAMED = 0
async def main():
    repo = pdt.FileRepository(sys.argv[1])
    stream = await repo.open("a", "wb")
    await stream.write(bytes(3_000_000))
    await stream.write(b"rest")
    print(os.listdir(sys.argv[1]))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


@pytest.mark.parametrize("drafts", ["unnamed", "named"])
def test_a_killed_writer_leaves_nothing_that_shows_and_nothing_for_long(tmp_path: Path, drafts: str) -> None:
    (tmp_path / "a").write_text("old")
    ran = subprocess.run([sys.executable, "-c", KILLED, tmp_path, drafts], capture_output=True, text=True)
    assert ran.returncode == -9, ran.stderr
    left = [name for name in os.listdir(tmp_path) if name != "a"]
    assert len(left) == (drafts == "named")
    repo = pdt.FileRepository(tmp_path)
    assert asyncio.run(listed(repo)) == {"a"}
    assert not asyncio.run(repo.present(left))
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


async def test_temporaries_of_the_living_are_hidden_and_stay(tmp_path: Path) -> None:
    name = os.path.basename(localfs.temporary_path(os.fspath(tmp_path)))
    (tmp_path / name).touch()
    (tmp_path / f"{name}.txt").touch()
    for extension in ("", ".txt"):
        assert await listed(pdt.FileRepository(tmp_path, extension)) == set()
    (tmp_path / f"{name}-directory").mkdir()
    assert await listed(pdt.DirectoryRepository(tmp_path)) == set()
    assert len(os.listdir(tmp_path)) == 3


async def test_two_that_delete_a_directory_at_once_both_succeed(tmp_path: Path) -> None:
    repo = pdt.DirectoryRepository(tmp_path)
    await repo.mkdir("a")
    for number in range(300):
        (tmp_path / "a" / str(number)).touch()
    await asyncio.gather(*(asyncio.to_thread(repo._delete, "a") for _ in range(4)))  # noqa: TID251
    assert os.listdir(tmp_path) == []


# Stamps.


def test_behind_a_network_there_is_no_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = time.time() - 10
    os.utime(tmp_path, (old, old))
    put_behind_a_network(tmp_path, monkeypatch)
    repo = pdt.FileRepository(tmp_path)
    assert repo.stamp() is None
    assert not repo.inline
    assert repo.durable_path() == os.fspath(tmp_path)


# Network file systems.


async def test_behind_a_network_every_operation_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").touch()
    files = pdt.FileRepository(tmp_path, ".txt", case_insensitive=True)
    plain = pdt.FileRepository(tmp_path, ".txt")
    directories = pdt.DirectoryRepository(tmp_path, discard_empty=True)
    records = pdt.YamlMetadataFileRepository(tmp_path, ".txt")
    put_behind_a_network(tmp_path, monkeypatch)
    for repo in (files, plain, directories, records):
        assert not repo.inline
    monkeypatch.setattr(localfs, "REMOTE_DEADLINE", 0.01)
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def die(module: Any, name: str) -> None:
        alive = getattr(module, name)

        def dead(path: Any, *args: Any, **options: Any) -> Any:
            if not str(path).startswith(os.fspath(tmp_path)):
                return alive(path, *args, **options)
            if threading.current_thread() is threading.main_thread():
                pytest.fail(f"the event loop itself went to the file system: {name}")
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
            raise OSError("released")

        patched.setattr(module, name, dead)

    async def write(repo: Any) -> None:
        async with repo.open("a", "wb") as stream:
            await stream.write(b"x")

    operations: list[Any] = [
        operation
        for repo in (files, plain, directories, records)
        for operation in (repo.keys(), repo.contains("a"), repo.present(["a"]), repo.delete("a"), repo.validate())
    ]
    operations += [files.info("a"), files.info_all(), directories.mkdir("a"), records.info("a"), records.dump("a", {})]
    operations += [repo.open(job, mode) for repo in (files, plain) for job in "ab" for mode in ("r", "rb")]
    operations += [write(files), write(plain)]
    with monkeypatch.context() as patched:
        for name in ("access", "link", "listdir", "lstat", "mkdir", "open", "replace", "scandir", "stat", "unlink"):
            die(os, name)
        for name in ("isdir", "isfile", "islink", "lexists"):
            die(os.path, name)
        for operation in operations:
            with pytest.raises(pdt.BackendError, match=r"file system did not answer within 0.01 s"):
                await operation
        release.set()
        await asyncio.sleep(0.05)


# Copies.


async def test_copies_and_pickles(tmp_path: Path) -> None:
    for repo in (
        pdt.FileRepository(tmp_path, ".txt", case_insensitive=True),
        pdt.DirectoryRepository(tmp_path, discard_empty=True),
        pdt.YamlMetadataFileRepository(tmp_path),
    ):
        assert repo.inline
        for other in (pickle.loads(pickle.dumps(repo)), copy.copy(repo), copy.deepcopy(repo)):
            assert type(other) is type(repo)
            assert repr(other) == repr(repo)
            assert {**vars(repo), **vars(other)} == vars(repo)
            assert await listed(other) == set()


async def test_warnings_are_per_repository(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a b").touch()
    for _ in range(2):
        assert await listed(pdt.FileRepository(tmp_path)) == set()
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 2


async def test_what_only_looks_like_a_job_can_be_asked_for(tmp_path: Path) -> None:
    for name in ("folder.txt", "Folder.TXT", "other", ".hidden.txt"):
        (tmp_path / name).mkdir()
    (tmp_path / "job.txt").touch()
    (tmp_path / "dangling.txt").symlink_to("nowhere")
    (tmp_path / "dangling").symlink_to("nowhere")
    no_file, no_target = "it is not a file", "it is a link that leads nowhere"
    files = pdt.FileRepository(tmp_path, ".txt")
    assert await files.overlooked() == {"folder.txt": no_file, "dangling.txt": no_target}
    files = pdt.FileRepository(tmp_path, ".txt", case_insensitive=True)
    assert await files.overlooked() == {"folder.txt": no_file, "Folder.TXT": no_file, "dangling.txt": no_target}
    assert set(await pdt.FileRepository(tmp_path).overlooked()) == {"dangling.txt", "dangling"}
    directories = pdt.DirectoryRepository(tmp_path, ".txt", discard_empty=True)
    assert await directories.overlooked() == {"job.txt": "it is not a directory", "dangling.txt": no_target}
