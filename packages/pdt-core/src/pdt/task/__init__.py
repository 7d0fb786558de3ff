"""Tasks: units of execution that act on repositories."""

from ..link import Link
from .base import Task
from .executor import ExecutorTask
from .function import FunctionTask, FunctionTaskProtocol, InProcessSyncTask

__all__ = ["ExecutorTask", "FunctionTask", "FunctionTaskProtocol", "InProcessSyncTask", "Link", "Task"]
