"""`pdt graph`: the tasks and the repositories between them, in several languages."""

from __future__ import annotations

import json
from typing import NamedTuple

from ...pipeline import Pipeline
from ...task.base import Task
from .. import exits, output

__all__ = ["Drawing", "Node", "drawing_of", "graph"]


class Node(NamedTuple):
    """A task or a repository.

    :param key: what the edges call it.
    :param label: what a reader sees.
    :param detail: the repository, as a person would name it.
    """

    key: str
    label: str
    is_task: bool
    detail: str = ""


class Drawing(NamedTuple):
    """The graph in names.

    :param edges: pairs of the nodes' keys, from what is read to what depends on it.
    """

    nodes: list[Node]
    edges: list[tuple[str, str]]


def graph(pipeline: Pipeline, *, format: str = "mermaid") -> int:
    """Print the graph of a pipeline.

    :param format: mermaid, dot, svg or json.
    """
    drawing = drawing_of(pipeline)
    if format == "svg":
        from .graph_svg import svg

        output.write(svg(drawing))
    else:
        output.write({"mermaid": _mermaid, "dot": _dot, "json": _json}[format](drawing))
    return exits.OK


def drawing_of(pipeline: Pipeline) -> Drawing:
    """Return the graph of a pipeline in names: a repository is called after the links to it, its writer's first.

    One that no task is linked to is called after what is made of it.
    """
    names: dict[object, list[str]] = {}
    for written in (True, False):
        for task in pipeline.tasks.values():
            for name, link in task.links.items():
                if (link.is_output or link.is_status) is written:
                    names.setdefault(link.repo, []).append(f"{task.name}.{name}")
    for repo in pipeline.repositories:  # what a repository is made of comes after it
        for number, part in enumerate(repo.parts):
            name = repo.children[number].name if number < len(repo.children) else "unless"
            names.setdefault(part, [f"{names[repo][0]}.{name}" if repo in names else name])
    found = pipeline.graph()
    keys: dict[object, str] = {}
    nodes = []
    for node in found.nodes:
        key = keys[node] = f"n{len(keys)}"
        if isinstance(node, Task):
            nodes.append(Node(key, node.name, True))
        else:
            nodes.append(Node(key, names[node][0], False, repr(node)))
    return Drawing(nodes, [(keys[start], keys[end]) for start, end in found.edges])


def _mermaid(drawing: Drawing) -> str:
    lines = ["flowchart LR"]
    for node in drawing.nodes:
        label = "".join(c if c.isalnum() or c in " ._-" else f"#{ord(c)};" for c in node.label)
        lines.append(f'    {node.key}["{label}"]' if node.is_task else f'    {node.key}[("{label}")]')
    lines += [f"    {start} --> {end}" for start, end in drawing.edges]
    return "\n".join([*lines, ""])


def _dot(drawing: Drawing) -> str:
    lines = ["digraph pipeline {", "    rankdir=LR;"]
    for node in drawing.nodes:
        shape = "box" if node.is_task else "cylinder"
        lines.append(
            f"    {node.key} [label={_dot_text(node.label)}, shape={shape}, tooltip={_dot_text(node.detail)}];"
        )
    lines += [f"    {start} -> {end};" for start, end in drawing.edges]
    return "\n".join([*lines, "}", ""])


def _dot_text(text: str) -> str:
    escaped = output.printable(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _json(drawing: Drawing) -> str:
    nodes = [
        {
            "id": node.key,
            "kind": "task" if node.is_task else "repository",
            "name": node.label,
            "detail": node.detail,
        }
        for node in drawing.nodes
    ]
    edges = [{"from": start, "to": end} for start, end in drawing.edges]
    return f"{json.dumps({'nodes': nodes, 'edges': edges}, indent=2)}\n"
