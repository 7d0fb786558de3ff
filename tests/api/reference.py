"""The signatures of the reference (pydatatask 0.4.3), for everything that the core provides.

Where pdt decided otherwise the table has its own default: working directories lie in the user's state directory, so
LocalLinuxManager's `local_path` is None.

Under a heading with the reference's module, a line is a class with its bases, or a function; a line further in is a
member of the class above it. "async" is what has to be awaited, "each" what is iterated asynchronously.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

__all__ = ["REFERENCE", "REQUIRED", "Entry", "Parameter", "entries"]

REFERENCE = """
[main]
main(pipeline, instrument=None)
async update(pipeline)
async cat_data(pipeline, data, job)
async list_data(pipeline, data)
async delete_data(pipeline, data, recursive, job)
async inject_data(pipeline, data, job)
async print_status(pipeline, all_repos)
async print_trace(pipeline, all_repos, job)
async launch(pipeline, task_name, job, sync, meta, force)
shell(pipeline)
async run(pipeline, forever, launch_once, timeout)

[pipeline]
class Pipeline(tasks, session, resources, priority=None)
    settings(synchronous=False, metadata=True)
    async open()
    async close()
    async update()
    async update_only_update()
    async update_only_launch()
    async gather_ready_jobs(task)
    graph()
    dependants(node, recursive)

[repository]
class Repository()
    is_valid_job_id(job)
    each filter_jobs(iterator)
    async contains(item)
    each unfiltered_iter()
    async info(job)
    async delete(job)
    async info_all()
    async validate()
    map(func, filt=None, allow_deletes=False)
class BlobRepository() is Repository
    async open(job, mode)
class MetadataRepository() is Repository
    async info(job)
    async dump(job, data)
class FileRepositoryBase(basedir, extension="", case_insensitive=False) is Repository
    async contains(item)
    each unfiltered_iter()
    async validate()
    fullpath(job)
    async info(job)
class FileRepository(basedir, extension="", case_insensitive=False) is FileRepositoryBase BlobRepository
    async open(job, mode="r")
    async delete(job)
class DirectoryRepository(*args, discard_empty=False, **kwargs) is FileRepositoryBase
    async mkdir(job)
    async delete(job)
    async contains(item)
    each unfiltered_iter()
class InProcessMetadataRepository(data=None) is MetadataRepository
    async info(job)
    async dump(job, data)
    async contains(item)
    async delete(job)
    each unfiltered_iter()
class InProcessBlobStream(repo, job)
    async read(n=None)
    async write(data)
    async close()
class InProcessBlobRepository(data=None) is BlobRepository
    async info(job)
    async open(job, mode="r")
    each unfiltered_iter()
    async contains(item)
    async delete(job)
class ExecutorLiveRepo(task) is Repository
    each unfiltered_iter()
    async contains(item)
    async delete(job)
    async info(job)
class AggregateOrRepository(**children) is Repository
    each unfiltered_iter()
    async contains(item)
    async info(job)
    async delete(job)
class AggregateAndRepository(**children) is Repository
    each unfiltered_iter()
    async contains(item)
    async info(job)
    async delete(job)
class BlockingRepository(source, unless, enumerate_unless=True) is Repository
    each unfiltered_iter()
    async contains(item)
    async info(job)
    async delete(job)
class YamlMetadataRepository() is BlobRepository MetadataRepository
    async info(job)
    async dump(job, data)
class YamlMetadataFileRepository(filename, extension=".yaml", case_insensitive=False) \
    is YamlMetadataRepository FileRepository
class RelatedItemRepository(base_repository, translator_repository, allow_deletes=False, prefetch_lookup=True) \
    is Repository
    async contains(item)
    async delete(job)
    async info(job)
    each unfiltered_iter()
class MapRepository() is Repository

[proc_manager]
class AbstractProcessManager()
    async get_live_pids(hint)
    async spawn(args, environ, cwd, return_code, stdin, stdout, stderr)
    async kill(pid)
    property basedir
    async open(path, mode)
    async mkdir(path)
    async rmtree(path)
class LocalLinuxManager(app, local_path=None) is AbstractProcessManager
    async get_live_pids(hint)
    async spawn(args, environ, cwd, return_code, stdin, stdout, stderr)
    async kill(pid)
    property basedir
    async open(path, mode)
    async mkdir(path)
    async rmtree(path)

