"""Parts of a machine: all that is asked for or nothing, never more than there is, given back once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

import pdt
from pdt import AllocRequest, MachineResources
from pdt.resource_manager.machine.alloc import Probe, UnavailableError
from pdt.resource_manager.machine.allocated import Allocated, ReleaseError
from pdt.resource_manager.machine.discovery import Amount
from pdt.resource_manager.machine.gpus import Gpu

CARDS = (
    Gpu("GPU-0", "V100", 160, 16),
    Gpu("GPU-1", "P40", 80, 4),
    Gpu("GPU-2", "P40", 90, 4),
    Gpu("GPU-3", "K80", 40, 2),
    Gpu("GPU-4", "K80", 999, 2, is_sound=False),
)


def machine(cpu: str = "4", mem: int = 100, disk: int = 50, cards: Sequence[Gpu] = CARDS) -> MachineResources:
    """Return a machine that has so much."""

    def some(amount: Decimal) -> Amount:
        return Amount(amount, amount)

    probe = Probe(
        lambda: some(Decimal(cpu)), lambda: some(Decimal(mem)), lambda path: some(Decimal(disk)), lambda: cards
    )
    return MachineResources("/", probe=probe)


def uuids(given: Allocated) -> list[str]:
    return [card.uuid for card in given.cards]


def test_what_is_given_is_not_left_until_it_is_given_back() -> None:
    whole = machine()
    before = whole.fetch()
    assert before == pdt.Resources.parse(4, 100, disk=50, gpu=4, gpu_mem=160)
    given = whole.alloc(AllocRequest(max_cpu=3, max_mem=60, max_gpu=16, max_disk=20))
    assert whole.fetch() == pdt.Resources.parse(1, 40, disk=30, gpu=3, gpu_mem=90)
    assert pdt.Resources.parse(1, 40, 1, gpu=3).excess(whole.fetch()) is None
    assert pdt.Resources.parse(2, 40, 1).excess(whole.fetch()) is pdt.ResourceType.CPU
    given.release()
    assert whole.fetch() == before


def test_all_that_there_is_not_enough_of_is_said_and_nothing_is_given() -> None:
    whole = machine()
    whole.alloc(AllocRequest(max_cpu=2))
    before = whole.fetch()
    with pytest.raises(UnavailableError) as caught:
        whole.alloc(AllocRequest(max_cpu=3, max_mem=101, max_gpu=100, max_disk=51))
    assert caught.value.shortfalls == (
        "some cards with 100 slots in all and 0 bytes on each are wanted, and 4 such cards with 26 slots are left",
        "3 cores are wanted, and 2 are left",
        "101 bytes of memory are wanted, and 100 are left",
        "51 bytes of disk are wanted, and 50 are left",
    )
    assert whole.fetch() == before


def test_a_dry_run_gives_nothing_and_may_be_logged_and_released() -> None:
    whole = machine()
    before = whole.fetch()
    tried = whole.alloc(AllocRequest(max_cpu=4, max_gpu=1, max_disk=1), live=False)
    assert whole.fetch() == before
    assert tried.loggable() == {"token": tried.token}
    tried.release()
    tried.release()
    assert whole.fetch() == before
    with pytest.raises(UnavailableError):
        whole.alloc(AllocRequest(max_cpu=5), live=False)


def test_twice_given_back_is_an_error_that_names_all_of_it() -> None:
    whole = machine()
    other = whole.alloc(AllocRequest(max_cpu=1))
    given = whole.alloc(AllocRequest(max_cpu=1, max_gpu=1, max_disk=1))
    given.release()
    before = whole.fetch()
    with pytest.raises(ReleaseError) as caught:
        given.release()
    for kind in ("gpu", "cpu", "disk"):
        assert f"the {kind} of allocation {given.token} is not held" in str(caught.value)
    assert whole.fetch() == before
    other.release()


def test_what_was_given_can_be_logged_and_shown_to_a_job() -> None:
    request = AllocRequest(max_cpu=1, max_mem=2, max_gpu=8, max_gpu_count=2, max_disk=3)
    given = machine().alloc(request)
    assert given.loggable() == {
        "token": given.token,
        "gpu_cards": ["GPU-1", "GPU-2"],
        "gpu_slots": 8,
        "cpu_cores": 1,
        "cpu_mem": 2,
        "disk_bytes": 3,
    }
    assert given.environment == {"CUDA_VISIBLE_DEVICES": "GPU-1,GPU-2", "NVIDIA_VISIBLE_DEVICES": "GPU-1,GPU-2"}
    assert request.loggable()["max_gpu"] == 8
    assert machine().alloc(AllocRequest(max_cpu=1)).environment == {}


@pytest.mark.parametrize(
    ("request_", "cards"),
    [
        (AllocRequest(max_gpu=1), ["GPU-3"]),
        (AllocRequest(max_gpu=3), ["GPU-1"]),  # one slot left over, on the smaller of two alike
        (AllocRequest(max_gpu=6), ["GPU-3", "GPU-1"]),
        (AllocRequest(max_gpu=7), ["GPU-1", "GPU-2"]),
        (AllocRequest(max_gpu=11), ["GPU-0"]),  # all of the others have only ten
        (AllocRequest(max_gpu=1, gpu_units=[4, 16]), ["GPU-1"]),
        (AllocRequest(max_gpu=8, gpu_units=[16]), ["GPU-0"]),
        (AllocRequest(max_gpu=1, max_gpu_mem=81), ["GPU-2"]),
        (AllocRequest(max_gpu_mem=100), ["GPU-0"]),
        (AllocRequest(max_gpu_count=2), ["GPU-3", "GPU-1"]),
        (AllocRequest(max_gpu=10, max_gpu_count=3), ["GPU-3", "GPU-1", "GPU-2"]),
    ],
)
def test_cards_are_chosen_with_the_least_waste(request_: AllocRequest, cards: list[str]) -> None:
    assert uuids(machine().alloc(request_)) == cards


@pytest.mark.parametrize(
    "request_",
    [
        AllocRequest(max_gpu=27),
        AllocRequest(max_gpu_mem=161),  # the card that has more is broken
        AllocRequest(max_gpu=1, gpu_units=[3]),
        AllocRequest(max_gpu_count=5),
        AllocRequest(max_gpu=11, max_gpu_count=3, gpu_units=[2, 4]),
    ],
)
def test_cards_that_are_not_there(request_: AllocRequest) -> None:
    with pytest.raises(UnavailableError, match="such cards"):
        machine().alloc(request_)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), max_size=6), st.integers(0, 12), st.integers(0, 4))
def test_no_choice_wastes_less(kinds: list[tuple[int, int]], slots: int, count: int) -> None:
    cards = [Gpu(f"GPU-{index}", "x", memory, size) for index, (size, memory) in enumerate(kinds)]
    request = AllocRequest(max_gpu=slots, max_gpu_count=count, max_gpu_mem=1)
    sets = [
        chosen
        for size in ([count] if count else range(1, len(cards) + 1))
        for chosen in combinations(cards, size)
        if sum(card.slots for card in chosen) >= slots
    ]
    if not sets:
        with pytest.raises(UnavailableError):
            machine(cards=cards).alloc(request)
        return
    chosen = machine(cards=cards).alloc(request).cards
    best = min((sum(card.slots for card in found), len(found)) for found in sets)
    assert (sum(card.slots for card in chosen), len(chosen)) == best
    assert len({card.uuid for card in chosen}) == len(chosen)


def test_sixteen_cards_are_chosen_from_at_once() -> None:
    cards = [Gpu(f"GPU-{index}", "x", 10, 3 + index % 5) for index in range(16)]
    assert sum(card.slots for card in machine(cards=cards).alloc(AllocRequest(max_gpu=41)).cards) == 41


@pytest.mark.parametrize("name", ["max_cpu", "max_mem", "max_gpu", "max_gpu_mem", "max_gpu_count", "max_disk"])
@pytest.mark.parametrize("amount", [-1, 1.5, "1", True, None])
def test_bad_requests(name: str, amount: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} of a request is .*, not a whole number of at least 0"):
        AllocRequest(**{name: amount})
    with pytest.raises(ValueError, match="gpu_units of a request is"):
        AllocRequest(gpu_units=[1, amount])


def test_many_threads_never_get_more_than_there_is() -> None:
    whole = machine(cpu="3")
    barrier, granted = threading.Barrier(50), []

    def ask() -> None:
        barrier.wait()
        try:
            granted.append(whole.alloc(AllocRequest(max_cpu=1)))
        except UnavailableError:
            pass

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 3
    assert whole.fetch().cpu == 0


def test_this_machine_fits_itself(tmp_path: Path) -> None:
    whole = MachineResources(tmp_path)
    left = whole.fetch()
    given = whole.alloc(
        AllocRequest(
            max_cpu=int(left.cpu),
            max_mem=int(left.mem),
            max_disk=left.named.get("disk", 0),
            max_gpu_count=left.named.get("gpu", 0),
        )
    )
    assert whole.fetch().cpu < 1
    given.release()
    assert whole.fetch() == left


class Machine(RuleBasedStateMachine):
    """Gives and takes in any order."""

    given = Bundle("given")

    def __init__(self) -> None:
        super().__init__()
        self.whole = machine()
        self.held: list[tuple[AllocRequest, Allocated]] = []

    @rule(
        target=given,
        cpu=st.integers(0, 5),
        mem=st.integers(0, 120),
        disk=st.integers(0, 60),
        gpu=st.integers(0, 20),
    )
    def take(self, cpu: int, mem: int, disk: int, gpu: int) -> tuple[AllocRequest, Allocated] | None:
        request = AllocRequest(max_cpu=cpu, max_mem=mem, max_disk=disk, max_gpu=gpu)
        left = self.whole.fetch()
        fits = cpu <= left.cpu and mem <= left.mem and disk <= left.named.get("disk", 0)
        try:
            found = (request, self.whole.alloc(request))
        except UnavailableError:
            assert self.whole.fetch() == left
            assert not (fits and not gpu)
            return None
        assert fits
        self.held.append(found)
        return found

    @rule(found=consumes(given))
    def give(self, found: tuple[AllocRequest, Allocated] | None) -> None:
        if found is not None:
            found[1].release()
            self.held.remove(found)

    @invariant()
    def the_rest_is_what_was_not_given(self) -> None:
        left = self.whole.fetch()
        assert left.cpu == 4 - sum(request.max_cpu for request, _ in self.held) >= 0
        assert left.mem == 100 - sum(request.max_mem for request, _ in self.held) >= 0
        cards = [card.uuid for _, given in self.held for card in given.cards]
        assert len(cards) == len(set(cards))
        assert left.named.get("gpu", 0) == 4 - len(cards)


TestMachine = Machine.TestCase


def test_the_machine_is_a_quota(tmp_path: Path) -> None:
    quota = pdt.MachineResourceManager(tmp_path)
    assert quota.quota.cpu > 0
    assert quota.can_ever_fit(pdt.Resources.parse(1024, 1)) is pdt.ResourceType.CPU
    assert quota.can_ever_fit(pdt.Resources.parse("1m", 1)) is None
    assert isinstance(pdt.backend("resource-manager", "machine")(tmp_path), pdt.MachineResourceManager)
