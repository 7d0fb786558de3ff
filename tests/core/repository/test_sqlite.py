"""Records in SQLite: several names, several processes, and what is broken."""

from __future__ import annotations

import asyncio
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pdt
from pdt.task.blocking import complete
from tests.core.test_plain import VALUES, same

Repo = pdt.SqliteMetadataRepository


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Repo]:
    repo = Repo(tmp_path / "records.sqlite", "done")
    yield repo
    repo.release()


def raw(repo: Repo, statement: str, *parameters: Any) -> list[Any]:
    """Execute a statement on the file, past the repository."""
    connection = sqlite3.connect(repo.path)
    try:
        with connection:
            return connection.execute(statement, parameters).fetchall()
    finally:
        connection.close()


async def test_names_of_one_file_do_not_see_each_other(repo: Repo) -> None:
    names = ["other", "Done", "done ", "d%", "na\u00efve", "x" * 1000, "'; DROP TABLE records; --"]
    others = [Repo(repo.path, name) for name in names]
    for number, each in enumerate([repo, *others]):
        await each.dump("a", number)
    await repo.delete("a")
    assert await repo.keys() == set()
    assert [await each.info("a") for each in others] == list(range(1, len(names) + 1))
    assert repr(repo) == f"SqliteMetadataRepository({repo.path!r}, 'done')"
    for each in others:
        each.release()


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_name_is_a_text(tmp_path: Path, name: Any) -> None:
    with pytest.raises(ValueError, match="not a text of at least one character"):
        Repo(tmp_path / "r", name)


async def test_the_path_is_where_the_program_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    repo = Repo("sub/records.sqlite", name="done")
    monkeypatch.chdir("/")
    await repo.dump("a", 1)
    assert (tmp_path / "sub" / "records.sqlite").exists()
    assert repo.durable_path() == os.fspath(tmp_path / "sub")
    repo.release()


async def test_validate_makes_the_file(repo: Repo) -> None:
    assert not os.path.exists(repo.path)
    await repo.validate()
    assert os.path.exists(repo.path)


async def test_five_thousand_keys(repo: Repo) -> None:
    records = {f"job-{number:05}": {"number": number} for number in range(5000)}
    await repo.dump_all(records)
    assert await repo.keys() == records.keys()
    assert await repo.info_all() == records
    wanted = [f"job-{number:05}" for number in range(4000, 6000)]
    assert await repo.present(wanted) == set(wanted[:1000])


@given(value=VALUES)
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)
def test_every_value_comes_back(repo: Repo, value: Any) -> None:
    complete(repo.dump("a", value))
    assert same(complete(repo.info("a")), value)
    complete(repo.dump_all({"a": value, "b": {"flat": 1}}))
    assert same(complete(repo.items())["a"], value)


@given(
    records=st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
)
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)
def test_flat_records_take_a_shorter_way_and_come_back_too(repo: Repo, records: dict[str, Any]) -> None:
    complete(repo.dump_all(records))
    infos = complete(repo.info_all())
    assert all(same(infos[job], records[job]) for job in records)


async def test_what_is_not_plain_is_refused_and_leaves_the_old(repo: Repo) -> None:
    await repo.dump("a", "old")
    for value in (object(), {"a": object()}, {(1, 2): 3}, 10**5000, {"n": 10**5000}):
        with pytest.raises(TypeError, match="cannot be stored"):
            await repo.dump("a", value)
        with pytest.raises(TypeError, match="cannot be stored"):
            await repo.dump_all({"b": 1, "a": value})
    assert await repo.info_all() == {"a": "old"}


async def test_a_broken_record_is_named_and_does_not_hide_the_others(repo: Repo) -> None:
    for job in ("a", "b", "c"):
        await repo.dump(job, {"job": job})
    raw(repo, "UPDATE records SET data = ? WHERE job = 'b'", '{"job": ')
    with pytest.raises(pdt.CorruptRecordError) as caught:
        await repo.info("b")
    assert (caught.value.job, caught.value.store) == ("b", repr(repo))
    items = await repo.items()
    assert (items["a"], items["c"]) == ({"job": "a"}, {"job": "c"})
    assert isinstance(items["b"], pdt.CorruptRecordError)
    with pytest.raises(pdt.CorruptRecordError, match="record 'b' in SqliteMetadataRepository"):
        await repo.info_all()
    assert await repo.keys() == {"a", "b", "c"}
    await repo.dump("b", "mended")
    assert (await repo.info_all())["b"] == "mended"


@pytest.mark.parametrize("text", ["", "[" * 50_000, '{"$pdt": "what"}', '{"$pdt": 5}', '{"$pdt": "set", "is": [[]]}'])
async def test_nonsense_is_a_broken_record(repo: Repo, text: str) -> None:
    await repo.dump("a", 1)
    raw(repo, "UPDATE records SET data = ?", text)
    with pytest.raises(pdt.CorruptRecordError):
        await repo.info("a")


async def test_keys_of_strangers_are_skipped(repo: Repo, caplog: pytest.LogCaptureFixture) -> None:
    await repo.dump("a", 1)
    for job in ("../x", "b\nc", "", "two words"):
        raw(repo, "INSERT INTO records VALUES ('done', ?, '1')", job)
    for _ in range(2):
        assert {job async for job in repo} == (await repo.items()).keys() == (await repo.info_all()).keys() == {"a"}
    assert not await repo.contains("b")
    assert await repo.keys() == {"a", "../x", "b\nc", "", "two words"}
    assert len(caplog.records) == 4


