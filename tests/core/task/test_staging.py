"""What scripts write counts when they have succeeded, and as a whole; until then it lies aside."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

import pdt
from tests.core.engine.samples import until
from tests.core.task.scripts import Place

#: Ways for a script to end without success.
ENDS = {
    "exit": "exit 3",
    "kill -9": "sh -c 'kill -9 $PPID'; sleep 5",
    "kill -15": "sh -c 'kill -15 $PPID'; sleep 5",
    "timeout": "sleep 30",
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def files_in(folder: Path) -> dict[str, str]:
    """Return the text of every file under a folder."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


# Where it lies until it counts.


@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_nothing_is_to_be_seen_of_an_output_before_its_job_has_succeeded(kind: str, place: Place) -> None:
    folder = place.path / "out"
    out: Any = pdt.FileRepository(folder, ".txt") if kind == "file" else pdt.DirectoryRepository(folder, ".txt")
    gate = place.path / "gate"
    os.mkfifo(gate)
    write = "echo part >{{out}}" if kind == "file" else "mkdir {{out}}; echo part >{{out}}/file"
    task = place.task(f"{write}; echo {{{{out}}}} >{place.path}/path; read x <{gate}; true", "a")
    task.link("out", out, is_output=True)
    async with place.pipeline(task) as pipeline:
        running = asyncio.get_running_loop().create_task(pipeline.run())
        await until((place.path / "path").exists)
        await until((place.path / "path").read_text)
        staged = Path((place.path / "path").read_text().strip())
        assert staged.exists()
        assert staged != folder / "a.txt"
        assert staged.suffix == ".txt"
        assert os.stat(staged).st_dev == os.stat(folder).st_dev
        assert await out.keys() == set()
        assert not await out.contains("a")
        assert [name for name in os.listdir(folder) if not name.startswith(".")] == []
        gate.write_text("go\n")
        await running
    assert await out.keys() == {"a"}
    assert not staged.exists()
    assert place.left_over() == []


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_a_script_that_does_not_succeed_leaves_no_output(kind: str, end: str, place: Place) -> None:
    folder = place.path / "out"
    out: Any = pdt.FileRepository(folder) if kind == "file" else pdt.DirectoryRepository(folder)
    write = "echo torn >{{out}}" if kind == "file" else "mkdir {{out}}; echo torn >{{out}}/file"
    task = place.task(f"{write}; {ENDS[end]}", "a", timeout=0.3 if end == "timeout" else None)
    task.link("out", out, is_output=True)
    report = await place.run(task)
    assert report.failed == {"task": 1}
    assert not (await place.done.info("a"))["success"]
    assert await out.keys() == set()
    assert files_in(folder) == {}


async def test_a_failed_job_leaves_what_was_there_before(place: Place) -> None:
    out = place.files("out", a="old")
    task = place.task("echo new >{{out}}; exit 1", "a")
    task.link("out", out, is_output=True)
    await place.run(task)
    assert files_in(out.basedir) == {"a": "old"}


@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_outputs_of_a_failure_that_is_ok_count(kind: str, place: Place) -> None:
    folder = place.path / "out"
    out: Any = pdt.FileRepository(folder) if kind == "file" else pdt.DirectoryRepository(folder)
    write = "echo partly >{{out}}" if kind == "file" else "mkdir {{out}}; echo partly >{{out}}/file"
    task = place.task(
        f"{write}; test {{{{job}}}} = killed && sh -c 'kill -9 $PPID'; exit 3", "a", "killed", failure_ok=True
    )
    task.link("out", out, is_output=True)
    report = await place.run(task)
    assert report.exit_code == 0
    assert await out.keys() == {"a"}  # nobody knows whether what a killed script wrote is whole


@pytest.mark.parametrize("end", ENDS)
async def test_streams_of_scripts_that_ended_themselves_are_whole(end: str, place: Place) -> None:
    """A script that was killed leaves no standard output; what it complained of is of use anyway."""
    repos: list[Any] = [place.files("out"), place.files("err"), pdt.InProcessBlobRepository()]
    repos.append(pdt.InProcessBlobRepository())
    timeout = 0.3 if end == "timeout" else None
    script = f"echo out; echo err >&2; {ENDS[end]}"
    await place.run(
        place.task(script, "a", name="files", stdout=repos[0], stderr=repos[1], timeout=timeout),
        place.task(
            script, "a", name="blobs", stdout=repos[2], stderr=repos[3], timeout=timeout, done=place.records("blobs")
        ),
    )
    for stdout, stderr in (repos[:2], repos[2:]):
        assert await stdout.contains("a") == (end == "exit")
        async with stderr.open("a", "r") as stream:
            assert (await stream.read()).startswith("err\n")


# What is put in place.


