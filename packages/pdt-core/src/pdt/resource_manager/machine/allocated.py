"""What a machine has given a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ...errors import PdtError
from .gpus import VARIABLES, Gpu

__all__ = ["Allocated", "ReleaseError"]


class ReleaseError(PdtError):
    """Something that was given cannot be given back; everything else was."""


@dataclass(frozen=True)
class Part:
    """Some of one kind of thing.

    :param kind: gpu, cpu or disk.
    :param amounts: what there is of it, for a log.
    """

    kind: str
    amounts: Mapping[str, object]


class Allocated:
    """What was given for one request, until it is released.

    :param token: tells it from every other.
    :param parts: what was given; nothing for a dry run.
    :param cards: the GPUs among it.
    :param give_back: takes the token and a kind, and frees it.
    """

    def __init__(
        self, token: str, parts: tuple[Part, ...], cards: tuple[Gpu, ...], give_back: Callable[[str, str], None]
    ) -> None:
        self.token = token
        self.cards = cards
        self._parts = parts
        self._give_back = give_back

    @property
    def environment(self) -> dict[str, str]:
        """The variables that show a job its cards, and no others; none if it has been given none."""
        return dict.fromkeys(VARIABLES, ",".join(card.uuid for card in self.cards)) if self.cards else {}

    def loggable(self) -> dict[str, object]:
        """Return what was given, for a log; nothing of a dry run."""
        return {"token": self.token} | {
            f"{part.kind}_{name}": amount for part in self._parts for name, amount in part.amounts.items()
        }

    def release(self) -> None:
        """Give everything back.

        :raises ReleaseError: if something was given back already; the rest is given back all the same.
        """
        errors = []
        for part in self._parts:
            try:
                self._give_back(self.token, part.kind)
            except KeyError:
                errors.append(f"the {part.kind} of allocation {self.token} is not held: it was released before")
        if errors:
            raise ReleaseError("; ".join(errors), fix="release an allocation once")
