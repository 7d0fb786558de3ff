"""The dataclass behind Task.link, as the reference has it."""

from __future__ import annotations

from dataclasses import fields

import pdt


def test_a_link_has_the_fields_of_the_reference_in_their_order() -> None:
    assert [field.name for field in fields(pdt.Link)] == [
        "repo",
        "is_input",
        "is_output",
        "is_status",
        "inhibits_start",
        "required_for_start",
        "inhibits_output",
        "required_for_output",
    ]


def test_every_disposition_is_off_unless_it_is_asked_for() -> None:
    repo = pdt.InProcessMetadataRepository()
    link = pdt.Link(repo)
    assert link.repo is repo
    assert not any(getattr(link, field.name) for field in fields(link) if field.name != "repo")


def test_links_are_equal_where_repository_and_dispositions_are() -> None:
    repo = pdt.InProcessMetadataRepository()
    assert pdt.Link(repo, is_input=True) == pdt.Link(repo, is_input=True)
    assert pdt.Link(repo) != pdt.Link(repo, is_input=True)
    assert pdt.Link(repo) != pdt.Link(pdt.InProcessMetadataRepository())
