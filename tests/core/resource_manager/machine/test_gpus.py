"""The cards that NVIDIA's library tells of: a made-up one, and the one of this machine."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from pdt.resource_manager.machine.gpus import Gpu, gpus, visible

CARDS = [Gpu("GPU-aa1", "V100", 16, 16), Gpu("GPU-ab2", "P40", 8, 4), Gpu("GPU-bc3", "P40", 9, 4)]


class Library(ModuleType):
    """NVIDIA's library, with some cards: name, free bytes and errors of each."""

    NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC = 1, 0

    class NVMLError(Exception):
        pass

    def __init__(self, cards: list[tuple[str | bytes, int, int | None]], fails: str = "") -> None:
        super().__init__("pynvml")
        self._cards, self._fails, self.ended = cards, fails, 0

    def _step(self, name: str) -> None:
        if name == self._fails:
            raise self.NVMLError(name)

    def nvmlInit(self) -> None:
        self._step("init")

    def nvmlShutdown(self) -> None:
        self.ended += 1

    def nvmlDeviceGetCount(self) -> int:
        self._step("count")
        return len(self._cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, card: int) -> str | bytes:
        return self._cards[card][0]

    def nvmlDeviceGetUUID(self, card: int) -> str:
        return f"GPU-{card}"

    def nvmlDeviceGetMemoryInfo(self, card: int) -> SimpleNamespace:
        return SimpleNamespace(free=self._cards[card][1])

    def nvmlDeviceGetTotalEccErrors(self, card: int, kind: int, counter: int) -> int:
        errors = self._cards[card][2]
        if errors is None:
            raise self.NVMLError("not supported")
        return errors


def test_cards_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library([("Tesla V100-SXM2", 100, 0), (b"NVIDIA P40", 50, None), ("Brand New 9000", 60, 3)])
    monkeypatch.setitem(sys.modules, "pynvml", library)
    assert gpus({}) == [
        Gpu("GPU-0", "Tesla V100-SXM2", 100, 16),
        Gpu("GPU-1", "NVIDIA P40", 50, 4),
        Gpu("GPU-2", "Brand New 9000", 60, 1, is_sound=False),
    ]
    assert library.ended == 1


@pytest.mark.parametrize("fails", ["init", "count"])
def test_a_library_that_fails_finds_none(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Library([("V100", 1, 0)], fails))
    assert gpus() == []


def test_without_the_library_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpus() == []


def test_this_machine_can_be_asked() -> None:
    pytest.importorskip("pynvml", reason="the extra pdt-core[gpu] is not installed")
    assert all(card.memory > 0 and card.slots > 0 for card in gpus())


@pytest.mark.parametrize(
    ("environ", "seen"),
    [
        ({}, [0, 1, 2]),
        ({"CUDA_VISIBLE_DEVICES": "all"}, [0, 1, 2]),
        ({"CUDA_VISIBLE_DEVICES": "2,0"}, [2, 0]),
        ({"CUDA_VISIBLE_DEVICES": "1", "NVIDIA_VISIBLE_DEVICES": "2"}, [1]),
        ({"NVIDIA_VISIBLE_DEVICES": "2"}, [2]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-ab2, GPU-b"}, [1, 2]),
        ({"CUDA_VISIBLE_DEVICES": "1,1"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-a"}, []),  # which of the two?
        ({"CUDA_VISIBLE_DEVICES": "0,3,1"}, [0]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, []),
        ({"NVIDIA_VISIBLE_DEVICES": "none"}, []),
    ],
)
def test_what_a_process_may_see(environ: dict[str, str], seen: list[int]) -> None:
    assert visible(CARDS, environ) == [CARDS[index] for index in seen]
