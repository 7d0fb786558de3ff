"""pdt runs keyed jobs over any storage and any machine.

Every public name is importable from here. Each is loaded when it is first used, so that `import pdt` costs nothing.
"""

import sys

__version__ = "0.1.0"

#: Where each public name lives.
_HOMES = {
    "pdt.attempts.policy": "Retry",
    "pdt.engine.report": "Report",
    "pdt.engine.verdict": "Lookup Verdict VerdictKind",
    "pdt.errors": "BackendError ConfigurationError CorruptRecordError HeldError InvalidJobIdError NotFoundError "
    "PdtError PipelineNotOpenError PluginError SessionNotOpenError TaskConfigurationError UnknownBackendError "
    "UnlaunchableError",
    "pdt.ledger": "FileLedger Ledger MemoryLedger SqliteLedger",
    "pdt.link": "Link",
    "pdt.main": "cat_data delete_data inject_data launch list_data print_status print_trace run shell update",
    "pdt.pipeline": "Pipeline",
    "pdt.plugins.registry": "backend",
    "pdt.plugins.spec": "BackendSpec CommandSpec",
    "pdt.proc_manager": "AbstractProcessManager LocalLinuxManager",
    "pdt.repository": "AggregateAndRepository AggregateOrRepository BlobRepository BlockingRepository Child Combinator "
    "DirectoryRepository ExecutorLiveRepo FileRepository FileRepositoryBase GroupRepository InProcessBlobRepository "
    "InProcessBlobStream InProcessMetadataRepository MapRepository MetadataRepository Opening RelatedItemRepository "
    "Repository SqliteMetadataRepository YamlMetadataFileRepository YamlMetadataRepository job_getter",
    "pdt.resource_manager": "ResourceManager ResourceType Resources parse_quantity",
    "pdt.resource_manager.allocation": "Allocation AllocationStatus Shortfall",
    "pdt.resource_manager.machine": "AllocRequest Allocated MachineResourceManager MachineResources",
    "pdt.resource_manager.scopes": "Constraints Scope",
    "pdt.session": "Session",
    "pdt.store": "Store",
    "pdt.streams": "AReadStream AReadText AWriteStream AWriteText async_copyfile async_copyfile_str roundrobin",
    "pdt.task": "ExecutorTask FunctionTask FunctionTaskProtocol InProcessSyncTask ProcessTask STDOUT Task TrackedTask",
    "pdt.template": "Template TemplateError",
}
#: Modules that the reference has, which `import pdt` alone has to show as well.
_MODULES = frozenset(
    {"main", "pipeline", "proc_manager", "repository", "resource_manager", "session", "task", "template", "utils"}
)
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

# Type checkers take this for typing.TYPE_CHECKING, whose import would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from pdt.attempts.policy import Retry as Retry
    from pdt.engine.report import Report as Report
    from pdt.engine.verdict import Lookup as Lookup
    from pdt.engine.verdict import Verdict as Verdict
    from pdt.engine.verdict import VerdictKind as VerdictKind
    from pdt.errors import *
    from pdt.ledger import *
    from pdt.link import *
    from pdt.main import *
    from pdt.pipeline import *
    from pdt.plugins.registry import backend as backend
    from pdt.plugins.spec import BackendSpec as BackendSpec
    from pdt.plugins.spec import CommandSpec as CommandSpec
    from pdt.proc_manager import AbstractProcessManager as AbstractProcessManager
    from pdt.proc_manager import LocalLinuxManager as LocalLinuxManager
    from pdt.repository import *
    from pdt.resource_manager import *
    from pdt.resource_manager.allocation import Allocation as Allocation
    from pdt.resource_manager.allocation import AllocationStatus as AllocationStatus
    from pdt.resource_manager.allocation import Shortfall as Shortfall
    from pdt.resource_manager.machine import *
    from pdt.resource_manager.scopes import Constraints as Constraints
    from pdt.resource_manager.scopes import Scope as Scope
    from pdt.session import *
    from pdt.store import Store as Store
    from pdt.streams import *
    from pdt.task import *
    from pdt.template import Template as Template
    from pdt.template import TemplateError as TemplateError

__all__ = [*sorted(_HOME_OF), "__version__", "main"]


def __getattr__(name: str) -> object:
    import importlib

    if name in _MODULES:
        return importlib.import_module(f"pdt.{name}")
    home = _HOME_OF.get(name)
    if home is not None:
        value = getattr(importlib.import_module(home), name)
    elif name in ("config", "testing"):
        raise AttributeError(f"module 'pdt' has no attribute {name!r}")
    else:
        from pdt.plugins.known import resolve

        value = resolve(name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
