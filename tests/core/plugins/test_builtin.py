"""Core's own backends come through the hooks, and every one of them is where it is said to be."""

from __future__ import annotations

import pytest

from pdt.plugins import Registry, builtin
from pdt.plugins.loading import Plugin
from pdt.plugins.registry import Backend

REGISTRY = Registry(())
BACKENDS = REGISTRY.backends()


def core() -> Plugin:
    """Return core's own plugin."""
    (plugin,) = REGISTRY.plugins
    return plugin


def test_core_is_a_plugin_like_others() -> None:
    assert (core().dist, core().value, core().state, core().api) == ("pdt-core", builtin.__name__, "ok", 1)


def test_the_kinds_of_the_reference_are_there() -> None:
    names = {
        kind: [spec.name for of, spec, _, _ in BACKENDS if of == kind] for kind in ("repository", "task", "ledger")
    }
    reference = "and blocking directory file group map memory memory-blob or related sqlite yaml"
    assert names == {
        "repository": reference.split(),
        "task": ["executor", "function", "process"],
        "ledger": ["files", "memory", "sqlite"],
    }


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: f"{backend.kind}-{backend.spec.name}")
def test_every_backend_can_be_loaded(backend: Backend) -> None:
    loaded = REGISTRY.backend(backend.kind, backend.reference)
    assert isinstance(loaded, type)
    assert loaded.__name__ == backend.spec.target.rpartition(":")[2]
