"""Links: every parameter of Task.link and Task.plug, and what is said of mistakes."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import pytest

import pdt
from pdt.errors import ConfigurationError
from pdt.link import Link
from pdt.repository.base import Repository


class Idle(pdt.Task):
    """A task that does nothing."""

    async def update(self) -> bool:
        return False

    async def launch(self, job: str) -> None:
        return None


def memory(*jobs: str) -> pdt.InProcessMetadataRepository:
    return pdt.InProcessMetadataRepository({job: {} for job in jobs})


DISPOSITIONS = (
    "is_input",
    "is_output",
    "is_status",
    "inhibits_start",
    "required_for_start",
    "inhibits_output",
    "required_for_output",
)
MAPPINGS = {
    "is_input": "input",
    "is_output": "output",
    "is_status": "status",
    "inhibits_start": "inhibits_start",
    "required_for_start": "required_for_start",
    "inhibits_output": "inhibits_output",
    "required_for_output": "required_for_output",
}


@pytest.mark.parametrize("disposition", DISPOSITIONS)
def test_each_disposition_is_its_own_mapping(disposition: str) -> None:
    task = Idle("task")
    repo, other = memory(), memory()
    task.link("one", repo, **{disposition: True})
    task.link("other", other)
    implied = {"is_input": "required_for_start", "is_output": "required_for_output"}.get(disposition)
    for name, mapping in MAPPINGS.items():
        expected = {"one": repo} if name in (disposition, implied) else {}
        assert getattr(task, mapping) == expected
        assert getattr(task.links["one"], name) is (name in (disposition, implied))
    assert task.links["other"] == Link(other)


@pytest.mark.parametrize(
    ("given", "default"), [("is_input", "required_for_start"), ("is_output", "required_for_output")]
)
def test_a_default_can_be_overruled_both_ways(given: str, default: str) -> None:
    task = Idle("task")
    flags: list[dict[str, Any]] = [{given: True, default: False}, {default: True}]
    task.link("off", memory(), **flags[0])
    task.link("on", memory(), **flags[1])
    assert list(getattr(task, default)) == ["on"]


def test_mappings_keep_the_order_of_linking() -> None:
    task = Idle("task")
    for name in ("b", "a", "c"):
        task.link(name, memory(), is_input=True)
    assert list(task.input) == ["b", "a", "c"]


def test_what_is_no_repository_cannot_be_linked() -> None:
    task = Idle("task")
    with pytest.raises(ConfigurationError, match=r"link task\.input is dict, not a repository\nfix: pass a Repository"):
        task.link("input", {}, is_input=True)  # type: ignore[arg-type]
    assert not task.links


def test_a_repository_that_compares_by_value_is_refused() -> None:
    @dataclass
    class Shelf(pdt.InProcessMetadataRepository):
        board: str = "a"

    with pytest.raises(ConfigurationError, match="a Shelf cannot be told from others of its kind") as caught:
        Idle("task").link("shelf", Shelf())
    assert "eq=False" in str(caught.value.fix)


@pytest.mark.parametrize("name", ["", "two words", "a-b", "a.b", "1st", 5, None])
def test_a_link_is_called_by_an_identifier(name: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot name a link of task 'task'\nfix: use a Python identifier"):
        Idle("task").link(name, memory())


@pytest.mark.parametrize("name", ["job"])
def test_a_name_that_bodies_get_otherwise_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="'job' cannot name a link of task 'task'"):
        Idle("task").link(name, memory())


def test_a_link_may_be_called_self() -> None:
    task = Idle("task")
    task.link("self", memory("a"), is_input=True)
    task.link("done", memory(), inhibits_start=True)
    assert isinstance(task.ready, pdt.BlockingRepository)


def test_two_links_of_one_name_are_refused_unless_they_are_the_same() -> None:
    task = Idle("task")
    first, second = memory(), memory("a")
    task.link("input", first, is_input=True)
    task.link("input", first, is_input=True)
    with pytest.raises(ConfigurationError, match=r"task 'task' has two links named 'input'.*\n?fix: give one of them"):
        task.link("input", second, is_input=True)
    with pytest.raises(ConfigurationError, match="has two links named 'input'"):
        task.link("input", first, is_output=True)
    assert task.links == {"input": Link(first, is_input=True, required_for_start=True)}


@pytest.mark.parametrize("name", ["", "a b", "-a", "a-", "a.b", "a/b", "x" * 64, "é", 3, None])
def test_a_task_is_called_by_letters_digits_underscores_and_dashes(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="cannot name a task"):
        Idle(name)


@pytest.mark.parametrize("name", ["a", "A-b_c", "2nd", "_private_", "x" * 63])
def test_a_good_name_is_kept(name: str) -> None:
    assert Idle(name).name == name


# Ready.


async def test_ready_is_what_is_required_without_what_inhibits() -> None:
    task = Idle("task")
    task.link("left", memory("a", "b", "c"), is_input=True)
    task.link("right", memory("b", "c", "d"), required_for_start=True)
    task.link("done", memory("c"), inhibits_start=True)
    task.link("live", memory("d"), inhibits_start=True)
    assert await task.ready.keys() == {"b"}
    assert not task.has_ready_override


async def test_ready_follows_links_that_are_added_later() -> None:
    task = Idle("task")
    task.link("input", memory("a", "b"), is_input=True)
    task.link("done", memory(), inhibits_start=True)
    assert await task.ready.keys() == {"a", "b"}
    task.link("held", memory("a"), inhibits_start=True)
    assert await task.ready.keys() == {"b"}


async def test_an_override_takes_the_place_of_what_links_say() -> None:
    override = memory("x")
    task = Idle("task", override)
    task.link("input", memory("a"), is_input=True)
    assert task.ready is override
    assert task.has_ready_override


def test_a_property_of_a_subclass_is_an_override() -> None:
    class Own(Idle):
        @property
        def ready(self) -> Repository:
            return repo

    repo = memory()
    assert Own("own").has_ready_override
    assert Own("own").ready is repo


def test_a_task_without_a_required_link_says_what_to_link() -> None:
    task = Idle("count")
    task.link("done", memory(), inhibits_start=True)
    with pytest.raises(
        ConfigurationError, match="task 'count' has no required link, so no job can ever start"
    ) as caught:
        _ = task.ready
    assert "is_input=True" in str(caught.value.fix)


def test_a_task_without_an_inhibiting_link_says_what_to_link() -> None:
    task = Idle("count")
    task.link("input", memory(), is_input=True)
    with pytest.raises(ConfigurationError, match="'count' has no link that inhibits its start") as caught:
        _ = task.ready
    assert "inhibits_start=True" in str(caught.value.fix)


def test_a_task_is_enabled_unless_it_is_said_to_be_disabled() -> None:
    assert not Idle("task").disabled
    assert Idle("task", disabled=True).disabled
    done = memory()
    assert pdt.InProcessSyncTask("task", done, disabled=True).disabled


# Plug.


def upstream(name: str = "count") -> Idle:
    """Return a task with a link of every sort that plug looks at."""
    task = Idle(name)
    task.link("source", memory(), is_input=True)
    task.link("words", memory(), is_output=True)
    task.link("report", memory(), is_output=True, required_for_output=False)
    task.link("live", memory(), is_status=True, inhibits_start=True, inhibits_output=True)
    task.link("done", memory(), is_status=True, inhibits_start=True, required_for_output=True)
    task.link("notes", memory())
    return task


def flags(link: Link) -> set[str]:
    return {name for name in DISPOSITIONS if getattr(link, name)}


def test_plug_links_outputs_as_inputs_and_carries_what_decides_over() -> None:
    first, second = upstream(), Idle("second")
    second.plug(first)
    assert {name: flags(link) for name, link in second.links.items()} == {
        "words": {"is_input", "required_for_start"},
        "report": {"is_input", "required_for_start"},
        "count_live": {"inhibits_start"},
        "count_done": {"required_for_start"},
    }
    assert second.links["words"].repo is first.links["words"].repo
    assert second.links["count_done"].repo is first.links["done"].repo


def test_plug_without_meta_takes_the_outputs_only() -> None:
    first, second = upstream(), Idle("second")
    second.plug(first, meta=False)
    assert list(second.links) == ["words", "report"]


def test_an_output_that_decides_about_others_is_linked_so() -> None:
    first, second = Idle("first"), Idle("second")
    first.link("lock", memory(), is_output=True, inhibits_output=True)
    second.plug(first)
    assert flags(second.links["lock"]) == {"is_input", "inhibits_start", "required_for_start"}


def test_outputs_that_are_left_out_are_not_linked_at_all() -> None:
    first, second = upstream(), Idle("second")
    second.plug(first, output_links=["words"])
    assert set(second.links) == {"words", "count_live", "count_done"}
    third = Idle("third")
    third.plug(first, output_links=())
    assert set(third.links) == {"count_live", "count_done"}
    fourth = Idle("fourth")
    fourth.plug(first, output_links=(name for name in ["report"]))
    assert set(fourth.links) == {"report", "count_live", "count_done"}


@pytest.mark.parametrize("unknown", ["wrods", "done", "source"])
def test_an_unknown_output_is_named_with_those_that_there_are(unknown: str) -> None:
    second = Idle("second")
    with pytest.raises(ConfigurationError) as caught:
        second.plug(upstream(), output_links=["words", unknown])
    assert f"task 'count' has no output '{unknown}' to plug into 'second'" in str(caught.value)
    assert "'words', 'report'" in str(caught.value.fix)
    assert not second.links


def test_two_outputs_of_one_name_name_both_tasks_and_the_fix() -> None:
    first, other, last = upstream("first"), upstream("other"), Idle("last")
    last.plug(first)
    with pytest.raises(ConfigurationError) as caught:
        last.plug(other)
    text = str(caught.value)
    assert "'other'" in text
    assert "'first'" in text
    assert "'words'" in text
    assert "output_links" in str(caught.value.fix)


def test_an_output_that_meets_a_link_of_its_own_is_refused() -> None:
    last = Idle("last")
    last.link("words", memory(), is_output=True)
    with pytest.raises(ConfigurationError, match="plugging 'count' into 'last': the link 'words' is there already"):
        last.plug(upstream())


def test_a_refused_plug_changes_nothing() -> None:
    last = Idle("last")
    last.link("report", memory(), is_output=True)
    with pytest.raises(ConfigurationError):
        last.plug(upstream())
    assert set(last.links) == {"report"}


def test_one_task_can_be_plugged_output_by_output() -> None:
    first, last = upstream(), Idle("last")
    last.plug(first, output_links=["words"])
    last.plug(first, output_links=["report"])
    assert set(last.links) == {"words", "report", "count_live", "count_done"}


@pytest.mark.parametrize(("name", "prefix"), [("a-b", "a_b"), ("2nd", "_2nd"), ("_x", "_x")])
def test_other_links_are_called_after_the_task_as_an_identifier(name: str, prefix: str) -> None:
    last = Idle("last")
    last.plug(upstream(name))
    assert {f"{prefix}_live", f"{prefix}_done"} < set(last.links)


async def test_a_translator_says_which_job_of_the_other_task_is_meant() -> None:
    first, second = Idle("first"), Idle("second")
    words, done, live = memory("x"), memory("x"), memory()
    first.link("words", words, is_output=True)
    first.link("done", done, is_status=True, inhibits_start=True, required_for_output=True)
    first.link("live", live, is_status=True, inhibits_start=True, inhibits_output=True)
    table = pdt.InProcessMetadataRepository({"a": "x", "b": "y"})
    second.plug(first, translator=table)
    second.link("own", memory(), inhibits_start=True)
    assert await second.ready.keys() == {"a"}
    related = second.links["words"].repo
    assert isinstance(related, pdt.RelatedItemRepository)
    assert isinstance(related, pdt.MetadataRepository)
    await related.delete("a")
    assert set(words.data) == {"x"}
    words.data["y"], done.data["y"] = {}, {}
    live.data["x"] = {}
    assert await second.ready.keys() == {"b"}


async def test_deletes_through_a_translation_can_be_allowed() -> None:
    first, second = Idle("first"), Idle("second")
    words = memory("x")
    first.link("words", words, is_output=True)
    second.plug(first, translator=pdt.InProcessMetadataRepository({"a": "x"}), translate_allow_deletes=True)
    await second.links["words"].repo.delete("a")
    assert not words.data


@pytest.mark.parametrize("prefetch", [True, False])
async def test_translations_are_loaded_together_or_one_by_one(prefetch: bool) -> None:
    class Counting(pdt.InProcessMetadataRepository):
        asked = 0
        listed = 0

        async def info(self, job: str) -> Any:
            type(self).asked += 1
            return await super().info(job)

        async def items(self) -> Any:
            type(self).listed += 1
            return dict(self.data)

    first, second = Idle("first"), Idle("second")
    first.link("words", memory("x", "y"), is_output=True)
    table = Counting({"a": "x", "b": "y", "c": "z"})
    second.plug(first, translator=table, translate_prefetch_lookup=prefetch)
    assert await second.links["words"].repo.keys() == {"a", "b"}
    assert (table.asked, table.listed) == ((0, 1) if prefetch else (3, 0))


def test_a_task_cannot_be_pickled_and_says_why() -> None:
    with pytest.raises(TypeError, match="task 'task' cannot be sent to another process: it is found there by its name"):
        pickle.dumps(Idle("task"))


def test_a_task_shows_its_kind_and_name() -> None:
    assert repr(Idle("count")) == "Idle('count')"
