"""Of templates of any shape: a hostile value changes nothing but itself, or the template is refused."""

from __future__ import annotations

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdt.template import Template, TemplateError
from tests.core.template.places import FRAGMENTS
from tests.core.template.scripts import random_script
from tests.core.template.shells import BASHES, CANARY, SHELLS, run

# With these, what the script does depends on the value: whether it equals something, or can be the name of a file.
DEPENDS = ("[[", "((", " ==", "sh -c", "eval", ">", "$$", "${$", "& ")
COMMANDS = {"/bin/echo", "eval", "time"}
# No command but these is there, whatever a script that was damaged may call.
SETTINGS = """\
PATH=/none IFS=
set -f
cat() { command -p cat; }
touch() { : >"$1"; }
"""
TOKEN = "Xtoken"
SCRIPTS = st.integers(0, 2**64).map(lambda seed: random_script(Random(seed))).filter(lambda text: "{{x}}" in text)
VALUES = st.lists(st.sampled_from(sorted({*FRAGMENTS} - COMMANDS)), min_size=1, max_size=4).map("".join)


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=SCRIPTS, value=VALUES)
def test_value_changes_nothing_but_itself(shell: str, text: str, value: str) -> None:
    template = Template("#!/bin/bash\n" + text if shell in BASHES else text)
    value = value.rstrip("\n") if "$(" in text else value
    try:
        ordinary, hostile = (template.render({"x": x}) for x in (TOKEN, value))
    except TemplateError:
        return
    with TemporaryDirectory() as name:
        directory = Path(name)
        expected = run(SHELLS[shell], SETTINGS + ordinary, directory)
        found = run(SHELLS[shell], SETTINGS + hostile, directory)
        assert not list(directory.rglob(CANARY)), hostile
    if not any(piece in text for piece in DEPENDS):
        assert found == expected.replace(TOKEN.encode(), value.encode()), hostile
