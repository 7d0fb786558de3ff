"""The fast search finds what importlib.metadata finds, whatever lies on the path."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdt.plugins import discover
from pdt.plugins.discover import Entry
from tests.core.plugins.samples import EDITABLE
from tests.core.plugins.wheels import Environment, make_wheel
from tests.support.ordinary_user import AsOrdinaryUser

PLUGIN = "[console_scripts]\nx = y:z\n\n[pdt]\nname = module\n"

COMPARE = """
import json, sys
from pdt.plugins.discover import installed
found = installed()
fast = "importlib.metadata" not in sys.modules
from importlib.metadata import entry_points
points = entry_points(group="pdt")
expected = [(point.dist.name, point.dist.version, point.name, point.value) for point in points]
print(json.dumps([found, expected, fast]))
"""


def expected() -> list[Entry]:
    """Return what importlib.metadata says."""
    found = []
    for point in importlib.metadata.entry_points(group="pdt"):
        dist: Any = point.dist
        found.append(Entry(dist.name, dist.version, point.name, point.value))
    return found


def put(root: Path, info: str, entry_points: str | None = PLUGIN, metadata: str | None = None) -> None:
    """Write the metadata directory of a distribution."""
    name, _, version = info.rpartition(".")[0].partition("-")
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version or '0'}\n" if metadata is None else metadata
    folder = root / info
    folder.mkdir(parents=True)
    file = "METADATA" if info.lower().endswith(".dist-info") else "PKG-INFO"
    (folder / file).write_text(text, encoding="utf-8")
    if entry_points is not None:
        (folder / "entry_points.txt").write_text(entry_points, encoding="utf-8")


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return two empty folders, which are all that is searched."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    monkeypatch.setattr(sys, "path", [str(first), str(second)])
    # The backport importlib_metadata, which dask imports on Python 3.11, takes the place of the ordinary search.
    ordinary = [finder for finder in sys.meta_path if "importlib_metadata" not in type(finder).__module__]
    monkeypatch.setattr(sys, "meta_path", ordinary)
    finder: Any = importlib.machinery.PathFinder
    if not hasattr(finder, "find_distributions"):
        search = staticmethod(importlib.metadata.MetadataPathFinder.find_distributions)
        monkeypatch.setattr(finder, "find_distributions", search, raising=False)
    return first, second


@pytest.fixture
def no_importlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where importlib.metadata is asked."""

    def asked() -> list[Entry]:
        raise AssertionError("importlib.metadata was asked")

    monkeypatch.setattr(discover, "installed_by_importlib", asked)


@pytest.mark.parametrize("lookup", [[], ["shadow"], ["absent", "", "shadow"], ["shadow", "wheel"]])
def test_it_agrees_in_a_real_environment(environment: Environment, tmp_path: Path, lookup: Sequence[str]) -> None:
    shadow = tmp_path / "shadow"
    put(shadow, "pdt_good-9.dist-info", "[pdt]\nnewer = newer.plugin\n")
    put(shadow, "PDT.Broken-9.egg-info", None)
    wheel = make_wheel(tmp_path, "zipped-plugin", "4", {"zipped.py": ""}, "[pdt]\nzipped = zipped\n")
    places = {"shadow": str(shadow), "wheel": str(wheel), "absent": str(tmp_path / "absent"), "": ""}
    path = os.pathsep.join(places[place] for place in lookup)
    found, wanted, fast = environment.answer(COMPARE, {"PYTHONPATH": path} if path else {})
    assert found == wanted
    assert fast is ("wheel" not in lookup)
    assert [EDITABLE.dist, EDITABLE.version, "editable", "pdt_editable.plugin"] in found
    if "shadow" in lookup:
        assert ["pdt_good", "9", "newer", "newer.plugin"] in found
        assert not [entry for entry in found if entry[0] == "pdt-broken"]
    if "wheel" in lookup:
        assert ["zipped-plugin", "4", "zipped", "zipped"] in found


@pytest.mark.usefixtures("no_importlib")
def test_metadata_gives_name_and_version(roots: tuple[Path, Path]) -> None:
    text = "Summary: a\n  Name: folded\nname: My.Plugin\nVersion: 1.0-beta\n\nName: body\n"
    put(roots[0], "my_plugin-1.0b0.dist-info", metadata=text)
    assert discover.installed() == expected() == [Entry("My.Plugin", "1.0-beta", "name", "module")]


@pytest.mark.usefixtures("no_importlib")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[pdt]",
        "[pdt.x]\na = b\n",
        "[ pdt ]\na = b\n",
        "[[pdt]]\na = b\n",
        "a = pdt\n",
        "[x]\npdt = pdt\n[pdt]\n# a = b\n  c=d = e  \n[y]\nf = g\n[pdt]\nh = i [extra]\n",
        "[pdt]\r\na = b\r\n",
        "[pdt]\na = b\x85c = d\n",
    ],
)
def test_entry_points_are_read_as_importlib_reads_them(roots: tuple[Path, Path], text: str) -> None:
    put(roots[0], "plugin-1.dist-info", text)
    assert discover.installed() == expected()


