"""Folder: files of a results folder, wherever it is, each written whole and read within bounds.

What a folder refuses (full, gone, forbidden) is one line with its remedy; a store that is busy is
waited for. Nothing is opened that is no file. Contents: Folder, Refused, Damaged. No torch.
"""

import os
import stat
import uuid
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.fs

from scaling.storage import (
    NO_BUCKET,
    Trouble,
    flush,
    is_uri,
    opened,
    patiently,
    shown,
    trouble,
)

HIDDEN = ".writing-"  # begins the name of a file that is being written
# Stores that take an object as a whole; renaming one would copy it.
OBJECTS = ("s3", "gcs", "abfs")
PATIENCE = 30.0  # seconds in which calls to a busy or absent store are retried
LARGEST = 16 * 2**30  # bytes of a file that is read: none of ours comes near

T = TypeVar("T")


class Refused(OSError, ValueError):
    """The results folder cannot be read or written, in one line: full, gone, forbidden. It is
    nobody's failure but the folder's.
    """


class Damaged(ValueError):
    """A file that is not what was written, or not what its name says; one line names it and what
    can be done.
    """


class Folder:
    """One results folder: a local path or any pyarrow filesystem URI (`s3://bucket/study`,
    `file:///...`). `address` opens it again, on any machine; `where` is what may be printed of it.
    """

    def __init__(
        self,
        where: str | os.PathLike[str],
        patience: float | None = None,
        lenient: bool = False,
    ) -> None:
        """Raises ValueError when the URI is not understood; touches nothing yet. `patience` is
        given in seconds, else by OVERHEAR_PATIENCE, else it is PATIENCE. A `lenient` reader warns
        of damaged records and leaves them out, where any other raises Damaged: it suits a look
        at a folder, and no conclusion.
        """
        self.lenient = lenient
        self.patience = _patience() if patience is None else patience
        self.address = os.fspath(where)
        if not self.address.strip():
            raise ValueError("results folder: its name is empty, give a folder or a URI")
        self.where = shown(self.address)
        if "://" in self.address:
            self.filesystem, self.base = opened(self.address, "results folder")
        elif is_uri(self.address):
            raise ValueError(
                f"results folder {self.where!r} is neither a URI nor a folder: write s3://bucket/"
                "study, with two slashes, or a folder as ./NAME"
            )
        else:
            self.filesystem = pa.fs.LocalFileSystem()
            self.base = Path(self.address).expanduser().resolve().as_posix()
            self.address = self.base

    @property
    def local(self) -> bool:
        """Whether files lie on a filesystem of this machine."""
        return bool(self.filesystem.type_name == "local")

    def path(self, *parts: str) -> str:
        """The path of a file in this folder, in the words of `self.filesystem`."""
        return "/".join((self.base.rstrip("/"), *parts))

    def prepare(self) -> None:
        """Make the folder and prove that it can be written; raises Refused at once when it
        cannot.
        """
        try:
            if self.filesystem.type_name not in OBJECTS:
                self.filesystem.create_dir(self.path(), recursive=True)
            probe = f"{HIDDEN}probe-{uuid.uuid4().hex}"
            self._put(b"overhear", probe)
            self.filesystem.delete_file(self.path(probe))
        except (OSError, pa.ArrowException) as error:
            raise Refused(self._line("written", trouble(error))) from None

    def put(self, content: bytes | memoryview, *parts: str) -> None:
        """Write one whole file: under another name first, then renamed; an object directly.

        A writer that is killed leaves no file of that name, or the one that was there before (of a
        large object a store may keep unseen parts: let its lifecycle rule abort those uploads). So
        does a machine that loses its power: a file is on the disk before it gets its name.
        Raises Refused when it cannot be written.
        """
        self._ask("written", lambda: self._put(content, *parts))

    def _put(self, content: bytes | memoryview, *parts: str) -> None:
        if self.filesystem.type_name in OBJECTS:
            # Arrow completes the object of a stream that an exception closes, however little was
            # written. Ctrl-C reaches the main thread only: here it waits until the object is whole.
            with ThreadPoolExecutor(1) as undisturbed:
                undisturbed.submit(int).result()  # one that comes as a thread starts loses it
                undisturbed.submit(self._stream, content, self.path(*parts)).result()
            return
        *folders, name = parts
        folder = self.path(*folders)
        fresh = self._fresh(folder)
        self.filesystem.create_dir(folder, recursive=True)
        draft = f"{folder}/{HIDDEN}{uuid.uuid4().hex}-{name}"
        try:
            self._stream(content, draft)
            if self.local:
                flush(draft)
            self.filesystem.move(draft, self.path(*parts))
            if self.local:
                for each in (folder, *fresh):
                    flush(each)
        except BaseException:
            with suppress(OSError):
                self.filesystem.delete_file(draft)
            raise

    def _fresh(self, folder: str) -> list[str]:
        """The folders that will get a new entry when this one is made."""
        place, found = Path(folder), []
        while self.local and not place.exists():
            place = place.parent
            found.append(place.as_posix())
        return found

    def _stream(self, content: bytes | memoryview, path: str) -> None:
        with self.filesystem.open_output_stream(path, compression=None) as stream:
            stream.write(content)

    def get(self, *parts: str, most: int = LARGEST) -> bytes | None:
        """The content of one file, or None where there is none.

        Raises Refused when it is there and cannot be read, Damaged when it is no file or holds
        more than `most` bytes.
        """
        return self._ask("read", lambda: self._get(*parts, most=most))

    def _get(self, *parts: str, most: int) -> bytes | None:
        path = self.path(*parts)
        try:
            # to open a pipe is to wait for whoever writes to it
            if self.local and not Path(path).is_file() and os.path.lexists(path):
                raise Damaged(f"{path} is no file but {_form(path)}: remove it")
            # a file, not a stream: of an object, Arrow reads a stream in pieces, one request each
            with self.filesystem.open_input_file(path) as file:
                if (size := file.size()) > most:
                    raise Damaged(
                        f"{path} has {size:,} bytes, at most {most:,} are read: remove it"
                    )
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def remove(self, *parts: str) -> None:
        """Delete a file or a folder below this one, if it is there. Raises Refused."""
        self._ask("written", lambda: self._remove(*parts))

    def _remove(self, *parts: str) -> None:
        info = self.filesystem.get_file_info(self.path(*parts))
        with suppress(FileNotFoundError):  # another was quicker
            if info.type == pa.fs.FileType.Directory:
                self.filesystem.delete_dir(self.path(*parts))
            elif info.type == pa.fs.FileType.File:
                self.filesystem.delete_file(self.path(*parts))

    def names(self, kind: str, suffix: str = ".parquet") -> list[str]:
        """Names of the finished files of one kind, sorted, without their ending.

        Raises Refused when they cannot be listed, Damaged where one is no file.
        """
        found = self._ask("read", lambda: self._listed(kind))
        if not found and not self._in_a_bucket():
            raise Refused(self._line("read", NO_BUCKET))
        named = {n: there for n, there in found.items() if n.endswith(suffix)}
        named = {n: there for n, there in named.items() if not n.startswith(HIDDEN)}
        for name in sorted(named) if suffix and self.local else ():
            if not named[name]:
                path = self.path(kind, name)
                self._damaged(Damaged(f"{path} is no file but {_form(path)}: remove it"))
        return sorted(name.removesuffix(suffix) for name, there in named.items() if there)

    def _listed(self, kind: str) -> dict[str, bool]:
        """The names in a folder, and whether each is a file's."""
        if not self.local:
            selector = pa.fs.FileSelector(self.path(kind), allow_not_found=True)
            infos = self.filesystem.get_file_info(selector)
            return {info.base_name: info.is_file for info in infos}
        try:
            with os.scandir(self.path(kind)) as entries:
                return {each.name: _is_file(each) for each in entries}
        except FileNotFoundError:
            return {}

    def folders(self, kind: str) -> list[str]:
        """Names of the folders of one kind. Raises Refused when a store does not list them."""
        selector = pa.fs.FileSelector(self.path(kind), allow_not_found=True)
        infos = self._ask("read", lambda: self.filesystem.get_file_info(selector))
        return [info.base_name for info in infos if info.type == pa.fs.FileType.Directory]

    def holds(self, kind: str, name: str) -> bool:
        """Whether there is a record of this name. Raises Refused when a store does not say."""
        path = self.path(kind, f"{name}.parquet")
        info = self._ask("read", lambda: self.filesystem.get_file_info(path))
        return bool(info.is_file)

    def _in_a_bucket(self) -> bool:
        """Whether there is anything that could hold objects: a list of none does not tell."""
        if self.filesystem.type_name not in OBJECTS:
            return True
        try:
            bucket = self.filesystem.get_file_info(self.base.partition("/")[0])
        except OSError:  # it may be listed below this folder only
            return True
        return bool(bucket.type != pa.fs.FileType.NotFound)

    def _damaged(self, error: Damaged) -> None:
        """Raise this, or warn of it where that is what the reader wants."""
        if not self.lenient:
            raise error
        warnings.warn(str(error), stacklevel=2)

    def _line(self, done: str, told: Trouble) -> str:
        """What stops this folder from being `done` (read, written), in one line."""
        other = "name another with --out" if done == "written" else "name another"
        reason, remedy = told
        return f"results folder {self.where} cannot be {done} ({reason}): {remedy}, or {other}"

    def _ask(self, done: str, question: Callable[[], T]) -> T:
        """The filesystem's answer; a store's is waited for. What it refuses becomes one line."""
        try:
            return question() if self.local else patiently(question, self.patience)
        except (OSError, pa.ArrowException) as error:  # Azure's come as the latter
            raise Refused(self._line(done, trouble(error))) from None


def _is_file(entry: "os.DirEntry[str]") -> bool:
    return entry.is_file(follow_symlinks=False) or Path(entry.path).is_file()  # links may be loops


def _form(path: str) -> str:
    """What stands in a file's place."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return "a link to nowhere"
    forms = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    return next((form for is_one, form in forms.items() if is_one(mode)), "a device")


def _patience() -> float:
    given = os.environ.get("OVERHEAR_PATIENCE", "")
    try:
        seconds = float(given or PATIENCE)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise ValueError(f"OVERHEAR_PATIENCE={given} must be a number of seconds, 0 or more")
    return seconds
