"""Plugins that pip has installed: what pdt makes of each, and that none of them harms another."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.plugins.wheels import Environment

DESCRIBE = """
import dataclasses, json
from pdt.plugins import describe
print(json.dumps([dataclasses.asdict(plugin) for plugin in describe()]))
"""

LOOK_UP = """
import json, sys
from pdt.errors import PdtError
from pdt.plugins import backend
answers = {}
for reference in %r:
    kind, _, name = reference.partition(" ")
    try:
        answers[reference] = backend(kind, name).__name__
    except PdtError as error:
        answers[reference] = f"{type(error).__name__}: {error}"
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def plugins(environment: Environment) -> dict[str, Any]:
    """Return what is said of each plugin, by distribution."""
    return {plugin["dist"]: plugin for plugin in environment.answer(DESCRIBE)}


def look_up(environment: Environment, *references: str, **variables: str) -> dict[str, str]:
    """Return the name of the class, or the error, for each "kind name"."""
    answers: dict[str, str] = environment.answer(LOOK_UP % (references,), variables)
    return answers


def test_every_plugin_is_listed_in_its_state(plugins: dict[str, Any]) -> None:
    assert {dist: plugin["state"] for dist, plugin in plugins.items()} == {
        "pdt-core": "ok",
        "pdt-good": "ok",
        "pdt-editable": "ok",
        "pdt-mongo": "ok",
        "pdt-broken": "broken",
        "pdt-misspelt": "broken",
        "pdt-ancient": "incompatible",
        "pdt-future": "incompatible",
        "pdt-clash-one": "conflict",
        "pdt-clash-two": "conflict",
        "Stranger.Store": "conflict",
    }
    assert next(iter(plugins)) == "pdt-core"


def test_a_good_plugin_is_described_in_full(plugins: dict[str, Any]) -> None:
    good = plugins["pdt-good"]
    assert (good["name"], good["version"], good["module"], good["api"]) == (
        "good",
        "2.1",
        "pdt_good.plugin",
        1,
    )
    assert good["hooks"] == [
        "pdt_job_finished",
        "pdt_register_commands",
        "pdt_register_repositories",
        "pdt_should_launch",
    ]
    assert [backend["reference"] for backend in good["backends"]] == ["hollow", "shelf"]
    assert good["backends"][1]["capabilities"] == ["paging"]
    assert [command["reference"] for command in good["commands"]] == ["dust"]
    assert good["reason"] is None


def test_reasons_name_the_cause_and_the_fix(plugins: dict[str, Any]) -> None:
    said = {dist: (plugin["reason"], plugin["fix"]) for dist, plugin in plugins.items()}
    assert said["pdt-broken"] == (
        "importing pdt_broken.plugin raised ModuleNotFoundError: No module named 'there_is_no_such_module'",
        "update or uninstall pdt-broken, and report this to its author",
    )
    assert said["pdt-ancient"] == (
        "it speaks plugin API 0, and this pdt-core speaks 1",
        "pip install -U pdt-ancient",
    )
    assert said["pdt-future"][1] == "pip install -U pdt-core"
    assert said["pdt-misspelt"][0] == (
        "pdt has no hook pdt_register_repositorys; did you mean pdt_register_repositories?; "
        "pdt has no hook pdt_job_finishd; did you mean pdt_job_finished?"
    )
    assert said["pdt-clash-one"] == (
        "repository 'thing' is in pdt-clash-two too",
        "write pdt-clash-one:NAME for what is in pdt-clash-one",
    )
    assert said["Stranger.Store"][0] == (
        "repository 'file' is reserved for pdt-core; repository 's3' is reserved for pdt-s3"
    )


def test_a_bad_plugin_does_not_keep_others_from_use(environment: Environment) -> None:
    assert look_up(environment, "repository shelf", "repository draft", "repository first-thing") == {
        "repository shelf": "Shelf",
        "repository draft": "OrderedDict",
        "repository first-thing": "OrderedDict",
    }


def test_clashing_names_need_the_distribution(environment: Environment) -> None:
    answers = look_up(
        environment, "repository thing", "repository pdt-clash-two:thing", "repository PDT_clash.one:thing"
    )
    assert answers["repository thing"] == (
        "PluginError: repository 'thing' is in pdt-clash-one and pdt-clash-two\n"
        "fix: write 'pdt-clash-one:thing' or 'pdt-clash-two:thing'"
    )
    assert answers["repository pdt-clash-two:thing"] == "OrderedDict"
    assert answers["repository PDT_clash.one:thing"] == "OrderedDict"


