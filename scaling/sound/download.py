"""Download: a dataset's archive fetched, verified and unpacked to where its reader looks for it.

An interrupted download resumes where it was; what arrives is checked before it is unpacked; a
folder of data is there whole or not at all. Contents: Archive, ARCHIVES; `download`; `resume`, the
downloader behind pooch; `remedy`. scaling.sound.unpack unpacks.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
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

from scaling.byte_size import file_size
from scaling.sound import datasets
from scaling.sound.clips import Report
from scaling.sound.unpack import UnsafeArchive, check_room, unpack
from scaling.text import behind

TRIES = 5  # connections, before a person has to start again where it was
PAUSE = 1.0  # seconds between them
PATIENCE = 30.0  # seconds without a byte until a connection counts as lost
BLOCK = 1 << 15  # bytes; what a lost connection can cost


class Archive(NamedTuple):
    """What is fetched, and what becomes of it."""

    address: str
    folder: str  # below the data root: a name that the dataset's reader looks for
    size: int  # bytes, perhaps rounded: what is said beforehand, and bounds what is fetched
    # as sha256:... or md5:..., which the archive must have. None: not known to us. Then the address
    # names a commit, and what was unpacked must be, file by file, what the dataset's reader knows
    checksum: str | None
    files: int  # of the archive, at most


# Each is pinned to one state of its repository. Sources of the checksums: of ESC-50 several public
# projects that pin the same commit (seven name this SHA-256); of FSDD a public audit of the release
# v1.0.10, which is commit d6938f9b; of UrbanSound8K the record on Zenodo. Nobody seems to have
# published one of AudioMNIST, whose recordings have not changed since this commit.
ESC50 = Archive(
    "https://github.com/karolpiczak/ESC-50/archive/33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6.zip",
    "ESC-50",
    645_832_161,
    "sha256:661183a6f53ef04f12c9bd618fed0ddc1713280d6c94a5a5431e844ba6f6a21f",
    10_000,
)
ARCHIVES = {
    "esc10": ESC50,
    "esc50": ESC50,
    "fsdd": Archive(
        "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",
        "free-spoken-digit-dataset",
        16_419_872,
        "sha256:c680098f5d2355ba7cc4bd8b0ca9e0a24c00ebe3b4c552208889a4d28d4fbc2b",
        10_000,
    ),
    "audiomnist": Archive(
        "https://github.com/soerenab/AudioMNIST/archive/6c5eb77d8e9242d6ce31af807f0409d36a246f51.zip",
        "AudioMNIST",
        993_000_000,
        None,
        50_000,
    ),
    "urbansound8k": Archive(
        "https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz",
        "UrbanSound8K",
        6_000_000_000,
        "md5:9aa69802bbf37fb986f71ec1483a196e",
        20_000,
    ),
}
LARGEST = 2  # times the size that is stated, at which a download is stopped


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
    yield f"{archive.address} ({file_size(archive.size)}; licence: {dataset.licence})"
    base.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(base / f".{archive.folder}.lock", timeout=0):
            yield from _fetch_and_unpack(archive, base, dataset.check)
    except Timeout:
        raise ValueError(
            f"{base / archive.folder} is being downloaded by another process: wait for that one"
        ) from None
    yield f"`overhear data check {name} --root {base / archive.folder}` checks it"


def remedy(name: str) -> str:
    """How to fetch a dataset, to be said after what is missing; empty where nobody can."""
    if name not in ARCHIVES:
        return ""
    return f"; `overhear data download {name}` fetches it ({file_size(ARCHIVES[name].size)})"


def _fetch_and_unpack(
    archive: Archive, base: Path, check: Callable[[Path], Report] | None
) -> Iterator[str]:
    """Fetch into `base`, verify, unpack, and remove the archive when all of it is there.

    `check` looks at what was unpacked of an archive without a checksum, before it is there.
    """
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
        yield (
            "nobody has published a checksum of this archive: its files are compared with what was "
            f"published; what came has sha256:{found}; unpacking"
        )

    def check_unpacked(folder: Path) -> None:
        if check and not archive.checksum and (problem := check(folder).problem):
            problem = problem.replace(str(folder), packed.name)
            raise UnsafeArchive(f"{problem}; nothing unpacked")

    try:
        count = unpack(packed, base / archive.folder, archive.files, check=check_unpacked)
    except UnsafeArchive:
        packed.unlink()
        raise
    packed.unlink()
    yield f"{count:,} files unpacked into {base / archive.folder}"


def resume(address: str, output: str, _: object, *, part: Path, archive: Archive) -> None:
    """A downloader for pooch: `address` to the file `output`, by way of `part`, which outlives it.

    What `part` holds is kept where the checksum will judge it, or where the server says that the
    archive is still the same. A lost connection is taken up TRIES times. Raises ValueError when the
    server has no such archive, when the disk has too little room, and when the connection
    keeps breaking.
    """
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=Console(file=behind(sys.stderr)),
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
                f"{address}: connection lost {TRIES} times, {file_size(have)} are here ({reason}): "
                "run the same command again to resume there"
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
            raise requests.ConnectionError(f"the server cannot resume at byte {start}")
        if status not in (200, 206):
            raise ValueError(f"{address}: the server answers {status} {answer.reason}: try later")
        start = start if status == 206 else 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        # its files take at least as much room again
        check_room(part.parent, 2 * (total or archive.size) - start, archive.address)
        if not start:
            part.unlink(missing_ok=True)  # before the tag: it must never name older bytes
        tag = answer.headers.get("ETag", "")
        _tag(part).write_text("" if tag.startswith("W/") else tag)  # a weak one names no bytes
        most = LARGEST * archive.size
        if (total or 0) > most:
            raise ValueError(_too_large(address, archive))
        with part.open("ab") as file:
            for block in answer.iter_content(BLOCK):
                file.write(block)
                if file.tell() > most:
                    file.truncate(0)
                    raise ValueError(_too_large(address, archive))
                show(completed=file.tell(), total=total)


def _too_large(address: str, archive: Archive) -> str:
    return (
        f"{address}: the server sends more than {file_size(LARGEST * archive.size)}, where the "
        f"archive has {file_size(archive.size)}: not that archive, nothing kept"
    )


def _tag(part: Path) -> Path:
    """Where it is kept by which name the server knows these bytes."""
    return part.with_name(f"{part.name}.etag")
