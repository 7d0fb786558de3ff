"""The example on the standard library: run as a reader would, and checked against counts of other kinds."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib.util
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pexpect
import pytest

import pdt
from tests.docs.snippets import run_page

EXAMPLE = Path(__file__).parents[2] / "examples" / "modules" / "pipeline.py"
LIBRARY = Path(sysconfig.get_path("stdlib"))
Command = Callable[..., str]
# A run takes a few seconds where nothing else does.
TIMEOUT_S = 150
pytestmark = pytest.mark.timeout(TIMEOUT_S * 2)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a copy of the example, imported under a name of its own."""
    shutil.copy(EXAMPLE, tmp_path)
    spec = importlib.util.spec_from_file_location("example_of_modules", tmp_path / "pipeline.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, found)
    spec.loader.exec_module(found)
    return found


def commands_in(directory: Path) -> Command:
    """Return what runs a command of the example's copy in `directory`, and returns what it prints."""

    def run(*words: str, code: int = 0) -> str:
        ended = subprocess.run(
            [sys.executable, "pipeline.py", *words],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert ended.returncode == code, f"{words}: exit {ended.returncode}\n{ended.stdout}{ended.stderr}"
        assert "leaked" not in ended.stderr
        return ended.stdout

    return run


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Command, str]]:
    """Return a copy of the example that has run, what runs its commands, and what the run printed."""
    directory = tmp_path_factory.mktemp("modules")
    shutil.copy(EXAMPLE, directory)
    command = commands_in(directory)
    yield directory, command, command("run")
    shutil.rmtree(directory)


def rows_of(page: Path) -> dict[str, list[int]]:
    """Return the numbers of each module on a page."""
    rows = {}
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[1].isdigit():
            rows[cells[0]] = [int(cell) for cell in cells[1:]]
    return rows


def records_of(directory: Path, name: str) -> dict[str, Any]:
    repository = pdt.SqliteMetadataRepository(directory / ".pdt" / "records.sqlite", name)
    try:
        return asyncio.run(repository.info_all())
    finally:
        repository.release()


def public_modules() -> set[str]:
    """Find the public modules by their files alone."""
    found = set()
    for file in LIBRARY.rglob("*.py"):
        parts = list(file.relative_to(LIBRARY).with_suffix("").parts)
        packages = [LIBRARY.joinpath(*parts[:depth]) for depth in range(1, len(parts))]
        if parts[-1] == "__init__":
            parts.pop()
        private = any(part.startswith("_") for part in parts)
        tests = any(part in ("test", "tests") or part.endswith("_test") for part in parts)
        if not parts or parts[0] not in sys.stdlib_module_names or private or tests:
            continue
        if all((package / "__init__.py").is_file() for package in packages):
            found.add(".".join(parts))
    return found


def test_every_public_module_is_counted(example: tuple[Path, Command, str]) -> None:
    directory, _, _ = example
    counted = records_of(directory, "counts")
    assert counted.keys() == public_modules()
    assert {"json", "json.decoder", "textwrap", "xml.etree.ElementTree"} <= counted.keys()
    assert all(record["success"] for record in records_of(directory, "identifiers.done").values())


def test_each_letter_has_its_report(example: tuple[Path, Command, str]) -> None:
    directory, _, _ = example
    modules = records_of(directory, "counts").keys()
    pages = {page.stem: page for page in (directory / "report").iterdir()}
    assert pages.keys() == {name[0] for name in modules}
    for letter, page in pages.items():
        of_letter = {name for name in modules if name[0] == letter}
        rows = rows_of(page)
        totals = rows.pop(f"{len(of_letter)} modules")
        assert rows.keys() == of_letter
        assert totals == [sum(column) for column in zip(*rows.values(), strict=True)]


@pytest.mark.parametrize("module", ["json", "json.decoder", "textwrap", "this", "queue"])
def test_numbers_are_right(example: tuple[Path, Command, str], module: str) -> None:
    directory, _, _ = example
    file = LIBRARY.joinpath(*module.split("."))
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    text = file.read_text(encoding="utf-8")
    lines, words = subprocess.check_output(["wc", "-l", "-w", str(file)], text=True).split()[:2]
    functions = re.findall(r"^\s*(?:async\s+)?def\s+\w+\(", text, re.MULTILINE)
    classes = re.findall(r"^\s*class\s+\w+[(:]", text, re.MULTILINE)
    found = rows_of(directory / "report" / f"{module[0]}.md")[module]
    assert found[:4] == [int(lines), int(words), len(functions), len(classes)]


