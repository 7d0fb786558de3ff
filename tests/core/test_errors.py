"""Errors: what they say, what they are, and that they survive a process pool."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import pdt
from pdt import errors

SAMPLES = [
    pdt.PdtError("what and where", fix="do this"),
    pdt.PdtError("what and where"),
    pdt.ConfigurationError("wrong", fix="right"),
    pdt.TaskConfigurationError("wrong"),
    pdt.NotFoundError("no such job", fix="look elsewhere"),
    pdt.UnlaunchableError("no such interpreter", fix="install it"),
    pdt.BackendError("store is away"),
    pdt.CorruptRecordError("a store", "job1", "line 3: it is broken"),
    pdt.HeldError("held"),
    pdt.InvalidJobIdError("../x", "it contains '/'"),
    pdt.InvalidJobIdError(b"x", "it is bytes, not text"),
    pdt.SessionNotOpenError("closed"),
    pdt.PipelineNotOpenError("closed"),
    pdt.PluginError("broken"),
    pdt.UnknownBackendError("unknown"),
]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_survives_pickling_and_copying(error: pdt.PdtError) -> None:
    error.add_note("while testing")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)
        assert other.args == error.args


def _raise(error: Exception) -> None:
    raise error


def test_crosses_a_process_pool() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as pool:
        for error in SAMPLES:
            with pytest.raises(type(error)) as caught:
                pool.submit(_raise, error).result()
            assert str(caught.value) == str(error)


def test_the_fix_stands_on_a_line_of_its_own() -> None:
    assert str(SAMPLES[0]) == "what and where\nfix: do this"
    assert str(SAMPLES[1]) == "what and where"


def test_a_corrupt_record_names_key_store_and_fix() -> None:
    error = pdt.CorruptRecordError("Store('x')", "job1", "line 3: it is broken")
    assert (error.store, error.job) == ("Store('x')", "job1")
    assert str(error) == (
        "record 'job1' in Store('x') is corrupt: line 3: it is broken\n"
        "fix: repair record 'job1', or remove it and write it anew; what needs it is tried again in the next run"
    )


def test_a_key_error_reads_like_the_others() -> None:
    assert str(pdt.InvalidJobIdError("../x", "it contains '/'")) == "'../x' is not a valid job id: it contains '/'"


@pytest.mark.parametrize(
    ("kind", "bases", "exit_code"),
    [
        (pdt.PdtError, (Exception,), 1),
        (pdt.ConfigurationError, (pdt.PdtError,), 2),
        (pdt.TaskConfigurationError, (pdt.ConfigurationError, NameError), 2),
        (pdt.NotFoundError, (pdt.PdtError, LookupError), 3),
        (pdt.BackendError, (pdt.PdtError,), 5),
        (pdt.CorruptRecordError, (pdt.PdtError, ValueError), 5),
        (pdt.HeldError, (pdt.PdtError,), 6),
        (pdt.InvalidJobIdError, (pdt.PdtError, KeyError, ValueError), 2),
        (pdt.SessionNotOpenError, (pdt.PdtError, RuntimeError), 1),
        (pdt.PipelineNotOpenError, (pdt.PdtError, RuntimeError), 1),
        (pdt.PluginError, (pdt.PdtError,), 2),
        (pdt.UnknownBackendError, (pdt.PluginError, LookupError), 3),
    ],
)
def test_can_be_caught_as(kind: type[pdt.PdtError], bases: tuple[type[Exception], ...], exit_code: int) -> None:
    assert all(issubclass(kind, base) for base in bases)
    assert kind.exit_code == exit_code


def test_every_error_is_covered_here() -> None:
    assert {type(error).__name__ for error in SAMPLES} == set(errors.__all__)
