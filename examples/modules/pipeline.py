"""What the standard library of the running interpreter is made of, as a pipeline of four tasks.

count        in this process    the lines, words, functions and classes of each module
identifiers  in a process pool  how often each identifier occurs in it
words        in shell scripts   the words that occur in it most often, comments and strings included
report       in this process    one page per initial letter, once every module of that letter is there

Run it with `python pipeline.py run`, or with `pdt -f pipeline.py run`.
"""

from __future__ import annotations

import ast
import asyncio
import io
import keyword
import multiprocessing
import os
import pkgutil
import shlex
import sys
import sysconfig
import tokenize
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import pdt

HERE = Path(__file__).resolve().parent

# The input: data that is there already. All that pdt has to know is which keys there are, what is known of
# one of them, and how to read it.


@dataclass(frozen=True)
class Survey:
    """The modules of a standard library with their files, and how many others were left out by which rule."""

    modules: Mapping[str, Path]
    left_out: Mapping[str, int]


@cache
def survey(root: Path) -> Survey:
    """Find the modules of the library in `root`; once, as it does not change while its interpreter runs."""
    modules, left_out = {}, Counter[str]()
    waiting = ["test", *sys.stdlib_module_names]
    while waiting:
        name = waiting.pop()
        parts = name.split(".")
        path = root.joinpath(*parts)
        file = next((file for file in (path / "__init__.py", Path(f"{path}.py")) if file.is_file()), None)
        if any(part.startswith("_") for part in parts):
            left_out["private: a part of the name begins with '_'"] += 1
        elif any(part in ("test", "tests") or part.endswith("_test") for part in parts):
            left_out["tests of the library"] += 1
        elif file is None:
            left_out["without Python source: built in, an extension, or not on this system"] += 1
        else:
            modules[name] = file
        if file is not None and file.name == "__init__.py":
            waiting += [found.name for found in pkgutil.iter_modules([str(path)], f"{name}.")]
    return Survey(modules, left_out)


class StandardLibrary(pdt.BlobRepository):
    """The source of every public module of a standard library, by its dotted name; read where it lies."""

    def __init__(self, root: Path) -> None:
        self.root = root

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        """Yield every key; pdt reports those that are no valid job ids, and goes on without them."""
        found = await asyncio.to_thread(survey, self.root)  # the first time, it looks at thousands of files
        for module in found.modules:
            yield module

    async def contains(self, item: str) -> bool:
        """Tell whether there is such a module."""
        return item in survey(self.root).modules

    async def info(self, job: str) -> dict[str, str | None]:
        """Return where the module lies, and the letter that it is reported under."""
        file = survey(self.root).modules.get(self.job_ids.check(job))
        return {"path": None if file is None else str(file), "letter": job[0].lower()}

    async def open(self, job: str, mode: Literal["r", "rb", "w", "wb"] = "r") -> Any:  # type: ignore[override]
        """Open the source of a module for reading."""
        file = survey(self.root).modules.get(self.job_ids.check(job))
        if mode not in ("r", "rb"):
            raise io.UnsupportedOperation(f"{self} is read only")
        if file is None:
            raise FileNotFoundError(f"{self} has no module {job!r}")
        return await pdt.InProcessBlobRepository({job: file.read_bytes()}).open(job, mode)

    async def delete(self, job: str) -> None:
        """Refuse."""
        raise io.UnsupportedOperation(f"{self} is read only")

    def __repr__(self) -> str:
        return f"StandardLibrary({str(self.root)!r})"


# Where everything is.


def records(name: str) -> pdt.SqliteMetadataRepository:
    """Return a repository of records in the embedded store."""
    return pdt.SqliteMetadataRepository(HERE / ".pdt" / "records.sqlite", name)


library = StandardLibrary(Path(sysconfig.get_path("stdlib")))
counts = records("counts")
frequencies = records("frequencies")
pages = pdt.FileRepository(HERE / "report", ".md")

# The first task.

count = pdt.InProcessSyncTask("count", done=records("count.done"))
count.link("source", library, is_input=True)
count.link("counts", counts, is_output=True)


@count
async def count_module(job: str, source: pdt.BlobRepository, counts: pdt.MetadataRepository) -> None:
    """Count what is in one module; one that is no Python fails here, and its record says why."""
    async with source.open(job, "rb") as stream:
        text = await stream.read()
    await counts.dump(job, await asyncio.to_thread(counts_of, job, text))


def counts_of(module: str, text: bytes) -> dict[str, int]:
    """Return what is counted of a module."""
    nodes = Counter(type(node) for node in ast.walk(ast.parse(text, module)))
    return {
        "lines": len(text.splitlines()),
        "words": len(text.split()),
        "functions": nodes[ast.FunctionDef] + nodes[ast.AsyncFunctionDef],
        "classes": nodes[ast.ClassDef],
    }


