"""What a shell script sees of a value is exactly that value, or the template is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pdt.template import Template, TemplateError
from tests.core.template.places import FRAGMENTS, PLACES
from tests.core.template.shells import BASHES, CANARY, SHELLS, seen

VALUES = st.lists(st.sampled_from(FRAGMENTS), max_size=5).map("".join) | st.text(max_size=6)
TEMPLATES = {
    name: Template(f"#!/bin/bash\n{place.template}" if place.bash else place.template) for name, place in PLACES.items()
}
NUMBERS_ONLY = {"arithmetic", "numbers in a condition", "arithmetic command", "arithmetic loop"}
ORDINARY = ["/data/in/book-1.txt", "a b", "it's", "x", "", "é\n", "--opt=1", '"$HOME"', "`id`", "\\", "*", "~", "if"]

Job = tuple[str, str, str]


def rendered(job: Job) -> str | None:
    """Return the script of a place for two values, or None if it is refused."""
    name, x, y = job
    try:
        return TEMPLATES[name].render({"x": x, "y": y})
    except TemplateError:
        return None


def mismatches(shell: str, jobs: list[Job]) -> Sequence[object]:
    """Run the script of every job, all of them by one process if that goes well, and return what is seen wrongly."""
    scripts = {job: script for job in jobs if (script := rendered(job)) is not None}
    expected = {job: PLACES[job[0]].expected(*job[1:]) for job in scripts}
    together = "".join(f"( {script})\n" for script in scripts.values())
    if observed(shell, together) == [call for calls in expected.values() for call in calls]:
        return []
    wrong = [
        (job, script, found) for job, script in scripts.items() if (found := observed(shell, script)) != expected[job]
    ]
    return wrong or ["only together"]


def observed(shell: str, script: str) -> object:
    with TemporaryDirectory() as name:
        directory = Path(name)
        calls = seen(SHELLS[shell], script, directory)
        return CANARY if list(directory.rglob(CANARY)) else calls


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pairs=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=8))
@example(pairs=[(value, value) for value in [*FRAGMENTS, *ORDINARY]])
def test_script_sees_exactly_the_value(shell: str, pairs: list[tuple[str, str]]) -> None:
    places = [name for name, place in PLACES.items() if shell in BASHES or not place.bash]
    assert mismatches(shell, [(name, x, y) for name in places for x, y in pairs]) == []


@pytest.mark.parametrize("name", sorted(PLACES))
def test_place_takes_ordinary_values(name: str) -> None:
    for value in ["0", "-12", "123456789"] if name in NUMBERS_ONLY else ORDINARY:
        assert rendered((name, value, value)) is not None
