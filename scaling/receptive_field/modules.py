"""Modules: the effective receptive field of any torch module that a person names, on noise.

The module takes features (B, 1, F, N) and returns a map, logits, or logits and the last map, as
networks of one's own do (scaling.own). Nothing is trained: with a file of weights the field is that
of the weights, without one that of its initialization from a seed.
Contents: NoiseMap, `of_module`, `seen`.
"""

# B clips, F rows of the input (mel bands), N columns (frames)

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scaling.own import options, parts
from scaling.own.names import NETWORK, is_own
from scaling.receptive_field.gradients import (
    Map,
    Numbers,
    Place,
    Target,
    effective_field,
    map_of,
    numbers,
    output_of,
)
from scaling.spelling import nearest

BATCH = 16  # inputs of one backward pass; no result depends on it
LARGEST = 2**24  # pixels of an input


Box = tuple[tuple[int, int], tuple[int, int]]  # first and last row, first and last column


class NoiseMap(NamedTuple):
    """A module's map over inputs of noise, and what it amounts to."""

    map: Map
    numbers: Numbers  # about the middle of the box
    box: Box  # what can change the output: the maximum field, of layers that see all within theirs


def of_module(
    kind: str,
    words: Sequence[str],
    size: tuple[int, int],
    clips: int = 32,
    seed: int = 0,
    layer: str = "",
    weights: str | None = None,
) -> NoiseMap:
    """The map of the class `kind` (`module:Class`), constructed from its settings `words`, over so
    many inputs of standard normal noise, which standardized features resemble.

    Raises ValueError in one line for a module that is not there, does not take its settings or such
    inputs, and for weights that are not its own.
    """
    if not is_own(kind):
        raise ValueError(f"--module {kind}: write module:Class, as my_net:Net")
    if not size[0] * size[1] <= LARGEST:
        raise ValueError(f"--input {size[0]}x{size[1]}: at most {LARGEST:,} pixels")
    model = _constructed(kind, words, size, seed)
    if weights is not None:
        _load(model, kind, Path(weights))
    target = output_of(model, layer) if layer else map_of(model, kind)
    made = effective_field(model, _noise(clips, size, seed), partial(_run, kind, target))
    box = seen(made.values_FN)
    centre = (sum(box[0]) / 2, sum(box[1]) / 2)
    return NoiseMap(made, numbers(made.values_FN, Place(centre, box)), box)


def seen(values_FN: NDArray[np.floating]) -> Box:
    """First and last row and column, inclusive, of all that is not zero in a map."""
    rows, columns = (np.flatnonzero(values_FN.any(axis=axis)) for axis in (1, 0))
    return (int(rows[0]), int(rows[-1])), (int(columns[0]), int(columns[-1]))


def _constructed(kind: str, words: Sequence[str], size: tuple[int, int], seed: int) -> nn.Module:
    """The module, its weights drawn from this seed."""
    try:
        thing, _ = parts.named(kind, NETWORK)
    except ValueError as error:
        raise ValueError(str(error).replace(f"{NETWORK.field}=", "--module ", 1)) from error
    known = options.takes(thing)
    try:
        stated = options.split(words)
    except ValueError as error:
        raise ValueError(str(error).replace("options=", "--arg ", 1)) from None
    for name in stated:
        if name not in known:
            raise ValueError(f"--arg {name}: {kind} takes no {name}{nearest(name, known)}")
    given: Mapping[str, Any] = {
        name: value
        for name, value in {"classes": 10, "mels": size[0], "frames": size[1]}.items()
        if name not in stated
    }
    try:
        own = options.values(thing, words, "")
    except ValueError as error:
        raise ValueError(str(error).replace("options.", "--arg ", 1)) from None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = options.called(kind, thing, given, own)
    if not isinstance(made, nn.Module):
        raise ValueError(
            f"--module {kind} makes a {type(made).__name__}: it must be a torch.nn.Module"
        )
    return made


def _load(model: nn.Module, kind: str, path: Path) -> None:
    """Its weights from a safetensors file, which runs no code."""
    if path.suffix != ".safetensors":
        raise ValueError(
            f"--weights {path}: only .safetensors is read, as other files may run code: save "
            "them by safetensors.torch.save_file"
        )
    try:
        found = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(f"--weights {path}: {str(error).splitlines()[0]}") from None
    wanted = model.state_dict()
    for name, value in wanted.items():
        if name not in found:
            raise ValueError(f"--weights {path} lacks {name}{nearest(name, found)} of {kind}")
        if found[name].shape != value.shape:
            shapes = " and ".join(str(tuple(each[name].shape)) for each in (found, wanted))
            raise ValueError(f"--weights {path}: {name} differs from {kind}'s: {shapes}")
    if extra := sorted(found.keys() - wanted.keys()):
        raise ValueError(f"--weights {path} has {extra[0]}, which {kind} has not")
    model.load_state_dict(found)


def _run(kind: str, target: Target, batch: Tensor) -> Tensor:
    try:
        return target(batch)
    except Exception as error:
        if isinstance(error, ValueError):
            raise
        line = (str(error) or repr(error)).splitlines()[0]
        raise ValueError(
            f"--module {kind} fails on features {tuple(batch.shape)} (clips, 1, rows, columns): "
            f"{type(error).__name__}: {line}"
        ) from error


def _noise(clips: int, size: tuple[int, int], seed: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    for at in range(0, clips, BATCH):
        yield torch.randn(min(BATCH, clips - at), 1, *size, generator=generator)