def test_words_are_those_of_the_source(example: tuple[Path, Command, str]) -> None:
    directory, _, _ = example
    ended = records_of(directory, "words.done")
    assert ended.keys() == public_modules()
    assert all((record["success"], record["return_code"]) == (True, 0) for record in ended.values())
    assert records_of(directory, "words.pids") == {}
    assert {file.stem for file in (directory / "words").glob("*.txt")} == public_modules()
    for module in ("this", "textwrap", "json.decoder"):
        text = LIBRARY.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
        counted = Counter(re.findall(r"[A-Za-z]+", text))
        lines = (directory / "words" / f"{module}.txt").read_text().splitlines()
        found = {word: int(number) for number, word in (line.split() for line in lines if len(line.split()) == 2)}
        wanted = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[: len(found)]
        assert list(found.items()) == wanted
        assert len(found) >= 9


def test_summary_says_what_was_left_out_and_what_to_try(example: tuple[Path, Command, str]) -> None:
    directory, _, printed = example
    modules = records_of(directory, "counts")
    assert re.search(rf"^{len(modules)} modules of {re.escape(str(LIBRARY))}", printed, re.MULTILINE)
    private = re.search(r"^ +(\d+) private", printed, re.MULTILINE)
    assert private is not None
    assert int(private[1]) >= sum(name.startswith("_") for name in sys.stdlib_module_names)
    assert f"reports are in {directory / 'report'}" in printed


def test_commands_of_the_summary_work(example: tuple[Path, Command, str]) -> None:
    directory, _, printed = example
    commands = printed.split("Next, try:\n")[1].splitlines()
    assert len(commands) == 3
    for command in commands:
        ended = subprocess.run(["bash", "-c", command], cwd=directory, capture_output=True, text=True, timeout=30)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
        assert ended.stdout


def test_second_run_does_nothing(example: tuple[Path, Command, str]) -> None:
    directory, command, _ = example
    before = {file: file.stat().st_mtime_ns for file in (directory / "report").iterdir()}
    ended = {name: records_of(directory, f"{name}.done") for name in ("count", "identifiers", "words", "report")}
    assert command("plan", "-o", "name") == ""
    command("run")
    assert {file: file.stat().st_mtime_ns for file in (directory / "report").iterdir()} == before
    assert {name: records_of(directory, f"{name}.done") for name in ended} == ended


def test_what_is_removed_is_done_again_and_nothing_else(example: tuple[Path, Command, str]) -> None:
    directory, command, _ = example
    before = {name: records_of(directory, f"{name}.done") for name in ("count", "identifiers", "words", "report")}
    values = {name: records_of(directory, name) for name in ("counts", "frequencies")}
    command("rm", "-y", "count", "json")
    command("rm", "-y", "identifiers", "json")
    command("rm", "-y", "words", "json")
    command("rm", "-y", "report", "j")
    why = json.loads(command("why", "report", "j", "-o", "json"))
    assert "'json'" in why[0]["reason"]
    assert command("plan", "-o", "name") == "json\n"
    command("run")
    after = {name: records_of(directory, f"{name}.done") for name in before}
    changed = {(name, job) for name in after for job in after[name] if after[name][job] != before[name].get(job)}
    assert changed == {("count", "json"), ("identifiers", "json"), ("words", "json"), ("report", "j")}
    assert {name: records_of(directory, name) for name in values} == values


def test_readme_of_the_example_runs(example: tuple[Path, Command, str]) -> None:
    directory, _, _ = example
    run_page(EXAMPLE.with_name("README.md"), directory)


def run_until_identifiers(directory: Path) -> pexpect.spawn[str]:
    """Start a run on a terminal, and return it when the process pool is at work."""
    shutil.copy(EXAMPLE, directory)
    child = pexpect.spawn(
        sys.executable,
        ["pipeline.py", "run"],
        cwd=str(directory),
        encoding="utf-8",
        timeout=TIMEOUT_S,
        dimensions=(30, 100),
    )
    child.expect(r"identifiers +\[#[-#]*\] \d+/\d+")
    return child


