"""Where no plugin is installed, nothing is imported that only plugins need."""

from __future__ import annotations

import pytest

from tests.core.plugins.wheels import Environment

MODULES = """
import sys
bare = set(sys.modules)
%s
new = sorted(set(sys.modules) - bare)
import json
print(json.dumps(new))
"""


@pytest.fixture(scope="module")
def empty(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment without a plugin."""
    return Environment(tmp_path_factory.mktemp("empty") / "venv", environment)


def imported(environment: Environment, script: str) -> set[str]:
    """Return the modules that a script imports."""
    return set(environment.answer(MODULES % script))


def test_the_hooks_of_a_process_without_plugins_are_light(empty: Environment) -> None:
    modules = imported(empty, "from pdt.plugins import current_hooks\ncurrent_hooks()")
    assert {name for name in modules if name.startswith("pdt")} == {
        "pdt",
        "pdt.plugins",
        "pdt.plugins.contract",
        "pdt.plugins.discover",
        "pdt.plugins.hooks",
    }
    assert not modules & {"importlib.metadata", "pluggy", "inspect", "dataclasses", "asyncio", "logging"}


def test_a_backend_of_core_needs_neither_pluggy_nor_a_search(empty: Environment) -> None:
    modules = imported(empty, "from pdt.plugins import backend\nbackend('executor', 'threads')")
    assert not modules & {
        "importlib.metadata",
        "pluggy",
        "asyncio",
        "pdt.plugins.notify",
        "pdt.plugins.hookspecs",
    }


def test_plugins_that_only_register_need_no_pluggy(environment: Environment) -> None:
    script = "from pdt.plugins import current_hooks\nassert type(current_hooks()).__name__ == 'Hooks'"
    disabled = "pdt-good,pdt-ancient,pdt-broken,pdt-clash-one,pdt-clash-two,pdt-editable,pdt-future,pdt-mongo"
    variables = {"PDT_DISABLED_PLUGINS": f"{disabled},stranger-store"}
    modules = set(environment.answer(MODULES % script, variables))
    assert "pdt_misspelt.plugin" in modules
    assert not modules & {"importlib.metadata", "pluggy", "pdt.plugins.notify"}


def test_the_check_for_an_impostor_is_light(empty: Environment) -> None:
    modules = imported(empty, "from pdt.plugins.impostor import check\ncheck()")
    assert {name for name in modules if not name.startswith("pdt")} <= {"__future__"}


def test_known_names_need_no_plugin(empty: Environment) -> None:
    modules = imported(empty, "from pdt.plugins.known import missing_hint\nmissing_hint(['s3'])")
    assert not modules & {"importlib.metadata", "pluggy", "pdt.plugins.registry", "dataclasses"}


def test_an_empty_environment_lists_core_alone(empty: Environment) -> None:
    listed = empty.answer(
        "import json\nfrom pdt.plugins import describe\nprint(json.dumps([p.dist for p in describe()]))"
    )
    assert listed == ["pdt-core"]
