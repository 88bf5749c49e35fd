"""Remembered: what several figures ask of the same data is made once.

Contents: remembered.
"""

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from analysis.data import Data

Asked = ParamSpec("Asked")
Made = TypeVar("Made")


def remembered(
    make: Callable[Concatenate[Data, Asked], Made],
) -> Callable[Concatenate[Data, Asked], Made]:
    """`make`, whose value is kept for as long as the data and returned for equal arguments, which
    must be hashable. Nobody may change the value. Errors are raised each time, warnings are given
    once.
    """
    known: WeakKeyDictionary[Data, dict[Hashable, Any]] = WeakKeyDictionary()

    @wraps(make)
    def once(data: Data, /, *arguments: Asked.args, **named: Asked.kwargs) -> Made:
        values = known.setdefault(data, {})
        key = (arguments, tuple(sorted(named.items())))
        if key not in values:
            values[key] = make(data, *arguments, **named)
        found: Made = values[key]
        return found

    return once
