"""Tasks: units of execution that act on repositories."""

from ..link import Link
from .base import Task
from .executor import ExecutorTask
from .function import FunctionTask, FunctionTaskProtocol, InProcessSyncTask
from .process import STDOUT, ProcessTask
from .tracked import TrackedTask

__all__ = [
    "STDOUT",
    "ExecutorTask",
    "FunctionTask",
    "FunctionTaskProtocol",
    "InProcessSyncTask",
    "Link",
    "ProcessTask",
    "Task",
    "TrackedTask",
]
