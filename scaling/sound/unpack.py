"""Unpack: an archive of recordings made a folder, whole or not at all, without harm or surprise.

Nothing is written before all entries are known to be harmless: no path leads out of the folder,
none is a link or a device, and there are no more files and bytes than recordings have. Contents:
`unpack`, UnsafeArchive; `check_room`, which downloads need too.
"""

import errno
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from scaling.byte_size import file_size

BLOCK = 1 << 15  # bytes
BLOAT = 4  # times the archive's size that its files may have: sound is hardly packed
# What the standard library raises for damaged archives, besides ValueError and OSError;
# NotImplementedError for a way of packing that it does not know, OverflowError for a date or a size
# that no system has.
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    OverflowError,
    struct.error,
)
ENCRYPTED = 1  # the bit of a zip's entry
SMALL = 1_000_000  # bytes that any archive may unpack to


class UnsafeArchive(ValueError):
    """An archive that cannot be unpacked, or must not be."""


class NoRoom(ValueError):
    """The disk has too little of it."""


class Member(NamedTuple):
    """One entry of an archive."""

    name: str
    size: int  # bytes
    plain: bool  # a file or a folder, no link and no device


def check_room(base: Path, needed: int, what: str) -> None:
    """Raises NoRoom where `needed` bytes do not fit below `base`."""
    free = shutil.disk_usage(base).free
    if needed > free:
        raise NoRoom(
            f"{what} needs {file_size(needed)} below {base}, where {file_size(free)} are free: "
            "make room, or name another folder with --to"
        )


def unpack(
    packed: Path, folder: Path, files: int, check: Callable[[Path], None] | None = None
) -> int:
    """Unpack a zip or tar archive so that all of it becomes `folder`; how many files it has.

    A single folder that holds all the rest becomes `folder` itself. Raises UnsafeArchive, and
    leaves nothing, for an archive that is damaged, has more than `files` entries, or one that is
    absolute, leads out of the folder, is a link, is there twice or is larger than it says, and for
    what `check` refuses of what was unpacked; ValueError for too little room.
    """
    if not packed.is_file():  # a pipe would be waited for without end
        raise UnsafeArchive(f"{packed.name} is no file: remove it, and download the archive again")
    hidden = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(hidden, ignore_errors=True)
    try:
        try:
            count = _extract(packed, hidden, files)
        except (UnsafeArchive, NoRoom):
            raise
        except (*DAMAGED, ValueError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise  # the disk's, not the archive's
            raise UnsafeArchive(
                f"{packed.name} is damaged ({_reason(error)}): download it again"
            ) from None
        inside = [*hidden.iterdir()]
        single = len(inside) == 1 and inside[0].is_dir()
        whole = inside[0] if single else hidden
        if check:
            check(whole)
        whole.rename(folder)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return count


def _reason(error: Exception) -> str:
    """The first line of an error, which may quote what the archive holds."""
    said = str(error.args[-1]) if error.args else ""
    first = next(iter(said.splitlines()), "")[:200].rstrip(":") or type(error).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in first)


def _extract(packed: Path, folder: Path, files: int) -> int:
    """Unpack every entry below `folder`, once all of them are known to be harmless; how many files
    that were.
    """
    if zipfile.is_zipfile(packed):
        with zipfile.ZipFile(packed) as zipped:
            entries = zipped.infolist()
            if any(entry.flag_bits & ENCRYPTED for entry in entries):
                raise UnsafeArchive(f"{packed.name} asks for a password: refused, nothing unpacked")
            members = (
                Member(entry.filename, entry.file_size, not stat.S_ISLNK(entry.external_attr >> 16))
                for entry in entries
            )
            _check(members, packed, folder, files)
            for entry in entries:  # never more of one than it says: zipfile looks at that
                zipped.extract(entry, folder)
            return sum(not entry.is_dir() for entry in entries)
    with tarfile.open(packed) as tarred:
        _check((_member(each) for each in tarred), packed, folder, files)
        _read_to_the_end(tarred, packed)
        tarred.extractall(folder, filter="data")
        return sum(each.isreg() for each in tarred.getmembers())


def _member(header: tarfile.TarInfo) -> Member:
    return Member(header.name, header.size, header.isreg() or header.isdir())


def _read_to_the_end(tarred: tarfile.TarFile, packed: Path) -> None:
    """gzip tells of damage at its very end only, where tarfile does not look."""
    behind = 0
    while tarred.fileobj and (block := tarred.fileobj.read(BLOCK)):
        behind += len(block)
        if behind > SMALL:
            raise UnsafeArchive(f"{packed.name} continues past its end: refused, nothing unpacked")


def _check(members: Iterable[Member], packed: Path, folder: Path, files: int) -> None:
    """Raises UnsafeArchive for an entry that could write outside the folder or over another one,
    and for more than an honest archive holds; ValueError for no room.
    """
    size, seen = 0, set[str]()
    most = BLOAT * packed.stat().st_size + SMALL
    for number, (name, length, plain) in enumerate(members, start=1):
        shown = f"{name!r:.200}" if not name.isprintable() or len(name) > 200 else name
        # as any system may read it: C:\\ and \\ lead out of a folder too
        ways = (PurePosixPath(name), PureWindowsPath(name))
        if not plain or any(way.anchor or ".." in way.parts for way in ways):
            kind = "leads out of the folder" if plain else "is a link or a device"
            raise UnsafeArchive(
                f"{packed.name} holds {shown}, which {kind}: refused, nothing unpacked"
            )
        place = os.path.normpath(name)
        if place in seen and not name.endswith("/"):
            raise UnsafeArchive(f"{packed.name} holds {shown} twice: refused, nothing unpacked")
        seen.add(place)
        size += length
        if number > files or size > most:
            bound = f"{files:,} files" if number > files else file_size(most)
            raise UnsafeArchive(
                f"{packed.name} unpacks to more than {bound}, as recordings do not: refused, "
                "nothing unpacked"
            )
    if not seen:
        raise UnsafeArchive(f"{packed.name} holds no files: download it again")
    check_room(folder.parent, size, packed.name)
