"""Records as YAML: what comes back, what is refused, and what hostile files can do: nothing."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml as yaml_package
from hypothesis import given, settings
from hypothesis import strategies as st

import pdt
from pdt.plain import DEEPEST, dumps, loads
from pdt.repository import yaml
from pdt.repository.yaml import dump_yaml, load_yaml
from tests.core.test_plain import VALUES, Colour, Number, Point, same
from tests.support.ordinary_user import AsOrdinaryUser


def there_and_back(value: Any) -> Any:
    return load_yaml(dump_yaml(value).encode(), "a store", "a")


def has_lone_surrogate(value: Any) -> bool:
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return any(map(has_lone_surrogate, [*value, *value.values()]))
    return isinstance(value, list | set) and any(map(has_lone_surrogate, value))


@given(VALUES)
def test_values_come_back_as_they_do_from_sqlite(value: Any) -> None:
    if has_lone_surrogate(value):
        with pytest.raises(TypeError, match=r"cannot be stored as YAML: .*surrogates not allowed"):
            dump_yaml(value)
    else:
        assert same(there_and_back(value), value)
        assert same(there_and_back(value), loads(dumps(value)))


@given(st.text() | st.text(st.sampled_from(" \n\t:#-'\"\\[]{}&*!|>%@`,?=~.0123456789eE+_xoabctfnyTFNY<")))
@settings(max_examples=200)
def test_every_text_comes_back(text: str) -> None:
    assert there_and_back({text: text, "list": [text]}) == {text: text, "list": [text]}


@pytest.mark.parametrize(
    "value", [(1, (2,)), Point(1, 2), Colour.RED, {Colour.RED: Number.ONE}, frozenset({1}), {}, None]
)
def test_subclasses_become_what_they_do_in_sqlite(value: Any) -> None:
    assert same(there_and_back(value), loads(dumps(value)))


def test_what_is_written_is_for_people() -> None:
    record = {"success": True, "reason": "na\u00efve", "lines": ["a: b", "c"], "count": 5}
    assert dump_yaml(record) == "success: true\nreason: na\u00efve\nlines:\n- 'a: b'\n- c\ncount: 5\n"


def test_shared_objects_are_written_out() -> None:
    shared = {"x": [1]}
    text = dump_yaml({"a": shared, "b": [shared, shared]})
    assert "&" not in text
    assert "*" not in text
    assert load_yaml(text.encode(), "", "") == {"a": shared, "b": [shared, shared]}


@pytest.mark.parametrize(
    "value", [object(), {"a": object()}, {(1,): 2}, {frozenset()}, {"n": 10**5000}, [10**5000], "\ud800"]
)
def test_what_is_not_plain_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be stored"):
        dump_yaml(value)


def test_the_deepest_that_can_be_stored_can_be_loaded() -> None:
    value: Any = 1
    for _ in range(DEEPEST // 2):
        value = {"a": [value]}
    assert there_and_back(value) == value
    with pytest.raises(TypeError, match="nested more than 100 levels deep"):
        dump_yaml([value])


# Hostile or broken files.


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [1, 2\nb: 3\n", "line 2, column 2: did not find expected ',' or ']'"),
        ("a: b: c", "line 1, column 5: mapping values are not allowed in this context"),
        ("\n\n\ta: 1", "line 3, column 1: found character that cannot start any token"),
        ("a: *missing", "line 1, column 4: found undefined alias"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: but found another document"),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor for the tag"),
        ("!!python/name:os.system", "could not determine a constructor for the tag"),
        ("!unknown x", "line 1, column 1: could not determine a constructor for the tag '!unknown'"),
        ("{? [a] : b}", "line 1, column 4: found unhashable key"),
        ("a: 2001-99-99", "month must be in 1..12"),
        ("a: !!timestamp then", "a value does not fit its tag"),
        ("a: !!bool maybe", "a value does not fit its tag"),
        ("a: !!int ''", "a value does not fit its tag"),
        ("a: !!float ''", "a value does not fit its tag"),
        ("a: 0000-01-01", "year 0 is out of range"),
        ("a: 2001-01-01T00:00:00+99:99", "offset must be"),
        (f"a: {'1' * 5000}", "digits"),
        (b"a: \xff", "invalid leading UTF-8 octet"),
        (b"a: \x00", "control characters are not allowed"),
        ("&a [*a]", "it contains itself"),
        ("&a {b: {c: *a}}", "it contains itself"),
        ("[" * 100_000, "nested too deeply"),
        ("{a: " * 100_000, "nested too deeply"),
        ("- " * 50_000, "nested too deeply"),
        ("? " * 50_000, "nested too deeply"),
        ("\n".join(" " * depth + "a:" for depth in range(2000)), "nested too deeply"),
        ("[" * 201 + "]" * 201, "nested too deeply"),
    ],
    ids=lambda value: ascii(value)[:30],
)
async def test_what_is_broken_says_where(tmp_path: Path, text: str | bytes, reason: str) -> None:
    repo = pdt.YamlMetadataFileRepository(tmp_path)
    (tmp_path / "a.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    await repo.dump("good", {"x": 1})
    with pytest.raises(pdt.CorruptRecordError) as caught:
        await repo.info("a")
    assert reason in str(caught.value)
    assert str(caught.value).startswith(f"record 'a' in {repo!r}, file {tmp_path / 'a.yaml'}, is corrupt: ")
    assert caught.value.message.count("\n") == 0
    items = await repo.items()
    assert items["good"] == {"x": 1}
    assert isinstance(items["a"], pdt.CorruptRecordError)
    with pytest.raises(pdt.CorruptRecordError, match="record 'a'"):
        await repo.info_all()


def bomb(levels: int, merge: bool) -> bytes:
    """Return a small text that stands for 9 ** levels values."""
    lines = ["a0: &a0 " + ("{x: 1}" if merge else "[x]")]
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} " + (f"{{<<: [{aliases}]}}" if merge else f"[{aliases}]"))
    return "\n".join(lines).encode()


@pytest.mark.parametrize("merge", [True, False])
def test_an_alias_bomb_does_not_go_off(merge: bool) -> None:
    start = time.process_time()
    with pytest.raises(pdt.CorruptRecordError, match="with its aliases it has more than 1000000 values"):
        load_yaml(bomb(30, merge), "a store", "a")
    assert time.process_time() - start < 1


def test_a_few_aliases_are_read() -> None:
    text = b"base: &base {x: 1, y: [1, 2]}\none:\n  <<: *base\n  x: 2\nlist: [*base, *base]\n"
    base = {"x": 1, "y": [1, 2]}
    assert load_yaml(text, "", "") == {"base": base, "one": {"x": 2, "y": [1, 2]}, "list": [base, base]}
    assert load_yaml(b"[" * 150 + b"]" * 150, "", "") != []
    assert load_yaml(b"a: '" + b"x" * 5000 + b"'", "", "") == {"a": "x" * 5000}


async def test_a_huge_file_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = pdt.YamlMetadataFileRepository(tmp_path)
    with (tmp_path / "a.yaml").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(pdt.CorruptRecordError, match="more than 16777216 bytes"):
        await repo.info("a")
    monkeypatch.setattr(yaml, "RECORD_LIMIT", 10)
    (tmp_path / "b.yaml").write_text("x" * 10)
    assert await repo.info("b") == "x" * 10


async def test_an_empty_file_is_null(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").touch()
    assert await pdt.YamlMetadataFileRepository(tmp_path).info("a") is None


def test_a_file_that_one_may_not_read_does_not_hide_the_others(
    tmp_path: Path, as_ordinary_user: AsOrdinaryUser
) -> None:
    repo = pdt.YamlMetadataFileRepository(tmp_path)
    for job in ("a", "b"):
        asyncio.run(repo.dump(job, 1))
    (tmp_path / "a.yaml").chmod(0)
    items = as_ordinary_user(lambda: asyncio.run(repo.items()))
    assert items["b"] == 1
    assert isinstance(items["a"], pdt.CorruptRecordError)
    assert "it cannot be read: Permission denied" in str(items["a"])
    with pytest.raises(PermissionError, match=r"a.yaml"):
        as_ordinary_user(lambda: asyncio.run(repo.info("a")))


# Parameters.


async def test_the_extension_has_its_dot_by_default(tmp_path: Path) -> None:
    repo = pdt.YamlMetadataFileRepository(filename=tmp_path / "in")
    await repo.validate()
    await repo.dump("a", {"x": 1})
    assert os.listdir(tmp_path / "in") == ["a.yaml"]
    other = pdt.YamlMetadataFileRepository(tmp_path / "in", ".yml")
    await other.dump("a", {"x": 2})
    assert sorted(os.listdir(tmp_path / "in")) == ["a.yaml", "a.yml"]
    assert (await repo.info("a"), await other.info("a")) == ({"x": 1}, {"x": 2})
    assert repr(repo) == f"YamlMetadataFileRepository('{tmp_path}/in', extension='.yaml')"


async def test_is_a_blob_and_a_metadata_repository(tmp_path: Path) -> None:
    repo = pdt.YamlMetadataFileRepository(tmp_path)
    assert isinstance(repo, pdt.BlobRepository)
    assert isinstance(repo, pdt.MetadataRepository)
    assert isinstance(repo, pdt.FileRepository)
    async with repo.open("a", "w") as stream:
        await stream.write("x: [1, 2]\n")
    assert await repo.info("a") == {"x": [1, 2]}
    await repo.dump("b", {"y": 1})
    async with repo.open("b") as text:
        assert await text.read() == "y: 1\n"
    assert repo.fullpath("a") == tmp_path / "a.yaml"


async def test_a_failed_dump_leaves_the_old(tmp_path: Path) -> None:
    repo = pdt.YamlMetadataFileRepository(tmp_path)
    await repo.dump("a", "old")
    with pytest.raises(TypeError):
        await repo.dump("a", {"x": object()})
    assert await repo.info("a") == "old"
    assert os.listdir(tmp_path) == ["a.yaml"]


def test_without_libyaml_it_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml_package, "CSafeLoader", raising=False)
    monkeypatch.delattr(yaml_package, "CSafeDumper", raising=False)
    yaml._dialect.cache_clear()
    try:
        value = {"a": [1, {"b": None}], 5: "x: y", "set": {1}}
        assert there_and_back(value) == value
        for text in (b"[" * 5000, bomb(30, merge=True), b"a: b: c"):
            with pytest.raises(pdt.CorruptRecordError):
                load_yaml(text, "a store", "a")
    finally:
        yaml._dialect.cache_clear()
