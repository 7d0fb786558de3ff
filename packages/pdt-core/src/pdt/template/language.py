"""Which language a script is in, and how its values are written there."""

from __future__ import annotations

import re

from .errors import RefusedScript
from .quoting import beside_quotes, verbatim
from .script import Script

__all__ = ["SHELL", "lexed", "shell_of"]

SHELL = "shell"
SHELLS = frozenset({"sh", "bash", "dash", "ksh", "zsh"})
QUOTES = frozenset("'\"`")
SHEBANG = re.compile(r"#![ \t]*(?P<program>\S+)(?P<rest>[^\n]*)")


def shell_of(text: str) -> str | None:
    """Return the name of the shell that runs a script, or None if something else does."""
    if not text.startswith("#!"):
        return "sh"
    match = SHEBANG.match(text)
    if match is None:
        return None
    name = match["program"].rpartition("/")[2]
    if name == "env":
        words = [word for word in match["rest"].split() if not word.startswith("-") and "=" not in word]
        name = words[0].rpartition("/")[2] if words else ""
    return name if name in SHELLS else None


def lexed(text: str, placeholder: re.Pattern[str], language: str, shell: str | None) -> Script:
    """Find out how values are written at each placeholder of a script.

    :param shell: the shell, where the language is that of shells.
    :raises RefusedScript: they cannot be.
    """
    if language == SHELL:
        from .shell_commands import ShellScanner

        scanner = ShellScanner(text, placeholder, bash=shell not in ("sh", "dash", None))
        scanner.script()
        return Script(text, placeholder, scanner.places, scanner.documents)
    first_line = text.partition("\n")[0] if text.startswith("#!") else ""
    if match := placeholder.search(first_line):
        raise RefusedScript(match.start(), "a value cannot be a part of the #! line", "write the line out")
    places = {}
    for match in placeholder.finditer(text):
        neighbours = {text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]}
        places[match.start()] = beside_quotes if neighbours & QUOTES else verbatim
    return Script(text, placeholder, places)
