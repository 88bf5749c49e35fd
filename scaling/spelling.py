"""Spelling: what a person may have meant by a word, and long words shortened for a message.

Contents: shortened, nearest, closest.
"""

import difflib
from collections.abc import Sequence
from typing import Any

MANY = 12  # words in a message: more are not read
SETTINGS = "overhear settings"  # the command that lists them


def shortened(text: str, length: int = 60) -> str:
    """The text as Python would write it, its middle left out where it is long."""
    return repr(text) if len(text) <= length else f"{text[:length]!r}... ({len(text)} characters)"


def nearest(word: str, words: Any, lister: str = "") -> str:
    """` (did you mean x?)` with the closest known word, whatever its capitals. When none is close:
    the known words; of more than MANY, the command that lists them (`lister`), else the first MANY.
    """
    known = [name for name in map(str, words) if name]
    if close := closest(word, known):
        return f" (did you mean {close}?)"
    if len(known) > MANY and lister:
        return f" (`{lister}` lists all {len(known):,})"
    more = f" and {len(known) - MANY:,} more" if len(known) > MANY else ""
    return f" (known: {', '.join(known[:MANY])}{more})" if known else ""


def closest(word: str, known: Sequence[str]) -> str:
    """The known word that is nearly this one, whatever its capitals; "" if none is."""
    word = word[:200]
    folded = {w.casefold(): w for w in reversed(known)}
    if near := difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6):
        return folded[near[0]]
    # `width` for `network.width`
    return next((w for w in known if w.split(".")[-1] == word.split(".")[-1]), "")
