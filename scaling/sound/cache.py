"""The cache: what is made once from clips or settings, in parallel, and found by every process.

It lies in a folder named by OVERHEAR_CACHE, else in the user's cache folder. Things in it are
folders, written under another name and renamed. Contents: `kept` (find it or make it), `whole`
(open it or say why not), `draft` (a folder while it is written), `each` (make its items in
parallel).
"""

import os
import shutil
import sys
import warnings
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import platformdirs
from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Kept = TypeVar("Kept")


def kept(
    cache: Path | None,
    name: str,
    find: Callable[[Path], Kept | None],
    make: Callable[[Path], Kept],
) -> Kept:
    """What `find` finds at <cache>/<name>, else what `make` makes there; two processes make once.

    The cache is `cache`, else the folder named by OVERHEAR_CACHE, else the user's cache folder.
    Raises ValueError when it cannot be written.
    """
    default = os.environ.get("OVERHEAR_CACHE") or platformdirs.user_cache_path("overhear")
    cache = Path(cache or default).expanduser().absolute()
    folder = cache / name
    if (found := find(folder)) is not None:
        return found
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{name}.lock"):
            return found if (found := find(folder)) is not None else make(folder)
    except OSError as error:
        raise ValueError(
            f"cache {cache} cannot be written ({error.strerror or error}): "
            "free some space, mend its rights, or name another folder with OVERHEAR_CACHE"
        ) from None


def whole(opened: Callable[[Path], Kept], folder: Path) -> Kept | None:
    """What lies in the folder, opened; None, with a warning, where that raises ValueError."""
    try:
        return opened(folder) if folder.exists() else None
    except ValueError as error:
        warnings.warn(f"{error} (done now)", stacklevel=2)
        return None


@contextmanager
def draft(folder: Path) -> Generator[Path]:
    """An empty folder beside this one, to be written, then renamed; gone in the end otherwise."""
    writing = folder.with_name(f".writing-{folder.name}")
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
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    seen = bool(label) and sys.stderr.isatty()
    flight: deque[Future[Outcome]] = deque()
    with (
        Progress(*columns, console=Console(stderr=True), disable=not seen) as bar,
        ThreadPoolExecutor(workers) as pool,
    ):
        task = bar.add_task(label, total=len(items))
        for item in items:
            flight.append(pool.submit(function, item))
            if len(flight) > 4 * workers:
                yield flight.popleft().result()
                bar.advance(task)
        while flight:
            yield flight.popleft().result()
            bar.advance(task)
