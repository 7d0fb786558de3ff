"""What is asked of a machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

__all__ = ["AllocRequest"]


@dataclass(frozen=True)
class AllocRequest:
    """What one job asks of a machine.

    :param max_cpu: cores.
    :param max_mem: bytes of memory.
    :param max_gpu: slots of GPUs, which are a measure of their throughput; whole cards are given for them.
    :param max_gpu_mem: bytes that are free on each card.
    :param max_gpu_count: cards; 0 for as many as the slots take.
    :param max_disk: bytes of disk.
    :param gpu_units: how many slots a card may have; empty for any number.
    :raises ValueError: if one of them is no whole number of at least 0.
    """

    max_cpu: int = 0
    max_mem: int = 0
    max_gpu: int = 0
    max_gpu_mem: int = 0
    max_gpu_count: int = 0
    max_disk: int = 0
    gpu_units: Sequence[int] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "gpu_units", tuple(self.gpu_units))
        for field in fields(self):
            value = getattr(self, field.name)
            for amount in value if field.name == "gpu_units" else (value,):
                if type(amount) is not int or amount < 0:
                    raise ValueError(f"{field.name} of a request is {amount!r}, not a whole number of at least 0")

    @property
    def wants_gpu(self) -> bool:
        """Whether it asks for any card."""
        return bool(self.max_gpu or self.max_gpu_mem or self.max_gpu_count)

    def loggable(self) -> dict[str, object]:
        """Return what it asks for, for a log."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
