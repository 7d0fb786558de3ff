"""Which pipeline a command line is about, and what is said where there is none."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.core.cli.support import PROJECT, run_pdt, write_project

TWO = PROJECT.replace(
    "pipeline = pdt.Pipeline([count, report])",
    "first = pdt.Pipeline([count], name='first')\nsecond = pdt.Pipeline([report], name='second')",
).replace("pdt.main(pipeline)", "pass")


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["-f", "pipeline.py", "status"],
        ["status", "-f", "pipeline.py"],
        ["status", "--file=pipeline.py:pipeline"],
        ["-f", "nothing.py", "status", "-f", "./pipeline.py"],
        ["-f", "pipeline:pipeline", "status"],
    ],
)
def test_a_pipeline_is_found(project: Path, words: list[str]) -> None:
    result = run_pdt(*words, cwd=project)
    assert (result.returncode, result.stderr) == (0, "")
    assert "count.input 3\n" in result.stdout


def test_the_environment_names_one(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    result = run_pdt("ls", "count.input", cwd=elsewhere, env={"PDT_FILE": str(project / "pipeline.py")})
    assert result.stdout.split() == ["a", "b", "d"]


def test_one_of_several_has_to_be_named(tmp_path: Path) -> None:
    write_project(tmp_path, {"a": "x"}, TWO)
    result = run_pdt("status", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == (
        "error: pipeline.py defines several pipelines: first, second\n"
        "fix: name one of its pipelines: -f pipeline.py:first or -f pipeline.py:second\n"
    )
    assert run_pdt("-f", "pipeline.py:first", "status", cwd=tmp_path).stdout.startswith("count\n")
    wrong = run_pdt("-f", "pipeline.py:third", "status", cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: pipeline.py: there is no third\nfix: name one of its pipelines: -f")
    other = run_pdt("-f", "pipeline.py:count", "status", cwd=tmp_path)
    assert "it is InProcessSyncTask, not a pipeline: count" in other.stderr


@pytest.mark.parametrize(
    ("words", "message", "fix"),
    [
        ([], r"there is no pipeline\.py in /.*, and no pipeline was named", "name one: pdt -f FILE COMMAND"),
        (["-f", "script.p"], r"there is no file script\.p", "did you mean script.py?"),
        (["-f", "far/script.py"], r"there is no file far/script\.py", "there is no directory far either"),
        (["-f", "script.py:pipeline"], r"script\.py: there is no pipeline", "script.py defines no pipeline"),
        (["-f", "script.py"], r"script\.py defines no pipeline", "make one at its top level"),
        (["-f", "no.such.module:pipeline"], r"there is no module no", "name an importable module"),
        (["-f", "."], r"\. is a directory", "name the file in it: -f ./pipeline.py"),
    ],
)
def test_there_is_none(tmp_path: Path, words: list[str], message: str, fix: str) -> None:
    (tmp_path / "script.py").write_text("x = 1\n")
    result = run_pdt(*words, "status", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    error, _, rest = result.stderr.partition("\n")
    assert re.fullmatch(f"error: {message}", error)
    assert rest.startswith(f"fix: {fix}")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import pdt\npipeline = (\n", "pipeline.py:2: SyntaxError: '(' was never closed"),
        ("import pdt\n\n1 / 0\n", "pipeline.py:3: ZeroDivisionError: division by zero"),
        ("import json\njson.loads('{')\n", "pipeline.py:2: JSONDecodeError: Expecting property name"),
        ("import nowhere\n", "pipeline.py:1: ModuleNotFoundError: No module named 'nowhere'"),
        ("import pdt\npdt.Pipeline([], name='a b')\n", "pipeline.py:2: 'a b' cannot name a pipeline"),
        ("import sys\nsys.exit(3)\n", "pipeline.py:2: it exits when it is loaded"),
        ("import pdt\npdt.main(pdt.Pipeline([]))\n", "pipeline.py:2: "),
    ],
)
def test_a_script_that_fails_is_shown_where(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "pipeline.py").write_text(source)
    result = run_pdt("status", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {tmp_path}/{message}")
    assert "Traceback" not in result.stderr
    assert "Traceback" in run_pdt("--debug", "status", cwd=tmp_path).stderr


def test_a_script_that_runs_itself_is_told_how_to_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "pipeline.py").write_text("import pdt\npdt.main(pdt.Pipeline([]))\n")
    result = run_pdt("status", cwd=tmp_path)
    assert "calls pdt.main() while it is loaded" in result.stderr
    assert 'fix: put that under `if __name__ == "__main__":`' in result.stderr


POOL = """
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import pdt

HERE = os.path.dirname(os.path.abspath(__file__))
pool = ProcessPoolExecutor(1, mp_context=get_context("{method}"))
task = pdt.ExecutorTask("copy", pool, pdt.SqliteMetadataRepository(HERE + "/.pdt/records.sqlite", "done"))
task.link("input", pdt.FileRepository(HERE + "/in", extension=".txt"), is_input=True)
task.link("output", pdt.FileRepository(HERE + "/out"), is_output=True)

@task
def copy(job, input, output):
    with input.open(job) as source, output.open(job, "w") as target:
        target.write(source.read() + helper())

def helper():
    return "!"

pipeline = pdt.Pipeline([task])
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("name", ["pipeline.py", "two words.py", "my-pipeline.py"])
def test_workers_find_the_functions_of_a_script(tmp_path: Path, method: str, name: str) -> None:
    write_project(tmp_path, {"a": "hello"}, POOL.format(method=method), name)
    result = run_pdt("-f", name, "run", cwd=tmp_path)
    assert (tmp_path / "out" / "a").read_text() == "hello!", result.stderr
    assert result.returncode == 0


@pytest.mark.parametrize("name", ["json.py", "pdt.py", "a.b.py"])
def test_a_script_does_not_hide_another_module(tmp_path: Path, name: str) -> None:
    write_project(tmp_path, {"a": "hello"}, POOL.format(method="fork"), name)
    result = run_pdt("-f", name, "run", cwd=tmp_path, command=[sys.executable, "-P", "-m", "pdt"])
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "a").read_text() == "hello!"
