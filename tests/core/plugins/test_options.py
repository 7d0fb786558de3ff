"""Options are read from whatever describes them."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel, Field

from pdt.plugins.options import OptionInfo, options_of


class Model(BaseModel):
    """A model."""

    endpoint: str = Field(description="Where the store is.")
    pool: int = 32
    tags: list[str] = Field(default_factory=list, alias="labels")


@dataclasses.dataclass
class Plain:
    """A dataclass.

    :param path: where it lies,
        on this machine.
    :raises OSError: never.
    """

    path: str
    depth: int | None = None


class Varied:
    """A class whose constructor documents its own parameters."""

    def __init__(self, *children: object, first, second=b"x", **named: object) -> None:  # type: ignore[no-untyped-def]
        """Make one.

        :param first: comes first.
        """


def test_a_model_tells_its_fields() -> None:
    assert options_of(Model) == (
        OptionInfo("endpoint", "str", True, None, "Where the store is."),
        OptionInfo("pool", "int", False, "32", ""),
        OptionInfo("labels", "list[str]", False, "[]", ""),
    )


def test_a_dataclass_tells_its_fields() -> None:
    assert options_of(Plain) == (
        OptionInfo("path", "str", True, None, "where it lies, on this machine."),
        OptionInfo("depth", "int | None", False, "None", ""),
    )


def test_a_constructor_tells_its_parameters() -> None:
    assert options_of(Varied) == (
        OptionInfo("first", "", True, None, "comes first."),
        OptionInfo("second", "", False, "b'x'", ""),
    )
    assert [option.name for option in options_of(ThreadPoolExecutor)][:2] == [
        "max_workers",
        "thread_name_prefix",
    ]


def test_what_cannot_be_read_has_none() -> None:
    assert options_of(type) == ()
    assert options_of(42) == ()
