"""Checksums: what proves that a folder of the cache still holds what was written into it.

A sealed folder has a file `seal.json` with the size and the SHA-256 of each of its files, and a
SHA-256 of that list. `check` is quick enough for every opening: sizes, and the content of small
files. `verify` reads every byte, but only once: which files it has read, with their sizes and
times, is remembered beside the folder in `<folder>.verified.json`, and files that have not been
touched since are not read again. A bit that changes on the disk while no time does is found by
`verify(deep=True)`, which is what `overhear data check --deep` runs.
Contents: `settle` to seal a finished folder and move it into its place, `vouch`, `check`,
`verify`, `forget`; `put`; of one file `sha256`, `stamp` and `content`.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from scaling.storage import flush

SEAL = "seal.json"
WRITING = ".writing-"  # begins the name of what is not finished
SMALL = 2**24  # bytes of a file up to which `check` reads it: about 10 ms

Stamp = tuple[int, int, int]  # size in bytes, times of change in ns: of content, of anything
Stamps = dict[str, list[int]]  # by file: size, times of change in ns, inode


def settle(writing: Path, folder: Path, known: Mapping[str, str] | None = None) -> None:
    """Seal a finished folder, flush it to the disk and rename it to `folder`, replacing that.

    After a power cut there is the old folder, the new one or none, never half of one. `known` has
    the SHA-256 of files that were hashed while they were written; the others are read.
    """
    known = known or {}
    names = sorted(path.name for path in writing.iterdir())
    files = {
        name: [(writing / name).stat().st_size, known.get(name) or sha256(writing / name)]
        for name in names
    }
    (writing / SEAL).write_bytes(_sealed(files))
    for name in (*names, SEAL):
        flush(writing / name)
    flush(writing)
    shutil.rmtree(folder, ignore_errors=True)
    writing.rename(folder)
    flush(folder.parent)
    _remember(folder, _stamps(folder, files))


def vouch(folder: Path) -> None:
    """Seal a folder whose content does not matter, unread: `check` then looks at sizes only."""
    names = sorted(path.name for path in folder.iterdir())
    files = {name: [(folder / name).stat().st_size, ""] for name in names}
    (folder / SEAL).write_bytes(_sealed(files))


def check(folder: Path) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of each file of a sealed folder, after a quick look at them.

    Raises ValueError, in a few words that name the file, where one is absent, has another size or,
    being small, other content.
    """
    try:
        files = _listed((folder / SEAL).read_bytes())
        for name, (size, content) in files.items():
            if (there := (folder / name).stat().st_size) != size:
                raise ValueError(f"{name} has {there} bytes, not {size}")
            if content and size <= SMALL and sha256(folder / name) != content:
                raise ValueError(f"{name} holds other bytes than were written")
    except OSError as error:
        raise ValueError(f"{Path(error.filename).name}: {error.strerror}") from None
    return files


def verify(folder: Path, *, deep: bool = False) -> None:
    """Read every file of a sealed folder that was touched since it was last read; `deep`: all.

    Raises ValueError as `check` does.
    """
    files = check(folder)
    before = _stamps(folder, files)
    if not deep and _remembered(folder) == before:
        return
    for name, (size, content) in files.items():
        if content and size > SMALL and sha256(folder / name) != content:
            raise ValueError(f"{name} holds other bytes than were written")
    if _stamps(folder, files) == before:
        _remember(folder, before)


def forget(folder: Path) -> None:
    """Have the next `verify` read all of the folder."""
    _memory(folder).unlink(missing_ok=True)


def put(path: Path, content: bytes) -> None:
    """Write a file under another name, flush it to the disk and rename it. Raises OSError."""
    writing = path.with_name(f"{WRITING}{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        writing.write_bytes(content)
        flush(writing)
        writing.replace(path)
    finally:
        writing.unlink(missing_ok=True)
    flush(path.parent)


def sha256(path: Path) -> str:
    """64 hex digits of the SHA-256 of a file's bytes. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp(path: Path) -> Stamp:
    """What tells that a file is still the same. Raises OSError."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def content(path: Path) -> str:
    """The `sha256` of a file, read once by each process while it is the same. Raises OSError."""
    return _content(path, stamp(path))


@lru_cache(maxsize=2**16)
def _content(path: Path, _stamp: Stamp) -> str:
    return sha256(path)


def _sealed(files: Mapping[str, object]) -> bytes:
    content = json.dumps(files, indent=1, sort_keys=True)
    facts = {"files": files, "sha256": hashlib.sha256(content.encode()).hexdigest()}
    return json.dumps(facts, indent=1, sort_keys=True).encode()


def _listed(content: bytes) -> dict[str, tuple[int, str]]:
    """The files of a seal. Raises ValueError where it is not as it was written."""
    try:
        files = json.loads(content)["files"]
        whole = content == _sealed(files)
    except (ValueError, TypeError, KeyError, RecursionError):
        whole = False
    if not whole:
        raise ValueError(f"{SEAL} holds other bytes than were written")
    return {name: (size, digest) for name, (size, digest) in files.items()}


def _stamps(folder: Path, files: Mapping[str, object]) -> Stamps:
    found = {name: (folder / name).stat() for name in (*files, SEAL)}
    return {
        name: [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        for name, stat in found.items()
    }


def _memory(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.verified.json")


def _remember(folder: Path, stamps: Stamps) -> None:
    with suppress(OSError):  # a cache that cannot be written is verified each time
        put(_memory(folder), json.dumps(stamps).encode())


def _remembered(folder: Path) -> object:
    try:
        return json.loads(_memory(folder).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
