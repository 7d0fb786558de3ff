"""Projects for the tests of the command line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdt import Pipeline
from pdt.cli import log
from tests.core.cli.support import TEXTS, make_pipeline, write_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the directory of a small project with the jobs a, b and d, of which d fails."""
    write_project(tmp_path, TEXTS)
    return tmp_path


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """Return a closed pipeline like the project's, with the same jobs."""
    write_project(tmp_path, TEXTS)
    return make_pipeline(tmp_path)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Take away the handler that a command leaves behind: its process is expected to end."""
    yield
    while log._current:
        logging.getLogger("pdt").removeHandler(log._current.pop())
    logging.getLogger("pdt").setLevel(logging.NOTSET)
