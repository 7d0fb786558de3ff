"""ProcessTask: what it is made of, what its scripts see, and what becomes of what they write."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shlex
import shutil
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import pdt
from pdt.errors import ConfigurationError, HeldError, SessionNotOpenError
from tests.core.engine.samples import amount, jobs_of, memory, until
from tests.core.task.scripts import Place, quota


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# What it is made of.


def test_links_are_those_of_the_reference(place: Place) -> None:
    stdin, stdout, stderr = (pdt.InProcessBlobRepository() for _ in range(3))
    task = place.task("true", stdin=stdin, stdout=stdout, stderr=stderr, failed=place.failed)
    assert task.links == {
        "pids": pdt.Link(place.pids, is_status=True, inhibits_start=True, inhibits_output=True),
        "done": pdt.Link(place.done, is_status=True, inhibits_start=True, required_for_output=True),
        "stdin": pdt.Link(stdin, is_input=True, required_for_start=True),
        "stdout": pdt.Link(stdout, is_output=True, required_for_output=True),
        "stderr": pdt.Link(stderr, is_output=True, required_for_output=True),
        "failed": pdt.Link(place.failed, is_status=True, inhibits_start=True),
    }


def test_links_are_only_those_that_were_given(place: Place) -> None:
    assert place.task("true", done=None).links.keys() == {"pids"}


def test_streams_can_be_mixed(place: Place) -> None:
    blobs = pdt.InProcessBlobRepository()
    task = place.task("true", stdout=blobs, stderr=pdt.STDOUT)
    assert task.stderr is blobs
    assert "stderr" not in task.links
    assert place.task("true", stderr=pdt.STDOUT).stderr is None
    assert place.task("true").stderr is None
    assert repr(pdt.STDOUT) == "STDOUT"


def test_arguments_may_be_given_by_position(place: Place) -> None:
    blobs = [pdt.InProcessBlobRepository() for _ in range(3)]
    ready = memory("a")
    task = pdt.ProcessTask(
        "task", lambda: place.manager, place.quota, amount(2), place.pids, "true", timedelta(seconds=5), {"A": "b"},
        place.done, blobs[0], blobs[1], blobs[2], ready,
    )  # fmt: skip
    assert [task.stdin, task.stdout, task.stderr] == blobs
    assert task.ready is ready
    assert (task.environ, task.done, task.pids) == ({"A": "b"}, place.done, place.pids)
    assert task.resource_manager is place.quota
    assert task.job_resources == amount(2)


async def test_the_manager_may_be_a_callable_or_itself(place: Place) -> None:
    assert place.task("true").manager is place.manager
    assert place.task("true", manager=place.manager).manager is place.manager


async def test_the_manager_of_a_session_is_there_while_it_is_open(place: Place) -> None:
    session = pdt.Session()

    @session.resource
    async def processes() -> AsyncGenerator[pdt.AbstractProcessManager, None]:
        yield place.manager

    task = place.task("true", "a", manager=processes)
    for attribute in ("manager", "basedir"):
        with pytest.raises(SessionNotOpenError, match="processes"):
            getattr(task, attribute)
    await place.run(task, session=session)
    assert (await place.done.info("a"))["success"]
    with pytest.raises(SessionNotOpenError, match="processes"):
        task.manager  # noqa: B018


def test_basedir_is_the_tasks_own(place: Place) -> None:
    assert place.task("true", name="one").basedir == place.path / "processes" / "tested" / "one"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout of task 'task' is 0"),
        ({"timeout": -1}, "timeout of task 'task' is -1"),
        ({"timeout": timedelta(seconds=-1)}, "timeout of task 'task' is"),
        ({"timeout": float("nan")}, "timeout of task 'task' is nan"),
        ({"timeout": float("inf")}, "timeout of task 'task' is inf"),
        ({"timeout": 10**9}, "timeout of task 'task' is 1000000000"),
        ({"timeout": True}, "timeout of task 'task' is True"),
        ({"timeout": "60"}, "timeout of task 'task' is '60'"),
        ({"grace": 0}, "grace of task 'task' is 0"),
        ({"grace": None}, "grace of task 'task' is None"),
        ({"window": timedelta(0)}, "window of task 'task' is"),
        ({"retry": 0}, "attempts is 0"),
        ({"retry": True}, "attempts is True"),
        ({"retry": "3"}, "retry of task 'task' is '3'"),
        ({"stdin": memory()}, "stdin of task 'task' is InProcessMetadataRepository"),
        ({"stdout": memory()}, "stdout of task 'task' is InProcessMetadataRepository"),
        ({"stderr": memory()}, "stderr of task 'task' is InProcessMetadataRepository"),
        ({"stdout": "file"}, "stdout of task 'task' is str"),
        ({"pids": pdt.InProcessBlobRepository()}, "pids of task 'task' is InProcessBlobRepository"),
        ({"done": pdt.InProcessBlobRepository()}, "done of task 'task' is InProcessBlobRepository"),
        ({"failed": pdt.InProcessBlobRepository()}, "failed of task 'task' is InProcessBlobRepository"),
        ({"environ": {"A": 1}}, "environ of task 'task'"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], message: str, place: Place) -> None:
    with pytest.raises(ConfigurationError) as caught:
        place.task("true", **options)
    assert message in str(caught.value)


def test_done_and_failed_are_not_the_same(place: Place) -> None:
    with pytest.raises(ConfigurationError, match="are the same repository"):
        place.task("true", failed=place.done)


async def test_a_template_that_cannot_be_read_is_told_when_the_pipeline_opens(place: Place) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.sh"):
        await place.pipeline(place.task(place.path / "missing.sh", "a")).open()


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("echo {{ job", "script of task 'task':1:6: unexpected end of template"),
        ("echo {{ out }} {{ otu }}", "script of task 'task':1:19: 'otu' is undefined"),
        ("echo {{ outputs.otu }}", "script of task 'task':1:17: outputs has no 'otu'"),
        ("true\neval {{ job }}", "script of task 'task':2:6: "),
    ],
)
async def test_a_template_that_can_never_be_rendered_is_refused_when_the_pipeline_opens(
    template: str, error: str, place: Place
) -> None:
    task = place.task(template, "a")
    task.link("out", place.files("out"), is_output=True)
    pipeline = place.pipeline(task)
    with pytest.raises(ConfigurationError) as caught:
        await pipeline.open()
    assert str(caught.value).startswith(error)
    assert caught.value.fix
    assert not pipeline.is_open
    for options in ({"only_look": True}, {"starts": False}):
        await pipeline.open(**options)
        await pipeline.close()
    task.disabled = True
    await place.run(task)
    assert await place.done.keys() == set()


# Launching by hand.


async def test_what_is_launched_by_hand_is_found_by_the_next_controller(place: Place) -> None:
    runs, gate = place.path / "runs", place.path / "gate"
    script = f"echo x >>{runs}; until test -e {gate}; do sleep 0.02; done"
    task = place.task(script, "a")
    async with place.pipeline(task):
        await task.launch("a")
        await until(runs.exists)
    gate.touch()
    await place.run(place.task(script, "a"))
    assert runs.read_text() == "x\n"
    assert (await place.done.info("a"))["attempt"] == 1


async def test_nothing_is_launched_by_hand_beside_a_controller(place: Place) -> None:
    task, other = place.task("true", "a"), place.task("true", "a")
    async with place.pipeline(task) as pipeline:
        pipeline.take_control()
        async with place.pipeline(other):
            with pytest.raises(HeldError):
                await other.launch("a")
        await task.launch("a")
        await pipeline.run()
    assert (await place.done.info("a"))["success"]


async def test_nothing_is_launched_by_hand_in_a_pipeline_that_only_looks(place: Place) -> None:
    task = place.task("true", "a")
    pipeline = place.pipeline(task)
    await pipeline.open(only_look=True)
    with pytest.raises(ConfigurationError, match="was opened only to look"):
        await task.launch("a")
    await pipeline.close()


# Scripts.


async def test_without_a_first_line_it_is_the_shells(place: Place) -> None:
    out = place.files("out")
    task = place.task('test -z "$1" && echo $((6 * 7)) $0 >{{out}}', "a")
    task.link("out", out, is_output=True)
    await place.run(task)
    assert (out.basedir / "a").read_text() == "42 task\n"


@pytest.mark.parametrize(
    ("script", "output"),
    [
        ("#!/bin/sh\necho sh {{job}}", "sh a\n"),
        ("#!/bin/bash\narr=(x y); echo ${arr[1]} {{job}}", "y a\n"),
        ("#! /bin/sh -e\nfalse || echo {{job}}; echo more", "a\nmore\n"),
        ("#!/usr/bin/env python3\nprint({{job | py}}, 1 + 1)", "a 2\n"),
        ("#!/usr/bin/env -S python3 -I\nimport sys\nprint({{job | py}}, sys.flags.isolated)", "a 1\n"),
        (f"#!{sys.executable}\nimport sys\nprint({{{{job | json}}}}, len(sys.argv))", "a 1\n"),
        ("#!/bin/cat\nthe text\n", "#!/bin/cat\nthe text\n"),
    ],
)
async def test_the_first_line_names_the_interpreter(script: str, output: str, place: Place) -> None:
    blobs = pdt.InProcessBlobRepository()
    report = await place.run(place.task(script, "a", stdout=blobs))
    assert blobs.data == {"a": output.encode()}
    assert report.exit_code == 0


@pytest.mark.parametrize("kind", ["text", "path", "text of a path"])
async def test_a_template_is_a_text_or_a_path(kind: str, place: Place) -> None:
    path = place.path / "script.sh"
    path.write_text("echo {{job}}\n")
    given: Any = {"text": path.read_text(), "path": path, "text of a path": str(path)}[kind]
    blobs = pdt.InProcessBlobRepository()
    await place.run(place.task(given, "a", stdout=blobs))
    assert blobs.data == {"a": b"a\n"}


async def test_a_script_finds_what_it_may_use(place: Place) -> None:
    inputs, out = place.files("in", ".txt", a="input"), place.files("out", ".txt")
    words = pdt.InProcessMetadataRepository({"a": {"word": "it's $HOME"}})
    task = place.task(
        "cat {{books}}; echo {{words.word}}; echo {{job}} {{task}} {{inputs.words.word}} {{env.GREETING}};"
        "test {{attempt}} = $PDT_ATTEMPT && echo same; echo $PDT_TASK $PDT_JOB $GREETING; echo x >{{outputs.out}}",
        stdout=(blobs := pdt.InProcessBlobRepository()),
        environ={"GREETING": "hello"},
    )
    task.link("books", inputs, is_input=True)
    task.link("words", words, is_input=True)
    task.link("out", out, is_output=True)
    await place.run(task)
    assert blobs.data["a"].decode() == "inputit's $HOME\na task it's $HOME hello\nsame\ntask a hello\n"
    assert (out.basedir / "a.txt").read_text() == "x\n"


@pytest.mark.parametrize("environ", [None, {}, {"NAME": "value with 'quotes' and \n line ends"}])
async def test_environ_adds_to_the_environment(environ: dict[str, str] | None, place: Place) -> None:
    given = dict(environ or {})
    blobs = pdt.InProcessBlobRepository()
    await place.run(
        place.task('cat /dev/null && test -n "$PATH" && printf %s "$NAME"', "a", environ=environ, stdout=blobs)
    )
    assert blobs.data["a"].decode() == given.get("NAME", "")


async def test_the_working_directory_can_be_chosen(place: Place) -> None:
    blobs = pdt.InProcessBlobRepository()
    (place.path / "here").mkdir()
    await place.run(place.task("pwd", "a", stdout=blobs, cwd=place.path / "here"))
    assert blobs.data["a"].decode().strip() == str(place.path / "here")


@pytest.mark.blocking(reason="the text is looked through for what is to be filled in")
async def test_a_script_of_any_size_is_run(place: Place) -> None:
    """Longer than any argument that the system takes."""
    blobs = pdt.InProcessBlobRepository()
    script = ": " + "x" * 2_200_000 + "\necho done\n"
    for shebang in ("", "#!/bin/bash\n"):
        task = place.task(shebang + script, "a", stdout=blobs)
        await place.run(task)
        assert blobs.data.pop("a") == b"done\n"
        await place.done.delete("a")


# Streams.


@pytest.mark.parametrize("kind", ["file", "memory"])
async def test_stdin_is_what_the_repository_holds(kind: str, place: Place) -> None:
    content = bytes(range(256)) * 4096
    if kind == "file":
        stdin: pdt.BlobRepository = place.files("in", ".bin")
        (place.path / "in" / "a.bin").write_bytes(content)
    else:
        stdin = pdt.InProcessBlobRepository({"a": content})
    blobs = pdt.InProcessBlobRepository()
    script = "sha256sum; readlink /proc/self/fd/0" if kind == "file" else "sha256sum"
    await place.run(place.task("readlink /proc/$$/fd/0; sha256sum", stdin=stdin, stdout=blobs))
    path, digest = blobs.data["a"].decode().splitlines()
    assert digest.split()[0] == hashlib.sha256(content).hexdigest(), script
    if kind == "file":  # it is read where it lies
        assert path == str(place.path / "in" / "a.bin")


async def test_without_stdin_there_is_nothing_to_read(place: Place) -> None:
    blobs = pdt.InProcessBlobRepository()
    await place.run(place.task("wc -c", "a", stdout=blobs))
    assert blobs.data["a"].split() == [b"0"]


@pytest.mark.parametrize("kind", ["file", "memory"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_streams_of_any_size_arrive_as_they_are(kind: str, stream: str, place: Place) -> None:
    size = 64 << 20
    repo: Any = place.files("out", ".bin") if kind == "file" else pdt.InProcessBlobRepository()
    to = ">&2" if stream == "stderr" else ""
    pattern = bytes(range(256)).replace(b"\n", b"")
    source = place.path / "pattern"
    source.write_bytes(pattern * (size // len(pattern)))
    task = place.task(f"cat {source} {to}; printf '\\0end' {to}", "a", **{stream: repo})
    report = await place.run(task)
    assert report.exit_code == 0
    data = (place.path / "out" / "a.bin").read_bytes() if kind == "file" else repo.data["a"]
    assert hashlib.sha256(data).digest() == hashlib.sha256(source.read_bytes() + b"\0end").digest()


@pytest.mark.parametrize("kind", ["file", "memory"])
async def test_what_writes_nothing_leaves_an_empty_blob(kind: str, place: Place) -> None:
    repo: Any = place.files("out") if kind == "file" else pdt.InProcessBlobRepository()
    await place.run(place.task("true", "a", stdout=repo))
    assert await repo.contains("a")
    async with repo.open("a", "rb") as stream:
        assert await stream.read() == b""


@pytest.mark.parametrize("kind", ["file", "memory"])
async def test_streams_are_kept_apart_or_mixed(kind: str, place: Place) -> None:
    repos: list[Any] = [place.files(f"s{n}") if kind == "file" else pdt.InProcessBlobRepository() for n in range(3)]
    script = "echo 1; echo 2 >&2; echo 3"
    await place.run(
        place.task(script, "a", stdout=repos[0], stderr=repos[1]),
        place.task(script, "a", name="mixed", stdout=repos[2], stderr=pdt.STDOUT, done=place.records("mixed")),
    )
    found = []
    for repo in repos:
        async with repo.open("a", "r") as stream:
            found.append(await stream.read())
    assert found == ["1\n3\n", "2\n", "1\n2\n3\n"]


async def test_a_task_without_any_optional_repository_runs(place: Place) -> None:
    """Nothing is recorded, so it is up to `ready` which jobs start; here each does once in a run."""
    ready = memory("a", "b")
    task = place.task(f"echo {{{{job}}}} >>{place.path}/ran; sleep 0.1", done=None, ready=ready)
    report = await place.run(task)
    assert sorted((place.path / "ran").read_text().split()) == ["a", "b"]
    assert report.succeeded == {"task": 2}


async def test_stdout_alone_says_that_a_job_is_done(place: Place) -> None:
    out = place.files("out")
    task = place.task(f"echo {{{{job}}}} >>{place.path}/ran; echo out", "a", "b", done=None, stdout=out)
    task.link("out", out, is_output=True, inhibits_start=True)
    for _ in range(2):
        assert (await place.run(task)).exit_code == 0
    assert sorted((place.path / "ran").read_text().split()) == ["a", "b"]
    assert await out.keys() == {"a", "b"}


async def test_ready_can_be_overridden(place: Place) -> None:
    task = place.task(f"echo {{{{job}}}} >>{place.path}/ran", ready=memory("b"))
    task.link("input", memory("a", "b"), is_input=True)
    await place.run(task)
    assert (place.path / "ran").read_text() == "b\n"
    assert await place.done.keys() == {"b"}


async def test_settings_are_obeyed(place: Place) -> None:
    out = place.files("out")
    task = place.task("echo {{job}} >{{out}}", "a")
    task.link("out", out, is_output=True)
    pipeline = place.pipeline(task)
    pipeline.settings(synchronous=True, metadata=False)
    async with pipeline, asyncio.timeout(20):
        await task.launch("a")
        assert (out.basedir / "a").read_text() == "a\n"
    assert await place.done.keys() == set()


async def test_pids_are_recorded_while_jobs_run(place: Place) -> None:
    gate = place.path / "gate"
    os.mkfifo(gate)
    task = place.task(f"echo $$ >{place.path}/{{{{job}}}}; read x <{gate}", "a")
    async with place.pipeline(task) as pipeline:
        running = asyncio.get_running_loop().create_task(pipeline.run())
        async with asyncio.timeout(20):
            while not await place.pids.contains("a"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        record = await place.pids.info("a")
        assert record["pid"] == (place.path / "a").read_text().strip()
        assert os.path.exists(f"/proc/{record['pid']}")
        assert record["start_time"].utcoffset() == timedelta(0)
        assert task.running == 1
        assert not await place.done.contains("a")
        gate.write_text("go\n")
        await running
        assert await place.pids.keys() == set()
    assert await place.done.keys() == {"a"}


async def test_many_jobs_of_several_tasks_go_through(place: Place) -> None:
    middle, out = place.files("middle", ".txt"), place.files("out", ".txt")
    jobs = [f"j{number:03}" for number in range(150)]
    first = place.task("echo {{job}} >{{middle}}", *jobs, name="first", quota=quota(4))
    first.link("middle", middle, is_output=True)
    second = place.task("cat {{middle}} >{{out}}", name="second", done=place.records("second"), quota=quota(4))
    second.plug(first)
    second.link("out", out, is_output=True)
    report = await place.run(first, second)
    assert report.succeeded == {"first": 150, "second": 150}
    assert {job: out.fullpath(job).read_text() for job in await out.keys()} == {job: f"{job}\n" for job in jobs}


# What runs on when its controller is gone.


async def test_a_job_runs_once_whatever_becomes_of_its_controller(place: Place) -> None:
    """Adopted while it runs, and reaped where it has ended meanwhile; with every stream, and all that it wrote."""
    out = place.files("out", ".txt")
    blobs = pdt.InProcessBlobRepository()
    gate = place.path / "gate"
    os.mkfifo(gate)
    jobs = ("ended", "runs")

    def make() -> pdt.ProcessTask:
        script = (
            f"echo $PDT_JOB >>{place.path}/log; wc -c; echo {{{{job}}}} >{{{{out}}}}; : >{place.path}/begun-$PDT_JOB;"
            f"test $PDT_JOB = ended || read x <{gate}; : >{place.path}/end-$PDT_JOB; exit 0"
        )
        stdin = pdt.InProcessBlobRepository(dict.fromkeys(jobs, b"12345"))
        task = place.task(script, stdin=stdin, stdout=blobs)
        task.link("out", out, is_output=True)
        return task

    async with place.pipeline(make()) as pipeline:
        assert await pipeline.update_only_launch()
        await until((place.path / "begun-runs").exists)
        await until((place.path / "end-ended").exists)
    assert await place.done.keys() == set()
    async with place.pipeline(task := make()) as pipeline, asyncio.timeout(20):
        running = asyncio.get_running_loop().create_task(pipeline.run())
        while not await place.done.contains("ended"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert (await place.quota.usage()).cpu == 1  # what was adopted counts
        assert set(task.running_jobs) == {"runs"}
        gate.write_text("go\n")
        report = await running
    assert report.succeeded == {"task": 2}
    assert sorted((place.path / "log").read_text().split()) == sorted(jobs)
    assert {job: out.fullpath(job).read_text() for job in await out.keys()} == {job: f"{job}\n" for job in jobs}
    assert {job: data.split() for job, data in blobs.data.items()} == {job: [b"5"] for job in jobs}
    assert place.left_over() == []


class Stranger(pdt.AbstractProcessManager):
    """A process manager as a user would write it: by the methods of the reference, and nothing else.

    :param path: its directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.spawned: list[dict[str, Any]] = []

    @property
    def basedir(self) -> Path:
        return self._path

    async def get_live_pids(self, hint: set[str]) -> set[str]:
        return {name for name in os.listdir("/proc") if name.isdigit() and _runs(name)}

    async def spawn(self, args, environ, cwd, return_code, stdin, stdout, stderr):  # type: ignore[no-untyped-def]
        self.spawned.append({"environ": dict(environ), "cwd": cwd, "args": args})
        error = "2>&1" if stderr is pdt.STDOUT else f"2>{shlex.quote(stderr or '/dev/null')}"
        streams = f"<{shlex.quote(stdin or '/dev/null')} >{shlex.quote(stdout or '/dev/null')} {error}"
        inner = f"cd {shlex.quote(cwd)}; {shlex.join(args)} {streams}; echo $? >{shlex.quote(return_code)}"
        script = f"setsid sh -c {shlex.quote(inner)} </dev/null >/dev/null 2>&1 & echo $!"
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", script, env={**os.environ, **environ}, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        return output.decode().strip()

    async def kill(self, pid: str) -> None:
        with suppress(ProcessLookupError):
            os.killpg(int(pid), signal.SIGKILL)

    async def open(self, path: Path, mode: Any) -> Any:
        return _FileStream(path, mode)

    async def mkdir(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    async def rmtree(self, path: Path) -> None:
        shutil.rmtree(path, ignore_errors=True)


class _FileStream:
    def __init__(self, path: Path, mode: Any) -> None:
        self._file = open(path, mode)  # noqa: SIM115

    async def __aenter__(self) -> _FileStream:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def read(self, n: int | None = None) -> Any:
        return self._file.read(-1 if n is None else n)

    async def write(self, data: Any) -> Any:
        return self._file.write(data)

    async def close(self) -> None:
        self._file.close()


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def stranger(tmp_path: Path) -> Stranger:
    (tmp_path / "far").mkdir()
    return Stranger(tmp_path / "far" / "app")


async def test_a_strangers_manager_runs_jobs_from_end_to_end(stranger: Stranger, place: Place) -> None:
    content = bytes(range(256)) * 8192
    jobs = ["a", "b", "bad"]
    blobs = [pdt.InProcessBlobRepository(), pdt.InProcessBlobRepository()]
    words = pdt.InProcessMetadataRepository({job: f"it's {job}" for job in jobs})
    task = place.task(
        'cat; echo {{words}} $GREETING "$PDT_JOB" >&2; test {{job}} != bad || exit 7',
        manager=stranger, stdin=pdt.InProcessBlobRepository(dict.fromkeys(jobs, content)), stdout=blobs[0],
        stderr=blobs[1], environ={"GREETING": "hello"},
    )  # fmt: skip
    task.link("words", words, is_input=True)
    after = place.task("#!/usr/bin/env python3\nprint(1 + 1)", name="after", manager=stranger, done=place.records("2"))
    after.plug(task)
    report = await place.run(task, after)
    assert report.succeeded == {"task": 2, "after": 3}
    assert report.failed == {"task": 1}
    assert blobs[0].data == dict.fromkeys(jobs, content)
    assert blobs[1].data == {job: f"it's {job} hello {job}\n".encode() for job in jobs}
    record = await place.done.info("bad")
    assert (record["reason"], record["return_code"], record["attempt"]) == ("exit", 7, 1)
    assert [path for path in stranger.basedir.rglob("*") if path.is_file()] == []


async def test_a_strangers_job_is_adopted_by_the_next_controller(stranger: Stranger, place: Place) -> None:
    """As long as its identifier was written down."""
    gate, begun = place.path / "gate", place.path / "begun"
    os.mkfifo(gate)
    blobs = pdt.InProcessBlobRepository()
    script = f"echo x >>{place.path}/log; echo out; : >{begun}; read x <{gate}"
    await place.interrupted(place.task(script, "a", manager=stranger, stdout=blobs), begun)
    assert blobs.data == {}
    task = place.task(script, "a", manager=Stranger(stranger.basedir), stdout=blobs)
    async with place.pipeline(task) as pipeline, asyncio.timeout(20):
        running = asyncio.get_running_loop().create_task(pipeline.run())
        await until(lambda: task.running == 1)
        gate.write_text("go\n")
        report = await running
    assert report.succeeded == {"task": 1}
    assert blobs.data == {"a": b"out\n"}
    assert (place.path / "log").read_text() == "x\n"
    assert (await place.done.info("a"))["attempt"] == 1


async def test_a_strangers_job_that_ended_meanwhile_is_reaped(stranger: Stranger, place: Place) -> None:
    begun, end = place.path / "begun", place.path / "end"
    script = f"echo x >>{place.path}/log; : >{begun}; sleep 0.5; : >{end}; exit 5"
    await place.interrupted(place.task(script, "a", manager=stranger), begun)
    await until(end.exists)
    await asyncio.sleep(0.2)
    report = await place.run(place.task(script, "a", manager=stranger))
    assert report.failed == {"task": 1}
    assert (await place.done.info("a"))["return_code"] == 5
    assert (place.path / "log").read_text() == "x\n"


async def test_a_strangers_job_ends_when_its_time_is_over(stranger: Stranger, place: Place) -> None:
    report = await place.run(place.task("sleep 30", "a", manager=stranger, timeout=0.5))
    assert report.failed == {"task": 1}
    assert (await place.done.info("a"))["reason"] == "timeout"


async def test_killing_what_is_gone_is_no_error(stranger: Stranger, place: Place) -> None:
    for manager in (stranger, place.manager):
        base: Path = manager.basedir
        await manager.mkdir(base)
        code = base / "code"
        pid = await manager.spawn(["true"], {}, str(base), str(code), None, None, None)
        await until(code.exists)
        while pid in await manager.get_live_pids({pid}):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await manager.kill(pid)
        await manager.kill(pid)
        assert int(code.read_text()) == 0


async def test_what_a_process_has_freed_goes_to_whoever_waits(place: Place) -> None:
    """A task whose jobs follow each other does not keep from its quota another that becomes ready meanwhile."""
    shared = quota(1)
    order = place.path / "order"
    first = place.task(
        f"sleep 0.01; echo first >>{order}; echo {{{{job}}}} >{{{{middle}}}}", *jobs_of(60), name="first", quota=shared
    )
    first.link("middle", place.files("middle"), is_output=True)
    second = place.task(f"echo second >>{order}", name="second", done=place.records("second"), quota=shared)
    second.link("middle", place.files("middle"), is_input=True)
    await place.run(first, second)
    said = order.read_text().split()
    assert Counter(said) == {"first": 60, "second": 60}
    assert said.index("second") < 59
