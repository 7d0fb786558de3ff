"""`pdt plugins`: what is installed, and everything about one backend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType

import pytest

from pdt import BackendSpec, Pipeline
from pdt.plugins import Registry, hookimpl, set_default_registry
from tests.core.cli.support import call


@pytest.fixture
def _strangers() -> Iterator[None]:
    """Have a good plugin, and one that does not say which contract it speaks."""
    good = ModuleType("good_plugin")

    def pdt_register_repositories() -> list[BackendSpec]:
        return [BackendSpec("tape", "good_plugin:Tape", "Blobs on tape.")]

    good.__dict__.update(PDT_API=1, pdt_register_repositories=hookimpl(pdt_register_repositories))
    previous = set_default_registry(Registry([], modules={"pdt-tape": good, "pdt-old": ModuleType("old_plugin")}))
    yield
    set_default_registry(previous)


@pytest.mark.usefixtures("_strangers")
def test_all_are_listed_with_their_state(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "plugins") == 0
    captured = capsys.readouterr()
    rows = {line.split()[0]: line for line in captured.out.splitlines()}
    assert "repository: and, blocking, directory" in rows["pdt-core"]
    assert rows["pdt-tape"].split()[1:] == ["ok", "repository:", "tape", "-"]
    assert "incompatible" in rows["pdt-old"]
    assert captured.err.startswith("pdt-old: incompatible: old_plugin declares no PDT_API\n  fix: ")
    assert call(pipeline, "plugins", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {plugin["dist"]: plugin["state"] for plugin in found}["pdt-old"] == "incompatible"
    assert call(pipeline, "plugins", "-o", "name") == 0
    assert capsys.readouterr().out.split() == [plugin["dist"] for plugin in found]


def test_one_backend_is_shown(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "plugins", "show", "repository", "sqlite") == 0
    text = capsys.readouterr().out
    assert text.startswith(
        "repository sqlite: Records in SQLite.\nclass: pdt.repository.sqlite:SqliteMetadataRepository"
    )
    assert "path  str | os.PathLike[str]  True" in text
    assert call(pipeline, "plugins", "show", "repository", "sqlite", "-o", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [argument["name"] for argument in found["arguments"]] == ["path", "name"]
    assert call(pipeline, "plugins", "show", "repository", "sqlite", "-o", "name") == 0
    assert capsys.readouterr().out == "sqlite\n"


@pytest.mark.usefixtures("_strangers")
def test_a_backend_that_cannot_be_imported(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(pipeline, "plugins", "show", "repository", "tape") == 2
    captured = capsys.readouterr()
    assert captured.out.startswith("repository tape: Blobs on tape.\n")
    assert captured.err.startswith("error: backend 'tape' cannot be imported from good_plugin")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["show"], 2, "no backend was named"),
        (["show", "repository"], 2, "no backend was named"),
        (["show", "repo", "sqlite"], 2, "'repo' is not a kind of backend"),
        (["show", "repository", "sqlit"], 3, "there is no repository 'sqlit'; did you mean 'sqlite'?"),
        (["show", "repository", "nope"], 3, "there is no repository 'nope'"),
        (["show", "repository", "s3"], 3, "repository 's3' is not installed"),
    ],
)
def test_mistakes(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], words: list[str], status: int, message: str
) -> None:
    assert call(pipeline, "plugins", *words) == status
    assert capsys.readouterr().err.startswith(f"error: {message}")
