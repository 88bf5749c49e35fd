"""Inspection: every file of a dataset read and decoded, and what was packed of it verified.

Contents: `inspect`, `glimpse`, `named_digest`.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from scaling.sound import checksums, contents, store, waves
from scaling.sound.cache import place
from scaling.sound.clip_table import digest, some
from scaling.sound.clips import Clips

SHOWN = 20  # clips without usable sound that are named before the rest is counted


class Inspection(NamedTuple):
    """What was found."""

    lines: list[str]  # what is wrong, clip by clip
    summary: str  # that all is well, in a line
    problems: list[str]  # each in a line, with its remedy


def glimpse(clips: Clips, cache: Path | None = None) -> str:
    """What is known without reading a file, in a line."""
    return (
        f"{clips.dataset}: {len(clips.table)} clips, none decoded, digest "
        f"{named_digest(clips, cache)}"
    )


def named_digest(clips: Clips, cache: Path | None = None) -> str:
    """The data digest that records of these clips will name, where the cache has seen all files;
    else what a look at the files tells, and that it is only this.
    """
    known = contents.remembered(clips, cache)
    if not contents.has_files(clips) or all(clip in known for clip in clips.table["clip"]):
        return digest(contents.filled(clips, list(known.values())).table if known else clips.table)
    return f"{clips.digest} (of names, sizes and both ends of files; they are not packed yet)"


def inspect(clips: Clips, *, deep: bool = False, cache: Path | None = None) -> Inspection:
    """Read and decode every clip; `deep`: verify every byte of what the cache keeps of them, too.

    What is damaged in the cache is made again by the next sweep.
    """
    before = contents.remembered(clips, cache)
    found = waves.examine(clips)
    bad, unusable = found.unreadable, found.unusable
    lines = [f"{clip}: {why}" for clip, why in bad.items()]
    lines += [f"{clip}: {why}" for clip, why in list(unusable.items())[:SHOWN]]
    if len(unusable) > SHOWN:
        lines.append(f"and {len(unusable) - SHOWN} more without usable sound")
    problems = []
    if bad:
        problems.append(f"{len(bad)} of {len(clips.table)} clips cannot be read")
    now = dict(zip(found.clips.table["clip"], found.clips.table["content"], strict=True))
    if other := [clip for clip, content in before.items() if now[clip] not in ("", content)]:
        problems.append(
            f"{len(other)} files hold other bytes than before, at the same size and times "
            f"({some(other)}): their disk may fail, restore them; a sweep takes them as they are"
        )
    with suppress(OSError):  # a cache that cannot be written remembers nothing
        contents.note(clips, found.reads, cache)
    named = ""
    if "" not in now.values() or not contents.has_files(clips):
        named = digest(found.clips.table)
        if deep:
            packed, damaged = _verified(named, place(cache))
            lines += packed
            problems += damaged
    sound = f", {len(unusable)} without usable sound" if unusable else ""
    summary = f"{clips.dataset}: {len(clips.table)} clips, all readable{sound}, digest {named}"
    return Inspection(lines, summary, problems)


def _verified(named: str, cache: Path) -> tuple[list[str], list[str]]:
    """A line for each folder of the cache that is whole, and for each that is not."""
    good, bad = [], []
    for folder in _folders(named, cache):
        try:
            if folder.name.removeprefix(f"{named}-").isdecimal():
                store.proven(folder)
            checksums.verify(folder, deep=True)
        except ValueError as error:
            checksums.forget(folder)
            bad.append(f"{folder} is damaged ({error}): the next sweep makes it again")
        else:
            good.append(f"{folder.name}: as it was packed")
    return good, bad


def _folders(named: str, cache: Path) -> Iterator[Path]:
    """What the cache keeps of these clips, and its rooms."""
    for pattern in (f"{named}-*", "rooms-v*"):
        yield from (path for path in sorted(cache.glob(pattern)) if path.is_dir())
