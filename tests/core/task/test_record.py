"""What is recorded of a job's end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pdt.task.record import MOST_FRAMES, DirectRecorder, failure, now, success
from tests.core.engine.samples import counting_task, memory

START = datetime(2024, 5, 6, tzinfo=UTC)
END = START + timedelta(seconds=3)


def caught(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as raised:
        return raised


def test_now_knows_its_time_zone() -> None:
    assert now().utcoffset() == timedelta(0)


def test_records_have_what_every_attempt_ends_with() -> None:
    for record in (success(START, END), failure(caught(ValueError("x")), START, END)):
        assert {"success", "reason", "start_time", "end_time", "attempt"} <= set(record)
        assert (record["start_time"], record["end_time"], record["attempt"]) == (START, END, 1)
    assert success(START, END)["success"] is True
    assert failure(ValueError(), START, END)["success"] is False


def test_a_failure_is_shown_as_text() -> None:
    record = failure(caught(ValueError("x")), START, END)
    assert record["exception"] == "ValueError('x')"
    assert record["traceback"][0].startswith("Traceback")
    assert record["traceback"][-1] == "ValueError: x\n"
    assert all(isinstance(line, str) for line in record["traceback"])


def test_half_surrogates_are_escaped() -> None:
    record = failure(caught(OSError("file \udcff")), START, END)
    "".join([record["exception"], *record["traceback"]]).encode()
    assert "\\udcff" in record["exception"]


def test_an_endless_recursion_leaves_a_short_traceback() -> None:
    def dig(depth: int) -> None:
        dig(depth + 1)

    try:
        dig(0)
    except RecursionError as error:
        record = failure(error, START, END)
    assert len(record["traceback"]) <= MOST_FRAMES + 2
    assert record["traceback"][-1].startswith("RecursionError")


async def test_the_direct_recorder_writes_at_once() -> None:
    task, done, _ = counting_task("task", memory())
    record = success(START, END)
    await DirectRecorder().record(task, done, "a", record)
    assert done.data == {"a": record}
