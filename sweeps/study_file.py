"""Study files: running a person's own code within bounds while it states its trials.

Such code may run anything, but whatever it does wrong (it raises, exits, never ends) becomes one
line that names the study. What it prints goes to standard error, so that standard output holds only
what the command prints. Contents: `load` a file, `listed` trials, `one_line` of any text; the
bounds.
"""

import importlib.util
import itertools
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, TextIO

from scaling.own import parts
from scaling.settings import Trial
from scaling.spelling import nearest

TRIALS = 100_000  # of one study
SECONDS = 120.0  # to import a study, and to list its trials: 100,000 of them take about 20
PRINTED = 10_000  # characters of a study's own output that are shown
NAME = 100  # characters of a study's name, which becomes a folder's
UNSAFE = set("/\\:*?\"'<>|`$")  # what a folder's name must not hold, on one system or another


class _TooLong(BaseException):
    """Time is up. No Exception, so that a study that catches all of those ends, too."""


def load(name: str) -> ModuleType:
    """The module in a study file. Raises ValueError: there is none, its name could not be that of a
    results folder, it does not import.
    """
    path = Path(name)
    parts.look_in(path.parent.resolve())
    if not path.is_file():
        there = "not a file" if path.exists() else "no such file"
        raise ValueError(f"study file {one_line(name)}: {there}{_close(path)}")
    check_name(path)
    # under a name of its own, so that json.py can be a study, and dataclasses find their module
    alias = f"_study_{path.stem}"
    spec = importlib.util.spec_from_file_location(alias, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[alias] = importlib.util.module_from_spec(spec)
    with _one_line(f"study file {name}", "does not import:", path), _bounded(path.parent):
        spec.loader.exec_module(module)
    return module


def check_name(path: Path) -> None:
    """Raises ValueError for a file whose name without `.py` is no name for a results folder."""
    name = path.stem
    odd = name != name.strip(" .") or not name.isprintable() or UNSAFE & set(name)
    if not name or odd or len(name) > NAME:
        raise ValueError(
            f"study file {one_line(str(path))}: the study would be named {one_line(name)!r}, and "
            f"its results folder too: rename the file, to letters, digits, - and _ (at most {NAME})"
        )


def listed(study: str, trials: Callable[[], Iterable[Trial]], file: Path | None) -> list[Trial]:
    """What `trials()` yields. Raises ValueError when it raises, yields something else, or yields
    more, or for longer, than the bounds allow.
    """
    found: list[Trial] = []
    with _one_line(f"study {study}: trials()", "raised", file), _bounded(file and file.parent):
        made: Any = trials()
        if isinstance(made, Iterable):
            for trial in itertools.islice(made, TRIALS + 1):
                found.append(trial)
                if not isinstance(trial, Trial):
                    break
    if not isinstance(made, Iterable):
        raise ValueError(f"study {study}: trials() returns {shown(made)}: it must yield Trials")
    if found and not isinstance(found[-1], Trial):
        raise ValueError(f"study {study}: trials() yields {shown(found[-1])}, not a Trial")
    if len(found) > TRIALS:
        raise ValueError(f"study {study}: trials() yields more than {TRIALS:,} trials: split it")
    return found


def one_line(text: str, most: int = 300) -> str:
    """Any text as one line that a terminal can show, cut to `most` characters."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text[: 2 * most]).split())
    return plain if len(plain) <= most and len(text) <= 2 * most else f"{plain[:most]}..."


def _close(path: Path) -> str:
    """` (did you mean mine.py?)`, of the Python files in the same folder."""
    try:
        there = [each.name for each in path.parent.iterdir() if each.suffix == ".py"]
    except OSError:
        return ""
    close = nearest(path.name, there)
    return close if "did you mean" in close else ""


def shown(value: object) -> str:
    """A value as a few words, whatever its own `repr` does."""
    try:
        return one_line(repr(value), 60)
    except Exception:  # noqa: BLE001 its repr is the study's code, too
        return f"a {type(value).__name__}"


@contextmanager
def _one_line(what: str, failed: str, file: Path | None) -> Iterator[None]:
    """Whatever the block raises, as a ValueError of one line that begins with `what`."""
    try:
        yield
    except _TooLong:
        raise ValueError(f"{what} has not ended after {SECONDS:g} s: does it loop?") from None
    except SystemExit as error:
        raise ValueError(
            f"{what} calls sys.exit{_place(error, file)}: a study states trials, and must return"
        ) from error
    except SyntaxError as error:
        said = f"{one_line(str(error.msg))} (line {error.lineno})"
        raise ValueError(f"{what} {failed} SyntaxError: {said}") from error
    except (Exception, KeyboardInterrupt) as error:
        try:
            said = one_line(f"{type(error).__name__}: {error}").removesuffix(":")
        except Exception:  # noqa: BLE001 the error's text is the study's code, too
            said = type(error).__name__
        raise ValueError(f"{what} {failed} {said}{_place(error, file)}") from error


def _place(error: BaseException, file: Path | None) -> str:
    """` (line 3)`, where an error passed through the study's file."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if file and frame.filename == str(file)]
    return f" (line {lines[-1]})" if lines else ""


@contextmanager
def _bounded(folder: Path | None) -> Iterator[None]:
    """Run a study's code: modules beside its file are found, its output is diverted, its time is
    limited.
    """
    place = str(folder.resolve()) if folder else None
    if place:
        sys.path.insert(0, place)
    try:
        with redirect_stdout(_Diverted(sys.stderr)), _in_time():
            yield
    finally:
        if place in sys.path:
            sys.path.remove(place)


@contextmanager
def _in_time() -> Iterator[None]:
    """Raises _TooLong in the block after SECONDS; only the main thread can be interrupted so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, ring)
    try:
        try:
            signal.setitimer(
                signal.ITIMER_REAL, SECONDS, 1.0
            )  # again each second: it may be caught
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Diverted:
    """A stream whose first PRINTED characters go to another one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._left = stream, PRINTED

    def write(self, text: str) -> int:
        if self._left > 0:
            self._stream.write(text[: self._left])
            self._left -= len(text)
            if self._left <= 0:
                self._stream.write("\noverhear: the study prints more, which is left out\n")
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
