"""The cache: what is made once from clips or settings, in parallel, and found by every process.

It lies in a folder named by OVERHEAR_CACHE, else in the user's cache folder. Things in it are
folders, written under another name, sealed (scaling.sound.checksums) and renamed. Contents: `place`
(where it is), `kept` (find it or make it), `whole` (open it or say why not), `draft` (a folder
while it is written), `each` (make its items in parallel).
"""

import os
import shutil
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import platformdirs
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from scaling.sound import checksums
from scaling.sound.checksums import WRITING
from scaling.storage import remedy
from scaling.text import behind

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Kept = TypeVar("Kept")


def place(cache: Path | None = None) -> Path:
    """The cache: `cache`, else the folder named by OVERHEAR_CACHE, else the user's cache folder."""
    default = os.environ.get("OVERHEAR_CACHE") or platformdirs.user_cache_path("overhear")
    return Path(cache or default).expanduser().absolute()


def kept(
    cache: Path | None,
    name: str,
    find: Callable[[Path], Kept | None],
    make: Callable[[Path], Kept],
) -> Kept:
    """What `find` finds at <cache>/<name>, else what `make` makes there; two processes make once.

    For the cache see `place`. Raises ValueError when it cannot be read or written.
    """
    cache = place(cache)
    folder = cache / name
    try:
        if (found := find(folder)) is not None:
            return found
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{name}.lock"):
            _clear(cache, name)
            return found if (found := find(folder)) is not None else make(folder)
    except OSError as error:
        raise ValueError(
            f"cache {cache} cannot be written ({error.strerror or error}): {remedy(error)}, or "
            "name another folder with OVERHEAR_CACHE"
        ) from None


def whole(opened: Callable[[Path], Kept], folder: Path, *, verified: bool = False) -> Kept | None:
    """What lies in the folder, opened; None, with a warning, where that raises ValueError.

    `verified` also reads those of its files that were touched since they were last read: see
    `checksums.verify`. A sweep's driver asks for it; workers rely on the driver.
    """
    if not folder.exists():
        return None
    try:
        found = opened(folder)
    except ValueError as error:
        warnings.warn(f"{error} (done now)", stacklevel=2)
        return None
    try:
        if verified:
            checksums.verify(folder)
    except ValueError as error:
        warnings.warn(f"{folder} is damaged ({error}): it is made again (done now)", stacklevel=2)
        return None
    return found


def _clear(cache: Path, name: str) -> None:
    """Remove what killed processes left half written, except under this name, which is locked.

    Lock files stay: a process that waits for one which is then removed would wait alone.
    """
    for left in cache.glob(f"{WRITING}*"):
        whose = left.name.removeprefix(WRITING)
        if left.is_file():  # no note takes an hour to write
            if time.time() - left.stat().st_mtime > 3600:
                left.unlink(missing_ok=True)
        elif whose != name:
            with suppress(Timeout), FileLock(cache / f"{whose}.lock", timeout=0):
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def draft(folder: Path) -> Generator[Path]:
    """An empty folder beside this one, to be written, then renamed; gone in the end otherwise."""
    writing = folder.with_name(f"{WRITING}{folder.name}")
    shutil.rmtree(writing, ignore_errors=True)  # of a process that was killed
    writing.mkdir()
    try:
        yield writing
    finally:
        shutil.rmtree(writing, ignore_errors=True)


def each(
    function: Callable[[Item], Outcome], items: Sequence[Item], workers: int | None, label: str
) -> Generator[Outcome]:
    """The function of every item, in order, by threads with a few items in flight.

    It should release the interpreter's lock: decoders and resampler do. A progress bar where a
    person looks on, unless the label is empty.
    """
    workers = workers or os.cpu_count() or 1
    flight: deque[Future[Outcome]] = deque()
    with _bar(label, len(items)) as advance, ThreadPoolExecutor(workers) as pool:
        for item in items:
            flight.append(pool.submit(function, item))
            if len(flight) > 4 * workers:
                yield flight.popleft().result()
                advance()
        while flight:
            yield flight.popleft().result()
            advance()


@contextmanager
def _bar(label: str, total: int) -> Generator[Callable[[], None]]:
    """A progress bar, which what is yielded moves on; none where nobody looks on (a disabled one of
    rich's still ends in an empty line in some versions).
    """
    if not label or not sys.stderr.isatty():
        yield lambda: None
        return
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=behind(sys.stderr))) as bar:
        task = bar.add_task(label, total=total)
        yield lambda: bar.advance(task)
