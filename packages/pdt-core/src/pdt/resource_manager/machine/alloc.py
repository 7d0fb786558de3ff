"""Giving jobs their parts of a machine: everything that they ask for, or nothing."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from threading import Lock

from ...errors import PdtError
from ..resources import Resources
from .allocated import Allocated, Part
from .discovery import Amount, disk_at, memory, processors
from .gpus import Gpu, gpus
from .request import AllocRequest

__all__ = ["MachineResources", "Probe", "UnavailableError"]


class UnavailableError(PdtError):
    """A machine has not enough of something.

    :param shortfalls: everything that it has not enough of.
    """

    def __init__(self, shortfalls: Sequence[str]) -> None:
        super().__init__("; ".join(shortfalls), fix="wait until another job has ended, or ask for less")
        self.shortfalls = tuple(shortfalls)


@dataclass(frozen=True)
class Probe:
    """What tells what a machine has; each is asked once.

    :param processors: tells the cores.
    :param memory: tells the bytes of memory.
    :param disk: tells the bytes of a path's file system.
    :param gpus: tells the cards.
    """

    processors: Callable[[], Amount] = processors
    memory: Callable[[], Amount] = memory
    disk: Callable[[str], Amount] = disk_at
    gpus: Callable[[], Sequence[Gpu]] = gpus


class MachineResources:
    """Keeps account of what was given of this machine.

    What is left is what the machine had when this was made, less what was given: what a job uses of it does not count
    twice. Cards are given as a whole. All of it may be used from several threads.

    :param local_disk: a path on the file system that disk space is given of.
    :param probe: what tells what there is.
    :raises OSError: if there is nothing at the path.
    """

    def __init__(self, local_disk: str | os.PathLike[str] = ".", *, probe: Probe | None = None) -> None:
        probe = probe or Probe()
        self._lock = Lock()
        self._cpu = probe.processors().available
        self._mem = probe.memory().available
        self._disk = probe.disk(os.fspath(local_disk)).available
        self._cards = [card for card in probe.gpus() if card.is_sound]
        #: By token and kind.
        self._given: dict[tuple[str, str], tuple[Decimal, Decimal, tuple[Gpu, ...]]] = {}

    def alloc(self, request: AllocRequest, live: bool = True) -> Allocated:
        """Give everything that is asked for, or nothing.

        :param live: whether it is given; otherwise this only tells whether it would be.
        :raises UnavailableError: if there is not enough of something.
        """
        with self._lock:
            cards, shortfalls = self._choose(request)
            free = self._free()
            for what, wanted, left in (
                ("cores", request.max_cpu, free.cpu),
                ("bytes of memory", request.max_mem, free.mem),
                ("bytes of disk", request.max_disk, free.named.get("disk", 0)),
            ):
                if wanted > left:
                    shortfalls.append(f"{wanted} {what} are wanted, and {left} are left")
            if shortfalls:
                raise UnavailableError(shortfalls)
            token = uuid.uuid4().hex
            return Allocated(token, self._give(token, request, cards) if live else (), cards, self._give_back)

    def _give(self, token: str, request: AllocRequest, cards: tuple[Gpu, ...]) -> tuple[Part, ...]:
        parts = []
        if cards:
            self._given[token, "gpu"] = Decimal(0), Decimal(0), cards
            parts.append(Part("gpu", {"cards": [card.uuid for card in cards], "slots": sum(c.slots for c in cards)}))
        if request.max_cpu or request.max_mem:
            self._given[token, "cpu"] = Decimal(request.max_cpu), Decimal(request.max_mem), ()
            parts.append(Part("cpu", {"cores": request.max_cpu, "mem": request.max_mem}))
        if request.max_disk:
            self._given[token, "disk"] = Decimal(request.max_disk), Decimal(0), ()
            parts.append(Part("disk", {"bytes": request.max_disk}))
        return tuple(parts)

    def _give_back(self, token: str, kind: str) -> None:
        with self._lock:
            del self._given[token, kind]

    def fetch(self) -> Resources:
        """Return what is left, to compare a job's resources with: of GPUs the cards, and the most memory on one."""
        with self._lock:
            return self._free()

    def _free(self) -> Resources:
        cpu, mem, disk = self._cpu, self._mem, self._disk
        for (_, kind), (first, second, _) in self._given.items():
            if kind == "cpu":
                cpu, mem = cpu - first, mem - second
            elif kind == "disk":
                disk -= first
        cards = self._free_cards()
        named = {"disk": int(disk), "gpu": len(cards), "gpu_mem": max((card.memory for card in cards), default=0)}
        return Resources(cpu, mem, None, named=named)

    def _free_cards(self) -> list[Gpu]:
        given = {card.uuid for _, _, cards in self._given.values() for card in cards}
        return [card for card in self._cards if card.uuid not in given]

    def _choose(self, request: AllocRequest) -> tuple[tuple[Gpu, ...], list[str]]:
        """Return the cards for a request, or what there is not enough of."""
        if not request.wants_gpu:
            return (), []
        fitting = [
            card
            for card in self._free_cards()
            if card.memory >= request.max_gpu_mem and (not request.gpu_units or card.slots in request.gpu_units)
        ]
        cards = _least_waste(fitting, request.max_gpu, request.max_gpu_count)
        if cards is not None:
            return cards, []
        wanted = f"{request.max_gpu_count or 'some'} cards with {request.max_gpu} slots in all"
        units = f", of {' or '.join(map(str, request.gpu_units))} slots each" if request.gpu_units else ""
        left = f"{len(fitting)} such cards with {sum(card.slots for card in fitting)} slots are left"
        return (), [f"{wanted}{units} and {request.max_gpu_mem} bytes on each are wanted, and {left}"]


def _least_waste(cards: Sequence[Gpu], slots: int, count: int) -> tuple[Gpu, ...] | None:
    """Return the cards that have the slots with the fewest left over, of those the fewest and smallest cards.

    :param count: how many cards it has to be; 0 for any number.
    """
    # By number of cards and of slots; small cards come first, so that the first choice found is the one of small cards.
    choices: dict[tuple[int, int], tuple[Gpu, ...]] = {(0, 0): ()}
    for card in sorted(cards, key=lambda card: (card.slots, card.memory, card.uuid)):
        for (number, total), chosen in list(choices.items()):
            choices.setdefault((number + 1, total + card.slots), (*chosen, card))
    enough = [
        (total, number) for number, total in choices if number and total >= slots and (not count or number == count)
    ]
    if not enough:
        return None
    total, number = min(enough)
    return choices[number, total]
