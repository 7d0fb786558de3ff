"""Names of our own packages say what to install; no name is guessed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from pdt.plugins import missing_hint
from pdt.plugins.builtin import pdt_register_repositories, pdt_register_tasks
from pdt.plugins.known import CORE_COMMANDS, NAMES, PACKAGES, owner, package_of, resolve
from pdt.plugins.spec import _NAME, KINDS


def test_every_name_has_one_owner_and_the_right_form() -> None:
    names = [name for package in PACKAGES.values() for name in package.names]
    assert sorted(names) == sorted(NAMES)
    backends = [
        (kind, name) for package in PACKAGES.values() for kind in package.backends for name in package.backends[kind]
    ]
    assert len(backends) == len(set(backends))
    assert {kind for kind, _ in backends} <= set(KINDS)
    assert all(_NAME.fullmatch(name) for _, name in backends)
    owners = {(name, owner(kind, name)) for kind, name in backends}
    assert len(owners) == len({name for name, _ in owners})


def test_the_commands_of_core_are_reserved() -> None:
    from pdt.cli.table import COMMANDS

    assert set(COMMANDS) == CORE_COMMANDS


def test_core_takes_no_name_that_is_reserved() -> None:
    for kind, register in (("repository", pdt_register_repositories), ("task", pdt_register_tasks)):
        assert not [spec.name for spec in register() if owner(kind, spec.name)]


def test_what_is_missing_is_gathered_into_one_command() -> None:
    assert missing_hint(["s3", "mongo", "s3-yaml", "KubeTask", "shelf"]) == "pip install pdt-kube pdt-mongo pdt-s3"
    assert missing_hint(["S3BucketRepository"]) == "pip install pdt-s3"
    assert missing_hint(["shelf"]) is None
    assert missing_hint([]) is None
    assert package_of("kube-function") == "pdt-kube"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_name_of_a_missing_package_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = NAMES[name]
    monkeypatch.setitem(sys.modules, PACKAGES[package].module, None)
    monkeypatch.delitem(sys.modules, PACKAGES[package].module)
    monkeypatch.setattr(sys, "path", [])
    text = f"pdt.{name} is in {package}, which is not installed. fix: pip install {package}"
    with pytest.raises(ImportError, match=f"^{re.escape(text)}$"):
        resolve(name)


def test_a_name_of_an_installed_package_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pdt_s3.py").write_text("class S3BucketRepository: ...\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pdt_s3", raising=False)
    assert getattr(resolve("S3BucketRepository"), "__module__", None) == "pdt_s3"
    with pytest.raises(ImportError, match=r"S3BucketInfo is not in the installed pdt-s3\. fix: pip install -U"):
        resolve("S3BucketInfo")
    del sys.modules["pdt_s3"]


def test_a_package_that_cannot_be_imported_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pdt_ssh.py").write_text("import no_such_driver\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pdt_ssh", raising=False)
    with pytest.raises(ImportError, match=r"No module named 'no_such_driver'\. fix: pip install -U pdt-ssh"):
        resolve("SSHLinuxManager")


def test_other_names_are_nobodys() -> None:
    with pytest.raises(AttributeError, match="module 'pdt' has no attribute 'S3Bucket'"):
        resolve("S3Bucket")
