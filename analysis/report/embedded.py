"""Data within a page: JSON that no text of a study can break out of. Contents: embedded."""

import json
from collections.abc import Mapping
from typing import Any

from scaling.text import printable

ESCAPED = {ord(each): f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}


def embedded(value: Any) -> str:
    """JSON that may stand within a script element: no character of it can end the element."""
    text = json.dumps(_plain(value), separators=(",", ":"), allow_nan=False)
    return text.translate(ESCAPED)


def _plain(value: Any) -> Any:
    """The value with its texts made printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