class AnyLine(Repo):
    CHARSET: ClassVar[str] = Repo.CHARSET + "\n"


async def test_a_wider_rule_may_have_line_ends(tmp_path: Path) -> None:
    repo = AnyLine(tmp_path / "r", "done")
    await repo.dump_all({"a\nb": 1, "c": 2})
    assert await repo.keys() == await repo.present(["a\nb", "a", "b", "c"]) == {"a\nb", "c"}
    repo.release()


async def test_what_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(b"no database" * 1000)
    repo = Repo(tmp_path / "r", "done")
    operations: list[Any] = [repo.validate(), repo.keys(), repo.info("a"), repo.dump("a", 1), repo.dump_all({"a": 1})]
    operations += [repo.contains("a"), repo.present(["a"]), repo.delete("a"), repo.items()]
    for operation in operations:
        with pytest.raises(pdt.BackendError, match=r"file is not a database\nfix: restore it") as caught:
            await operation
        assert caught.value.exit_code == 5


@pytest.mark.blocking(reason="what is dumped durably is on the disk when it returns")
async def test_a_stamp_changes_with_every_change(repo: Repo) -> None:
    other = Repo(repo.path, "done")
    seen = [repo.stamp()]
    await repo.dump("a", 1)
    seen.append(repo.stamp())
    assert repo.stamp() == seen[-1]
    await other.dump("a", 2)
    seen.append(repo.stamp())
    other.dump_durably({"b": 1})
    seen.append(repo.stamp())
    repo.dump_durably({"b": 2})
    seen.append(repo.stamp())
    for job in ("x", "y", "z"):
        repo.release()
        await other.dump(job, 1)
        seen.append(repo.stamp())
    assert len(set(seen)) == len(seen)
    other.release()


@pytest.mark.blocking(reason="what is dumped durably is on the disk when it returns")
async def test_durable_records_are_records(repo: Repo) -> None:
    repo.dump_durably({"a": {"x": 1}, "b": [1]})
    assert await repo.info_all() == {"a": {"x": 1}, "b": [1]}
    with pytest.raises(pdt.InvalidJobIdError):
        repo.dump_durably({"c": 1, "../d": 2})
    assert await repo.keys() == {"a", "b"}


async def test_pickles_and_is_there_in_another_process(repo: Repo) -> None:
    await repo.dump("a", {"x": 1})
    other = pickle.loads(pickle.dumps(repo))
    assert (type(other), repr(other)) == (Repo, repr(repo))
    assert await other.info("a") == {"x": 1}
    other.release()


def other_process(script: str, *arguments: object) -> str:
    ran = subprocess.run([sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


WRITER = """
import asyncio, pickle, sys
repo = pickle.loads(bytes.fromhex(sys.argv[1]))
async def main():
    for number in range(50):
        await repo.dump(f"{sys.argv[2]}-{number}", {"by": sys.argv[2]})
        await repo.dump("shared", {"by": sys.argv[2], "number": number})
        if number % 10 == 0:
            await repo.dump_all({f"{sys.argv[2]}-all-{number}": 1})
asyncio.run(main())
"""


def test_several_processes_write_at_once(repo: Repo) -> None:
    command = [sys.executable, "-c", WRITER, pickle.dumps(repo).hex()]
    processes = [subprocess.Popen([*command, f"p{number}"], stderr=subprocess.PIPE) for number in range(4)]
    for process in processes:
        _, errors = process.communicate()
        assert errors == b""
    keys = asyncio.run(repo.keys())
    assert len(keys) == 4 * (50 + 5) + 1
    assert asyncio.run(repo.info("shared"))["number"] == 49


FORK = """
import asyncio, os, sys, warnings
import pdt
warnings.simplefilter("ignore")
repo = pdt.SqliteMetadataRepository(sys.argv[1], "done")
asyncio.run(repo.dump("parent", 1))
readable, writable = os.pipe()
child = os.fork()
if child == 0:
    asyncio.run(repo.dump("child", 1))
    os.read(readable, 1)
    asyncio.run(repo.dump("late", 1))
    os._exit(0)
asyncio.run(repo.dump("parent2", 1))
repo.release()
os.write(writable, b"x")
assert os.waitpid(child, 0)[1] == 0
print(*sorted(asyncio.run(repo.keys())))
"""


def test_parent_and_forked_child_both_write(repo: Repo) -> None:
    assert other_process(FORK, repo.path) == "child late parent parent2\n"


KILLED = """
import asyncio, os, signal, sys
import pdt
repo = pdt.SqliteMetadataRepository(sys.argv[1], "done")
def rows():
    for number in range(1000):
        if number == 500:
            os.kill(os.getpid(), signal.SIGKILL)
        yield ("done", f"j{number}", "1")
asyncio.run(repo.dump("before", 1))
repo._database.change_many("INSERT INTO records VALUES (?, ?, ?)", rows())
"""


def test_a_killed_writer_leaves_all_or_nothing(repo: Repo) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, repo.path])
    assert killed.returncode == -9
    assert asyncio.run(repo.keys()) == {"before"}
    asyncio.run(repo.dump("after", 1))
    assert asyncio.run(repo.keys()) == {"before", "after"}


async def test_listing_while_others_write(repo: Repo) -> None:
    await repo.dump_all({f"j{number}": number for number in range(100)})
    other = Repo(repo.path, "done")
    seen = set()
    async for job in repo:
        seen.add(job)
        await other.delete(job)
        await other.dump(f"new-{job}", 1)
    assert seen == {f"j{number}" for number in range(100)}
    other.release()
