"""`pdt ls`: the jobs of a link, or of a set expression over several."""

from __future__ import annotations

from ...pipeline import Pipeline
from .. import exits, expression, output
from ..listing import list_repositories
from ..names import find_link

__all__ = ["ls"]


async def ls(pipeline: Pipeline, *, data: list[str], form: str | None = None) -> int:
    """Print the jobs of a set expression over links, a line each.

    :param data: the parts of the expression.
    :param form: Optional: table, json, jsonl, yaml or name.
    :raises ExpressionError: if it is no expression.
    :raises NotFoundError: if it names no link of the pipeline.
    :raises BackendError: if a link cannot be listed.
    """
    parsed = expression.parse(" ".join(data))
    repos = {link.name: find_link(pipeline, link.name).repo for link in parsed.links()}
    listing = await list_repositories(repos.values())
    jobs = sorted(parsed.evaluate(lambda name: listing.require(repos[name])))
    if form in (None, "name"):
        output.write("".join(f"{job}\n" for job in jobs))
    elif form == "table":
        output.emit(({"job": job} for job in jobs), "table", ("job",), "job")
    else:
        output.emit_value(jobs, str(form))
    return exits.OK