def processes_in(directory: Path) -> dict[int, str]:
    """Return the processes that work in a directory, by their numbers."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink() == directory:
                found[int(entry.name)] = (entry / "cmdline").read_text()
    return found


def test_interrupted_run_goes_on(tmp_path: Path) -> None:
    child = run_until_identifiers(tmp_path)
    child.sendintr()  # to every process of the terminal, as Ctrl-C is
    child.expect("the same command goes on")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    ended = records_of(tmp_path, "identifiers.done")
    assert all(record["success"] for record in ended.values())
    commands_in(tmp_path)("run")
    again = records_of(tmp_path, "identifiers.done")
    assert again.keys() == public_modules()
    assert {job: again[job] for job in ended} == ended


def test_a_run_that_was_interrupted_before_the_first_page_suggests_nothing(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    child = pexpect.spawn(
        sys.executable, ["pipeline.py", "run"], cwd=str(tmp_path), encoding="utf-8", timeout=TIMEOUT_S
    )
    child.expect(r"count +\[")
    child.sendintr()
    child.expect("the same command goes on")
    child.expect(pexpect.EOF)
    assert not list(tmp_path.glob("report/*.md"))
    assert "Next, try" not in str(child.before)


def test_killed_run_leaves_no_process_and_goes_on(tmp_path: Path) -> None:
    child = run_until_identifiers(tmp_path)
    others = processes_in(tmp_path).keys() - {child.pid}
    assert len(others) >= 2, "a fork server and a worker"
    watches = {os.pidfd_open(pid) for pid in others}
    child.kill(signal.SIGKILL)
    while watches:
        ready, _, _ = select.select(watches, [], [], 20)
        assert ready, f"left behind: {processes_in(tmp_path)}"
        for watch in ready:
            os.close(watch)
            watches.discard(watch)
    child.close()
    commands_in(tmp_path)("run")
    assert records_of(tmp_path, "identifiers.done").keys() == public_modules()
    assert all(record["success"] for record in records_of(tmp_path, "identifiers.done").values())


SMALL_LIBRARY = {
    "abc.py": "import this\n\n\nclass A:\n    def f(self, x):\n        return [x for x in self]\n",
    "ast.py": "def broken(:\n",
    "json/__init__.py": "",
    "json/tool.py": "async def main() -> None: ...\n",
    "json/_private.py": "",
    "json/tests/__init__.py": "",
    "json/tests/test_tool.py": "",
    "not_in_the_library.py": "",
}
DRIVER = """
import asyncio
from pathlib import Path

import pipeline as example


async def main():
    example.library.root = Path("library").resolve()
    async with example.pipeline as pipeline:
        report = await pipeline.run()
    print(report.exit_code, dict(report.succeeded), dict(report.failed))
    print(dict(example.survey(example.library.root).left_out))


if __name__ == "__main__":
    asyncio.run(main())
"""


def test_small_library(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    (tmp_path / "driver.py").write_text(DRIVER)
    for name, text in SMALL_LIBRARY.items():
        file = tmp_path / "library" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    printed = subprocess.check_output(
        [sys.executable, "driver.py"], cwd=tmp_path, text=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S
    )
    code, succeeded, failed = re.match(r"(\d) ({.*?}) ({.*?})\n", printed).groups()  # type: ignore[union-attr]
    assert ast.literal_eval(succeeded) == {"count": 3, "identifiers": 3, "words": 3, "report": 1}
    assert (code, ast.literal_eval(failed)) == ("1", {"count": 1})
    assert "'tests of the library': 3" in printed  # the two here, and `test`, which is not here
    counts = records_of(tmp_path, "counts")
    assert counts == {
        "abc": {"lines": 6, "words": 13, "functions": 1, "classes": 1},
        "json": {"lines": 0, "words": 0, "functions": 0, "classes": 0},
        "json.tool": {"lines": 1, "words": 6, "functions": 1, "classes": 0},
    }
    frequencies = records_of(tmp_path, "frequencies")
    assert frequencies["abc"]["frequencies"] == {"this": 1, "A": 1, "f": 1, "self": 2, "x": 3}
    assert frequencies["json.tool"]["identifiers"] == 1
    failed = records_of(tmp_path, "count.done")["ast"]
    assert not failed["success"]
    assert "SyntaxError" in failed["exception"]
    # The letter of the broken module has no report: one that leaves it out would be wrong.
    assert [page.name for page in (tmp_path / "report").iterdir()] == ["j.md"]


def test_library_is_read_only_and_checks_keys(module: ModuleType) -> None:
    library = module.StandardLibrary(LIBRARY)

    async def use() -> None:
        async with library.open("this") as stream:
            assert "Gur Mra bs Clguba" in await stream.read()
        assert await library.contains("this")
        assert not await library.contains("../this")
        assert (await library.info("this")) == {"path": str(LIBRARY / "this.py"), "letter": "t"}
        with pytest.raises(FileNotFoundError, match="has no module 'nothing'"):
            await library.open("nothing")
        with pytest.raises(pdt.InvalidJobIdError):
            await library.open("../this")
        with pytest.raises(OSError, match="read only"):
            await library.open("this", "w")
        with pytest.raises(OSError, match="read only"):
            await library.delete("this")

    asyncio.run(use())


def test_commands_that_only_look_start_no_process(module: ModuleType) -> None:
    async def look() -> set[str]:
        async with module.pipeline as pipeline:
            return set(await pipeline.gather_ready_jobs(module.count))

    before = children()
    assert asyncio.run(look()) == public_modules()
    assert children() == before


def children() -> set[str]:
    """Return the processes that this one has started, servers and trackers included."""
    return {pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()}
