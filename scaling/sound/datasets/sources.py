"""Sources: which clips seem to come from one recording or one speaker, by their names alone.

A guess, and a careful one: it only ever makes a warning, with the `--group-from` that would keep
such clips together. Conventions: a name's tokens lie between `-`, `_`, `.` and spaces; those that
say no more than the class are left out of account. Contents: Apparent, `apparent`, `warning`.
"""

import re
from collections import Counter, defaultdict
from typing import NamedTuple

import pandas as pd

from scaling.sound.clip_table import some

WHO = re.compile(
    "(?:spk|spkr|speaker|subj|subject|sub|person|participant|patient|user|rec|recording|src|source"
    "|session|sess)[0-9]+",
    re.IGNORECASE,
)
TOKEN, GAP = "[^-_. /]+", "[-_. ]"
# A form is that of the names where so many have it, and groups matter where so many clips have
# company: one name in ten that happens to be like another is no pattern.
ALIKE, TOGETHER = 0.8, 0.25
LOOKED_AT = 50_000  # clips
BY_FOLDER = "([^/]+)/[^/]+$"


class Apparent(NamedTuple):
    """Clips of what seems to be one source each."""

    groups: dict[str, list[int]]  # with two clips or more: rows of the table
    pattern: str  # a --group-from that keeps them together


def apparent(table: pd.DataFrame) -> Apparent | None:
    """The sources that the names of clips hint at; None where they hint at none."""
    some = table.head(LOOKED_AT)
    names = [clip.rpartition("/")[2].rpartition(".")[0] for clip in some["clip"]]
    words = [re.split(GAP, name) for name in names]
    labels = some["label"].tolist()
    return _by_word(words, labels) or _by_form(words, labels) or _by_folder(some, labels)


def warning(table: pd.DataFrame) -> str:
    """One line where clips of one apparent source may lie on both sides of a split; else ""."""
    if (table[["source", "speaker"]] != "").any(axis=None) or not (found := apparent(table)):
        return ""
    clips = sum(map(len, found.groups.values()))
    name, rows = max(found.groups.items(), key=lambda item: len(item[1]))
    examples = ", ".join(table["clip"].iloc[rows[:2]])
    folds = table["fold"]
    torn = [rows for rows in found.groups.values() if folds.iloc[rows].nunique() > 1]
    where = (
        f"{len(torn)} of these are in more than one fold"
        if torn
        else "no folds keep them together"
        if folds.isna().any()
        else ""
    )
    if not where:
        return ""
    labels = table["label"].drop_duplicates().tolist()
    classes = f"the classes here are {some(labels)}; " if found.pattern == BY_FOLDER else ""
    return (
        f"{clips} of {len(table)} clips seem to come from {len(found.groups)} sources, such as "
        f"{name} ({examples}), and {where}, so test clips may share their source with training "
        f"clips: {classes}if clips of one source belong together, add --group-from "
        f"'{found.pattern}'"
    )


def _by_word(words: list[list[str]], labels: list[str]) -> Apparent | None:
    """Groups by a token that says who or what it is of, such as spk03."""
    tokens = [next(filter(WHO.fullmatch, each), "") for each in words]
    kinds = Counter(re.sub("[0-9]+", "", token).lower() for token in tokens if token)
    if not kinds:
        return None
    kind = kinds.most_common(1)[0][0]
    found = _groups(tokens, labels)
    return Apparent(found, f"(?i)({kind}[0-9]+)") if found else None


def _by_form(words: list[list[str]], labels: list[str]) -> Apparent | None:
    """Groups by all tokens but the last, in names of one form, such as 1-59513-A-0."""
    size, count = Counter(map(len, words)).most_common(1)[0]
    if size < 2 or count < ALIKE * len(words):
        return None
    same = [each if len(each) == size else None for each in words]
    telling = [place for place in range(size) if _tells(same, labels, place)]
    # what remains of a form without its last token, from its first one on without a gap
    kept = telling[:-1]
    while kept and kept[-1] - kept[0] >= len(kept):
        kept.pop()
    if not kept:
        return None
    first, last = kept[0], kept[-1]
    keys = ["-".join(each[first : last + 1]) if each else "" for each in same]
    if _numbers_folds(keys, [each[telling[-1]] if each else "" for each in same]):
        return None
    before, group = TOKEN + GAP, TOKEN + _times(GAP + TOKEN, last - first)
    behind = _times(GAP + TOKEN, size - 1 - last)
    pattern = f"(?:^|/){_times(before, first)}({group}){behind}[.][^./]+$"
    found = _groups(keys, labels)
    return Apparent(found, pattern) if found else None


def _numbers_folds(keys: list[str], lasts: list[str]) -> bool:
    """Whether keys are plain numbers and what follows is a source by itself, as in ESC-10's
    1-100032 and 1-110389: takes are counted from the same start for each source.
    """
    of: dict[str, set[str]] = defaultdict(set)
    for key, last in zip(keys, lasts, strict=True):
        if key:
            of[last].add(key)
    return all(key.isdigit() for key in keys if key) and all(len(each) == 1 for each in of.values())


def _times(part: str, count: int) -> str:
    """A part of a pattern, as often as that."""
    return "" if not count else part if count == 1 else f"(?:{part}){{{count}}}"


def _by_folder(table: pd.DataFrame, labels: list[str]) -> Apparent | None:
    """Groups by the name of the folder that clips lie in, where a class has several."""
    keys = [clip.split("/")[-2] if "/" in clip else "" for clip in table["clip"]]
    found = _groups(keys, labels)
    return Apparent(found, BY_FOLDER) if found else None


def _tells(words: list[list[str] | None], labels: list[str], place: int) -> bool:
    """Whether a token says more than the class."""
    of: dict[str, set[str]] = defaultdict(set)
    for each, label in zip(words, labels, strict=True):
        if each:
            of[label].add(each[place])
    return any(len(tokens) > 1 for tokens in of.values())


def _groups(keys: list[str], labels: list[str]) -> dict[str, list[int]] | None:
    """Rows by key, where that looks like sources: enough clips have a key, enough share one, and
    most classes have several.
    """
    rows = defaultdict(list)
    of: dict[str, set[str]] = defaultdict(set)
    for row, (key, label) in enumerate(zip(keys, labels, strict=True)):
        if key:
            rows[key].append(row)
            of[label].add(key)
    shared = {key: each for key, each in rows.items() if len(each) > 1}
    several = sum(len(each) > 1 for each in of.values())
    enough = (
        sum(map(len, rows.values())) >= ALIKE * len(keys)
        and sum(map(len, shared.values())) >= TOGETHER * len(keys)
        and len(shared) > 1
        and several > len(set(labels)) / 2
    )
    return shared if enough else None