[resource_manager]
class ResourceType(value)
class Resources(cpu=0, mem=0, launches=1)
    parse(cpu, mem, launches=None)
    excess(limit)
class ResourceManager(quota)
    register(func)
    async flush()
    async reserve(request)
    async relinquish(request)
parse_quantity(quantity)

[session]
class Session()
    resource(manager)
    async open()
    async close()

[task]
class Link(repo, is_input=False, is_output=False, is_status=False, inhibits_start=False, \
    required_for_start=False, inhibits_output=False, required_for_output=False)
class Task(name, ready=None, disabled=False)
    property ready
    link(name, repo, is_input=False, is_output=False, is_status=False, inhibits_start=False, \
        required_for_start=None, inhibits_output=False, required_for_output=None)
    plug(output, output_links=None, meta=True, translator=None, translate_allow_deletes=False, \
        translate_prefetch_lookup=True)
    property input
    property output
    property status
    property inhibits_start
    property required_for_start
    property inhibits_output
    property required_for_output
    async validate()
    async update()
    async launch(job)
class ProcessTask(name, manager, resource_manager, job_resources, pids, template, \
    window=timedelta(seconds=60), environ=None, done=None, stdin=None, stdout=None, stderr=None, ready=None) is Task
    property manager
    property stderr
    property basedir
    async update()
    async launch(job)
class InProcessSyncTask(name, done, ready=None, func=None) is Task
    async validate()
    async update()
    async launch(job)
class ExecutorTask(name, executor, done, ready=None, func=None) is Task
    async update()
    async validate()
    async launch(job)
    async cancel(job)

[utils]
class AReadStream()
    async read(n=None)
    async close()
class AWriteStream()
    async write(data)
    async close()
async async_copyfile(copyfrom, copyto, blocksize=1048576)
class AReadText(base, encoding="utf-8", errors="strict", chunksize=4096)
    async read(n=None)
    async close()
class AWriteText(base, encoding="utf-8", errors="strict")
    async write(data)
    async close()
async async_copyfile_str(copyfrom, copyto, blocksize=1048576)
each roundrobin(*iterables)
"""

#: Stands for the default of a parameter that has none.
REQUIRED = object()


@dataclass(frozen=True)
class Parameter:
    """A parameter as the reference has it; `name` begins with its stars."""

    name: str
    default: Any = REQUIRED


@dataclass(frozen=True)
class Entry:
    """A line of the table.

    :param path: the class, if it is a member, and the name.
    :param kind: "class", "property", "async", "each", or "" for a plain function.
    """

    module: str
    path: tuple[str, ...]
    kind: str
    parameters: tuple[Parameter, ...] = ()
    bases: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.module, *self.path))


def entries() -> list[Entry]:
    """Return the table's lines."""
    found: list[Entry] = []
    module = owner = ""
    for line in REFERENCE.splitlines():
        text, bases = (part.strip() for part in (*line.split(" is "), "")[:2])
        if text.startswith("["):
            module = text.strip("[]")
        elif text:
            head, _, parameters = text.rstrip(")").partition("(")
            kind, _, name = head.rpartition(" ")
            path = (owner, name) if line.startswith(" ") else (name,)
            owner = name if kind == "class" else owner
            found.append(Entry(module, path, kind, _parameters(parameters), tuple(bases.split())))
    return found


def _parameters(text: str) -> tuple[Parameter, ...]:
    function = ast.parse(f"def f({text}): ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    arguments = function.args
    required = len(arguments.args) - len(arguments.defaults)
    defaults = [REQUIRED] * required + [_value(default) for default in arguments.defaults]
    found = [Parameter(each.arg, default) for each, default in zip(arguments.args, defaults, strict=True)]
    if arguments.vararg is not None:
        found.append(Parameter(f"*{arguments.vararg.arg}"))
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(Parameter(each.arg, REQUIRED if default is None else _value(default)))
    if arguments.kwarg is not None:
        found.append(Parameter(f"**{arguments.kwarg.arg}"))
    return tuple(found)


def _value(default: ast.expr) -> Any:
    if isinstance(default, ast.Call):
        assert ast.unparse(default.func) == "timedelta"
        return timedelta(**{keyword.arg or "": ast.literal_eval(keyword.value) for keyword in default.keywords})
    return ast.literal_eval(default)
