"""Every check of this repository by name: people and CI call the same sessions.

`nox` runs the default ones and `nox -l` lists all; `nox -s "tests(core, 3.12)" -- -k snapshot` runs one, and
passes what follows `--` to the program that it runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "typecheck", "tests", "tests_lowest", "docs", "build"]

ROOT = Path(__file__).parent
PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))
PYTHONS = ["3.11", "3.12", "3.13"]

# Folders of tests/ beside a package's own (tests/core for pdt-core) that need that package alone.
EXTRA_TESTS = {"pdt-core": ["tests/api"]}
# Such that take minutes: the first Python that is there runs them, for all.
LONG_TESTS = {"pdt-core": ["tests/chaos"]}

PYTEST_OPTIONS = ["-n", "auto", "--dist", "loadfile", "--hypothesis-profile", "steady"]


def runs(python: str) -> bool:
    """Tell whether an interpreter starts: a version manager's shim may be there and still refuse to."""
    try:
        return subprocess.run([python, "-c", ""], capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def interpreter(version: str) -> str | None:
    """Return what nox finds Python of this version by, or None where there is none."""
    name = f"python{version}"
    on_path = (shutil.which(name, path=folder) for folder in os.get_exec_path())
    if any(found and runs(found) for found in on_path):
        return version
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    installed = sorted(str(path) for path in pyenv.glob(f"versions/{version}.*/bin/{name}"))
    return next(filter(runs, installed), None)


INTERPRETERS = {version: interpreter(version) for version in PYTHONS}
FIRST_INTERPRETER = next(filter(None, INTERPRETERS.values()), None)


def short(package: str) -> str:
    return package.removeprefix("pdt-")


def source(package: str) -> str:
    return f"packages/{package}/src"


def requirement(package: str) -> str:
    """Return what installs a package from this workspace with all of its extras."""
    metadata = nox.project.load_toml(ROOT / "packages" / package / "pyproject.toml")
    extras = metadata["project"].get("optional-dependencies", {})
    return f"./packages/{package}" + (f"[{','.join(sorted(extras))}]" if extras else "")


def with_core(package: str) -> list[str]:
    return sorted({"pdt-core", package})


def group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(nox.project.load_toml(ROOT / "pyproject.toml"), name)


def existing(*paths: str) -> list[str]:
    """Return those of these files and folders that have Python in them."""
    return [path for path in paths if (ROOT / path).is_file() or any((ROOT / path).glob("**/*.py"))]


def tests_of(package: str) -> list[str]:
    return [f"tests/{short(package)}", *existing(*EXTRA_TESTS.get(package, []))]


def run_pytest(session: nox.Session, paths: list[str]) -> None:
    """Run pytest on the paths, or on those named after `--`."""
    named = any(argument.startswith("tests/") for argument in session.posargs)
    session.run("python", "-m", "pytest", *PYTEST_OPTIONS, *([] if named else paths), *session.posargs)


each_package = nox.parametrize("package", [nox.param(name, id=short(name)) for name in PACKAGES])
# One that is missing goes by its version, which nox says that it skips.
each_python = nox.parametrize(
    "python", [nox.param(INTERPRETERS[version] or version, id=version) for version in PYTHONS]
)


@nox.session
@each_python
@each_package
def tests(session: nox.Session, package: str) -> None:
    """Run a package's tests, with nothing of this workspace installed but it and the core."""
    session.install(*map(requirement, with_core(package)), *group("test"))
    long_tests = existing(*LONG_TESTS.get(package, [])) if session.python == FIRST_INTERPRETER else []
    run_pytest(session, [*long_tests, *tests_of(package)])


@nox.session
def tests_all(session: nox.Session) -> None:
    """Run every test with every package installed."""
    session.install(*map(requirement, PACKAGES), *group("test"))
    run_pytest(session, ["tests"])


@nox.session
@nox.parametrize("python", [nox.param(INTERPRETERS[PYTHONS[0]] or PYTHONS[0], id=PYTHONS[0])])
@each_package
def tests_lowest(session: nox.Session, package: str) -> None:
    """Run a package's tests with the lowest versions of its dependencies that it says it works with."""
    session.install("uv")
    install = ("uv", "pip", "install", "--python", f"{session.bin}/python")
    session.run(*install, "--resolution", "lowest-direct", *map(requirement, with_core(package)))
    frozen = session.run("uv", "pip", "freeze", "--python", f"{session.bin}/python", silent=True)
    # The test tools share dependencies with the package: they may not lift them.
    constraints = Path(session.virtualenv.location).resolve() / "lowest.txt"
    constraints.write_text("".join(line + "\n" for line in str(frozen).splitlines() if "==" in line))
    session.run(*install, "--constraints", str(constraints), *group("test"))
    run_pytest(session, tests_of(package))


@nox.session
def coverage(session: nox.Session) -> None:
    """Run every test under coverage and report the lines and branches that none reaches."""
    session.install(*map(requirement, PACKAGES), *group("test"))
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, the direction of the dependencies and the changelog fragments."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    roots = os.pathsep.join(str(ROOT / source(package)) for package in PACKAGES)
    session.run("lint-imports", "--no-cache", "--no-logo", env={"PYTHONPATH": roots})
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check the types of everything that is Python here."""
    editable = [argument for package in PACKAGES for argument in ("-e", requirement(package))]
    session.install(*editable, *group("typecheck"))
    session.run(
        "mypy",
        *map(source, PACKAGES),
        *existing("tests", "examples", "benchmarks", "noxfile.py"),
        *session.posargs,
    )


@nox.session
def docs(session: nox.Session) -> None:
    """Check that links, examples and generated pages of the documentation are right and fresh."""
    session.install(*map(requirement, PACKAGES), *group("docs"))
    run_pytest(session, ["tests/docs", *existing("tests/examples")])


@nox.session
def build(session: nox.Session) -> None:
    """Build sdists and wheels into dist/, and use them in an environment that has nothing else."""
    session.install("build")
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    for package in PACKAGES:
        session.run("python", "-m", "build", "--outdir", str(dist), f"packages/{package}")
    clean = Path(session.virtualenv.location).resolve() / "clean"
    session.run("python", "-m", "venv", "--clear", str(clean))
    python = str(clean / "bin" / "python")
    wheels = sorted(str(path) for path in dist.glob("*.whl"))
    session.run(python, "-m", "pip", "install", "--quiet", *wheels, external=True)
    session.chdir(dist)
    for package in PACKAGES:
        session.run(python, "-I", str(ROOT / "tests/support/import_all.py"), package, external=True)
    session.run(str(clean / "bin" / "pdt"), "--version", external=True)
    session.run(str(clean / "bin" / "pdt"), "plugins", external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what docs/performance.md says; arguments go to benchmarks/run.py (default: --quick)."""
    session.install(*map(requirement, PACKAGES), *group("bench"))
    session.run("python", "benchmarks/run.py", *(session.posargs or ["--quick"]))


@nox.session
def chaos(session: nox.Session) -> None:
    """Kill 1,000 controllers at random, and run what tests/chaos has at full size; arguments are --kills and --seed."""
    session.install(*map(requirement, PACKAGES), *group("test"))
    session.run("python", "-m", "tests.chaos.soak", *session.posargs)
    sized = ["tests/chaos/test_memory.py", "tests/chaos/test_scale.py"]
    session.run("python", "-m", "pytest", *sized, env={"PDT_CHAOS_FULL": "1"})
