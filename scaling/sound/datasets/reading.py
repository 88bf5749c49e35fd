"""Reading: what a person says of their data beyond its place, as the command line has it.

It acts where a dataset is scanned, on every node; the table that comes of it decides the data's
digest. Contents: Reading, `reading`, `grouped`.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scaling.sound.clip_table import check_devices, some
from scaling.sound.clips import Clips
from scaling.sound.datasets.columns import KNOWN
from scaling.spelling import nearest

PATTERN = 200  # characters of a pattern
GROUPS = ("source", "speaker", "device")


class Reading(NamedTuple):
    """How a dataset is read."""

    columns: tuple[tuple[str, str], ...] = ()  # ours, the table's
    group_from: str | None = None  # a regular expression of clips' paths

    @property
    def named(self) -> dict[str, str]:
        """The table's own word for each of our columns that a person named."""
        return dict(self.columns)


AS_IT_IS = Reading()


def reading(columns: Iterable[str] | None, group_from: str | None) -> Reading:
    """What `--column OURS=THEIRS` (repeated) and `--group-from REGEX` say. Raises ValueError."""
    pairs: dict[str, str] = {}
    for word in columns or ():
        ours, equals, theirs = word.partition("=")
        if not equals or not theirs:
            raise ValueError(f"--column {word}: write OURS=YOURS, such as path=filename")
        if ours not in KNOWN:
            raise ValueError(f"--column {word}: {ours} is not a column{nearest(ours, KNOWN)}")
        if ours in pairs:
            raise ValueError(f"--column {word}: {ours} is already {pairs[ours]}: name it once")
        if theirs in pairs.values():
            raise ValueError(f"--column {word}: {theirs} is already another column: name it once")
        pairs[ours] = theirs
    if group_from is not None:
        _compiled(group_from)
    return Reading(tuple(pairs.items()), group_from)


def grouped(clips: Clips, pattern: str) -> Clips:
    """The clips with the columns that a pattern finds in their paths: source, or those it names.

    Raises ValueError for a pattern that is none, and for paths in which it finds nothing.
    """
    said = f"--group-from {pattern}"
    found = pc.extract_regex(
        pa.array(clips.table["clip"].tolist(), pa.string()), _compiled(pattern)
    )
    without = clips.table["clip"][found.is_null().to_numpy(zero_copy_only=False)]
    if len(without):
        raise ValueError(
            f"{said}: it is not found in {len(without)} of {len(clips.table)} clips "
            f"({some(without)}): write it so that every path matches, even with an empty group"
        )
    groups = {name: found.field(name).to_pylist() for name in _names(found)}
    table = clips.table.assign(**{n: pd.Series(v, dtype="str") for n, v in groups.items()})
    for name in groups:
        if table[name].nunique() == len(table) > 1:
            raise ValueError(
                f"{said}: each of the {len(table)} clips has a {name} of its own "
                f"({some(table[name])}): capture what the clips of one {name} have in common"
            )
    check_devices(table)
    return replace(clips, table=table)


def _names(found: Any) -> list[str]:
    return [found.type.field(number).name for number in range(found.type.num_fields)]


def _compiled(pattern: str) -> str:
    """The pattern for RE2, which takes linear time whatever it is, its groups named.

    Raises ValueError: too long, no regular expression, one that RE2 does not know, no group.
    """
    said = f"--group-from {pattern:.{PATTERN}}"
    if len(pattern) > PATTERN:
        raise ValueError(f"{said}...: {len(pattern)} characters, the limit is {PATTERN}")
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        place = getattr(error, "pos", None)
        where = "" if place is None else f" at character {place + 1}"
        reason = getattr(error, "msg", "too deeply nested")
        raise ValueError(f"{said}: not a regular expression ({reason}{where})") from None
    if not compiled.groups:
        raise ValueError(
            f"{said}: it has no group: put what clips share in parentheses, such as (spk.)"
        )
    if wrong := [name for name in compiled.groupindex if name not in GROUPS]:
        raise ValueError(
            f"{said}: group {wrong[0]} is none of {', '.join(GROUPS)}{nearest(wrong[0], GROUPS)}"
        )
    named = _named(pattern, bool(compiled.groupindex))
    try:
        pc.extract_regex(pa.array(["x"]), named)
    except (pa.ArrowException, UnicodeEncodeError) as error:
        reason = str(error).splitlines()[0].removeprefix("Invalid regular expression: ")
        raise ValueError(
            f"{said}: {reason} (patterns are RE2's: neither look-around nor back-references)"
        ) from None
    return named


def _named(pattern: str, has_names: bool) -> str:
    """The pattern with its first group named source, unless groups have names; all others none."""
    made, inside, at = [], False, 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            made.append(pattern[at : at + 2])
            at += 2
            continue
        if inside:
            inside = character != "]"
        elif character == "[":
            inside = True
            # a bracket that comes first is one of the set
            first = 2 if pattern[at + 1 : at + 2] == "^" else 1
            if pattern[at + first : at + first + 1] == "]":
                made.append(pattern[at : at + first])
                at += first
                character = pattern[at]
        elif character == "(" and pattern[at + 1 : at + 2] != "?":
            made.append("(?:" if has_names else f"(?P<{GROUPS[0]}>")
            has_names = True
            at += 1
            continue
        made.append(character)
        at += 1
    return "".join(made)
