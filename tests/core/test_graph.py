"""The graph leads through repositories that are computed from others."""

from __future__ import annotations

from pathlib import Path

import pdt


async def nothing(job: str) -> None:
    return None


def test_a_fan_in_connects_the_tasks_on_both_sides(tmp_path: Path) -> None:
    source, out = pdt.InProcessMetadataRepository(), pdt.InProcessMetadataRepository()
    by = pdt.InProcessMetadataRepository()
    first = pdt.InProcessSyncTask("first", pdt.InProcessMetadataRepository(), func=nothing)
    first.link("source", source, is_input=True)
    first.link("out", out, is_output=True)
    second = pdt.InProcessSyncTask("second", pdt.InProcessMetadataRepository(), func=nothing)
    groups = pdt.GroupRepository(out, by)
    second.link("groups", groups, is_input=True)
    pipeline = pdt.Pipeline([first, second], store=tmp_path)
    graph = pipeline.graph()
    assert graph.has_edge(out, groups)
    assert graph.has_edge(by, groups)
    assert second in list(pipeline.dependants(source, recursive=True))
