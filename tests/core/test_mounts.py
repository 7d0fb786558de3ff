"""Which paths lie behind a network, by tables of mounts as the kernel writes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pdt import localfs, mounts

TABLE = r"""
/dev/vda / ext4 rw 0 0
proc /proc proc rw 0 0
tmpfs /tmp tmpfs rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb /home/local xfs rw 0 0
//nas/share /mnt/my\040share cifs rw 0 0
host: /mnt/s\134h fuse.sshfs rw 0 0
ntfs /mnt/ntfs fuseblk rw 0 0
overlay /mnt/overlay fuse.fuse-overlayfs rw 0 0
s3 /mnt/s3 fuse rw 0 0
home /mnt/caf\303\251 9p rw 0 0
/dev/vdc /data ext4 rw 0 0
lustre@tcp:/x /data lustre rw 0 0
""".lstrip()


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "mounts"
    path.write_text(TABLE)
    monkeypatch.setattr(mounts, "MOUNTS", os.fspath(path))
    return path


@pytest.mark.parametrize(
    ("path", "kind", "local"),
    [
        ("/", "ext4", True),
        ("/usr/lib", "ext4", True),
        ("/tmp/x", "tmpfs", True),
        ("/tmpx", "ext4", True),
        ("/home", "nfs4", False),
        ("/home/me/data", "nfs4", False),
        ("/home/../usr", "ext4", True),
        ("/home/local/x", "xfs", True),
        ("/mnt/my share/x", "cifs", False),
        ("/mnt/s\\h/x", "fuse.sshfs", False),
        ("/mnt/ntfs/x", "fuseblk", True),
        ("/mnt/overlay/x", "fuse.fuse-overlayfs", True),
        ("/mnt/s3/x", "fuse", False),
        ("/mnt/caf\u00e9/x", "9p", False),
        ("/data/x", "lustre", False),
    ],
)
def test_the_innermost_and_latest_mount_counts(path: str, kind: str, local: bool) -> None:
    assert mounts.filesystem_type(path) == kind
    assert mounts.is_local(Path(path)) is localfs.is_local(path) is local


def test_links_are_followed_to_where_the_data_is(tmp_path: Path, table: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far")
    with table.open("a") as file:
        file.write(f"server:/x {tmp_path}/far nfs rw 0 0\n")
    assert not mounts.is_local(tmp_path / "link" / "data")
    assert mounts.is_local(tmp_path / "near")


def test_links_on_a_network_are_not_followed(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its server may be dead, and looking at the link would never return.
    looked_at: list[object] = []
    with monkeypatch.context() as patched:
        patched.setattr(os.path, "realpath", looked_at.append)
        is_local = mounts.is_local("/home/me/data")
    assert (is_local, looked_at) == (False, [])


def test_a_relative_path_is_where_the_program_is(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table.write_text(f"server:/x {tmp_path} nfs rw 0 0\n")
    assert not mounts.is_local("data")


def test_where_the_system_does_not_say_all_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "MOUNTS", "/nowhere")
    assert mounts.filesystem_type("/home") == ""
    assert mounts.is_local("/home")
