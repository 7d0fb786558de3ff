"""Which file system a path lies on, and whether a network is behind it."""

from __future__ import annotations

import os
import re

__all__ = ["filesystem_type", "has_exact_stamps", "is_local"]

MOUNTS = "/proc/self/mounts"
NETWORK_TYPES = frozenset(
    """
    9p afs beegfs ceph cifs coda davfs glusterfs gpfs lustre ncpfs nfs nfs4 orangefs panfs pvfs2 smb3 smbfs
    vboxsf virtiofs wekafs
    """.split()  # noqa: SIM905  a list of twenty strings is harder to read
)
#: File systems in user space that only arrange what lies on this machine's disks.
LOCAL_FUSE_TYPES = frozenset({"fuse.fuse-overlayfs", "fuse.fuseblk", "fuse.mergerfs", "fuse.ntfs-3g"})


def filesystem_type(path: str | os.PathLike[str]) -> str:
    """Return the type of the file system that holds `path`, or "" where the system does not say."""
    try:
        with open(MOUNTS, "rb") as file:
            mounts = [line.split(b" ") for line in file]
    except OSError:
        return ""
    table = [(_unescaped(mount), os.fsdecode(kind)) for _, mount, kind, *_ in mounts]
    given = _type_at(os.path.abspath(path), table)
    # To follow links on a network file system may take for ever.
    return given if _is_remote(given) else _type_at(os.path.realpath(path), table)


def _unescaped(mount: bytes) -> str:
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8)]), mount))


def _type_at(path: str, table: list[tuple[str, str]]) -> str:
    best, found = "", ""
    for mount, kind in table:
        inside = path == mount or path.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, found = mount, kind
    return found


def _is_remote(kind: str) -> bool:
    if kind == "fuse" or kind.startswith("fuse."):
        return kind not in LOCAL_FUSE_TYPES
    return kind in NETWORK_TYPES


def is_local(path: str | os.PathLike[str]) -> bool:
    """Tell whether `path` lies on a disk or in the memory of this machine, rather than behind a network."""
    return not _is_remote(filesystem_type(path))


def has_exact_stamps(path: str | os.PathLike[str]) -> bool:
    """Tell whether a time of change that somebody has read differs from that of every later change.

    Source: https://docs.kernel.org/filesystems/multigrain-ts.html (Linux 6.13).
    """
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    recent = release is not None and (int(release[1]), int(release[2])) >= (6, 13)
    return os.uname().sysname == "Linux" and recent and filesystem_type(path) in ("btrfs", "ext4", "tmpfs", "xfs")
