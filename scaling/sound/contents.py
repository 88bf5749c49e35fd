"""Contents: the SHA-256 of every file of a dataset, and how it is known without reading them again.

Files are hashed when they are packed, as all of their bytes are read then. A note in the cache,
`contents-<glance>-<place>.json`, keeps what they held together with their sizes and times; a file
whose size and times are the same is taken to be the same. Times are those of its last change of
content and of its last change of any kind: programs can set the first back, but not the second.
So a change is missed only where the disk itself loses bits; `read` looks at every byte.
Contents: `Read`, `read_file`, `recalled`, `read`, `remembered`, `note`.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from scaling.sound import checksums
from scaling.sound.cache import each, place
from scaling.sound.checksums import Stamp, put, sha256
from scaling.sound.clips import Clips


class Read(NamedTuple):
    """A file, read."""

    content: str  # 64 hex digits of the SHA-256
    stamp: Stamp  # of the file as it was read


NONE = Read("", (0, 0, 0))  # of a clip without a file, or with one that is not there


def read_file(path: Path) -> Read:
    """Hash a file. Raises OSError."""
    before = checksums.stamp(path)
    return Read(sha256(path), before)


def recalled(clips: Clips, cache: Path | None = None, *, progress: bool = True) -> Clips | None:
    """The clips with the content of their files, as an earlier reading left it in the cache.

    Files that were touched since are read again; all are where the same files lay elsewhere then.
    None where this cache has never seen such clips: packing will read them. Clips without files
    are as they are.
    """
    if not has_files(clips):
        return clips
    known = _noted(clips, cache)
    if known is None:
        if not list(place(cache).glob(f"contents-{clips.digest}-*.json")):
            return None
        known = {}
    return _read(clips, cache, known, progress)


def read(clips: Clips, cache: Path | None = None, *, progress: bool = True) -> Clips:
    """The clips with the content of their files, all of which are read, whatever is known."""
    return _read(clips, cache, {}, progress) if has_files(clips) else clips


def remembered(clips: Clips, cache: Path | None = None) -> dict[str, str]:
    """What the cache knows of the content of files that have not been touched since, by clip."""
    known = _noted(clips, cache) or {}
    return {
        clip: known[clip].content
        for clip in clips.table["clip"]
        if clip in known and known[clip].stamp == _stamp(clips, clip)
    }


def has_files(clips: Clips) -> bool:
    """Whether the clips are files, as all but made-up ones are."""
    return bool(clips.table["size"].notna().any())


def filled(clips: Clips, contents: Sequence[str]) -> Clips:
    """The clips, whose files hold this."""
    return replace(clips, table=clips.table.assign(content=pd.array(contents, dtype="str")))


def note(clips: Clips, found: Sequence[Read], cache: Path | None = None) -> None:
    """Keep what the clips' files hold for `recalled`. Raises OSError."""
    if not has_files(clips) or NONE in found:
        return
    rows = [
        [clip, *each.stamp, each.content]
        for clip, each in zip(clips.table["clip"], found, strict=True)
    ]
    where = _note(clips, cache)
    where.parent.mkdir(parents=True, exist_ok=True)
    put(where, _sealed(rows))


def _read(clips: Clips, cache: Path | None, known: dict[str, Read], progress: bool) -> Clips:
    """Read what is not known; note all of it where something was read."""
    names = clips.table["clip"].tolist()
    stale = [
        name for name in names if name not in known or known[name].stamp != _stamp(clips, name)
    ]
    label = f"reading {clips.dataset}" if progress else ""

    def look(name: str) -> Read:
        try:
            return read_file(clips.path(name))
        except OSError:  # packing says why it cannot be read
            return NONE

    known = known | dict(zip(stale, each(look, stale, None, label), strict=True))
    found = [known[name] for name in names]
    if stale:
        with suppress(OSError):  # a cache that cannot be written is read all the same
            note(clips, found, cache)
    return filled(clips, [each.content for each in found])


def _stamp(clips: Clips, name: str) -> Stamp:
    try:
        return checksums.stamp(clips.path(name))
    except OSError:
        return NONE.stamp


def _note(clips: Clips, cache: Path | None) -> Path:
    root = hashlib.sha256(str(clips.root.resolve()).encode(errors="surrogateescape"))
    return place(cache) / f"contents-{clips.digest}-{root.hexdigest()[:8]}.json"


def _noted(clips: Clips, cache: Path | None) -> dict[str, Read] | None:
    """What the note says, by clip; None where there is none, or another than was written."""
    try:
        content = _note(clips, cache).read_bytes()
        rows = json.loads(content)["files"]
        if content != _sealed(rows):
            return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return {clip: Read(digest, (size, *times)) for clip, size, *times, digest in rows}


def _sealed(rows: list[list[object]]) -> bytes:
    content = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return json.dumps({"sha256": content, "files": rows}).encode()
