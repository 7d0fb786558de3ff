"""One virtual environment with plugins of every sort in it, for the tests that only look at it."""

from __future__ import annotations

import pytest

from tests.core.plugins.samples import EDITABLE, WHEELS
from tests.core.plugins.wheels import Environment, make_editable, make_wheel


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment into which pip has installed every sample."""
    folder = tmp_path_factory.mktemp("installed")
    made = Environment(folder / "venv")
    wheels = [make_wheel(folder, *sample) for sample in WHEELS]
    made.install(*wheels, "-e", make_editable(folder, *EDITABLE))
    return made
