"""YAML for flat records: what it writes is what any YAML reader gets, or it leaves the record to the emitter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from pdt.repository.flat_yaml import dump_flat_yaml
from pdt.task.record import success

TRICKY = ["yes", "No", "~", "null", "1e3", "0x10", "2020-01-01", "=", "<<", "1:30", "- a", "a: b", "# c", ".inf", "{}"]
PRINTABLE = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126))
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | PRINTABLE
    | st.sampled_from(TRICKY)
    | st.datetimes().map(lambda moment: moment.replace(tzinfo=UTC))
)
KEYS = st.text(max_size=8) | st.sampled_from(["result", "on", "start_time", "y", "Null", "true"])


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_what_is_written_is_read_back_with_its_types(data: dict[str, Any]) -> None:
    text = dump_flat_yaml(data)
    if text is not None:
        read = yaml.safe_load(text)
        assert read == data
        assert {key: type(value) for key, value in read.items()} == {key: type(value) for key, value in data.items()}


def test_the_records_of_jobs_are_flat() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    text = dump_flat_yaml(success(moment, moment))
    assert text is not None
    assert text.startswith("result: success\nsuccess: true\n")
    assert yaml.safe_load(text)["start_time"] == moment


def test_what_is_not_flat_is_left_to_the_emitter() -> None:
    for data in ({}, [1], {"a": [1]}, {"a": 1.5}, {1: "a"}, {"on": 1}, {"a": "é"}, {"a b": 1}):
        assert dump_flat_yaml(data) is None