def test_names_of_our_packages_are_theirs(environment: Environment) -> None:
    answers = look_up(
        environment, "repository s3", "repository stranger-store:s3", "repository file", "repository mongo"
    )
    assert answers["repository s3"] == (
        "UnknownBackendError: repository 's3' is not installed\nfix: pip install pdt-s3, or write 'Stranger.Store:s3'"
    )
    assert answers["repository stranger-store:s3"] == "OrderedDict"
    assert answers["repository file"] == "FileRepository"
    assert answers["repository mongo"] == "OrderedDict"


def test_naming_what_is_in_a_bad_plugin_says_why(environment: Environment) -> None:
    answers = look_up(environment, "repository pdt-broken:x", "repository pdt-ancient:relic", "repository hollow")
    assert answers["repository pdt-broken:x"].startswith(
        "PluginError: repository 'x' is in pdt-broken 1.0, which is broken: importing pdt_broken.plugin"
    )
    assert "which is incompatible: it speaks plugin API 0" in answers["repository pdt-ancient:relic"]
    assert answers["repository hollow"] == (
        "PluginError: backend 'hollow' cannot be imported from pdt_good.hollow: "
        "No module named 'hollow_driver'\n"
        'fix: pip install "hollow-driver[fast]>=2"'
    )


def test_a_package_of_ours_that_lacks_a_name_is_to_be_updated(environment: Environment) -> None:
    assert look_up(environment, "ledger mongo") == {
        "ledger mongo": "UnknownBackendError: ledger 'mongo' is not in the installed pdt-mongo 0.0.1\n"
        "fix: pip install -U pdt-mongo"
    }


def test_disabled_plugins_are_not_imported(environment: Environment) -> None:
    disabled = {"PDT_DISABLED_PLUGINS": "PDT.Good, pdt-clash-two,unknown"}
    plugins = {plugin["dist"]: plugin for plugin in environment.answer(DESCRIBE, disabled)}
    assert plugins["pdt-good"]["state"] == "disabled"
    assert plugins["pdt-clash-one"]["state"] == "ok"
    answers = look_up(environment, "repository thing", "repository pdt-good:shelf", **disabled)
    assert answers["repository thing"] == "OrderedDict"
    assert answers["repository pdt-good:shelf"] == (
        "PluginError: repository 'shelf' is in pdt-good 2.1, which is disabled: "
        "PDT_DISABLED_PLUGINS names it\n"
        "fix: take pdt-good out of PDT_DISABLED_PLUGINS"
    )
    everything = environment.answer(DESCRIBE, {"PDT_DISABLED_PLUGINS": "*"})
    assert {plugin["state"] for plugin in everything[1:]} == {"disabled"}
    assert everything[0]["state"] == "ok"


def test_listing_imports_no_driver_and_no_class(environment: Environment) -> None:
    script = DESCRIBE + "import sys\nprint(sorted(sys.modules), file=sys.stderr)"
    modules = environment.run(script).stderr
    assert "'pdt_good.plugin'" in modules
    for name in ("pdt_good.store", "pdt_good.options", "pdt.repository", "not_a_plugin"):
        assert f"'{name}'" not in modules


def test_hooks_reach_the_plugin_and_can_be_traced(environment: Environment) -> None:
    script = """
import asyncio, json
from pdt.plugins import current_hooks
hooks = current_hooks()
record = {"reason": "success", "token": "hunter2"}
asyncio.run(hooks.notify("pdt_job_finished", pipeline=None, task=None, job="a", record=record))
print(hooks.active("pdt_job_finished"), hooks.active("pdt_job_launched"))
print(json.dumps(hooks.vetoes(None, None, ["vase1", "book"])))
"""
    ran = environment.run(script, {"PDT_TRACE_PLUGINS": "1"})
    assert ran.stdout.splitlines() == [
        "good saw a success",
        "True False",
        '{"vase1": "pdt-good: it is fragile"}',
    ]
    assert "pdt plugins: pdt-good pdt_register_repositories() returned list" in ran.stderr
    assert "pdt plugins: pdt-good pdt_job_finished(job='a', record=<dict>) returned coroutine" in ran.stderr
    assert "hunter2" not in ran.stderr
    assert environment.run(script, {"PDT_TRACE_PLUGINS": "0"}).stderr == ""


def test_a_public_name_of_an_installed_package_comes_from_it(environment: Environment) -> None:
    ran = environment.run("from pdt.plugins.known import resolve\nresolve('MongoMetadataRepository')")
    assert ran.stderr.splitlines()[-1] == (
        "ImportError: pdt.MongoMetadataRepository is not in the installed pdt-mongo. fix: pip install -U pdt-mongo"
    )
