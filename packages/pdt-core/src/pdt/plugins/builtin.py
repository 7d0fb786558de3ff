"""Core's own backends, registered as a stranger's are."""

from __future__ import annotations

from pdt.plugins.contract import hookimpl
from pdt.plugins.spec import BackendSpec

PDT_API = 1

_COMBINATORS = "pdt.repository.combinators"


@hookimpl
def pdt_register_repositories() -> list[BackendSpec]:
    """Register the repositories of memory, of files and of the embedded store, and the combinators."""
    return [
        BackendSpec("memory", "pdt.repository.memory:InProcessMetadataRepository", "Records in a dict."),
        BackendSpec("memory-blob", "pdt.repository.memory:InProcessBlobRepository", "Blobs in a dict."),
        BackendSpec("file", "pdt.repository.filesystem:FileRepository", "A file for each job."),
        BackendSpec("directory", "pdt.repository.filesystem:DirectoryRepository", "A directory for each job."),
        BackendSpec("yaml", "pdt.repository.yaml:YamlMetadataFileRepository", "A YAML file for each job's record."),
        BackendSpec("sqlite", "pdt.repository.sqlite:SqliteMetadataRepository", "Records in SQLite."),
        BackendSpec("or", f"{_COMBINATORS}:AggregateOrRepository", "Jobs of any of several."),
        BackendSpec("and", f"{_COMBINATORS}:AggregateAndRepository", "Jobs of all of several."),
        BackendSpec("blocking", f"{_COMBINATORS}:BlockingRepository", "Jobs of one and not of another."),
        BackendSpec("map", "pdt.repository.wrappers:MapRepository", "Values passed through a function."),
        BackendSpec("related", "pdt.repository.wrappers:RelatedItemRepository", "Keys mapped by a translator."),
        BackendSpec("group", "pdt.repository.group:GroupRepository", "Groups, there when every member is."),
    ]


@hookimpl
def pdt_register_tasks() -> list[BackendSpec]:
    """Register the tasks whose bodies are Python functions or scripts."""
    return [
        BackendSpec("function", "pdt.task.function:InProcessSyncTask", "A Python function in the controller."),
        BackendSpec("executor", "pdt.task.executor:ExecutorTask", "A Python function on an executor."),
        BackendSpec("process", "pdt.task.process:ProcessTask", "A script, run as processes."),
    ]


@hookimpl
def pdt_register_executors() -> list[BackendSpec]:
    """Register the processes of this machine, and the executors of the standard library."""
    return [
        BackendSpec("local", "pdt.proc_manager.local:LocalLinuxManager", "Processes that outlive their controller."),
        BackendSpec("threads", "concurrent.futures:ThreadPoolExecutor", "Threads of the controller."),
        BackendSpec("processes", "concurrent.futures:ProcessPoolExecutor", "Processes of this machine."),
    ]


@hookimpl
def pdt_register_resource_managers() -> list[BackendSpec]:
    """Register the resource managers that keep their quotas in memory."""
    return [
        BackendSpec("memory", "pdt.resource_manager.manager:ResourceManager", "A quota in memory."),
        BackendSpec("machine", "pdt.resource_manager.machine.manager:MachineResourceManager", "What this machine has."),
    ]


@hookimpl
def pdt_register_ledgers() -> list[BackendSpec]:
    """Register the ledgers of memory, of files and of SQLite."""
    return [
        BackendSpec("memory", "pdt.ledger.memory:MemoryLedger", "Decisions of one process, in memory."),
        BackendSpec("files", "pdt.ledger.files:FileLedger", "Decisions in files, for one host."),
        BackendSpec(
            "sqlite",
            "pdt.ledger.sqlite:SqliteLedger",
            "Decisions in SQLite, for one host.",
        ),
    ]
