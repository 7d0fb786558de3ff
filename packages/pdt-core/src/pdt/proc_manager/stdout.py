"""What stands for "where standard output goes"."""

from __future__ import annotations

from typing import Final

__all__ = ["STDOUT", "StderrIsStdout"]


class StderrIsStdout:
    """Given for stderr: it goes where stdout goes, interleaved."""

    def __repr__(self) -> str:
        return "STDOUT"


STDOUT: Final = StderrIsStdout()
