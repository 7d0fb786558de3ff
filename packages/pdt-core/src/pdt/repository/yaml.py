"""Structured values as YAML text in a blob repository."""

from __future__ import annotations

from collections.abc import Mapping
from errno import EACCES, EIO, EPERM
from functools import lru_cache
from typing import Any

from ..concurrency import map_bounded
from ..errors import CorruptRecordError, InvalidJobIdError
from ..localfs import call, put_bytes, read_bytes
from ..plain import plain
from .base import BlobRepository, MetadataRepository
from .filesystem import FileRepository
from .flat_yaml import dump_flat_yaml

__all__ = ["YamlMetadataFileRepository", "YamlMetadataRepository", "dump_yaml", "load_yaml"]

#: Bytes that a record may have: they are loaded whole.
RECORD_LIMIT = 16 * 1024 * 1024
#: Collections within collections that a record may have.
DEEPEST = 200
#: Values that a record with aliases may have, each alias counted as what it repeats.
MOST_VALUES = 1_000_000
#: A file that one may not, or cannot, read: its job is blocked, and others go on.
UNREADABLE = frozenset({EACCES, EPERM, EIO})


@lru_cache
def _dialect() -> tuple[Any, Any]:
    """Return the safe loader, and a safe dumper that writes no aliases; the fast ones where there are any."""
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader), Dumper


def dump_yaml(data: Any) -> str:
    """Return `data` as YAML.

    :raises TypeError: if it contains something that YAML's core types cannot express, or itself.
    """
    try:
        flat = dump_flat_yaml(data)
        if flat is not None:
            return flat
        import yaml

        return yaml.dump(plain(data), Dumper=_dialect()[1], allow_unicode=True, sort_keys=False)
    except ValueError as error:  # half a surrogate pair, or a number of thousands of digits
        raise TypeError(f"this value cannot be stored as YAML: {error}") from None


def load_yaml(text: bytes, store: str, job: str, file: str | None = None) -> Any:
    """Return what `text` says.

    :param store: where it comes from, for the error.
    :param file: Optional: the file that has it, for the error.
    :raises CorruptRecordError: if it is no YAML, is too large or nested too deeply.
    """
    import yaml

    def corrupt(reason: str) -> CorruptRecordError:
        return CorruptRecordError(store, job, reason, file=file)

    if len(text) > RECORD_LIMIT:
        raise corrupt(f"it has more than {RECORD_LIMIT} bytes")
    try:
        return _load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise corrupt(f"{where}{error.problem or error.context}") from error
    except RecursionError:
        raise corrupt("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise corrupt(" ".join(str(error).split())) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise corrupt(f"a value does not fit its tag: {error}") from error


def _load(text: bytes) -> Any:
    # Each level takes a bracket, or one or two of them a column of some line.
    if text.count(b"[") + text.count(b"{") + 2 * max(map(len, text.split(b"\n"))) > DEEPEST:
        _check_depth(text)
    loader = _dialect()[0](text)
    try:
        node = loader.get_single_node()
        if b"*" in text:
            _count(node, {})
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _check_depth(text: bytes) -> None:
    """Refuse what is nested so deeply that the loader, which is written in C, would overflow its stack.

    :raises ValueError: if it is.
    """
    import yaml

    depth = 0
    for event in yaml.parse(text, _dialect()[0]):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise ValueError("it is nested too deeply")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _count(node: Any, known: dict[Any, int]) -> int:
    """Return how many values a node stands for, each alias counted as what it repeats.

    :raises ValueError: if it repeats itself, or they are so many that they can only be meant to do harm.
    """
    if node is None or isinstance(node.value, str):
        return 1
    count = known.get(node)
    if count == 0:
        raise ValueError("it contains itself")
    if count is None:
        known[node] = 0
        parts = node.value if node.id == "sequence" else (part for pair in node.value for part in pair)
        count = known[node] = 1 + sum(_count(part, known) for part in parts)
        if count > MOST_VALUES:
            raise ValueError(f"with its aliases it has more than {MOST_VALUES} values")
    return count


class YamlMetadataRepository(BlobRepository, MetadataRepository):
    """Structured values kept as YAML by a blob repository: mix it into one that provides `open`."""

    async def info(self, job: str) -> Any:
        """Return the data of `job`, or {} if there is none.

        :raises CorruptRecordError: if it is no YAML.
        """
        try:
            async with self.open(job, "rb") as stream:
                text = await stream.read(RECORD_LIMIT + 1)
        except InvalidJobIdError:
            raise
        except (FileNotFoundError, KeyError):
            return {}
        return load_yaml(text, repr(self), job)

    async def dump(self, job: str, data: Any) -> None:
        """Store `data` for `job`.

        :raises TypeError: if YAML cannot express it.
        """
        text = dump_yaml(data).encode()
        async with self.open(job, "wb") as stream:
            await stream.write(text)

    async def info_all(self) -> dict[str, Any]:
        """Return every job's data.

        :raises CorruptRecordError: if any of it is no YAML.
        """
        infos = await self.items()
        for info in infos.values():
            if isinstance(info, CorruptRecordError):
                raise info
        return dict(infos)

    async def items(self) -> Mapping[str, Any]:
        """Return every job's data; for a record that is no YAML its error."""

        async def load(job: str) -> Any:
            try:
                return await self.info(job)
            except CorruptRecordError as error:
                return error
            except OSError as error:
                if error.errno not in UNREADABLE:
                    raise
                return CorruptRecordError(repr(self), job, f"it cannot be read: {error.strerror}")

        jobs = [job async for job in self]
        return dict(zip(jobs, await map_bounded(load, jobs, inline=self.inline), strict=True))


class YamlMetadataFileRepository(YamlMetadataRepository, FileRepository):
    """Structured values as one YAML file each.

    :param filename: the directory that holds the files; made by `validate` if it is missing.
    :param extension: what follows the job id in a file's name, the dot included.
    :param case_insensitive: whether the extension is recognised in any case.
    """

    def __init__(self, filename: Any, extension: str = ".yaml", case_insensitive: bool = False) -> None:
        super().__init__(filename, extension, case_insensitive)

    async def info(self, job: str) -> Any:
        """Return the data of `job`, or {} if there is none.

        :raises CorruptRecordError: if the file is no YAML.
        """
        path = await self._locate(job)
        try:
            text = await call(self.inline, read_bytes, path, RECORD_LIMIT + 1)
        except FileNotFoundError:
            return {}
        return load_yaml(text, repr(self), job, path)

    async def dump(self, job: str, data: Any) -> None:
        """Store `data` for `job`.

        :raises TypeError: if YAML cannot express it.
        """
        await call(self.inline, put_bytes, await self._locate(job), dump_yaml(data).encode())
