"""Noticing that another project's package lies in, or over, pdt's own.

The name ``pdt`` on PyPI belongs to another project, whose package is called ``pdt`` too: installing both
leaves one folder with files of both.
"""

from __future__ import annotations

import os

# What type checkers take for typing.TYPE_CHECKING, without the import of typing.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from pdt.errors import PdtError

__all__ = ["check"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_FIX = "pip uninstall {} && pip install --force-reinstall pdt-core"


def check(package: str = _PACKAGE) -> PdtError | None:
    """Return what to tell the user where the package that runs is not wholly pdt-core's, else None.

    :param package: the folder of the package ``pdt``.
    """
    site, folder = os.path.split(package)
    own_record = ""
    for name in os.listdir(site):
        if name[:3].lower() != "pdt" or not name.endswith((".dist-info", ".egg-info")):
            continue
        dist = name.partition("-")[0].lower()
        if dist == "pdt" and _claims(os.path.join(site, name), folder):
            return _shared(site, [name])
        if dist in ("pdt_core", "pdt-core", "pdt.core"):
            own_record = _read(os.path.join(site, name, "RECORD"))
    if _as_recorded(own_record, site, f"{folder}/__init__.py"):
        return None
    others = [
        name
        for name in sorted(os.listdir(site))
        if name.endswith(".dist-info")
        and not name.lower().startswith("pdt_core-")
        and _claims(os.path.join(site, name), folder)
    ]
    return _shared(site, others)


def _as_recorded(record: str, site: str, path: str) -> bool:
    for line in record.splitlines():
        recorded, _, size = line.rpartition(",")
        if recorded.partition(",")[0] == path and size.isdigit():
            try:
                return os.stat(os.path.join(site, path)).st_size == int(size)
            except OSError:
                return False
    # An editable install, or one without a record: its folder is not one that pip writes to.
    return True


def _claims(info: str, folder: str) -> bool:
    paths = _read(os.path.join(info, "RECORD")).splitlines()
    modules = _read(os.path.join(info, "top_level.txt")).split()
    return folder in modules or any(path.startswith(f"{folder}/") for path in paths)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _shared(site: str, infos: list[str]) -> PdtError:
    from pdt.errors import PdtError

    if not infos:
        return PdtError(
            f"{site}/pdt/__init__.py is not the file that pdt-core installed",
            fix="pip install --force-reinstall pdt-core",
        )
    dists = [info.partition("-")[0] for info in infos]
    shown = ", ".join(os.path.splitext(info)[0] for info in infos)
    return PdtError(
        f"another project's package ({shown}) shares the folder {site}/pdt with pdt-core",
        fix=_FIX.format(" ".join(dists)),
    )