async def test_a_directory_is_put_in_place_with_all_that_is_in_it(place: Place) -> None:
    out = pdt.DirectoryRepository(place.path / "out")
    task = place.task("mkdir -p {{out}}/deep/er; echo 1 >{{out}}/one; echo 2 >{{out}}/deep/er/two", "a")
    task.link("out", out, is_output=True)
    await place.run(task)
    assert files_in(out.basedir / "a") == {"one": "1\n", "deep/er/two": "2\n"}


@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_an_output_takes_the_place_of_an_older_one(kind: str, place: Place) -> None:
    folder = place.path / "out"
    out: Any = pdt.FileRepository(folder) if kind == "file" else pdt.DirectoryRepository(folder)
    number = place.path / "number"
    write = (
        f"cat {number} >{{{{out}}}}"
        if kind == "file"
        else f"mkdir {{{{out}}}}; cat {number} >{{{{out}}}}/f$(cat {number})"
    )
    task = place.task(write, "a")
    task.link("out", out, is_output=True)
    for text in ("1", "2"):
        number.write_text(text)
        await place.run(task)
        assert files_in(folder) == ({"a": text} if kind == "file" else {f"a/f{text}": text})
        await place.done.delete("a")


async def test_an_output_that_was_not_written_is_not_there(place: Place) -> None:
    out, other = place.files("out"), place.files("other", a="old")
    task = place.task("true", "a")
    task.link("out", out, is_output=True)
    task.link("other", other, is_output=True)
    report = await place.run(task)
    assert report.succeeded == {"task": 1}
    assert not await out.contains("a")
    assert files_in(other.basedir) == {"a": "old"}


async def test_inputs_are_read_where_they_lie(place: Place) -> None:
    files, folders = place.files("files", ".txt", a="x"), pdt.DirectoryRepository(place.path / "folders")
    (folders.basedir / "a").mkdir(parents=True)
    blobs = pdt.InProcessBlobRepository()
    task = place.task("echo {{files}}; echo {{folders}}", stdout=blobs)
    task.link("files", files, is_input=True)
    task.link("folders", folders, is_input=True)
    await place.run(task)
    assert blobs.data["a"].decode().split() == [str(files.fullpath("a")), str(folders.fullpath("a"))]


async def test_what_is_both_read_and_written_is_changed_where_it_lies(place: Place) -> None:
    log = place.files("log", a="first\n")
    task = place.task("echo second >>{{log}}", "a")
    task.link("log", log, is_input=True, is_output=True)
    await place.run(task)
    assert files_in(log.basedir) == {"a": "first\nsecond\n"}


async def test_an_output_in_other_clothes_is_written_where_its_info_says(place: Place) -> None:
    """What the function of a map() makes of a path is nobody else's to know."""
    out = place.files("out", ".txt")
    other = place.files("other", ".txt")
    task = place.task("echo mapped >{{mapped.path}}; echo related >{{related}}", "a")
    task.link("mapped", out.map(lambda path: {"path": path}), is_output=True)
    names = pdt.InProcessMetadataRepository({"a": "b"})
    task.link("related", pdt.RelatedItemRepository(other, names), is_output=True)
    await place.run(task)
    assert files_in(out.basedir) == {"a.txt": "mapped\n"}
    assert files_in(other.basedir) == {"b.txt": "related\n"}


async def test_an_extension_in_another_case_is_kept(place: Place) -> None:
    folder = place.files("out", ".TXT", a="old").basedir
    out = pdt.FileRepository(folder, ".txt", case_insensitive=True)
    task = place.task("echo new >{{out}}", "a", "b")
    task.link("out", out, is_output=True)
    await place.run(task)
    assert files_in(folder) == {"a.TXT": "new\n", "b.txt": "new\n"}


async def test_keys_are_never_more_than_names(place: Place) -> None:
    jobs = ["a", "A", "a.b", "a-b", "a_b", "1", "a.txt", "0" * 63, "x..y", "pdt"]
    out = place.files("out", ".txt")
    stdin = place.files("in", **{job: job for job in jobs})
    task = place.task("cat >{{out}}; echo {{job}} $PDT_JOB", stdin=stdin, stdout=place.files("std", ".log"))
    task.link("out", out, is_output=True)
    await place.run(task)
    assert files_in(out.basedir) == {f"{job}.txt": job for job in jobs}
    assert files_in(place.path / "std") == {f"{job}.log": f"{job} {job}\n" for job in jobs}


class Wide(pdt.InProcessMetadataRepository):
    """Records of jobs with ids that no file can have."""

    CHARSET = pdt.InProcessMetadataRepository.CHARSET + "/ $'\"\n;%"
    CHARSET_START_END = CHARSET


