"""The filters that a template has beside Jinja's own."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Undefined

from .errors import Refused
from .values import Raw, Written, text_of

__all__ = ["FILTERS"]

MOST_NODES = 1_000_000
LABEL_LENGTH = 63
DIGEST_LENGTH = 16
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
# A text that ends as ours do is hashed as well: else it could be the name of another one.
DIGESTED = re.compile(rf".*-[0-9a-f]{{{DIGEST_LENGTH}}}")
# Characters that mean something inside the quotes of other languages. JSON has them inside strings only.
ESCAPED_IN_JSON = str.maketrans({char: f"\\u{ord(char):04x}" for char in "'`$@#<>&\x7f"})


def plain(value: object) -> Any:
    """Return a value as nothing but dicts, lists, texts, numbers, booleans and None.

    :raises Refused: there is something else in it, or it is too large.
    """
    left = MOST_NODES

    def copy(value: object) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise Refused(f"the value has more than {MOST_NODES:,} parts", "print only the part that is needed")
        if value is None or type(value) in (str, bool, int):
            return value
        if isinstance(value, Undefined):
            return str(value)  # raises: it is a strict one
        if isinstance(value, (str, os.PathLike)):
            return text_of(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise Refused(f"{value} cannot be written as a literal", "print it as text: x|string")
            return float(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, Mapping):
            return {copy(key): copy(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [copy(item) for item in value]
        raise Refused(f"a {type(value).__name__} cannot be written as data", "turn it into text first: x|string")

    try:
        return copy(value)
    except RecursionError:
        raise Refused("the value is nested too deeply") from None


def as_json(value: object) -> Written:
    """JSON in one line, in ASCII, safe inside the quotes of a shell or of HTML."""
    try:
        written = json.dumps(plain(value), allow_nan=False)
    except RecursionError:
        raise Refused("the value is nested too deeply") from None
    return Written(written.translate(ESCAPED_IN_JSON), quoted=True)


def as_python(value: object) -> Written:
    """A Python literal, in ASCII."""
    data = bytes(value) if isinstance(value, (bytes, bytearray)) else plain(value)
    return Written(ascii(data), quoted=True)


def as_yaml(value: object) -> Written:
    """YAML without a newline at its end."""
    import yaml

    written = yaml.safe_dump(plain(value), sort_keys=False, width=math.inf)
    return Written(written.removesuffix("\n").removesuffix("\n..."))


def as_base64(value: object) -> Written:
    """The bytes, or the text in UTF-8, in base64 without newlines."""
    data = bytes(value) if isinstance(value, (bytes, bytearray)) else text_of(value).encode("utf-8", "surrogateescape")
    return Written(base64.b64encode(data).decode("ascii"))


def basename(value: object) -> str:
    """The last part of a path."""
    return text_of(value).rstrip("/").rpartition("/")[2]


def k8s_name(value: object) -> str:
    """A DNS label (RFC 1123): the text itself where it is one, else one that no other text is given."""
    text = text_of(value)
    if len(text) <= LABEL_LENGTH and LABEL.fullmatch(text) and not DIGESTED.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_LENGTH]
    head = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[: LABEL_LENGTH - DIGEST_LENGTH - 1].strip("-")
    return f"{head or 'x'}-{digest}"


def env_name(value: object) -> str:
    """An upper-case name for an environment variable. Two texts may share one."""
    name = re.sub(r"[^A-Z0-9]", "_", text_of(value).upper())
    if not name:
        raise Refused("an empty text makes no name of a variable")
    return f"_{name}" if name[0].isdigit() else name


def required(value: object, message: str = "a value is required here") -> object:
    """The value, unless it is undefined, None or empty."""
    if isinstance(value, Undefined) or value is None or (hasattr(value, "__len__") and not value):
        raise Refused(str(message))
    return value


def raw(value: object) -> Raw:
    """The text as a part of the script: nothing is escaped."""
    return Raw(text_of(value))


FILTERS: Mapping[str, Callable[..., object]] = {
    "b64": as_base64,
    "basename": basename,
    "env_name": env_name,
    "json": as_json,
    "k8s_name": k8s_name,
    "py": as_python,
    "raw": raw,
    "required": required,
    "yaml": as_yaml,
}