@pytest.mark.usefixtures("no_importlib")
def test_oddities_on_the_path_are_passed_over(roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = roots
    put(first, "plugin-1.dist-info")
    put(second, "plugin-2.dist-info")
    put(first, "~ther-1.dist-info", "[pdt]\nother = other\n")
    (first / "file-1.egg-info").write_text("Name: file\nVersion: 1\n", encoding="utf-8")
    (first / "dangling-1.dist-info").symlink_to(first / "nowhere")
    (first / "folder-1.dist-info" / "entry_points.txt").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [*sys.path, str(first), str(first / "absent"), str(first / "plugin-1.dist-info")])
    assert sorted(discover.installed()) == sorted(expected())
    assert Entry("plugin", "1", "name", "module") in discover.installed()


@pytest.mark.usefixtures("no_importlib")
def test_a_distribution_without_readable_metadata_still_has_a_name(roots: tuple[Path, Path]) -> None:
    put(roots[0], "bare_plugin-1.0.dist-info")
    (roots[0] / "bare_plugin-1.0.dist-info" / "METADATA").unlink()
    assert discover.installed() == [Entry("bare_plugin", "1.0", "name", "module")]


@pytest.mark.usefixtures("no_importlib")
def test_text_that_is_not_utf8_breaks_only_its_own_plugin(roots: tuple[Path, Path]) -> None:
    put(roots[0], "latin-1.dist-info")
    (roots[0] / "latin-1.dist-info" / "entry_points.txt").write_bytes(b"[pdt]\na = caf\xe9\n")
    put(roots[0], "plain-1.dist-info")
    assert [entry.dist for entry in sorted(discover.installed())] == ["latin", "plain"]


def test_folders_that_may_not_be_read_are_passed_over(
    roots: tuple[Path, Path], as_ordinary_user: AsOrdinaryUser
) -> None:
    put(roots[0], "hidden-1.dist-info")
    put(roots[1], "seen-1.dist-info")
    roots[0].chmod(0)
    try:
        assert as_ordinary_user(discover.installed) == [Entry("seen", "1", "name", "module")]
    finally:
        roots[0].chmod(0o700)


@pytest.mark.parametrize("egg", ["legacy-1.0-py3.11.egg", "zipped.egg"])
def test_eggs_are_left_to_importlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, egg: str) -> None:
    text = "Metadata-Version: 1.0\nName: legacy\nVersion: 1.0\n"
    put(tmp_path / egg, "EGG-INFO", metadata=text)
    (tmp_path / egg / "EGG-INFO" / "PKG-INFO").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path / egg)])
    assert discover.installed() == expected() == [Entry("legacy", "1.0", "name", "module")]


def test_importers_with_distributions_of_their_own_are_asked(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(roots[1], "elsewhere-1.dist-info")
    monkeypatch.setattr(sys, "path", [str(roots[0])])

    class Importer:
        @staticmethod
        def find_spec(*_: object) -> None:
            return None

        @staticmethod
        def find_distributions(_: object = None) -> Iterable[importlib.metadata.Distribution]:
            where = importlib.metadata.DistributionFinder.Context(path=[str(roots[1])])
            return importlib.metadata.MetadataPathFinder.find_distributions(where)

    assert discover.installed() == []
    monkeypatch.setattr(sys, "meta_path", [Importer(), *sys.meta_path])
    assert discover.installed() == expected() == [Entry("elsewhere", "1", "name", "module")]


def test_damaged_metadata_of_others_does_not_stop_the_slow_search(roots: tuple[Path, Path]) -> None:
    put(roots[0], "plugin-1.dist-info")
    put(roots[0], "nameless-1.dist-info", "[x]\nno equals sign\n", metadata="")
    assert [entry.dist for entry in discover.installed_by_importlib()] == ["plugin"]


NAMES = st.sampled_from(["a", "A", "a-b", "A_B", "a.b", "_a", "b", "pdt", "c-"])
INFOS = st.builds(
    lambda name, version, suffix: f"{name.replace('-', '_')}-{version}{suffix}",
    NAMES,
    st.sampled_from(["1", "2.0"]),
    st.sampled_from([".dist-info", ".egg-info"]),
)
TEXTS = st.sampled_from([None, "", PLUGIN, "[pdt]\nother = module.plugin\n", "[pdt.more]\nx = y\n"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.dictionaries(INFOS, TEXTS, max_size=6), second=st.dictionaries(INFOS, TEXTS, max_size=6))
def test_it_agrees_on_any_tree(
    tmp_path_factory: pytest.TempPathFactory, first: dict[str, str | None], second: dict[str, str | None]
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    for root, infos in (("first", first), ("second", second)):
        (folder / root).mkdir()
        for info, text in infos.items():
            put(folder / root, info, text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(folder / "first"), str(folder / "second")])
        assert discover.installed() == expected()


def test_entries_are_plain_data(roots: tuple[Path, Path]) -> None:
    put(roots[0], "plugin-1.dist-info")
    assert json.loads(json.dumps(discover.installed())) == [["plugin", "1", "name", "module"]]


@pytest.mark.parametrize(
    ("name", "canonical"),
    [("Pdt_S3", "pdt-s3"), ("a.-_b", "a-b"), ("A", "a"), ("_a", "-a")],
)
def test_names_compare_as_indexes_compare_them(name: str, canonical: str) -> None:
    assert discover.canonical(name) == canonical
