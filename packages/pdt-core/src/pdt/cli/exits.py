"""The exit statuses of every command; docs/cli.md says what they mean."""

from __future__ import annotations

__all__ = ["BACKEND", "BUG", "FAILURE", "INTERRUPTED", "NOT_FOUND", "OK", "TIMED_OUT", "USAGE"]

OK = 0
FAILURE = 1
USAGE = 2
NOT_FOUND = 3
TIMED_OUT = 4
BACKEND = 5
BUG = 7
INTERRUPTED = 130
