"""Memory: the note `memory.json` beside a trial's checkpoint, of workers that held too much.

A worker that must end for its memory leaves it, so that every driver and every node finds out why.
Knows neither torch nor Ray. Contents: Excess; `read`, `add`, `forget`.
"""

import warnings
from typing import NamedTuple

from scaling.results import seal
from scaling.results.folder import Folder, Refused
from scaling.storage import brief

FILE = "memory.json"
LENGTH = 100_000  # bytes of a note that is read; one has a few hundred
MOST = 1000  # times that a note may count; two end a trial


class Excess(NamedTuple):
    """That workers of a trial held too much memory."""

    times: int
    reason: str  # of the last one


def read(trial: str, results: Folder, file: str = FILE) -> Excess | None:
    """What the workers of the trial of this id left in this file; None: they left nothing, or, with
    a warning, a note that is damaged. Raises Refused.
    """
    try:
        note = results.get("checkpoints", trial, file, most=LENGTH)
        if note is None:
            return None
        found = seal.noted(note)
        times, reason = found.get("times"), found.get("reason")
        if type(times) is not int or not 0 < times < MOST or not isinstance(reason, str):
            raise ValueError("it lacks a number of times or a reason")
    except Refused:
        raise
    except ValueError as error:
        warnings.warn(f"trial {trial}: its {file} is damaged ({error}) and ignored", stacklevel=2)
        return None
    return Excess(times, brief(reason))


def add(trial: str, results: Folder, reason: str, file: str = FILE) -> None:
    """Note that a worker of this trial held too much, once more. Raises Refused."""
    earlier = read(trial, results, file)
    note = Excess(earlier.times + 1 if earlier else 1, reason)
    results.put(seal.note(note._asdict()), "checkpoints", trial, file)


def forget(trial: str, results: Folder) -> None:
    """Let a trial start over, as if it had never exceeded its memory. Raises Refused."""
    results.remove("checkpoints", trial, FILE)
