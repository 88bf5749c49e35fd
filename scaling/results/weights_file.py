"""Weights as a file, without torch: whose they are, whether they are whole, parts as arrays.

The header's metadata hold one text: the trial's id and the seal of the whole file. Any reader of
safetensors opens it. Contents: `trials`, `part`, `opened`, `path`,
`remedy`; FIELD, NAMES, KIND, ENDING.
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import safetensors.numpy
from numpy.typing import NDArray

from scaling.results import seal
from scaling.results.folder import Folder
from scaling.storage import trouble

FIELD = "overhear"  # one field only: safetensors writes several in no fixed order
HEADER = 8  # bytes that hold the header's length
NAMES = "names-2"  # says that layers have the names of this version
KIND, ENDING = "weights", ".safetensors"

T = TypeVar("T")


def trials(results: Folder) -> set[str]:
    """The ids of those that have weights."""
    return set(results.names(KIND, ENDING))


def part(trial: str, results: Folder, prefix: str) -> dict[str, NDArray[Any]] | None:
    """The tensors of a trial whose names begin so, without the prefix; None where it has no file.

    Not for layers of the network, whose names differ in files of earlier versions. Raises as
    `opened` does.
    """
    content = results.get(KIND, trial + ENDING)
    if content is None:
        return None
    found, _ = opened(content, trial, path(trial, results), safetensors.numpy.load)
    return {
        name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)
    }


def opened(
    content: bytes, trial: str, path: str, load: Callable[[bytes], dict[str, T]]
) -> tuple[dict[str, T], bool]:
    """The tensors in the content of the file at `path`, by `load`, and whether layers have their
    present names.

    Raises ValueError, which names the file and the remedy, when it is damaged or another trial's.
    Files of earlier versions do not say whose they are, nor what they held when they were written.
    """
    try:
        seal.check(content)
        tensors = load(content)
        said = _said(content)
        if len(said) > 1 and said[1] != trial:
            raise ValueError(f"it holds the weights of trial {said[1]}")
    except Exception as error:  # noqa: BLE001
        # safetensors raises its own error and many of Python's for a damaged file
        reason = trouble(error).reason
        raise ValueError(f"{path} cannot be read ({reason}): {remedy(trial)}") from None
    return tensors, NAMES in said


def path(trial: str, results: Folder) -> str:
    """Where the weights of this trial are, in the words of the folder's filesystem."""
    return results.path(KIND, trial + ENDING)


def remedy(trial: str) -> str:
    """What to do about weights that are not what they should be."""
    return (
        f"restore it from a copy, or delete it and outcomes/{trial}.parquet, and run its sweep "
        "again"
    )


def _said(content: bytes) -> list[str]:
    """What a file says of itself: `trial`, its id, and more; nothing in the earliest files."""
    length = int.from_bytes(content[:HEADER], "little")
    header = json.loads(content[HEADER : HEADER + length])
    return str(header.get("__metadata__", {}).get(FIELD, "")).split()
