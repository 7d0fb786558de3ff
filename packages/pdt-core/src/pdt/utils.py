"""The reference's name for what `pdt.streams` holds."""

from .streams import (
    AReadStream,
    AReadText,
    AWriteStream,
    AWriteText,
    async_copyfile,
    async_copyfile_str,
    roundrobin,
)

__all__ = [
    "AReadStream",
    "AReadText",
    "AWriteStream",
    "AWriteText",
    "async_copyfile",
    "async_copyfile_str",
    "roundrobin",
]
