"""`pdt completion`: the scripts, and what they are answered."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pdt import Pipeline
from pdt.cli.complete import candidates
from pdt.cli.table import COMMANDS
from tests.core.cli.support import call, run_pdt


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(pipeline: Pipeline, capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert call(pipeline, "completion", shell) == 0
    script = capsys.readouterr().out
    assert "pdt __complete" in script
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=script, text=True, check=True, timeout=50)


def test_commands(tmp_path: Path) -> None:
    result = run_pdt("__complete", "", cwd=tmp_path)
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == list(COMMANDS)
    assert (
        run_pdt("__complete", "sta", cwd=tmp_path).stdout
        == "status\tView the pipeline status: how many jobs each link has.\n"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("run --fa", {"--fail-fast"}),
        ("run --no", {"--no-progress"}),
        ("status -o ", {"table", "json", "jsonl", "yaml", "name"}),
        ("status -o js", {"json", "jsonl"}),
        ("completion ", {"bash", "zsh", "fish"}),
        ("plugins ", {"show"}),
        ("cat count.i", {"count.input"}),
        (
            "rm make",
            {"make-report", "make-report.out", "make-report.done", "make-report.counts", "make-report.count_done"},
        ),
        ("launch ", {"count", "make-report"}),
        ("launch -f c", {"count"}),
        ("-f pipeline.py why m", {"make-report"}),
        ("cat -o json count.c", {"count.counts"}),
        ("inject count.input ", set()),
        ("cat -f nowhere.py ", set()),
        ("nothing ", set()),
        ("run --timeout ", set()),
    ],
)
def test_what_may_follow(project: Path, monkeypatch: pytest.MonkeyPatch, line: str, expected: set[str]) -> None:
    monkeypatch.chdir(project)
    monkeypatch.delenv("PDT_FILE", raising=False)
    result = run_pdt("__complete", *line.split(" "), cwd=project)
    assert (result.returncode, result.stderr) == (0, "")
    assert {found.split("\t")[0] for found in result.stdout.splitlines()} == expected


def test_a_broken_script_completes_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "pipeline.py").write_text("1 / 0")
    result = run_pdt("__complete", "cat", "", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_no_word_at_all_is_the_first() -> None:
    assert {name for name, _ in candidates([])} == set(COMMANDS)