# The second task, for each module that the first one is done with.

# Processes that are made when the first job comes, and stopped when the pipeline is closed. They come from a server,
# since a program with threads should not fork, and this one has some.
workers = partial(ProcessPoolExecutor, mp_context=multiprocessing.get_context("forkserver"))

identifiers = pdt.ExecutorTask("identifiers", workers, done=records("identifiers.done"))
identifiers.link("source", library, is_input=True)
identifiers.plug(count)
identifiers.link("frequencies", frequencies, is_output=True)


@identifiers
async def count_identifiers(
    job: str, source: pdt.BlobRepository, counts: pdt.MetadataRepository, frequencies: pdt.MetadataRepository
) -> None:
    """Count each identifier of one module; a worker finds this function by its name."""
    async with source.open(job, "rb") as stream:
        tokens = tokenize.tokenize(io.BytesIO(await stream.read()).readline)
    names = (token.string for token in tokens if token.type == tokenize.NAME)
    found = Counter(name for name in names if not keyword.iskeyword(name))
    counted = await counts.info(job)
    await frequencies.dump(job, {**counted, "identifiers": found.total(), "frequencies": dict(found)})


# The third task, beside the second: its body is a shell script. Its processes go on when this one is stopped or killed,
# and the next run takes them over. `source` stands for what the library's info() says of the module; what the script
# prints is put into `words/` once it has succeeded.

processes = pdt.LocalLinuxManager("modules", HERE / ".pdt" / "processes")
cores = pdt.ResourceManager(pdt.Resources.parse(cpu=os.cpu_count() or 1, mem="1Gi"))
SCRIPT = r"""
exec < {{ source.path }}
tr -cs A-Za-z '\n' | sort | uniq -c | sort -k1,1nr -k2 | sed 10q
"""

words = pdt.ProcessTask(
    "words",
    processes,
    cores,
    pdt.Resources.parse(cpu=1, mem="16Mi"),
    pids=records("words.pids"),
    template=SCRIPT,
    environ={"LC_ALL": "C"},
    done=records("words.done"),
    stdout=pdt.FileRepository(HERE / "words", ".txt"),
    retry=pdt.Retry(attempts=3, delay=1),
    timeout=60,
)
words.link("source", library, is_input=True)
words.plug(count)

# The fourth task: its jobs are letters, and its input is all modules of a letter.

report = pdt.InProcessSyncTask("report", done=records("report.done"))
letters = library.map(lambda module: module["letter"])
report.link("modules", pdt.GroupRepository(frequencies, by=letters), is_input=True)
report.link("page", pages, is_output=True)


@report
async def write_page(job: str, modules: pdt.GroupRepository, page: pdt.BlobRepository) -> None:
    """Write the page of one letter."""
    async with page.open(job, "w") as stream:
        await stream.write(page_of(job, await modules.info(job)))


COLUMNS = ("lines", "words", "functions", "classes", "identifiers")


def page_of(letter: str, modules: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the text of the page of one letter."""
    rows = {name: [module[column] for column in COLUMNS] for name, module in modules.items()}
    rows[f"{len(modules)} modules"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    frequencies = sum((Counter(module["frequencies"]) for module in modules.values()), Counter[str]())
    lines = [f"# Modules that begin with {letter!r}", ""]
    lines += [f"| module | {' | '.join(COLUMNS)} |", f"|---{'|---:' * len(COLUMNS)}|"]
    lines += [f"| {name} | {' | '.join(map(str, numbers))} |" for name, numbers in rows.items()]
    lines += ["", "## Most frequent identifiers", ""]
    lines += [f"- `{name}`: {times}" for name, times in frequencies.most_common(20)]
    return "\n".join([*lines, ""])


pipeline = pdt.Pipeline([count, identifiers, words, report])


def summary() -> str:
    """Say what is done, where the pages are, and what to try next."""
    found = survey(library.root)
    command = shlex.join(sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1])
    return "\n".join(
        [
            f"{len(found.modules)} modules of {library.root}; left out:",
            *[f"  {number} {rule}" for rule, number in sorted(found.left_out.items())],
            f"{len(list(pages.basedir.glob('*.md')))} reports are in {pages.basedir}",
            "Next, try:",
            f"  {command} status",
            f"  {command} cat report.page j",
            f"  {command} why report j",
        ]
    )


if __name__ == "__main__":
    try:
        pdt.main(pipeline)
    finally:
        if sys.argv[1:] == ["run"] and any(pages.basedir.glob("*.md")):
            print(summary())
