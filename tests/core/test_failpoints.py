"""Failpoints: named, all of them in use, and nothing at all unless they are asked for."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import pdt
from pdt import failpoints

SOURCE = Path(pdt.__file__).parent


def passed_places() -> Counter[str]:
    """Return how often each place is passed in the source."""
    found: Counter[str] = Counter()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hit":
                (argument,) = node.args
                assert isinstance(argument, ast.Constant), f"{path}:{node.lineno}: not a literal"
                found[str(argument.value)] += 1
    return found


def passing(wanted: str, *names: str) -> subprocess.CompletedProcess[str]:
    """Pass places one after the other in a process of its own, which says which."""
    script = "\n".join(["from pdt.failpoints import hit", *(f"hit({name!r}); print({name!r})" for name in names)])
    environ = {**os.environ, failpoints.VARIABLE: wanted}
    return subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=30)


def test_every_place_is_named_once_and_every_name_is_a_place() -> None:
    places = passed_places()
    assert set(places) == set(failpoints.POINTS)
    assert [name for name, count in places.items() if count > 1] == []
    assert len(failpoints.POINTS) == len(set(failpoints.POINTS)) >= 60


def test_they_do_nothing_by_default() -> None:
    assert failpoints.VARIABLE not in os.environ
    assert failpoints.hit is failpoints._inert


def test_one_kills_at_the_third_time() -> None:
    ended = passing("spawn.locked=kill@3", *["spawn.locked"] * 4)
    assert ended.returncode == -9
    assert ended.stderr == "failpoint spawn.locked: kill\n"


def test_one_raises_once() -> None:
    script = (
        "from pdt.failpoints import FailpointError, hit\n"
        "for turn in range(3):\n"
        "    try:\n        hit('spawn.locked')\n"
        "    except FailpointError as error:\n        print(turn, error)\n"
    )
    environ = {**os.environ, failpoints.VARIABLE: "reap.begin=raise; spawn.locked=raise@2"}
    ended = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout) == (0, "1 spawn.locked\n")


def test_a_star_counts_all_of_them() -> None:
    ended = passing("*=kill@3", "reap.begin", "spawn.locked", "reap.begin")
    assert (ended.returncode, ended.stderr) == (-9, "failpoint reap.begin: kill\n")


def test_a_plus_counts_those_after_something_has_happened() -> None:
    script = (
        "from pdt.failpoints import FailpointError, hit\n"
        "hit('spawn.locked')\n"
        "try:\n    hit('reap.begin')\n"
        "except FailpointError:\n    hit('spawn.locked'), hit('again.end'), hit('reap.begin')\n"
    )
    environ = {**os.environ, failpoints.VARIABLE: "reap.begin=raise;+=kill@2"}
    ended = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stderr) == (-9, "failpoint reap.begin: raise\nfailpoint again.end: kill\n")


@pytest.mark.parametrize("wanted", ["nowhere=kill", "spawn.locked=explode", "spawn.locked"])
def test_what_is_none_is_refused(wanted: str) -> None:
    ended = passing(wanted)
    assert ended.returncode == 1
    assert f"PDT_FAILPOINTS: {wanted!r} is not NAME=ACTION@N" in ended.stderr
