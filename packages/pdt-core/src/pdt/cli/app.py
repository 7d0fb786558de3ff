"""The commands as typer declares them: the source of the static table, and what parses anything unusual."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_type_hints

import typer

if TYPE_CHECKING:
    from .invocation import Invocation

__all__ = ["DECLARED", "GLOBALS", "Declaration", "build"]

Handler = Callable[[str, dict[str, Any]], int]
Function = Callable[..., None]


class Declaration(NamedTuple):
    """A command as it is declared here."""

    name: str
    group: str
    body: str
    needs: str
    function: Function


DECLARED: list[Declaration] = []

File = Annotated[
    str | None,
    typer.Option(
        "-f",
        "--file",
        metavar="PIPELINE",
        help="The pipeline: FILE, FILE:ATTR or MODULE:ATTR. Default: $PDT_FILE, else pipeline.py.",
        show_default=False,
    ),
]
FileWithoutShort = Annotated[
    str | None,
    typer.Option("--file", metavar="PIPELINE", help="The pipeline; -f before the command.", show_default=False),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug messages.")]
#: The options of every command, and their defaults.
GLOBALS: dict[str, tuple[Any, Any]] = {"file": (File, None), "debug": (Debug, False)}

Output = Annotated[
    Literal["table", "json", "jsonl", "yaml", "name"] | None,
    typer.Option("-o", "--output", help="Format of what is printed.", show_default=False),
]
Task = Annotated[str, typer.Argument(metavar="TASK", help="A task's name.")]
Data = Annotated[str, typer.Argument(metavar="TASK.LINK", help="A link of a task, such as count.done.")]
Jobs = Annotated[
    list[str],
    typer.Argument(metavar="JOB", help="Job ids, globs such as 'a*', or - to read them from stdin."),
]
AllRepos = Annotated[bool, typer.Option("-a", "--all", help="Also links that are neither input, output nor status.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")]


def command(name: str, group: str, body: str, needs: str = "open") -> Callable[[Function], Function]:
    """Declare a command: the function's parameters are its own, its docstring the help.

    :param body: module below `pdt.cli.commands` and function that do the work, with the same parameters.
    :param needs: "nothing", a "pipeline" as it was loaded, one that is "open", or that and an event "loop".
    """

    def declare(function: Function) -> Function:
        DECLARED.append(Declaration(name, group, body, needs, function))
        return function

    return declare


@command("run", "run", "run:run", needs="pipeline")
def run(
    forever: Annotated[bool, typer.Option("--forever", help="Go on when nothing moves, until stopped.")] = False,
    launch_once: Annotated[
        bool, typer.Option("--launch-once", help="Launch what is ready at first, then only wait for it.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", min=0, help="Give up after so many seconds (exit status 4)."),
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Start nothing after the first failure.")] = False,
    shared: Annotated[
        bool, typer.Option("--shared", help="Let others that are started with --shared work on it, too.")
    ] = False,
    durability: Annotated[
        Literal["power", "process"] | None,
        typer.Option("--durability", help="What done jobs survive: a power cut, or only a crash."),
    ] = None,
    quiet: Quiet = False,
    progress: Annotated[
        bool | None,
        typer.Option("--progress/--no-progress", help="Show progress. Default: on a terminal.", show_default=False),
    ] = None,
) -> None:
    """Run update in a loop until everything is quiet.

    Ctrl-C once: start nothing more, and let what is running end. Twice: leave at once.
    """


@command("update", "run", "launch:update", needs="loop")
def update(quiet: Quiet = False) -> None:
    """Keep the pipeline in motion: one round of updating and launching."""


@command("launch", "run", "launch:launch", needs="loop")
def launch(
    task: Task,
    jobs: Jobs,
    force: Annotated[bool, typer.Option("-f", "--force", help="Launch jobs that are not ready, too.")] = False,
    sync: Annotated[bool, typer.Option("--sync", help="Wait for the end of each job.")] = False,
    meta: Annotated[bool, typer.Option("--meta/--no-meta", help="Record the jobs' ends in done.")] = True,
) -> None:
    """Start a task by hand."""


@command("cancel", "run", "cancel:cancel", needs="loop")
def cancel(
    task: Task,
    jobs: Annotated[
        list[str],
        typer.Argument(metavar="JOB", help="Job ids, globs over what runs, or - to read them from stdin."),
    ],
) -> None:
    """End jobs, which are recorded as cancelled.

    Processes are told to end by SIGTERM, and killed when the task's `grace` has passed; what an `async def` waits for
    is cancelled. A function in a thread cannot be ended: it runs on, and what it returns does not count. Another
    controller that runs the pipeline is asked to do all that, and waited for. A job that does not run is said so
    (exit status 1).
    """


@command("status", "look", "status:status")
def status(
    all_repos: AllRepos = False,
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Print it again and again, until Ctrl-C.")] = False,
    interval: Annotated[
        float,
        typer.Option("-n", "--interval", metavar="SECONDS", min=0.1, help="Seconds between two of --watch."),
    ] = 2.0,
    form: Output = None,
) -> None:
    """View the pipeline status: how many jobs each link has."""


@command("trace", "look", "trace:trace")
def trace(jobs: Jobs, all_repos: AllRepos = False, form: Output = None) -> None:
    """Track a job's progress through the pipeline.

    `-o name` prints only the links that have one of the jobs.
    """


@command("why", "look", "why:why", needs="loop")
def why(task: Task, jobs: Jobs, form: Output = None) -> None:
    """Say why a job starts or does not, down to the key that is missing."""


@command("failures", "look", "failures:failures")
def failures(
    tasks: Annotated[
        list[str] | None, typer.Argument(metavar="TASK", help="Tasks; every one where none is named.")
    ] = None,
    group_by: Annotated[
        Literal["cause", "reason", "task"] | None,
        typer.Option("--group-by", help="Count those that are alike in this.", show_default=False),
    ] = None,
    form: Output = None,
) -> None:
    """List the jobs that failed, and why, the newest last.

    The exit status is 1 where there are any. In groups by cause, numbers, paths and ids are left out of it, so that one
    mistake is one group; the largest group is first.
    """


@command("logs", "look", "logs:logs", needs="loop")
def logs(
    task: Task,
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job id.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the attempt ends.")] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", metavar="N", min=0, help="Only the last N lines.", show_default=False)
    ] = None,
    stream: Annotated[
        Literal["log", "stdout", "stderr"] | None,
        typer.Option("--stream", help="Which stream. Default: the first that has anything.", show_default=False),
    ] = None,
    attempt: Annotated[
        int | None,
        typer.Option("--attempt", metavar="N", min=1, help="Which attempt. Default: the last.", show_default=False),
    ] = None,
) -> None:
    """Print what a job writes, or has written.

    That is what the attempt under way has written so far; or else the log that is kept of one that failed; or what is
    in the repositories for stdout and stderr. Of a job that is a function, it is the traceback of its failure. To a
    terminal, control characters are printed as escapes, colours among them; to a file or a pipe, the log goes as it is.
    """


@command("plan", "look", "plan:plan")
def plan(
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="Jobs to name of each task.")] = 20,
    form: Output = None,
) -> None:
    """Say what would be launched now, and why; changes nothing."""


@command("ls", "look", "ls:ls")
def ls(
    data: Annotated[
        list[str],
        typer.Argument(metavar="EXPRESSION", help="Links, such as count.done, with & | - ^ and parentheses."),
    ],
    form: Output = None,
) -> None:
    """List jobs in a repository, or in a set expression of several."""


@command("cat", "look", "cat:cat")
def cat(data: Data, jobs: Jobs, form: Output = None) -> None:
    """Print data from a repository: a blob as it is, a record as YAML.

    Several records are told apart by lines of `---`. A record that is not right is an error (exit status 5).
    """


@command("graph", "look", "graph:graph", needs="pipeline")
def graph(
    format: Annotated[
        Literal["mermaid", "dot", "svg", "json"], typer.Option("--format", help="Language of the drawing.")
    ] = "mermaid",
) -> None:
    """Draw the tasks and the repositories between them."""


@command("inject", "change", "inject:inject")
def inject(
    data: Data,
    job: Annotated[str | None, typer.Argument(metavar="JOB", help="The job id; none with --from-dir.")] = None,
    source: Annotated[str | None, typer.Argument(metavar="FILE", help="What to read. Default: stdin.")] = None,
    value: Annotated[str | None, typer.Option("--value", metavar="TEXT", help="The data itself.")] = None,
    from_dir: Annotated[
        str | None, typer.Option("--from-dir", metavar="DIR", help="One job for each file, named after it.")
    ] = None,
) -> None:
    """Put data into a repository: a blob as it is, a record from YAML."""


@command("rm", "change", "rm:rm")
def rm(
    data: Annotated[str, typer.Argument(metavar="TASK[.LINK]", help="A link, or all that a task writes.")],
    jobs: Annotated[
        list[str] | None, typer.Argument(metavar="JOB", help="Job ids, globs, - for stdin, or __all__.")
    ] = None,
    recursive: Annotated[
        bool, typer.Option("-r", "--recursive", help="Also from everything that depends on it.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every job.")] = False,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Only print what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask on a terminal.")] = False,
) -> None:
    """Delete data from the pipeline."""


@command("retry", "change", "retry:retry")
def retry(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="A task's name.")] = None,
    jobs: Annotated[
        list[str] | None, typer.Argument(metavar="JOB", help="Job ids, globs over what failed, or - for stdin.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that failed, of the task or of every one.")] = False,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Only print what would be forgotten.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask on a terminal.")] = False,
) -> None:
    """Forget that jobs failed, so that they run again.

    Their records are removed from `failed` and `done`; outputs and logs stay. The record of a job that succeeded is
    never touched: `pdt rm` is for that.
    """


@command("shell", "more", "shell:shell", needs="pipeline")
def shell() -> None:
    """Launch an interactive shell with the pipeline open and top-level await."""


@command("plugins", "more", "plugins:plugins", needs="nothing")
def plugins(
    action: Annotated[
        Literal["show"] | None, typer.Argument(metavar="show", help="Show one backend.", show_default=False)
    ] = None,
    kind: Annotated[str | None, typer.Argument(metavar="KIND", help="Its kind, such as repository.")] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Its name, such as sqlite.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The same as -o json.")] = False,
    form: Output = None,
) -> None:
    """List the installed plugins and their state, or show one backend."""


@command("completion", "more", "completion:completion", needs="nothing")
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="bash|zsh|fish", help="The shell.")],
) -> None:
    """Print a script that completes commands, options, tasks and links."""


def build(handler: Handler, *, with_file: bool) -> typer.Typer:
    """Return a typer app with every command.

    :param handler: called with the name and the parameters of the command that was written.
    :param with_file: whether the pipeline is named on the command line.
    """
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_adapt(_globals, "", lambda name, parameters: 0, with_file))
    for declaration in DECLARED:
        app.command(declaration.name)(_adapt(declaration.function, declaration.name, handler, with_file))
    return app


def _globals() -> None:
    """Run keyed jobs over any storage and any machine."""


def _flags(hint: Any) -> tuple[str, ...]:
    """Return how an option is written; typer takes the first for a default until it builds the command."""
    info = hint.__metadata__[0]
    return (info.default, *(getattr(info, "param_decls", None) or ()))


def _adapt(function: Function, name: str, handler: Handler, with_file: bool) -> Function:
    """Return what typer calls: with the declared parameters, and the global ones for the invocation."""
    hints = get_type_hints(function, include_extras=True)
    hints.pop("return")
    defaults = {key: parameter.default for key, parameter in inspect.signature(function).parameters.items()}
    lists = {key for key, hint in hints.items() if "list[str]" in str(hint)}
    declared = set(defaults)
    takes_f = any("-f" in _flags(hint) for hint in hints.values())
    for key, (hint, default) in GLOBALS.items():
        if key != "file" or with_file:
            hints[key] = FileWithoutShort if key == "file" and takes_f else hint
            defaults[key] = default

    def call(context: typer.Context, **parameters: Any) -> int:
        invocation: Invocation = context.obj
        invocation.note(parameters.get("file"), parameters["debug"])
        return handler(
            name, {key: list(parameters[key] or ()) if key in lists else parameters[key] for key in declared}
        )

    keyword = inspect.Parameter.KEYWORD_ONLY
    call.__doc__ = function.__doc__
    call.__annotations__ = {"context": typer.Context, **{key: hints[key] for key in defaults}}
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
            *(inspect.Parameter(key, keyword, default=defaults[key], annotation=hints[key]) for key in defaults),
        ]
    )
    return call  # type: ignore[return-value]
