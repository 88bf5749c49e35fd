"""Checkpoint: the state from which an unfinished trial continues, beside its records.

A checkpoint is only a shortcut: one that is damaged, or another trial's, costs its epochs and a
warning, never the trial. So all of it is doubted: its bytes (scaling.results.seal), its size, what
it is of, and, when a network takes it up (scaling.training.resume), its shapes. Contents: `save`,
`load`, `trials`, `remove`, `misfit`.
"""

import io
import math
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from scaling.networks.modules.state import Misfit, renamed
from scaling.results import seal
from scaling.results.records import Damaged, Refused, Results
from scaling.settings import Trial
from scaling.storage import trouble

NAME = "last.pt"
VERSION = 3  # of what a checkpoint holds
EARLIER = 2  # the same by earlier names of layers; that of any other version is not taken up


def save(trial: Trial, results: Results, state: Mapping[str, Any]) -> None:
    """Keep a state that `run` can continue from, and `wall_s`, the seconds so far."""
    content = io.BytesIO()
    torch.save({**state, "version": VERSION, "trial": trial.id}, content)
    results.put(seal.archive(content), "checkpoints", trial.id, NAME)


def load(trial: Trial, results: Results) -> dict[str, Any] | None:
    """The state that a trial left; None, with a warning, where there is one that is of no use."""
    try:
        saved = results.get("checkpoints", trial.id, NAME)
        if saved is None:
            return None
        state = _opened(saved)
        version = state.get("version") if isinstance(state, dict) else VERSION
        if version not in (VERSION, EARLIER):
            _warn(trial, "is of another version of Overhear")
            return None
        _check(trial, state)
        if version == EARLIER:
            state["model"] = renamed(state["model"])
    except Damaged as error:
        _warn(trial, f"is damaged ({error})")
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001
        # torch.load raises many kinds of error for a damaged file
        _warn(trial, f"is damaged ({trouble(error).reason})")
    else:
        return {"masks": None, **state}
    return None


def trials(results: Results) -> set[str]:
    """The ids of those that left something beside their records. Raises Refused."""
    return set(results.folders("checkpoints"))


def remove(trial: str, results: Results) -> None:
    """Remove what the trial of this id left beside its records. Raises Refused."""
    results.remove("checkpoints", trial)


def misfit(trial: Trial, error: Misfit) -> None:
    """Warn of a state that `take_up` refused."""
    _warn(trial, f"is damaged ({error})")


def _warn(trial: Trial, what: str) -> None:
    warnings.warn(f"trial {trial.id}: its checkpoint {what}; the trial starts over", stacklevel=3)


def _opened(saved: bytes) -> Any:
    seal.check(saved)
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        # torch packs nothing, so that whatever unpacks to more was not written by it
        size = sum(each.file_size for each in archive.infolist())
    if size > len(saved):
        raise ValueError(f"it unpacks to {size:,} bytes from {len(saved):,}")
    return torch.load(io.BytesIO(saved), map_location="cpu", weights_only=True)


def _check(trial: Trial, state: Any) -> None:
    """Raise ValueError unless this is a state of the trial, as far as can be told without a
    network.
    """
    if not isinstance(state, dict):
        raise ValueError("it contains no state")
    if state.get("trial", trial.id) != trial.id:
        raise ValueError(f"it is of trial {state['trial']}"[:100])
    epoch, wall_s, patience = state.get("epoch"), state.get("wall_s"), state.get("patience")
    if type(epoch) is not int or not 0 < epoch <= trial.training.epochs:
        raise ValueError(f"it is of epoch {epoch!r:.20}, of {trial.training.epochs}")
    if type(wall_s) is not float or not 0 <= wall_s < math.inf:
        raise ValueError(f"it took {wall_s!r:.20} seconds")
    if not (isinstance(patience, tuple) and [*map(type, patience)] == [float, int]):
        raise ValueError("it holds no patience")
    if not _tensors(state.get("model")) or not isinstance(state.get("optimizer"), dict):
        raise ValueError("it holds no model or no optimizer")
    adversary = state.get("adversary")
    if adversary is not None and not (
        isinstance(adversary, dict)
        and _tensors(adversary.get("model"))
        and isinstance(adversary.get("optimizer"), dict)
    ):
        raise ValueError("it holds no adversary")
    for name in ("masks", "early"):
        if state.get(name) is not None and not _tensors(state[name]):
            raise ValueError(f"it holds no {name}")


def _tensors(found: Any) -> bool:
    return isinstance(found, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    )
