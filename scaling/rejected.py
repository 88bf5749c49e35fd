"""Why pydantic rejects a value, in the words of this project: the value, then what it must be."""

import re
from collections.abc import Mapping
from typing import Any

from scaling.spelling import closest, shortened

_NUMBER = re.compile(r"[+-]?[\d.]{1,40}([eE][+-]?\d{1,4})?")
MUST = {
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "above {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "below {lt:g}",
    "finite_number": "a finite number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "literal_error": "{expected}",
}


def shown(value: Any) -> str:
    """A value as a person would type it: numbers bare, words in quotes, long ones shortened."""
    if isinstance(value, str):
        return value if _NUMBER.fullmatch(value) else shortened(value)
    return f"{value!r:.80}"


def rejected(name: str, problem: Mapping[str, Any]) -> str:
    """`network.width=0: must be at least 1`, from one of pydantic's `errors()`."""
    value, said = problem["input"], problem["msg"]
    if must := MUST.get(problem["type"]):
        said = f"must be {must.format(**problem.get('ctx', {}))}"
        if problem["type"] == "literal_error" and isinstance(value, str):
            near = closest(value, re.findall(r"'([^']*)'", said))
            said += f" (did you mean {near}?)" if near else ""
    else:
        said = f"{said[:1].lower()}{said[1:]}".replace("input should be", "must be")
        said = said.replace(" should ", " must ")
    return f"{name}={shown(value)}: {said}"
