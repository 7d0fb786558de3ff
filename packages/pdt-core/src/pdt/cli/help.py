"""The overall help, from the static table."""

from __future__ import annotations

from .invocation import Invocation
from .spec import GROUPS
from .table import COMMANDS

__all__ = ["overview"]

FILE = ("-f, --file PIPELINE", "FILE, FILE:ATTR or MODULE:ATTR; default: $PDT_FILE, else pipeline.py")
OPTIONS = (
    ("--debug", "show tracebacks and debug messages"),
    ("--version", "print the version"),
    ("-h, --help", "print this help, or that of a command"),
)


def overview(invocation: Invocation) -> str:
    """Return the help on all commands."""
    sections: list[tuple[str, list[tuple[str, str]]]] = []
    for group, title in GROUPS.items():
        rows = [(command.name, command.summary) for command in COMMANDS.values() if command.group == group]
        sections.append((title, rows))
    foreign = _foreign(invocation)
    if foreign:
        sections.append(("Added", foreign))
    sections.append(("Options", [*([FILE] if invocation.with_file else []), *OPTIONS]))
    width = max(len(term) for _, rows in sections for term, _ in rows)
    lines = [
        f"usage: {invocation.program} [OPTIONS] COMMAND [ARGUMENTS]",
        "",
        "Run keyed jobs over any storage and any machine.",
    ]
    for title, rows in sections:
        lines += ["", f"{title}:", *(f"  {term:{width}}  {text}".rstrip() for term, text in rows)]
    return "\n".join([*lines, "", f"{invocation.program} COMMAND --help says more of a command.", ""])


def _foreign(invocation: Invocation) -> list[tuple[str, str]]:
    """Return the commands of plugins or of the script, and what they are for."""
    if not invocation.with_file:
        return invocation.extra.summaries() if invocation.extra is not None else []
    from .foreign import foreign_commands

    return [(name, command.summary) for name, command in foreign_commands().items()]
