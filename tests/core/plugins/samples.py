"""Plugins of every sort, as strangers would write them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EDITABLE", "WHEELS", "Sample"]


class Sample(NamedTuple):
    """A distribution: its name, its version, its modules by path, and its entry_points.txt."""

    dist: str
    version: str
    files: dict[str, str]
    entry_points: str


GOOD = """
from pdt.plugins import BackendSpec, CommandSpec, hookimpl

PDT_API = 1

@hookimpl
def pdt_register_repositories():
    return [
        BackendSpec(
            "shelf",
            "pdt_good.store:Shelf",
            "Jobs on a shelf.",
            options="pdt_good.options:Options",
            capabilities=("paging",),
        ),
        BackendSpec("hollow", "pdt_good.hollow:Hollow", "Needs one.", requires=("hollow-driver[fast]>=2",)),
    ]

@hookimpl
def pdt_register_commands():
    return [CommandSpec("dust", "pdt_good.commands:dust", "Dust the shelf.")]

@hookimpl
async def pdt_job_finished(job, record):
    print("good saw", job, record["reason"])

@hookimpl
def pdt_should_launch(jobs):
    return {job: "it is fragile" for job in jobs if job.startswith("vase")}
"""

GOOD_STORE = '''
class Shelf:
    """A shelf.

    More about it.
    """
'''

GOOD_OPTIONS = '''
from dataclasses import dataclass

@dataclass
class Options:
    """What a shelf can be given.

    :param board: the board
        that jobs stand on.
    """

    board: str
    height: int = 3
'''


def registering(*names: str, api: str = "PDT_API = 1") -> str:
    """Return a plugin module that registers repositories."""
    specs = ", ".join(f'BackendSpec("{name}", "collections:OrderedDict", "Some {name}.")' for name in names)
    return (
        "from pluggy import HookimplMarker\nfrom pdt.plugins import BackendSpec\n"
        f"{api}\n@HookimplMarker('pdt')\ndef pdt_register_repositories():\n    return [{specs}]\n"
    )


def sample(dist: str, source: str, *, version: str = "1.0", group: str = "pdt") -> Sample:
    """Return a distribution of one plugin module."""
    module = dist.lower().replace("-", "_").replace(".", "_")
    files = {f"{module}/__init__.py": "", f"{module}/plugin.py": source}
    return Sample(dist, version, files, f"[{group}]\n{module.removeprefix('pdt_')} = {module}.plugin\n")


MISSPELT = """
from pdt.plugins import BackendSpec, hookimpl

PDT_API = 1

@hookimpl
def pdt_register_repositorys():
    return [BackendSpec("typo", "collections:OrderedDict", "Never registered.")]

def pdt_job_finishd(job):
    raise AssertionError("called")
"""

UNDRIVEN = "import hollow_driver\n"

WHEELS = [
    Sample(
        "pdt-good",
        "2.1",
        {
            "pdt_good/__init__.py": "",
            "pdt_good/plugin.py": GOOD,
            "pdt_good/store.py": GOOD_STORE,
            "pdt_good/options.py": GOOD_OPTIONS,
            "pdt_good/hollow.py": UNDRIVEN,
            "pdt_good/commands.py": "def dust():\n    print('dusted')\n",
        },
        "[console_scripts]\ngood = pdt_good.commands:dust\n\n[pdt]\ngood = pdt_good.plugin\n",
    ),
    sample("pdt-broken", "import there_is_no_such_module\n"),
    sample("pdt-ancient", registering("relic", api="PDT_API = 0")),
    sample("pdt-future", registering("flying-car", api="PDT_API = 2")),
    sample("pdt-misspelt", MISSPELT),
    sample("pdt-clash-one", registering("thing", "first-thing")),
    sample("pdt-clash-two", registering("thing")),
    sample("Stranger.Store", registering("s3", "file"), version="3"),
    sample("pdt-mongo", registering("mongo"), version="0.0.1"),
    sample("not-a-plugin", "raise SystemExit('imported')\n", group="pdt.other"),
]

EDITABLE = sample("pdt-editable", registering("draft"), version="0.1")
