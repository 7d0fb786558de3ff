"""Our own packages: which names belong to them, and what to install where one is missing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

__all__ = [
    "CORE",
    "CORE_COMMANDS",
    "NAMES",
    "PACKAGES",
    "Package",
    "missing_hint",
    "owner",
    "package_of",
    "resolve",
]

CORE = "pdt-core"


class Package(NamedTuple):
    """One of our packages: its module, its names in ``pdt``, and the names of its backends by kind."""

    module: str
    names: tuple[str, ...]
    backends: dict[str, tuple[str, ...]]


PACKAGES: dict[str, Package] = {
    "pdt-docker": Package(
        "pdt_docker",
        ("DockerRepository",),
        {"connection": ("docker",), "repository": ("docker",)},
    ),
    "pdt-kube": Package(
        "pdt_kube",
        ("KubeFunctionTask", "KubeTask", "LiveKubeRepository", "PodManager"),
        {"connection": ("kube",), "executor": ("pods",), "task": ("kube", "kube-function")},
    ),
    "pdt-mongo": Package(
        "pdt_mongo",
        ("MongoMetadataRepository",),
        {
            "connection": ("mongo",),
            "ledger": ("mongo",),
            "repository": ("mongo",),
            "resource-manager": ("mongo",),
        },
    ),
    "pdt-s3": Package(
        "pdt_s3",
        ("S3BucketInfo", "S3BucketRepository", "YamlMetadataS3Repository"),
        {
            "connection": ("s3",),
            "ledger": ("s3",),
            "repository": ("s3", "s3-yaml"),
            "resource-manager": ("s3",),
        },
    ),
    "pdt-ssh": Package(
        "pdt_ssh",
        ("SSHLinuxManager",),
        {"connection": ("ssh",), "executor": ("ssh",)},
    ),
}

NAMES: dict[str, str] = {name: dist for dist, package in PACKAGES.items() for name in package.names}

_BACKENDS: dict[tuple[str, str], str] = {
    (kind, name): dist
    for dist, package in PACKAGES.items()
    for kind, names in package.backends.items()
    for name in names
}
_ANY_KIND: dict[str, str] = {name: dist for (_, name), dist in _BACKENDS.items()}

CORE_COMMANDS = frozenset(
    {
        "cancel",
        "cat",
        "completion",
        "failures",
        "graph",
        "inject",
        "launch",
        "logs",
        "ls",
        "plan",
        "plugins",
        "retry",
        "rm",
        "run",
        "shell",
        "status",
        "trace",
        "update",
        "why",
    }
)


def owner(kind: str, name: str) -> str | None:
    """Return the package of ours that a backend's name is reserved for."""
    return _BACKENDS.get((kind, name))


def package_of(name: str) -> str | None:
    """Return the package of ours that a public name, or a backend's name of any kind, belongs to."""
    return NAMES.get(name) or _ANY_KIND.get(name)


def missing_hint(names: Iterable[str]) -> str | None:
    """Return the one command that installs what is missing, or None where no package of ours has any of it.

    :param names: public names or names of backends; those that are not ours are passed over.
    """
    packages = sorted({package for name in names if (package := package_of(name)) is not None})
    return f"pip install {' '.join(packages)}" if packages else None


def resolve(name: str) -> object:
    """Return a public name of one of our packages, imported from it.

    :param name: as it is asked for of the ``pdt`` module.
    :raises ImportError: where the package is not installed, or cannot be imported; its text has the pip line.
    :raises AttributeError: where the name is in none of our packages.
    """
    package = NAMES.get(name)
    if package is None:
        raise AttributeError(f"module 'pdt' has no attribute {name!r}")
    module = PACKAGES[package].module
    from importlib import import_module

    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        state, fix = f"cannot be imported: {error}", f"pip install -U {package}"
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            state, fix = "is not installed", f"pip install {package}"
        raise ImportError(f"pdt.{name} is in {package}, which {state}. fix: {fix}", name=module) from error
    except AttributeError as error:
        text = f"pdt.{name} is not in the installed {package}. fix: pip install -U {package}"
        raise ImportError(text, name=module) from error
