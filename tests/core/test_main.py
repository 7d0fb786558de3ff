"""`pdt.main`: a module and a function, with the reference's names and signatures."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import pdt
from tests.core.cli.support import PROJECT, TEXTS, make_pipeline, run_pdt, write_project

#: The signatures of the reference: names in order, those with a default there marked by "=".
SIGNATURES = {
    "main": "pipeline instrument=",
    "update": "pipeline",
    "cat_data": "pipeline data job",
    "list_data": "pipeline data",
    "delete_data": "pipeline data recursive job",
    "inject_data": "pipeline data job",
    "print_status": "pipeline all_repos",
    "print_trace": "pipeline all_repos job",
    "launch": "pipeline task_name job sync meta force",
    "shell": "pipeline",
    "run": "pipeline forever launch_once timeout",
}
PLAIN = {"main", "shell"}

INSTRUMENTED = PROJECT.replace(
    "    pdt.main(pipeline)",
    """
    def greet(pipeline, name, loud):
        print(("HELLO " if loud else "hello ") + name, pipeline.is_open)
        return name

    async def keys(pipeline):
        import asyncio
        await asyncio.sleep(0)
        return sorted(await pipeline.tasks["count"].links["input"].repo.keys())

    def instrument(commands):
        parser = commands.add_parser("greet", help="Greet somebody.", aliases=["hi"])
        parser.add_argument("name")
        parser.add_argument("--loud", action="store_true")
        parser.set_defaults(func=greet)
        commands.add_parser("keys", help="List the input.").set_defaults(func=keys)
        commands.add_parser("nothing")

    print("result:", pdt.main(pipeline, instrument))""",
)


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_the_references(name: str) -> None:
    function = getattr(import_module("pdt.main"), name)
    parameters = list(inspect.signature(function).parameters.values())
    wanted = SIGNATURES[name].split()
    assert [parameter.name for parameter in parameters] == [word.rstrip("=") for word in wanted]
    for parameter, word in zip(parameters, wanted, strict=True):
        assert parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        assert not word.endswith("=") or parameter.default is None
    assert inspect.iscoroutinefunction(function) == (name not in PLAIN)


@pytest.mark.parametrize(
    "code",
    [
        "import pdt; assert callable(pdt.main); pdt.main.run; pdt.main.main",
        "from pdt.main import run; import pdt; assert callable(pdt.main); assert pdt.main.run is run",
        "from pdt import main; import pdt.main; assert main is pdt.main; assert callable(main); main.run",
        "import pdt.main; assert callable(pdt.main); from pdt.main import main; assert callable(main)",
        "from pdt import *; assert callable(main); main.launch; assert run is main.run",
        "import pdt, inspect; assert list(inspect.signature(pdt.main).parameters) == ['pipeline', 'instrument']",
        "import pdt.main, sys; assert 'asyncio' not in sys.modules and 'pdt.pipeline' not in sys.modules",
    ],
)
def test_main_is_a_function_and_a_module_in_any_order_of_imports(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)


def test_all_is_what_it_says() -> None:
    assert sorted(import_module("pdt.main").__all__) == sorted(SIGNATURES)


def script(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_pdt(*words, cwd=directory, command=[sys.executable, "pipeline.py"])


def test_a_script_has_the_commands(tmp_path: Path) -> None:
    project = write_project(tmp_path, TEXTS).parent
    assert script(project, "ls", "count.input").stdout == "a\nb\nd\n"
    assert script(project, "--version").stdout == f"pdt {pdt.__version__}\n"
    failed = script(project, "cat", "count.input", "zz")
    assert (failed.returncode, failed.stdout) == (3, "")
    assert failed.stderr == "error: there is no job 'zz' in count.input\nfix: there are a, b, d\n"
    usage = script(project)
    assert usage.returncode == 2
    assert usage.stderr.startswith("usage: pipeline.py ")


def test_what_follows_main_runs_where_the_command_went_well(tmp_path: Path) -> None:
    write_project(tmp_path, {"a": "x"}, PROJECT + '    print("after")\n')
    assert script(tmp_path, "ls", "count.input").stdout == "a\nafter\n"
    assert script(tmp_path, "ls", "count.inptu").stdout == ""


def test_a_script_adds_commands(tmp_path: Path) -> None:
    write_project(tmp_path, {"a": "x"}, INSTRUMENTED)
    assert script(tmp_path, "greet", "you").stdout == "hello you False\nresult: you\n"
    assert script(tmp_path, "hi", "you", "--loud").stdout == "HELLO you False\nresult: you\n"
    assert script(tmp_path, "keys").stdout == "result: ['a']\n"
    assert script(tmp_path, "ls", "count.input").stdout == "a\nresult: None\n"
    text = script(tmp_path, "--help").stdout
    assert ["greet", "Greet", "somebody."] in [line.split() for line in text.splitlines()]
    assert "usage: pipeline.py greet [-h] [--loud] name" in script(tmp_path, "greet", "--help").stdout
    wrong = script(tmp_path, "greet")
    assert wrong.returncode == 2
    assert "the following arguments are required: name" in wrong.stderr
    missing = script(tmp_path, "nothing")
    assert missing.returncode == 2
    assert "error: the command 'nothing' has no function" in missing.stderr
    guess = script(tmp_path, "gret")
    assert guess.stderr == "error: there is no command 'gret'\nfix: did you mean greet?\n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("commands.add_parser('run')", "error: there is a command 'run' already"),
        ("commands.add_parser('a'); commands.add_parser('b', aliases=['a'])", "error: there is a command 'a' already"),
    ],
)
def test_names_that_are_taken_are_refused(tmp_path: Path, body: str, message: str) -> None:
    source = PROJECT.replace(
        "    pdt.main(pipeline)", f"    def add(commands):\n        {body}\n    pdt.main(pipeline, add)"
    )
    write_project(tmp_path, {}, source)
    result = script(tmp_path, "status")
    assert result.returncode == 2
    assert result.stderr.startswith(message)
    write_project(tmp_path, {}, PROJECT.replace("pdt.main(pipeline)", "pdt.main(pipeline, 3)"))
    assert script(tmp_path, "status").stderr.startswith("error: instrument is int\n")


def test_a_script_adds_a_typer_app(tmp_path: Path) -> None:
    source = PROJECT.replace(
        "    pdt.main(pipeline)",
        '''
    import typer
    app = typer.Typer()

    @app.command("tasks")
    def tasks(context: typer.Context, upper: bool = False):
        """Name the tasks."""
        names = " ".join(context.obj.pipeline.tasks)
        print(names.upper() if upper else names)

    @app.command()
    def other_thing():
        """Do another thing."""
        raise typer.Exit(9)

    pdt.main(pipeline, app)''',
    )
    write_project(tmp_path, {}, source)
    assert script(tmp_path, "tasks").stdout == "count make-report\n"
    assert script(tmp_path, "tasks", "--upper").stdout == "COUNT MAKE-REPORT\n"
    assert script(tmp_path, "other-thing").returncode == 9
    lines = [line.split() for line in script(tmp_path, "--help").stdout.splitlines()]
    assert ["tasks", "Name", "the", "tasks."] in lines
    assert ["other-thing", "Do", "another", "thing."] in lines


def test_main_can_be_called_in_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(tmp_path, TEXTS)
    pipeline = make_pipeline(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/a/script.py", "ls", "count.input"])
    assert pdt.main(pipeline) is None
    assert capsys.readouterr().out == "a\nb\nd\n"
    monkeypatch.setattr(sys, "argv", ["/a/script.py", "ls", "count.zz"])
    with pytest.raises(SystemExit) as raised:
        pdt.main(pipeline)
    assert raised.value.code == 3


def test_main_works_in_another_thread(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from threading import Thread

    write_project(tmp_path, {"a": "x"})
    for word in ("run", "update"):
        monkeypatch.setattr(sys, "argv", ["script.py", word])
        thread = Thread(target=pdt.main, args=(make_pipeline(tmp_path),))
        thread.start()
        thread.join()
        assert "bug" not in capsys.readouterr().err
    assert (tmp_path / "out" / "a.txt").exists()
