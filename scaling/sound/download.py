"""Download: a dataset's archive fetched, verified and unpacked to where its reader looks for it.

What is cut off goes on where it was; what arrives is checked before it is unpacked; a folder of
data is there whole or not at all. Contents: Archive, ARCHIVES; `download`; `resume`, the downloader
behind pooch; `unpack`.
"""

import os
import shutil
import stat
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from gzip import BadGzipFile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import pooch
import requests  # what pooch fetches with
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from scaling.sound import datasets

TRIES = 5  # connections, before a person has to start again where it was
PAUSE = 1.0  # seconds between them
PATIENCE = 30.0  # seconds without a byte until a connection counts as lost
BLOCK = 1 << 15  # bytes; what a lost connection can cost


class Archive(NamedTuple):
    """What is fetched, and what becomes of it."""

    address: str
    folder: str  # below the data root: a name that the dataset's reader looks for
    size: int  # bytes; about, where the archive is not fixed
    checksum: str | None  # as md5:..., None: the archive is made anew from what is newest


# GitHub packs these anew when they are asked for: no checksum lasts.
ESC50 = Archive(
    "https://github.com/karolpiczak/ESC-50/archive/HEAD.zip", "ESC-50", 600_000_000, None
)
ARCHIVES = {
    "esc10": ESC50,
    "esc50": ESC50,
    "fsdd": Archive(
        "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/HEAD.zip",
        "free-spoken-digit-dataset",
        27_000_000,
        None,
    ),
    "audiomnist": Archive(
        "https://github.com/soerenab/AudioMNIST/archive/HEAD.zip", "AudioMNIST", 993_000_000, None
    ),
    "urbansound8k": Archive(
        "https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz",
        "UrbanSound8K",
        6_000_000_000,
        "md5:9aa69802bbf37fb986f71ec1483a196e",
    ),
}


def download(name: str, to: str | os.PathLike[str] | None = None) -> Iterator[str]:
    """Put a dataset below the folder `to`, and say in lines what happens.

    Without `to` it is the folder that OVERHEAR_DATA names, else data/. What is there stays as it
    is. Raises ValueError: an unknown name, a dataset that a person must fetch (with the address), a
    wrong checksum, an archive that cannot be trusted, too little room, a server that does not send.
    """
    dataset = datasets.find(name)
    base = Path(to or os.environ.get("OVERHEAR_DATA") or "data").expanduser()
    if not dataset.folders:
        raise ValueError(f"{name}: nothing to download: {dataset.address}")
    if there := next((base / each for each in dataset.folders if (base / each).exists()), None):
        yield f"{there} is there already: nothing done; `overhear data check {name}` checks it"
        return
    if name not in ARCHIVES:
        raise ValueError(
            f"{name} must be fetched by hand, from {dataset.address}: unpack it to "
            f"{base / dataset.folders[0]} (licence: {dataset.licence})"
        )
    archive = ARCHIVES[name]
    yield f"{archive.address} ({in_words(archive.size)}; licence: {dataset.licence})"
    base.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(base / f".{archive.folder}.lock", timeout=0):
            yield from _fetch_and_unpack(archive, base)
    except Timeout:
        raise ValueError(
            f"{base / archive.folder} is being downloaded by another process: wait for that one"
        ) from None
    yield f"`overhear data check {name} --root {base / archive.folder}` checks it"


def remedy(name: str) -> str:
    """How to fetch a dataset, to be said behind what is missing; empty where nobody can."""
    if name not in ARCHIVES:
        return ""
    return f"; `overhear data download {name}` fetches it ({in_words(ARCHIVES[name].size)})"