async def test_keys_that_need_care_leave_their_logs_inside(place: Place) -> None:
    """A class of repositories may allow any text."""
    jobs = ["../../../x", "/etc/x", "a b", "$id", "'", "a\nb", ";", "..", "%2F"]
    done = Wide()
    task = place.task('printf \'<%s>\' "$PDT_JOB" >&2; test {{job}} = "$PDT_JOB" && exit 3', pids=Wide(), done=done)
    task.link("input", Wide(dict.fromkeys(jobs, 1)), is_input=True)
    before = set(place.path.parent.iterdir())
    report = await place.run(task)
    assert report.failed == {"task": len(jobs)}, report.problems
    assert {job: record["error"] for job, record in done.data.items()} == {
        job: f"<{job}>".splitlines()[-1] for job in jobs
    }
    logs = task.basedir / "logs"
    assert len(list(logs.iterdir())) == len(jobs)
    assert set(place.path.parent.iterdir()) == before
    for job in jobs:
        assert Path(task.log_path(job, 1)).parent == logs
        assert Path(task.log_path(job, 1)).read_text() == f"<{job}>"


# Logs.


async def test_the_log_of_a_failed_attempt_is_kept_until_the_job_succeeds(place: Place) -> None:
    mark = place.path / "mark"
    task = place.task(f"echo out; echo err >&2; test -e {mark}", "a", "b")
    await place.run(task)
    for job in "ab":
        assert Path(task.log_path(job, 1)).read_text() == "out\nerr\n"
    assert os.stat(place.manager.basedir).st_mode & 0o077 == 0
    mark.touch()
    await place.done.delete("a")
    await place.run(task)
    assert (await place.done.info("a"))["success"]
    assert [path.name for path in (task.basedir / "logs").iterdir()] == ["b.1.log"]


async def test_each_failed_attempt_has_its_log(place: Place) -> None:
    tries = place.path / "tries"
    script = f"echo x >>{tries}; n=$(wc -l <{tries}); echo attempt $n; test $n -ge 3"
    retry = pdt.Retry(3, delay=0.01)
    task = place.task(script, "a", retry=retry)
    seen: dict[str, str] = {}
    again = task._run_again

    async def look(job: str, outcome: Any, seconds: float) -> None:
        await again(job, outcome, seconds)
        seen.update(files_in(task.basedir / "logs"))

    task._run_again = look  # type: ignore[method-assign]
    await place.run(task)
    assert seen == {"a.1.log": "attempt 1\n", "a.2.log": "attempt 2\n"}
    assert files_in(task.basedir / "logs") == {}


async def test_no_attempt_writes_over_the_log_of_an_earlier_one(place: Place) -> None:
    tries, mark = f"{place.path}/tries-$PDT_JOB", place.path / "mark"
    script = f"echo x >>{tries}; echo $PDT_JOB $(wc -l <{tries}); test -e {mark}"
    task = place.task(script, "a", "a.1", retry=pdt.Retry(2, delay=0.01))
    for number in (2, 4):
        await place.run(task)
        record = await place.done.info("a")
        assert (record["success"], record["attempt"]) == (False, number)
        for job in ("a", "a.1"):
            await place.done.delete(job)
    logs = files_in(task.basedir / "logs")
    assert logs == {f"{job}.{number}.log": f"{job} {number}\n" for job in ("a", "a.1") for number in range(1, 5)}
    mark.touch()
    await place.run(task)
    assert (await place.done.info("a"))["attempt"] == 5
    assert files_in(task.basedir / "logs") == {}
    await place.done.delete("a")
    await place.run(task)
    assert (await place.done.info("a"))["attempt"] == 1


async def test_only_the_last_logs_of_a_job_are_kept(place: Place) -> None:
    task = place.task("echo again; exit 3", "a", retry=pdt.Retry(14, delay=0))
    await place.run(task)
    assert set(files_in(task.basedir / "logs")) == {f"a.{number}.log" for number in range(5, 15)}


async def test_a_log_that_is_not_wanted_is_not_written(place: Place) -> None:
    task = place.task("echo out; exit 3", "a", keep_log=False)
    await place.run(task)
    assert not (task.basedir / "logs").exists()
    assert (await place.done.info("a"))["error"] is None


async def test_the_log_has_what_no_repository_takes(place: Place) -> None:
    blobs = pdt.InProcessBlobRepository()
    task = place.task("echo out; echo err >&2; exit 3", "a", stdout=blobs)
    await place.run(task)
    assert blobs.data == {"a": b"out\n"}
    assert Path(task.log_path("a", 1)).read_text() == "err\n"
    assert (await place.done.info("a"))["error"] == "err"


async def test_the_log_of_a_job_can_be_read_while_it_runs(place: Place) -> None:
    gate = place.path / "gate"
    os.mkfifo(gate)
    task = place.task(f"echo begun; read x <{gate}", "a")
    async with place.pipeline(task) as pipeline:
        running = asyncio.get_running_loop().create_task(pipeline.run())
        await until(lambda: (log := task.live_log("a")) and os.path.exists(log) and Path(log).read_text() == "begun\n")
        gate.write_text("go\n")
        await running
        assert task.live_log("a") is None
