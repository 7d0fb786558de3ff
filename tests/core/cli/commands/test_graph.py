"""`pdt graph`: the same graph in four languages."""

from __future__ import annotations

import json
import re
from xml.etree.ElementTree import XML, Element

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdt import FileRepository, GroupRepository, InProcessMetadataRepository, InProcessSyncTask, Pipeline
from pdt.cli.commands.graph import Drawing, Node, drawing_of
from pdt.cli.commands.graph_svg import layers_of, svg
from tests.core.cli.support import call

SVG = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> Element:
    return XML(text)


def drawn(pipeline: Pipeline, form: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert call(pipeline, "graph", "--format", form) == 0
    return capsys.readouterr().out


def test_json_names_tasks_repositories_and_edges(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(drawn(pipeline, "json", capsys))
    names = {node["id"]: node["name"] for node in found["nodes"]}
    assert {node["name"] for node in found["nodes"] if node["kind"] == "task"} == {"count", "make-report"}
    edges = {(names[edge["from"]], names[edge["to"]]) for edge in found["edges"]}
    assert edges == {
        ("count.input", "count"),
        ("count", "count.counts"),
        ("count", "count.done"),
        ("count.done", "count"),
        ("count.done", "make-report"),
        ("count.counts", "make-report"),
        ("make-report", "make-report.out"),
        ("make-report", "make-report.done"),
        ("make-report.done", "make-report"),
    }


def test_every_language_has_every_node_and_edge(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(drawn(pipeline, "json", capsys))
    mermaid = drawn(pipeline, "mermaid", capsys)
    dot = drawn(pipeline, "dot", capsys)
    assert mermaid.startswith("flowchart LR\n")
    assert (mermaid.count(" --> "), dot.count(" -> ")) == (len(found["edges"]), len(found["edges"]))
    for node in found["nodes"]:
        assert f'["{node["name"]}"]' in mermaid or f'[("{node["name"]}")]' in mermaid
        assert f'label="{node["name"]}"' in dot
    picture = parsed(drawn(pipeline, "svg", capsys))
    assert sorted(text.text or "" for text in picture.iter(f"{SVG}text")) == sorted(
        node["name"] for node in found["nodes"]
    )
    assert len(picture.findall(f"{SVG}path")) == len(found["edges"])


def test_text_that_could_be_markup_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    task = InProcessSyncTask("t", InProcessMetadataRepository(), func=lambda job: None)
    task.link("input", FileRepository('/tmp/<script>"x"&\x1b[31m'), is_input=True)
    pipeline = Pipeline([task], name="p")
    picture = parsed(drawn(pipeline, "svg", capsys))
    assert any("<script>" in (title.text or "") for title in picture.iter(f"{SVG}title"))
    dot = drawn(pipeline, "dot", capsys)
    assert "\x1b" not in dot
    assert re.search(r'tooltip="FileRepository\(.*<script>\\"x\\"&.*"\]', dot)


@st.composite
def drawings(draw: st.DrawFn) -> Drawing:
    """Draw any graph at all, circles and single nodes included."""
    count = draw(st.integers(0, 8))
    nodes = [Node(f"n{number}", draw(st.text(max_size=8)), draw(st.booleans())) for number in range(count)]
    ends = st.sampled_from([node.key for node in nodes]) if nodes else st.nothing()
    return Drawing(nodes, draw(st.lists(st.tuples(ends, ends), unique=True, max_size=20)) if nodes else [])


@settings(deadline=None)
@given(drawings())
def test_any_graph_is_drawn_whole(drawing: Drawing) -> None:
    layers = layers_of(drawing)
    assert sorted(key for layer in layers for key in layer) == sorted(node.key for node in drawing.nodes)
    picture = parsed(svg(drawing))
    assert len(picture.findall(f"{SVG}path")) == len(drawing.edges)
    boxes = [
        tuple(float(rect.attrib[name]) for name in ("x", "y", "width", "height")) for rect in picture.iter(f"{SVG}rect")
    ]
    for index, (x, y, width, height) in enumerate(boxes):
        for x2, y2, width2, height2 in boxes[:index]:
            assert x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=15))
def test_what_depends_stands_to_the_right(pairs: list[tuple[int, int]]) -> None:
    edges = sorted({(f"n{low}", f"n{high}") for low, high in pairs if low < high})
    drawing = Drawing([Node(f"n{number}", "", True) for number in range(7)], edges)
    column = {key: number for number, layer in enumerate(layers_of(drawing)) for key in layer}
    assert all(column[start] < column[end] for start, end in edges)


def test_a_part_that_no_task_is_linked_to_is_called_after_what_is_made_of_it() -> None:
    members, by = InProcessMetadataRepository(), InProcessMetadataRepository()
    task = InProcessSyncTask("task", InProcessMetadataRepository())
    task.link("groups", GroupRepository(members.map(str), by.map(str)), is_input=True)
    labels = {node.label for node in drawing_of(Pipeline([task])).nodes}
    assert {"task.groups", "task.groups.source", "task.groups.source.base", "task.groups.by.base"} <= labels
