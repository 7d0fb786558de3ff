"""Repositories: key-value stores whose keys are job ids."""

from .base import BlobRepository, Child, MetadataRepository, Opening, Repository, job_getter
from .combinators import (
    AggregateAndRepository,
    AggregateOrRepository,
    BlockingRepository,
    Combinator,
)
from .filesystem import DirectoryRepository, FileRepository, FileRepositoryBase
from .group import GroupRepository
from .live import ExecutorLiveRepo
from .memory import InProcessBlobRepository, InProcessBlobStream, InProcessMetadataRepository
from .sqlite import SqliteMetadataRepository
from .wrappers import MapRepository, RelatedItemRepository
from .yaml import YamlMetadataFileRepository, YamlMetadataRepository

__all__ = [
    "AggregateAndRepository",
    "AggregateOrRepository",
    "BlobRepository",
    "BlockingRepository",
    "Child",
    "Combinator",
    "DirectoryRepository",
    "ExecutorLiveRepo",
    "FileRepository",
    "FileRepositoryBase",
    "GroupRepository",
    "InProcessBlobRepository",
    "InProcessBlobStream",
    "InProcessMetadataRepository",
    "MapRepository",
    "MetadataRepository",
    "Opening",
    "RelatedItemRepository",
    "Repository",
    "SqliteMetadataRepository",
    "YamlMetadataFileRepository",
    "YamlMetadataRepository",
    "job_getter",
]
