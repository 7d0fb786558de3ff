"""The GPUs of this machine, as NVIDIA's management library tells."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Gpu", "gpus", "visible"]

logger = logging.getLogger("pdt.machine")

#: How many jobs a card of a model serves at once, roughly by its throughput; the first name that it bears counts.
SLOTS = {
    "A100": 24,
    "V100": 16,
    "P100": 8,
    "P40": 4,
    **dict.fromkeys(("GTX 1050", "GTX 1060", "GTX 1070", "GTX 1080", "TITAN X", "RTX 2080 Ti", "K80"), 2),
}
UNKNOWN_SLOTS = 1
#: The variables that say which cards a process may see; the first that is set counts.
VARIABLES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")


@dataclass(frozen=True)
class Gpu:
    """A card.

    :param uuid: tells it from every other.
    :param name: its model.
    :param memory: bytes that are free.
    :param slots: how many jobs it serves at once.
    :param is_sound: whether its memory has had no error that could not be mended.
    """

    uuid: str
    name: str
    memory: int
    slots: int
    is_sound: bool = True


def gpus(environ: Mapping[str, str] = os.environ) -> list[Gpu]:
    """Return the cards that this process may see; none where there is no driver, or no library to ask it."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        logger.debug("there are no GPUs: %s", error)
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        found = [_read(pynvml, handle) for handle in handles]
    except pynvml.NVMLError as error:
        logger.warning("the GPUs cannot be used: %s", error)
        return []
    finally:
        pynvml.nvmlShutdown()
    return visible(found, environ)


def _read(pynvml: Any, handle: Any) -> Gpu:
    name = _text(pynvml.nvmlDeviceGetName(handle))
    return Gpu(
        _text(pynvml.nvmlDeviceGetUUID(handle)),
        name,
        int(pynvml.nvmlDeviceGetMemoryInfo(handle).free),
        _slots(name),
        _is_sound(pynvml, handle),
    )


def _is_sound(pynvml: Any, handle: Any) -> bool:
    try:
        errors = pynvml.nvmlDeviceGetTotalEccErrors(
            handle, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC
        )
    except pynvml.NVMLError:
        return True  # a card that does not count them
    return not errors


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _slots(name: str) -> int:
    return next((slots for model, slots in SLOTS.items() if model in name), UNKNOWN_SLOTS)


def visible(found: Sequence[Gpu], environ: Mapping[str, str]) -> list[Gpu]:
    """Return those of the cards that the environment lets a process see, in the order in which it names them."""
    wanted = next((environ[name] for name in VARIABLES if name in environ), "all")
    if wanted.strip() == "all":
        return list(found)
    chosen: list[Gpu] = []
    for word in (word.strip() for word in wanted.split(",")):
        card = _named(found, word)
        if card is None:
            break  # as the driver does: what follows a name that it does not know is not seen either
        if card not in chosen:
            chosen.append(card)
    return chosen


def _named(found: Iterable[Gpu], word: str) -> Gpu | None:
    cards = list(found)
    if word.isdigit():
        return cards[int(word)] if int(word) < len(cards) else None
    alike = [card for card in cards if word and card.uuid.startswith(word)]
    return alike[0] if len(alike) == 1 else None
