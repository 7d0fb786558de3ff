"""Looking up a name finds its class, or says what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

import pdt.plugins
from pdt.errors import PluginError, UnknownBackendError
from pdt.plugins import (
    BackendSpec,
    CommandSpec,
    Registry,
    backend,
    default_registry,
    hookimpl,
    set_default_registry,
)
from pdt.plugins.discover import Entry


def plugin(*names: str, kind: str = "repositories", commands: tuple[str, ...] = ()) -> ModuleType:
    """Return a plugin module that registers backends and commands."""
    made = ModuleType("sample_plugin")
    specs = [BackendSpec(name, "collections:OrderedDict", "A sample.") for name in names]

    def register() -> list[BackendSpec]:
        return specs

    @hookimpl
    def pdt_register_commands() -> list[CommandSpec]:
        return [CommandSpec(name, "collections:OrderedDict", "A sample.") for name in commands]

    made.__dict__.update(
        {
            "PDT_API": 1,
            f"pdt_register_{kind}": hookimpl(register),
            "pdt_register_commands": pdt_register_commands,
        }
    )
    return made


def refusal(registry: Registry, kind: str, name: str, error: type[Exception] = UnknownBackendError) -> str:
    """Return the text of the error that looking up a name raises."""
    with pytest.raises(error) as caught:
        registry.backend(kind, name)
    assert type(caught.value) is error
    return str(caught.value)


@pytest.fixture
def process_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a test do as it likes with this process's registry."""
    for name in list(os.environ):
        if name.startswith("PDT_"):
            monkeypatch.delenv(name)
    previous = set_default_registry(None)
    yield
    set_default_registry(previous)


def test_a_name_gives_its_class() -> None:
    registry = Registry((), modules={"stranger": plugin("shelf")})
    assert registry.backend("repository", "shelf").__name__ == "OrderedDict"
    assert registry.backend("repository", "stranger:shelf").__name__ == "OrderedDict"
    assert registry.find("repository", "shelf").plugin.dist == "stranger"


def test_looking_up_a_name_of_core_loads_no_plugin() -> None:
    registry = Registry([Entry("stranger", "1", "bad", "plugin_that_must_not_be_imported")])
    sys.modules.pop("plugin_that_must_not_be_imported", None)
    assert registry.find("repository", "memory").plugin.dist == "pdt-core"
    assert registry.find("repository", "PDT.Core:memory").plugin.dist == "pdt-core"
    assert registry._loaded is None


def test_near_misses_are_suggested() -> None:
    registry = Registry((), modules={"stranger": plugin("shelf")})
    see = "\nfix: `pdt plugins` lists what is installed"
    assert refusal(registry, "repository", "shlef") == f"there is no repository 'shlef'; did you mean 'shelf'?{see}"
    assert refusal(registry, "repository", "File") == f"there is no repository 'File'; did you mean 'file'?{see}"
    assert refusal(registry, "repository", "s3-yml") == f"there is no repository 's3-yml'; did you mean 's3-yaml'?{see}"
    assert refusal(registry, "repository", "qqq") == f"there is no repository 'qqq'{see}"
    assert refusal(registry, "repository", "") == f"there is no repository ''{see}"
    assert refusal(registry, "repository", "stranger:shlef") == (
        f"there is no repository 'shlef' in stranger; did you mean 'shelf'?{see}"
    )
    assert refusal(registry, "repository", "strangr:shelf") == (
        f"no plugin is in a distribution called 'strangr'; did you mean 'stranger'?{see}"
    )
    assert refusal(registry, "repository", ":shelf").startswith("no plugin is in a distribution called ''")


def test_a_name_of_another_kind_is_pointed_out() -> None:
    registry = Registry((), modules={"stranger": plugin("shelf", kind="resource_managers")})
    assert refusal(registry, "repository", "shelf").startswith(
        "there is no repository 'shelf', but there is a resource manager of that name"
    )


def test_kinds_are_checked() -> None:
    registry = Registry(())
    assert refusal(registry, "repositry", "file", PluginError) == (
        "'repositry' is not a kind of backend; did you mean 'repository'?\n"
        "fix: use one of connection, repository, executor, resource-manager, ledger, task"
    )
    with pytest.raises(PluginError, match="is not a kind"):
        registry.backends("repositry")


def test_a_missing_package_of_ours_is_to_be_installed() -> None:
    registry = Registry(())
    for kind, name, package in [
        ("repository", "s3", "pdt-s3"),
        ("connection", "mongo", "pdt-mongo"),
        ("executor", "pods", "pdt-kube"),
        ("task", "kube-function", "pdt-kube"),
        ("executor", "ssh", "pdt-ssh"),
    ]:
        assert refusal(registry, kind, name) == f"{kind} {name!r} is not installed\nfix: pip install {package}"
    assert refusal(registry, "repository", "pdt-s3:anything") == "pdt-s3 is not installed\nfix: pip install pdt-s3"


