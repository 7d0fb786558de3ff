"""The command notices when PyPI's other `pdt` is installed over pdt-core, and what to do then works."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pdt.plugins import impostor
from tests.core.plugins.wheels import Environment, make_wheel, record_line

PACKAGE = Path(impostor.__file__).parents[1]
CHECK = "from pdt.plugins.impostor import check\nprint(check())"
FOREIGN = {"pdt/__init__.py": "", "pdt/vnpi.py": "print('not ours')\n"}


def ours() -> dict[str, str]:
    """Return as much of pdt-core as the check needs."""
    paths = ["__init__.py", "errors.py", "plugins/__init__.py", "plugins/impostor.py"]
    files = {f"pdt/{path}": (PACKAGE / path).read_text(encoding="utf-8") for path in paths}
    return {**files, "pdt/__init__.py": "__version__ = '0.1.0'\n"}


def lay(site: Path, info: str, files: dict[str, str], record: bool = True) -> None:
    """Put a distribution's files where pip would."""
    for path, text in {**files, f"{info}/METADATA": "x"}.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text, encoding="utf-8")
    if record:
        lines = [record_line(path, text) for path, text in files.items()]
        (site / info / "RECORD").write_text("\n".join([*lines, f"{info}/RECORD,,"]), encoding="utf-8")


def said(site: Path) -> str | None:
    """Return what the check says of an installation."""
    found = impostor.check(str(site / "pdt"))
    return None if found is None else str(found)


def test_the_package_under_test_is_our_own() -> None:
    assert impostor.check() is None


def test_it_is_noticed_and_mended_as_told(environment: Environment, tmp_path: Path) -> None:
    core = make_wheel(tmp_path, "pdt-core", "0.1.0", ours())
    other = make_wheel(tmp_path, "pdt", "0.8.2.8", FOREIGN)
    victim = Environment(tmp_path / "victim", environment)
    (victim.site / "lent.pth").unlink()
    victim.install(core)
    assert victim.run(CHECK).stdout == "None\n"
    victim.install(other)
    told = victim.run(CHECK).stdout.splitlines()
    assert told[0].startswith("another project's package (pdt-0.8.2.8) shares the folder ")
    assert told[1] == "fix: pip uninstall pdt && pip install --force-reinstall pdt-core"
    victim.uninstall("pdt")
    assert victim.run(CHECK).stdout.splitlines()[1] == "fix: pip install --force-reinstall pdt-core"
    victim.install("--force-reinstall", core)
    assert victim.run(CHECK).stdout == "None\n"


def test_it_is_noticed_when_it_came_first(tmp_path: Path) -> None:
    lay(tmp_path, "pdt-0.8.2.8.dist-info", FOREIGN)
    lay(tmp_path, "pdt_core-0.1.0.dist-info", ours())
    assert "(pdt-0.8.2.8) shares the folder" in str(said(tmp_path))


def test_an_egg_info_is_noticed(tmp_path: Path) -> None:
    lay(tmp_path, "pdt_core-0.1.0.dist-info", ours())
    lay(tmp_path, "pdt-0.8.2.8-py3.11.egg-info", {}, record=False)
    assert said(tmp_path) is None
    (tmp_path / "pdt-0.8.2.8-py3.11.egg-info" / "top_level.txt").write_text("pdt\ntests\n", encoding="utf-8")
    assert "pdt-0.8.2.8-py3.11" in str(said(tmp_path))


def test_another_distribution_that_wrote_over_our_files_is_named(tmp_path: Path) -> None:
    lay(tmp_path, "pdt_core-0.1.0.dist-info", ours())
    lay(tmp_path, "pandatools-3.dist-info", {"pdt/__init__.py": "", "pandatools.py": ""})
    lay(tmp_path, "innocent-3.dist-info", {"innocent/pdt/__init__.py": ""})
    assert str(said(tmp_path)).splitlines() == [
        f"another project's package (pandatools-3) shares the folder {tmp_path}/pdt with pdt-core",
        "fix: pip uninstall pandatools && pip install --force-reinstall pdt-core",
    ]


def test_our_own_packages_and_names_that_begin_alike_are_no_impostors(tmp_path: Path) -> None:
    lay(tmp_path, "pdt_core-0.1.0.dist-info", ours())
    lay(tmp_path, "pdt_s3-0.1.0.dist-info", {"pdt_s3/__init__.py": ""})
    lay(tmp_path, "pdtools-1.dist-info", {"pdtools/__init__.py": ""})
    assert said(tmp_path) is None


def test_an_install_without_a_record_is_not_suspected(tmp_path: Path) -> None:
    lay(tmp_path, "pdt_core-0.1.0.dist-info", ours(), record=False)
    assert said(tmp_path) is None


@pytest.mark.parametrize("text", ["", "__version__ = '1'\n# longer than ours\n"])
def test_a_file_that_is_not_ours_is_noticed(tmp_path: Path, text: str) -> None:
    lay(tmp_path, "pdt_core-0.1.0.dist-info", ours())
    (tmp_path / "pdt" / "__init__.py").write_text(text, encoding="utf-8")
    assert str(said(tmp_path)).splitlines() == [
        f"{tmp_path}/pdt/__init__.py is not the file that pdt-core installed",
        "fix: pip install --force-reinstall pdt-core",
    ]


def test_it_costs_next_to_nothing_among_many_distributions(tmp_path: Path) -> None:
    lay(
        tmp_path,
        "pdt_core-0.1.0.dist-info",
        {**ours(), **{f"pdt/room{number}.py": "x" for number in range(200)}},
    )
    for number in range(300):
        lay(tmp_path, f"other{number}-1.dist-info", {f"other{number}/__init__.py": ""})
    durations = []
    for _ in range(5):
        started = time.perf_counter()
        assert said(tmp_path) is None
        durations.append(time.perf_counter() - started)
    assert min(durations) < 0.003
