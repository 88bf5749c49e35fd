"""Weights: a trained classifier's tensors as one safetensors file, which says whose they are.

The header's metadata hold one text: the trial's id and the seal of the whole file. Any reader of
safetensors opens it. Contents: `save`, `load`, `trials`, `misfit`; `packed`, `unpacked`.
"""

import json
from collections.abc import Mapping

import safetensors.torch
from torch import Tensor

from scaling.networks.modules.state import renamed
from scaling.results import seal
from scaling.results.records import Results
from scaling.storage import trouble

FIELD = "overhear"  # one field only: safetensors writes several in no fixed order
HEADER = 8  # bytes that hold the header's length
NAMES = "names-2"  # says that layers have the names of this version
KIND, ENDING = "weights", ".safetensors"


def save(trial: str, results: Results, weights: Mapping[str, Tensor]) -> None:
    """Keep the weights of the trial of this id, by name. Raises Refused."""
    results.put(memoryview(packed(trial, weights)), KIND, trial + ENDING)


def load(trial: str, results: Results) -> dict[str, Tensor] | None:
    """The weights of a trial, on the CPU; None where it has none. Raises as `unpacked` does."""
    content = results.get(KIND, trial + ENDING)
    return None if content is None else unpacked(content, trial, _path(trial, results))


def trials(results: Results) -> set[str]:
    """The ids of those that have weights."""
    return set(results.names(KIND, ENDING))


def misfit(trial: str, results: Results) -> ValueError:
    """Says that a trial's weights do not fit into its network."""
    return ValueError(f"{_path(trial, results)} holds another network's weights: {_remedy(trial)}")


def packed(trial: str, weights: Mapping[str, Tensor]) -> bytearray:
    """The weights of the trial of this id, by name, as a file's content."""
    # in the plain layout that safetensors holds
    plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    about = {FIELD: f"trial {trial} {NAMES} {seal.BLANK}"}
    return seal.sealed(safetensors.torch.save(plain, about))


def unpacked(content: bytes, trial: str, path: str) -> dict[str, Tensor]:
    """The weights in the content of the file at `path`, on the CPU.

    Raises ValueError, which names the file and the remedy, when it is damaged or another trial's.
    Files of earlier versions do not say whose they are, nor what they held when they were written.
    """
    try:
        seal.check(content)
        weights: dict[str, Tensor] = safetensors.torch.load(content)
        said = _said(content)
        if len(said) > 1 and said[1] != trial:
            raise ValueError(f"it holds the weights of trial {said[1]}")
        if NAMES not in said:
            weights = renamed(weights)
    except Exception as error:  # noqa: BLE001
        # safetensors raises its own error and many of Python's for a damaged file
        reason = trouble(error).reason
        raise ValueError(f"{path} cannot be read ({reason}): {_remedy(trial)}") from None
    return weights


def _path(trial: str, results: Results) -> str:
    return results.path(KIND, trial + ENDING)


def _remedy(trial: str) -> str:
    return (
        f"restore it from a copy, or delete it and outcomes/{trial}.parquet, and run its sweep "
        "again"
    )


def _said(content: bytes) -> list[str]:
    """What a file says of itself: `trial`, its id, and more; nothing in the earliest files."""
    length = int.from_bytes(content[:HEADER], "little")
    header = json.loads(content[HEADER : HEADER + length])
    return str(header.get("__metadata__", {}).get(FIELD, "")).split()
