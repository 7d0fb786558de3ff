"""Names of tasks and links on the command line, and what is suggested for those that lead nowhere."""

from __future__ import annotations

import pytest

from pdt import ConfigurationError, InProcessMetadataRepository, InProcessSyncTask, NotFoundError, Pipeline
from pdt.cli.names import find_link, find_task, links_of


def test_tasks_and_links_are_found(pipeline: Pipeline) -> None:
    assert find_task(pipeline, "count").name == "count"
    link = find_link(pipeline, "make-report.out")
    assert (str(link), link.repo) == ("make-report.out", pipeline.tasks["make-report"].links["out"].repo)


def test_an_underscore_may_stand_for_a_dash(pipeline: Pipeline) -> None:
    assert str(find_link(pipeline, "make_report.out")) == "make-report.out"


@pytest.mark.parametrize(
    ("name", "message", "fix"),
    [
        ("coutn", "there is no task 'coutn'", "did you mean count?"),
        ("zzz", "there is no task 'zzz'", "the tasks are: count, make-report"),
        ("zzz.input", "there is no task 'zzz'", "the tasks are: count, make-report"),
        ("count.inptu", "task 'count' has no link 'inptu'", "did you mean count.input?"),
        ("count.nope", "task 'count' has no link 'nope'", "its links are: count.done, count.input, count.counts"),
        ("count.zz.zz", "task 'count' has no link 'zz.zz'", "its links are: count.done, count.input, count.counts"),
        ("", "there is no task ''", "the tasks are: count, make-report"),
    ],
)
def test_what_is_not_there_is_guessed(pipeline: Pipeline, name: str, message: str, fix: str) -> None:
    with pytest.raises(NotFoundError) as raised:
        find_link(pipeline, name)
    assert (raised.value.message, raised.value.fix) == (message, fix)
    assert raised.value.exit_code == 3


def test_a_task_is_no_link(pipeline: Pipeline) -> None:
    with pytest.raises(ConfigurationError) as raised:
        find_link(pipeline, "count")
    assert raised.value.fix == "name one of its links: count.done, count.input, count.counts"


def test_links_are_in_the_order_of_the_status() -> None:
    task = InProcessSyncTask("t", InProcessMetadataRepository(), func=lambda job: None)
    for name in ("hidden", "output", "input"):
        task.link(name, InProcessMetadataRepository(), is_input=name == "input", is_output=name == "output")
    pipeline = Pipeline([task], name="p")
    assert [link.name for link in links_of(pipeline, all_repos=False)] == ["input", "done", "output"]
    assert [link.name for link in links_of(pipeline, all_repos=True)] == ["input", "done", "hidden", "output"]
