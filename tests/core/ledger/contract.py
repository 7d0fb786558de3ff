"""What every ledger promises, as a test class: a subclass says how to make one."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import pytest

from pdt import Ledger

__all__ = ["BAD_KEYS", "GOOD_KEYS", "LedgerContract"]

GOOD_KEYS = [
    "a",
    "commit/count/job1",
    "a/b",
    "a/b/c",
    "a+",
    "a+/b",
    "a.b",
    "a..b",
    "...",
    ".hidden",
    "a~",
    "A",
    "a b",
    "a%2Fb",
    "a%b",
    "%61",
    "caf\u00e9",
    "cafe\u0301",
    "\U0001f600" * 225,
    "x" * 900,
    "x" * 899 + "y",
    "x" * 200,
    "x" * 201,
    "/".join(["x" * 10] * 81),
    "-rf",
    "$(id)",
    "'; DROP TABLE ledger; --",
    "*",
    "_",
    "%",
    "\\",
    "CON",
    "\u2028",
    "\ufeff",
    ".pdt-tmp-x",
    "lock/" + "y" * 300 + "/z",
]

BAD_KEYS: list[Any] = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/..",
    "../a",
    "a/./b",
    "a\nb",
    "a\0b",
    "a\tb",
    "\x7f",
    "x" * 901,
    "\U0001f600" * 226,
    "\ud800",
    "a\udcffb",
    None,
    5,
    b"a",
    ["a"],
]


class LedgerContract(ABC):
    """A ledger that is empty at first."""

    rounds = 20

    @pytest.fixture
    @abstractmethod
    def ledger(self, tmp_path: Path) -> Ledger: ...

    async def test_is_empty_at_first(self, ledger: Ledger) -> None:
        assert await ledger.list() == []
        assert await ledger.list("a") == []
        assert await ledger.get("a") is None
        assert await ledger.delete("a") is False

    async def test_the_first_insert_wins_and_stays(self, ledger: Ledger) -> None:
        assert await ledger.insert("a", {"by": 1}) is True
        assert await ledger.insert("a", {"by": 2}) is False
        assert await ledger.insert("a", {"by": 1}) is False
        assert await ledger.get("a") == {"by": 1}
        assert await ledger.list() == ["a"]

    async def test_a_deleted_key_is_free_again(self, ledger: Ledger) -> None:
        await ledger.insert("a", {"by": 1})
        assert await ledger.delete("a") is True
        assert await ledger.delete("a") is False
        assert await ledger.get("a") is None
        assert await ledger.list() == []
        assert await ledger.insert("a", {"by": 2}) is True
        assert await ledger.get("a") == {"by": 2}

    async def test_values_come_back(self, ledger: Ledger) -> None:
        value = {"n": None, "list": [1, 2.5, "x"], "nested": {"$pdt": 1, "\u00e9": "\U0001f600"}, "": True}
        await ledger.insert("a", value)
        assert await ledger.get("a") == value
        await ledger.insert("b", {})
        assert await ledger.get("b") == {}

    async def test_an_entry_is_a_copy(self, ledger: Ledger) -> None:
        value = {"list": [1]}
        await ledger.insert("a", value)
        value["list"].append(2)
        entry = await ledger.get("a")
        assert entry == {"list": [1]}
        entry["list"].append(3)
        assert await ledger.get("a") == {"list": [1]}

    async def test_long_and_hostile_keys_are_kept_apart(self, ledger: Ledger) -> None:
        for number, key in enumerate(GOOD_KEYS):
            assert await ledger.insert(key, {"number": number}) is True, key
        assert await ledger.list() == sorted(GOOD_KEYS)
        for number, key in enumerate(GOOD_KEYS):
            assert await ledger.get(key) == {"number": number}, key
            assert await ledger.insert(key, {}) is False, key
        for key in GOOD_KEYS[::2]:
            assert await ledger.delete(key) is True, key
        assert await ledger.list() == sorted(GOOD_KEYS[1::2])

    async def test_lists_by_prefix(self, ledger: Ledger) -> None:
        keys = ["a", "a/b", "a/b/c", "ab", "b/a", "a%", "a_", "A/b", "\u00e9/x", "\U0001f600/x"]
        for key in keys:
            await ledger.insert(key, {})
        for prefix in [
            "",
            "a",
            "a/",
            "a/b",
            "a/b/",
            "b",
            "a%",
            "a_",
            "A",
            "\u00e9",
            "\U0001f600",
            "z",
            "/",
            "../",
            "*",
        ]:
            assert await ledger.list(prefix) == sorted(key for key in keys if key.startswith(prefix)), prefix

    async def test_refuses_what_is_no_key_and_keeps_nothing(self, ledger: Ledger) -> None:
        for key in BAD_KEYS:
            for operation in (ledger.insert(key, {}), ledger.get(key), ledger.delete(key)):
                with pytest.raises(ValueError, match="cannot be a ledger key: 1 to 900 bytes") as caught:
                    await operation
                assert len(str(caught.value)) < 250
                str(caught.value).encode()
        assert await ledger.list() == []

    async def test_refuses_what_is_no_mapping_of_plain_data(self, ledger: Ledger) -> None:
        for value in (None, 5, "text", [("a", 1)], {"a": object()}, {"a": {(1,): 2}}):
            with pytest.raises(TypeError, match="cannot be"):
                await ledger.insert("a", value)  # type: ignore[arg-type]
        assert await ledger.list() == []

    async def test_of_fifty_at_once_one_wins(self, ledger: Ledger) -> None:
        for attempt in range(self.rounds):
            won: list[int] = []

            async def insert(number: int, won: list[int] = won, key: str = f"claim/{attempt}") -> None:
                if await ledger.insert(key, {"by": number}):
                    won.append(number)

            async with asyncio.TaskGroup() as group:
                for number in range(50):
                    group.create_task(insert(number))
            assert len(won) == 1
            assert await ledger.get(f"claim/{attempt}") == {"by": won[0]}

    async def test_of_many_that_delete_one_did(self, ledger: Ledger) -> None:
        await ledger.insert("a", {})
        results = []

        async def delete() -> None:
            results.append(await ledger.delete("a"))

        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(delete())
        assert results.count(True) == 1

    async def test_many_are_inserted_at_once_and_the_taken_ones_stay(self, ledger: Ledger) -> None:
        await ledger.insert("b", {"by": 1})
        entries = {key: {"by": 2} for key in ("a", "b", "c/d", "\u00e9")}
        assert await ledger.insert_all(entries) == {"a", "c/d", "\u00e9"}
        assert await ledger.insert_all(entries) == set()
        assert await ledger.insert_all({}) == set()
        assert await ledger.items() == {**entries, "b": {"by": 1}}

    async def test_of_two_that_insert_many_each_key_has_one_winner(self, ledger: Ledger) -> None:
        keys = [f"claim/{number}" for number in range(self.rounds)]
        async with asyncio.TaskGroup() as group:
            won = [group.create_task(ledger.insert_all({key: {"by": by} for key in keys})) for by in range(4)]
        assert sorted(key for each in won for key in each.result()) == sorted(keys)
        for by, each in enumerate(won):
            assert {key for key, entry in (await ledger.items()).items() if entry["by"] == by} == each.result()

    async def test_a_bad_key_or_value_among_many_is_refused(self, ledger: Ledger) -> None:
        with pytest.raises(ValueError, match="cannot be a ledger key"):
            await ledger.insert_all({"..": {}})
        with pytest.raises(TypeError, match="cannot be"):
            await ledger.insert_all({"a": object()})  # type: ignore[dict-item]
        with pytest.raises(ValueError, match="cannot be a ledger key"):
            await ledger.delete_all([""])
        assert await ledger.list() == []

    async def test_items_are_those_of_the_keys_with_a_prefix(self, ledger: Ledger) -> None:
        entries = {key: {"key": key} for key in ("a", "a/b", "a/b/c", "ab", "b/a", "a%", "a_", "A/b", "\u00e9/x")}
        await ledger.insert_all(entries)
        for prefix in ("", "a", "a/", "a/b", "a_", "A", "\u00e9", "z", "*", "%"):
            assert await ledger.items(prefix) == {key: entries[key] for key in entries if key.startswith(prefix)}
            assert list(await ledger.items(prefix)) == await ledger.list(prefix)

    async def test_many_are_deleted_at_once(self, ledger: Ledger) -> None:
        await ledger.insert_all({key: {} for key in ("a", "b", "c")})
        await ledger.delete_all(["a", "never", "c", "a"])
        await ledger.delete_all([])
        assert await ledger.list() == ["b"]
        assert await ledger.insert_all({"a": {}, "b": {}}) == {"a"}

    async def test_is_used_again_after_it_was_closed(self, ledger: Ledger) -> None:
        await ledger.insert("a", {"by": 1})
        ledger.close()
        ledger.close()
        assert await ledger.get("a") == {"by": 1}
        assert await ledger.insert_all({"a": {}, "b": {}}) == {"b"}
