"""Runs the code of a page as a reader would: block after block, in an empty directory."""

from __future__ import annotations

import contextlib
import difflib
import doctest
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Block", "blocks_of", "run_page"]

FENCE = re.compile(
    r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
INSTALL = re.compile(r"(?:pip install [\w.\"\[\]-]+\n)+")
COMMAND = re.compile(r"^\$ (?P<command>.*?)(?:  # exit (?P<code>\d+))?$")
TIMEOUT_S = 50


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    :param title: the file that it is, where it is one.
    :param line: where its text begins.
    """

    language: str
    title: str | None
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(match["language"], match["title"], match["text"], text.count("\n", 0, match.start("text")))
        for match in FENCE.finditer(text)
    ]


def run_page(page: Path, directory: Path, *, skip: int = 0) -> None:
    """Run a page in `directory`, which is the current one.

    A `python` block with a title becomes that file; without, it is executed in the page's one namespace, and
    a `text` block right after it is what it prints. In a `console` block, each line that begins with "$ " is
    executed, and what follows is what it prints; "..." stands for anything, "  # exit 3" for an exit code.
    Blocks of `sh` only install.

    :param skip: how many blocks to leave out at the beginning.
    """
    names: dict[str, Any] = {"__name__": page.stem}
    printed: str | None = None
    for block in blocks_of(page)[skip:]:
        where = f"{page.name}:{block.line}"
        if block.language == "python" and block.title:
            (directory / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            printed = _execute(block, names, page)
            continue
        elif block.language == "console":
            for command, code, expected in _commands(block):
                _check(f"{where}: {command}", expected, _shell(command, code, directory))
        elif block.language == "text" and printed is not None:
            _check(where, block.text, printed)
        elif block.language == "sh":
            assert INSTALL.fullmatch(block.text), f"{where} is not run by any test"
        else:
            assert block.language == "text", f"{where}: a block of {block.language!r} is not run by any test"
        printed = None


def _execute(block: Block, names: dict[str, Any], page: Path) -> str:
    # The blank lines give errors the line numbers of the page.
    code = compile("\n" * block.line + block.text, str(page), "exec")
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, names)  # noqa: S102  the pages are ours
    return output.getvalue()


def _commands(block: Block) -> Iterator[tuple[str, int, str]]:
    found: list[tuple[str, int, list[str]]] = []
    for line in block.text.splitlines():
        match = COMMAND.match(line)
        if match:
            found.append((match["command"], int(match["code"] or 0), []))
        else:
            found[-1][2].append(line)
    for command, code, lines in found:
        yield command, code, "".join(line + "\n" for line in lines)


def _shell(command: str, code: int, directory: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=directory,
        env={**os.environ, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert ended.returncode == code, f"{command}: exit {ended.returncode}\n{ended.stdout}"
    return ended.stdout


def _check(where: str, expected: str, found: str) -> None:
    wanted, printed = ([line.rstrip() for line in text.splitlines()] for text in (expected, found))
    want, got = ("".join(f"{line}\n" for line in lines) for lines in (wanted, printed))
    if not doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS):
        difference = "\n".join(difflib.unified_diff(wanted, printed, "page", "run", lineterm=""))
        raise AssertionError(f"{where} prints something else:\n{difference}")