def in_words(size: int) -> str:
    """Bytes as `27 MB`."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _fetch_and_unpack(archive: Archive, base: Path) -> Iterator[str]:
    """Fetch into `base`, verify, unpack, and remove the archive when all of it is there."""
    pooch.get_logger().setLevel("WARNING")  # what it would say, we say
    name = f"{archive.folder}-{archive.address.rpartition('/')[2]}"
    fetch = partial(resume, part=base / f"{name}.part", archive=archive)
    packed = Path(
        pooch.retrieve(archive.address, archive.checksum, fname=name, path=base, downloader=fetch)
    )
    if archive.checksum:
        yield f"checksum {archive.checksum} is right; unpacking"
    else:
        found = pooch.file_hash(str(packed))
        yield f"this archive has no fixed checksum: what came has sha256:{found}; unpacking"
    try:
        count = unpack(packed, base / archive.folder)
    except Refused:
        packed.unlink()
        raise
    packed.unlink()
    yield f"{count:,} files unpacked into {base / archive.folder}"


def resume(address: str, output: str, _: object, *, part: Path, archive: Archive) -> None:
    """A downloader for pooch: `address` to the file `output`, by way of `part`, which outlives it.

    What `part` holds is kept where the checksum will judge it, or where the server says that the
    archive is still the same. A lost connection is taken up TRIES times. Raises ValueError when the
    server has no such archive, when the disk has too little room, and when it goes on being lost.
    """
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    ) as bar:
        task = bar.add_task(archive.folder, total=None)
        for attempt in range(TRIES):
            time.sleep(PAUSE if attempt else 0)
            try:
                _go_on(address, part, archive, partial(bar.update, task))
                break
            except requests.RequestException as error:
                reason = str(error).splitlines()[0]
        else:
            have = part.stat().st_size if part.exists() else 0
            raise ValueError(
                f"{address}: connection lost {TRIES} times, {in_words(have)} are here ({reason}): "
                "the same command goes on from there"
            )
    _tag(part).unlink(missing_ok=True)
    part.replace(output)


def _go_on(address: str, part: Path, archive: Archive, show: Callable[..., None]) -> None:
    """One connection: what `part` lacks, or all of it. Raises RequestException when it is lost."""
    tag = _tag(part).read_text() if _tag(part).exists() else ""
    start = part.stat().st_size if part.exists() and (tag or archive.checksum) else 0
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        headers |= {"If-Range": tag} if tag else {}
    with requests.get(address, headers=headers, stream=True, timeout=PATIENCE) as answer:
        status, sent = answer.status_code, answer.headers.get("Content-Range", "")
        if status == 416 and sent == f"bytes */{start}":
            return  # all of it is here
        if status == 416 or (status == 206 and not sent.startswith(f"bytes {start}-")):
            part.unlink(missing_ok=True)
            raise requests.ConnectionError(f"the server cannot go on from byte {start}")
        if status not in (200, 206):
            raise ValueError(f"{address}: the server answers {status} {answer.reason}: try later")
        start = start if status == 206 else 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        # its files take at least as much room again
        _check_room(part.parent, 2 * (total or archive.size) - start, archive.address)
        if not start:
            part.unlink(missing_ok=True)  # before the tag: it must never name older bytes
        tag = answer.headers.get("ETag", "")
        _tag(part).write_text("" if tag.startswith("W/") else tag)  # a weak one names no bytes
        with part.open("ab") as file:
            for block in answer.iter_content(BLOCK):
                file.write(block)
                show(completed=file.tell(), total=total)


def _tag(part: Path) -> Path:
    """Where it is kept by which name the server knows these bytes."""
    return part.with_name(f"{part.name}.etag")


def _check_room(base: Path, needed: int, what: str) -> None:
    free = shutil.disk_usage(base).free
    if needed > free:
        raise ValueError(
            f"{what} needs {in_words(needed)} below {base}, where {in_words(free)} are free: make "
            "room, or name another folder with --to"
        )


class Refused(ValueError):
    """An archive that cannot be unpacked, or must not be."""


class Member(NamedTuple):
    """One entry of an archive."""

    name: str
    size: int  # bytes
    plain: bool  # a file or a folder, no link and no device


def unpack(packed: Path, folder: Path) -> int:
    """Unpack a zip or tar archive so that all of it becomes `folder`; how many files it has.

    A single folder that holds all the rest becomes `folder` itself. Raises Refused, and leaves
    nothing, for an archive that is damaged, or has an entry that is absolute, leads out of the
    folder or is a link; ValueError for too little room.
    """
    hidden = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(hidden, ignore_errors=True)
    try:
        try:
            members = _extract(packed, hidden)
        except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, BadGzipFile) as error:
            reason = str(error).splitlines()[0].rstrip(":")
            raise Refused(f"{packed.name} is damaged ({reason}): download it again") from None
        inside = [*hidden.iterdir()]
        single = len(inside) == 1 and inside[0].is_dir()
        (inside[0] if single else hidden).rename(folder)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return len(members)


def _extract(packed: Path, folder: Path) -> list[str]:
    """Unpack every entry below `folder`, once all of them are known to be harmless; the files."""
    if zipfile.is_zipfile(packed):
        with zipfile.ZipFile(packed) as zipped:
            members = [
                Member(entry.filename, entry.file_size, not stat.S_ISLNK(entry.external_attr >> 16))
                for entry in zipped.infolist()
            ]
            _check(members, packed, folder)
            zipped.extractall(folder)
            return [entry.filename for entry in zipped.infolist() if not entry.is_dir()]
    with tarfile.open(packed) as tarred:
        entries = tarred.getmembers()
        while tarred.fileobj and tarred.fileobj.read(BLOCK):
            pass  # gzip tells of damage at its very end only, where tarfile does not look
        plain = (
            Member(entry.name, entry.size, entry.isreg() or entry.isdir()) for entry in entries
        )
        _check([*plain], packed, folder)
        tarred.extractall(folder, filter="data")
        return [entry.name for entry in entries if entry.isreg()]


def _check(members: list[Member], packed: Path, folder: Path) -> None:
    """Raises Refused for an entry that could write outside the folder, ValueError for no room."""
    for name, _, plain in members:
        # as any system may read it: C:\\ and \\ lead out of a folder too
        ways = (PurePosixPath(name), PureWindowsPath(name))
        if not plain or any(way.anchor or ".." in way.parts for way in ways):
            kind = "leads out of the folder" if plain else "is a link or a device"
            raise Refused(f"{packed.name} holds {name}, which {kind}: refused, nothing unpacked")
    if not members:
        raise Refused(f"{packed.name} holds no files: download it again")
    _check_room(folder.parent, sum(member.size for member in members), packed.name)
