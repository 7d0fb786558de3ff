"""A pipeline's graph as SVG: layers from left to right, laid out without any other program."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from .graph import Drawing, Node

__all__ = ["layers_of", "svg"]

CHARACTER = 7.3
HEIGHT = 30
GAP = 22
COLUMN_GAP = 56
MARGIN = 16
SWEEPS = 4
STYLE = (
    "text{font:12px ui-monospace,monospace;text-anchor:middle;fill:#1f2328}"
    ".task{fill:#dbeafe;stroke:#2563eb}.repository{fill:#f6f8fa;stroke:#8b949e}"
    ".edge{fill:none;stroke:#8b949e}#arrow path{fill:#8b949e}"
)
ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
    'orient="auto"><path d="M0,0L8,4L0,8z"/></marker></defs>'
)


def layers_of(drawing: Drawing) -> list[list[str]]:
    """Return the nodes' keys by layer, each right of all that lead to it, edges that close a circle left aside."""
    successors: dict[str, list[str]] = {node.key: [] for node in drawing.nodes}
    for start, end in _without_circles(drawing):
        successors[start].append(end)
    depth = dict.fromkeys(successors, 0)
    incoming = dict.fromkeys(successors, 0)
    for ends in successors.values():
        for end in ends:
            incoming[end] += 1
    waiting = [key for key, count in incoming.items() if not count]
    while waiting:
        key = waiting.pop(0)
        for end in successors[key]:
            depth[end] = max(depth[end], depth[key] + 1)
            incoming[end] -= 1
            if not incoming[end]:
                waiting.append(end)
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for key, column in depth.items():
        layers[column].append(key)
    return _untangled(layers, drawing.edges)


def _without_circles(drawing: Drawing) -> list[tuple[str, str]]:
    """Return the edges that lead on in a depth-first walk, so that none leads back."""
    tasks = {node.key for node in drawing.nodes if node.is_task}
    edges = set(drawing.edges)
    successors: dict[str, list[str]] = {node.key: [] for node in drawing.nodes}
    for start, end in drawing.edges:
        # What a task both reads and writes stands behind it.
        if start in tasks or (end, start) not in edges:
            successors[start].append(end)
    kept: list[tuple[str, str]] = []
    seen: set[str] = set()
    above: dict[str, Iterator[str]] = {}
    for root in successors:
        waiting = [root] if root not in seen else []
        while waiting:
            key = waiting[-1]
            seen.add(key)
            for end in above.setdefault(key, iter(successors[key])):
                if end not in above:
                    kept.append((key, end))
                    if end not in seen:
                        waiting.append(end)
                        break
            else:
                del above[waiting.pop()]
    return kept


def _untangled(layers: list[list[str]], edges: list[tuple[str, str]]) -> list[list[str]]:
    """Order each layer by the mean place of what it is joined to."""
    neighbours: dict[str, list[str]] = {key: [] for layer in layers for key in layer}
    for start, end in edges:
        neighbours[start].append(end)
        neighbours[end].append(start)
    place = {key: index / max(len(layer), 1) for layer in layers for index, key in enumerate(layer)}
    for sweep in range(SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            layer.sort(key=lambda key: sum(map(place.__getitem__, neighbours[key])) / max(len(neighbours[key]), 1))
            place.update((key, index / len(layer)) for index, key in enumerate(layer))
    return layers


def svg(drawing: Drawing) -> str:
    """Return an SVG document."""
    nodes = {node.key: node for node in drawing.nodes}
    layers = layers_of(drawing)
    boxes: dict[str, tuple[float, float, float]] = {}
    tallest = max((len(layer) for layer in layers), default=0)
    x = float(MARGIN)
    for layer in layers:
        width = max(len(nodes[key].label) for key in layer) * CHARACTER + 24
        top = MARGIN + (tallest - len(layer)) * (HEIGHT + GAP) / 2
        for index, key in enumerate(layer):
            boxes[key] = (x, top + index * (HEIGHT + GAP), width)
        x += width + COLUMN_GAP
    full_width = max(x - COLUMN_GAP, MARGIN) + MARGIN
    full_height = 2 * MARGIN + max(tallest * (HEIGHT + GAP) - GAP, 0)
    size = f'width="{full_width:.0f}" height="{full_height}" viewBox="0 0 {full_width:.0f} {full_height}"'
    edges = [_edge(boxes[start], boxes[end]) for start, end in drawing.edges]
    found = [_box(nodes[key], *box) for key, box in boxes.items()]
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', f"<style>{STYLE}</style>", ARROW]
    return "\n".join([*head, *edges, *found, "</svg>", ""])


def _edge(start: tuple[float, float, float], end: tuple[float, float, float]) -> str:
    forward = start[0] < end[0]
    x1, y1 = start[0] + (start[2] if forward else 0), start[1] + HEIGHT / 2
    x2, y2 = end[0] + (0 if forward else end[2]), end[1] + HEIGHT / 2
    bend = (COLUMN_GAP / 2 + abs(x2 - x1) / 4) * (1 if forward else -1)
    # An edge that leads back runs a little lower, where it does not hide the one that leads on.
    drop = 0 if forward else HEIGHT / 4
    return (
        f'<path class="edge" marker-end="url(#arrow)" '
        f'd="M{x1:.1f},{y1 + drop:.1f}C{x1 + bend:.1f},{y1 + drop:.1f} {x2 - bend:.1f},{y2 + drop:.1f} '
        f'{x2:.1f},{y2 + drop:.1f}"/>'
    )


def _box(node: Node, x: float, y: float, width: float) -> str:
    kind, radius = ("task", 4) if node.is_task else ("repository", HEIGHT / 2)
    label, detail = (escape("".join(filter(str.isprintable, text))) for text in (node.label, node.detail))
    box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{HEIGHT}" rx="{radius}"'
    text = f'<text x="{x + width / 2:.1f}" y="{y + HEIGHT / 2:.1f}" dy=".35em">{label}</text>'
    return f'<g><title>{detail or label}</title><rect class="{kind}" {box}/>{text}</g>'
