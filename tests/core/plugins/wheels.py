"""Distributions made from a few lines of text, and installed into a real virtual environment."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import venv
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pluggy

import pdt

METADATA = "Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\nSummary: made by a test\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

# A backend as PEP 660 has it: an editable wheel is one with a .pth file in it.
BUILD_BACKEND = """
import base64, hashlib, os, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    here = os.getcwd()
    files = {{"_{stem}.pth": os.path.join(here, "src") + "\\n"}}
    for name in os.listdir("info"):
        with open(os.path.join("info", name), encoding="utf-8") as stream:
            files["{stem}-{version}.dist-info/" + name] = stream.read()
    lines = []
    name = "{stem}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{{path}},sha256={{digest}},{{len(text.encode())}}")
        lines.append("{stem}-{version}.dist-info/RECORD,,")
        archive.writestr("{stem}-{version}.dist-info/RECORD", "\\n".join(lines) + "\\n")
    return name
"""


def make_wheel(folder: Path, dist: str, version: str, files: Mapping[str, str], entry_points: str = "") -> Path:
    """Write a wheel that pip installs.

    :param files: the texts of its modules, by path.
    :param entry_points: what stands in its entry_points.txt.
    """
    stem = dist.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": METADATA.format(dist=dist, version=version),
        f"{info}/WHEEL": WHEEL,
    }
    if entry_points:
        contents[f"{info}/entry_points.txt"] = entry_points
    record = [record_line(path, text) for path, text in contents.items()]
    contents[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
    wheel = folder / f"{stem}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return wheel


def record_line(path: str, text: str) -> str:
    """Return the line of a RECORD for one file."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(text.encode())}"


def make_editable(folder: Path, dist: str, version: str, files: Mapping[str, str], entry_points: str = "") -> Path:
    """Write a source tree that `pip install -e` installs without any network."""
    stem = dist.replace("-", "_")
    tree = folder / dist
    texts = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": BUILD_BACKEND.format(stem=stem, version=version),
        "info/METADATA": METADATA.format(dist=dist, version=version),
        "info/WHEEL": WHEEL,
        "info/entry_points.txt": entry_points,
        **{f"src/{path}": text for path, text in files.items()},
    }
    for path, text in texts.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text, encoding="utf-8")
    return tree


class Environment:
    """A virtual environment that sees pdt's own modules and pluggy, and else only what is installed into it.

    :param folder: where to make it.
    :param installer: another environment, whose pip installs into this one.
    """

    def __init__(self, folder: Path, installer: Environment | None = None) -> None:
        self.folder = folder
        venv.create(folder, with_pip=installer is None, symlinks=True)
        self.python = folder / "bin" / "python"
        self._pip: list[str | Path] = [
            installer.python if installer else self.python,
            "-m",
            "pip",
            "--python",
            self.python,
        ]
        (self.site,) = folder.glob("lib/python*/site-packages")
        lent = folder / "lent"
        lent.mkdir()
        for package in (pdt, pluggy):
            source = Path(str(package.__file__)).parent
            (lent / source.name).symlink_to(source, target_is_directory=True)
        (self.site / "lent.pth").write_text(f"{lent}\n", encoding="utf-8")

    def install(self, *requirements: str | Path) -> None:
        """Install wheels, and source trees that follow "-e"."""
        options = ["--quiet", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check"]
        subprocess.run([*self._pip, "install", *options, *requirements], check=True, env=self._variables({}))

    def uninstall(self, dist: str) -> None:
        """Uninstall a distribution."""
        subprocess.run([*self._pip, "uninstall", "--quiet", "--yes", dist], check=True, env=self._variables({}))

    def run(self, script: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a script in it.

        :param variables: what to add to the environment variables.
        """
        return subprocess.run(
            [self.python, "-c", script],
            capture_output=True,
            text=True,
            env=self._variables(variables or {}),
            cwd=self.folder,
        )

    def answer(self, script: str, variables: Mapping[str, str] | None = None) -> Any:
        """Run a script in it and return what it prints, read as JSON."""
        ran = self.run(script, variables)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def _variables(self, more: Mapping[str, str]) -> dict[str, str]:
        unwanted: Sequence[str] = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PIP_FIND_LINKS", "VIRTUAL_ENV")
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in unwanted and not name.startswith(("PDT_", "COV_", "COVERAGE_"))
        }
        return {**kept, **more}
