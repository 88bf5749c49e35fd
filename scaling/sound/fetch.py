"""Fetch: a dataset's tree at any pyarrow filesystem URI, mirrored into the cache.

Conventions: a mirror holds what its URI holds and no more. Each time it is compared by names, sizes
and times of change, and only what differs is copied, so that a copy that was killed resumes
where it was. Readers scan it as any local tree. Contents: `mirror`.
"""

import hashlib
import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs

import pyarrow as pa
import pyarrow.fs as fs

from scaling.byte_size import file_size
from scaling.sound.cache import each, kept
from scaling.storage import flush, opened, shown, trouble

WORKERS = 16  # files at once: each waits for the store longer than it works
CHUNK = 16 * 2**20  # bytes of a file that one request asks for


class RemoteFile(NamedTuple):
    """A file as it is listed."""

    size: int  # bytes
    changed: int  # seconds since 1970


class Source(NamedTuple):
    """A tree in a store."""

    name: str  # as it may be printed
    filesystem: fs.FileSystem
    base: str
    files: dict[str, RemoteFile]  # by their paths below base


def mirror(uri: str, *, cache: Path | None = None, progress: bool = True) -> Path:
    """A local copy of the folder at `uri`; of a table's folder, where `uri` names a table.

    What a `file://` names is its own copy. For the cache see `kept`. Raises ValueError for a URI
    that is not understood or names nothing, and when its store or the cache fails.
    """
    filesystem, base = opened(uri, "--root")
    if filesystem.type_name == "local":
        return Path(base)
    source, table = _listed(shown(uri), filesystem, base)
    # stores at other addresses may hold buckets of the same name
    endpoint = parse_qs(uri.partition("?")[2]).get("endpoint_override")
    place = f"{source.name.split('/')[:3]} {endpoint} {source.base}"
    folder = kept(
        cache,
        f"mirror-{hashlib.sha256(place.encode()).hexdigest()[:16]}",
        lambda folder: folder if _found(folder) == source.files else None,
        lambda folder: _copy(source, folder, progress),
    )
    return folder / table


def _listed(name: str, filesystem: fs.FileSystem, base: str) -> tuple[Source, str]:
    """What lies at a path: a folder and "", or a table's folder and the table's name."""
    with _asking(name):
        if filesystem.type_name == "abfs":
            # Without credentials Arrow 26 raises where it lists, and aborts where it looks
            filesystem.get_file_info(fs.FileSelector(base.split("/")[0], allow_not_found=True))
        info = filesystem.get_file_info(base)
        table = info.base_name if info.is_file else ""
        top = base.removesuffix(f"/{table}") if table else base.rstrip("/")
        selector = fs.FileSelector(top, recursive=True, allow_not_found=True)
        infos = filesystem.get_file_info(selector)
    files = {
        each.path.removeprefix(f"{top}/"): RemoteFile(each.size, (each.mtime_ns or 0) // 10**9)
        for each in infos
        if each.is_file
    }
    if not files:
        raise ValueError(f"--root {name}: nothing is there: check the bucket and the path")
    for path in files:
        if {"", ".", ".."} & set(path.split("/")):
            raise ValueError(f"--root {name}: no file can be named {path!r}: rename that object")
    return Source(name, filesystem, top, files), table


def _found(folder: Path) -> dict[str, RemoteFile]:
    """What lies in a mirror."""
    found = {}
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above) / name
            facts = path.stat()
            entry = RemoteFile(facts.st_size, facts.st_mtime_ns // 10**9)
            found[path.relative_to(folder).as_posix()] = entry
    return found


def _copy(source: Source, folder: Path, progress: bool) -> Path:
    """Make the mirror what the source is. The caller holds the lock."""
    there = _found(folder)
    for path in there.keys() - source.files.keys():
        (folder / path).unlink()
    wanted = [path for path, entry in source.files.items() if there.get(path) != entry]
    if progress:
        size = sum(source.files[path].size for path in wanted)
        line = f"copying {len(wanted)} of {len(source.files)} files, {file_size(size)}, of"
        print(line, f"{source.name} to {folder}", file=sys.stderr, flush=True)
    label = f"copying {source.name}" if progress else ""
    copied = each(lambda path: _copy_one(source, path, folder), wanted, WORKERS, label)
    deque(copied, maxlen=0)
    return folder


def _copy_one(source: Source, path: str, folder: Path) -> None:
    target, entry = folder / path, source.files[path]
    target.parent.mkdir(parents=True, exist_ok=True)
    with _asking(source.name):
        fs.copy_files(
            f"{source.base}/{path}",
            str(target),
            source_filesystem=source.filesystem,
            destination_filesystem=fs.LocalFileSystem(),
            chunk_size=CHUNK,
            use_threads=False,
        )
    if target.stat().st_size != entry.size:
        raise ValueError(f"--root {source.name}: {path} changes while it is copied: run again")
    flush(target)
    # last, so that a file with its own time is whole
    os.utime(target, (entry.changed, entry.changed))


@contextmanager
def _asking(name: str) -> Iterator[None]:
    """What a store refuses becomes one line; what this machine refuses has a number and stays."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        if getattr(error, "errno", None) is not None:
            raise
        reason, remedy = trouble(error)
        raise ValueError(f"--root {name} cannot be read ({reason}): {remedy}") from None
