"""`pdt status`: how many jobs each link has."""

from __future__ import annotations

import sys
import time
from typing import Any

from ...pipeline import Pipeline
from .. import exits, output
from ..attempts import waiting_jobs
from ..listing import Listing, list_repositories
from ..names import LinkName, links_of
from ..oserrors import fix_of_text
from ..output import counted

__all__ = ["status"]

COLUMNS = ("task", "link", "kind", "jobs", "skipped", "problem")
#: Skipped keys that are named.
MOST_NAMED = 5


async def status(
    pipeline: Pipeline,
    *,
    all_repos: bool = False,
    watch: bool = False,
    interval: float = 2.0,
    form: str | None = None,
) -> int:
    """Print how many jobs each link has; a link that cannot be listed has `?`, and the reason is on stderr.

    :param all_repos: also links that are neither input, output nor status.
    :param watch: print it again and again.
    :param interval: seconds between two times.
    :param form: Optional: table, json, jsonl, yaml or name.
    """
    while True:
        result = await _print_once(pipeline, all_repos, form, clear=watch)
        if not watch:
            return result
        await _pause(interval)


async def _pause(seconds: float) -> None:
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        await asyncio.sleep(seconds)
    else:
        time.sleep(seconds)  # noqa: ASYNC251  there is no event loop


async def _print_once(pipeline: Pipeline, all_repos: bool, form: str | None, *, clear: bool) -> int:
    links = links_of(pipeline, all_repos)
    listing = await list_repositories(link.repo for link in links)
    await listing.look_closely()
    if clear and sys.stdout.isatty():
        output.write("\x1b[H\x1b[2J\x1b[3J")
    if form is None:
        _print_text(pipeline, links, listing)
    else:
        rows = [_row(link, listing) for link in links]
        output.emit(rows, form, COLUMNS, "name")
    output.flush()
    _print_remarks(links, listing, with_skipped=form not in ("json", "jsonl", "yaml"))
    for task in pipeline.tasks.values():
        waiting = await waiting_jobs(pipeline, task)
        if waiting:
            verb = "waits" if len(waiting) == 1 else "wait"
            output.note(f"{task.name}: {counted(len(waiting), 'job')} failed and {verb} to be tried again")
    failed = any(listing.failure(link.repo) is not None for link in links)
    return exits.BACKEND if failed else exits.OK


def _print_text(pipeline: Pipeline, links: list[LinkName], listing: Listing) -> None:
    for task in pipeline.tasks.values():
        output.write(f"{output.paint(task.name, 'bold', sys.stdout)}\n")
        for link in links:
            if link.task is task:
                keys = listing.keys(link.repo)
                count = output.paint("?", "red", sys.stdout) if keys is None else len(keys)
                output.write(f"{link} {count}\n")
        output.write("\n")


def _row(link: LinkName, listing: Listing) -> dict[str, Any]:
    keys = listing.keys(link.repo)
    dispositions = link.link
    kinds = {
        "input": dispositions.is_input,
        "output": dispositions.is_output,
        "status": dispositions.is_status,
    }
    skipped = listing.skipped(link.repo)
    return {
        "name": str(link),
        "task": link.task.name,
        "link": link.name,
        "kind": next((kind for kind, holds in kinds.items() if holds), "other"),
        "repository": repr(link.repo),
        "jobs": None if keys is None else len(keys),
        "skipped": len(skipped),
        "skipped_keys": [{"key": ascii(key), "reason": reason} for key, reason in list(skipped.items())[:MOST_NAMED]],
        "problem": listing.failure(link.repo),
    }


def _print_remarks(links: list[LinkName], listing: Listing, *, with_skipped: bool) -> None:
    """Say on stderr what could not be listed, and what was left out."""
    told = set()
    for link in links:
        if link.repo in told:
            continue
        told.add(link.repo)
        failure = listing.failure(link.repo)
        if failure is not None:
            output.fail_with(f"{link}: {link.repo!r} could not be listed: {failure}", fix_of_text(failure))
        skipped = listing.skipped(link.repo) if with_skipped else {}
        if skipped:
            some = list(skipped.items())[:MOST_NAMED]
            named = "; ".join(f"{key!a} ({reason})" for key, reason in some)
            more = f"; and {len(skipped) - len(some)} more" if len(skipped) > len(some) else ""
            output.note(f"skipped: {counted(len(skipped), 'key')} of {link}: {named}{more}")
