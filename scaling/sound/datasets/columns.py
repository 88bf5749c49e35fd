"""Columns: which column of a person's table says what.

A name counts as written first, then whatever its capitals, spaces, `_` and `-`, then by the names
that other programs give the same thing. Whoever has other names still says so: --column
path=filename. Contents: KNOWN, `match`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from scaling.sound.clip_table import some
from scaling.spelling import closest

NEEDED = ("path", "label")
KNOWN = (*NEEDED, "fold", "device", "city", "speaker", "source")
# Not `target` or `id`: they mostly hold numbers, beside a column of names.
SYNONYMS = {
    "path": ("filename", "file", "filepath", "fname", "clip", "slicefilename"),
    "label": ("category", "class", "classname"),
    "speaker": ("speakerid", "subject"),
    "source": ("group", "srcfile"),
}


def match(
    path: Path, header: Sequence[str], named: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """The header's own word for each known column that it has; words on what was guessed.

    `named` maps known columns to the header's words, as a person gave them. Raises ValueError where
    a needed column or a named one is not there, and where two could be the same.
    """
    found: dict[str, str] = {}
    for column, word in named.items():
        if word not in header:
            raise ValueError(
                f"--column {column}={word}: {path} has no column {word}"
                f"{_offer(word, header, header)}"
            )
        found[column] = word
    free = [word for word in header if word not in found.values()]
    guessed = []
    for column in KNOWN:
        if column in found:
            continue
        alike = [word for word in free if word == column]
        alike = alike or [word for word in free if _plain(word) == column]
        if not alike:
            alike = [word for word in free if _plain(word) in SYNONYMS.get(column, ())]
            if len(alike) == 1:
                guessed.append(f"{alike[0]} as {column}")
        if len(alike) > 1:
            raise ValueError(
                f"{path}: {' and '.join(alike[:2])} could both be the column {column}: choose one "
                f"with --column {column}={alike[0]}"
            )
        if alike:
            found[column] = alike[0]
            free.remove(alike[0])
    for column in NEEDED:
        if column not in found:
            example = next((word for word in free if 0 < len(word) < 50), "NAME")
            raise ValueError(
                f"{path} has no column {column}{_offer(column, free, header)}: name yours, as "
                f"--column {column}={_nearest(column, free) or example}"
            )
    return found, guessed


def _plain(word: str) -> str:
    """A column's name without capitals, spaces, `_` and `-`."""
    return "".join(word.casefold().replace("_", " ").replace("-", " ").split())


def _nearest(column: str, words: Sequence[str]) -> str:
    """The word that is nearly the name of a column; "" if there is none."""
    plain = {_plain(word): word for word in words if word.strip()}
    return plain.get(closest(column, list(plain)), "")


def _offer(column: str, free: Sequence[str], header: Sequence[str]) -> str:
    """What a table has instead of a column, and which of the words left over comes close."""
    close = _nearest(_plain(column), free)
    return f": it has {some(header)}" + (f" (did you mean {close}?)" if close else "")