def test_a_broken_package_of_ours_says_so() -> None:
    broken = Registry([Entry("pdt-s3", "1", "s3", "no_such_module_of_s3")])
    text = refusal(broken, "repository", "s3", PluginError)
    assert text.startswith("repository 's3' is in pdt-s3 1, which is broken: importing no_such_module_of_s3 raised")


def test_plugins_that_could_not_be_loaded_are_suspected() -> None:
    broken = Registry([Entry("stranger", "1", "bad", "no_such_module_of_a_stranger")])
    assert "it may be in a plugin that is not loaded: stranger (broken)" in refusal(broken, "repository", "shelf")


def test_what_a_broken_plugin_registered_is_named() -> None:
    made = plugin("shelf")
    made.__dict__["pdt_job_finishd"] = hookimpl(lambda job: None)
    text = refusal(Registry((), modules={"stranger": made}), "repository", "shelf", PluginError)
    assert text.startswith("repository 'shelf' is in stranger, which is broken: pdt has no hook pdt_job_finishd")


def test_clashes_are_settled_by_the_distribution() -> None:
    registry = Registry((), modules={"one": plugin("shelf", "first"), "two": plugin("shelf")})
    assert refusal(registry, "repository", "shelf", PluginError) == (
        "repository 'shelf' is in one and two\nfix: write 'one:shelf' or 'two:shelf'"
    )
    assert registry.find("repository", "two:shelf").plugin.dist == "two"
    assert [
        (found.reference, found.plugin.dist)
        for found in registry.backends("repository")
        if found.plugin.dist != "pdt-core"
    ] == [
        ("first", "one"),
        ("one:shelf", "one"),
        ("two:shelf", "two"),
    ]


def test_clashes_of_different_kinds_are_none() -> None:
    registry = Registry((), modules={"one": plugin("shelf"), "two": plugin("shelf", kind="ledgers")})
    assert {found.state for found in registry.plugins} == {"ok"}


def test_every_clash_of_a_plugin_is_listed() -> None:
    registry = Registry((), modules={"one": plugin("a", "b", "file", commands=("run",)), "two": plugin("a", "b")})
    one = registry.plugins[1]
    assert one.state == "conflict"
    assert set(str(one.reason).split("; ")) == {
        "repository 'a' is in two too",
        "repository 'b' is in two too",
        "repository 'file' is reserved for pdt-core",
        "command 'run' is reserved for pdt-core",
    }


def test_commands_are_known_by_what_users_write() -> None:
    registry = Registry(
        (), modules={"one": plugin(commands=("run", "dust", "mop")), "two": plugin(commands=("mop", "sweep"))}
    )
    assert sorted(registry.commands()) == ["dust", "one:mop", "one:run", "sweep", "two:mop"]
    assert registry.commands()["dust"].spec.load().__name__ == "OrderedDict"


def test_a_plugin_may_not_look_for_others_while_it_registers() -> None:
    made = ModuleType("curious_plugin")
    registry = Registry((), modules={"curious": made})

    @hookimpl
    def pdt_register_repositories() -> list[BackendSpec]:
        registry.backend("repository", "shelf")
        return []

    made.__dict__.update(PDT_API=1, pdt_register_repositories=pdt_register_repositories)
    curious = registry.plugins[1]
    assert curious.state == "broken"
    assert "looks for other plugins while they are being loaded" in str(curious.reason)


@pytest.mark.usefixtures("process_registry")
def test_there_is_one_registry_for_the_process() -> None:
    assert default_registry() is default_registry()
    assert backend("repository", "memory").__name__ == "InProcessMetadataRepository"
    isolated = Registry((), modules={"stranger": plugin("shelf")})
    first = set_default_registry(isolated)
    assert first is not None
    assert backend("repository", "shelf").__name__ == "OrderedDict"
    assert set_default_registry(None) is isolated
    assert default_registry() not in (first, isolated)


@pytest.mark.usefixtures("process_registry")
def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PDT_DISABLED_PLUGINS", " One.Plugin , ,two")
    monkeypatch.setenv("PDT_TRACE_PLUGINS", "1")
    monkeypatch.setattr("pdt.plugins.registry.installed", lambda: [])
    registry = Registry.from_environment()
    registry._modules.update({"one-plugin": plugin("a"), "two": plugin("b"), "three": plugin("c")})
    assert {found.dist: found.state for found in registry.plugins[1:]} == {
        "one-plugin": "disabled",
        "two": "disabled",
        "three": "ok",
    }
    assert "pdt plugins: three pdt_register_repositories() returned list" in capsys.readouterr().err


@pytest.mark.usefixtures("process_registry")
def test_the_hooks_of_the_process_are_those_of_its_registry() -> None:
    made = ModuleType("observing_plugin")

    @hookimpl
    def pdt_job_finished(job: str) -> None: ...

    made.__dict__.update(PDT_API=1, pdt_job_finished=pdt_job_finished)
    set_default_registry(Registry((), modules={"stranger": made}))
    assert pdt.plugins.current_hooks().active("pdt_job_finished")
    set_default_registry(Registry(()))
    assert not pdt.plugins.current_hooks().active("pdt_job_finished")
