"""Files of public weights: their tensors, read without running code, and held against a network.

Contents: FileLayout, `load`, `matched`, `read`, `seems`.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn

from scaling.text import one_line

LONGEST = 80  # characters of a name in a message
LARGEST = 2**31  # bytes of a file, unpacked: four times the largest that there is


class FileLayout(NamedTuple):
    """How the files of one network name their tensors."""

    names: Mapping[str, str]  # theirs to ours
    ignored: tuple[str, ...]  # how the names of those begin that are of no use here


def load(model: nn.Module, path: Path, layout: FileLayout, needed: str) -> None:
    """Replace a network's weights, but for those of its classes, with those of a file.

    Raises ValueError in one line, which names the file, for one that holds no tensors by name, and
    as `matched` does.
    """
    try:
        converted = matched(read(path), model, layout, needed)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    own = model.state_dict()
    with torch.no_grad():
        for name, tensor in converted.items():
            own[name].copy_(tensor)


def matched(
    found: Mapping[str, Tensor], model: nn.Module, layout: FileLayout, needed: str
) -> dict[str, Tensor]:
    """A file's tensors by our names; `needed` says which network the model is.

    Raises ValueError that names the first tensor that is missing, of another shape, not of numbers
    or unknown, and what the file seems to hold.
    """
    own = model.state_dict()
    converted: dict[str, Tensor] = {}
    for theirs, ours in layout.names.items():
        if theirs not in found:
            raise ValueError(f"{theirs} is missing: {needed} needs it, {seems(found)}")
        tensor, here = found[theirs], own[ours]
        if tensor.shape != here.shape:
            raise ValueError(
                f"{theirs} is {sides(tensor)}, {needed} needs {sides(here)}: {seems(found)}"
            )
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{theirs} contains NaN or infinite numbers: fetch the file again")
        converted[ours] = tensor
    for name in found:
        if name not in layout.names and not name.startswith(layout.ignored):
            said = one_line(name)[:LONGEST]
            raise ValueError(f"{needed} has no {said}: {seems(found)}")
    return converted


def sides(tensor: Tensor) -> str:
    """The shape of a tensor in words."""
    return " x ".join(map(str, tensor.shape)) or "one number"


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name: one of `torch.save`, or one that ends in `.safetensors`.

    Raises ValueError where it is not there, is larger than any such file, or holds something else.
    """
    if not path.is_file():
        raise ValueError("no such file")
    if (size := _unpacked(path)) > LARGEST:
        raise ValueError(
            f"{size / 2**30:.1f} GiB of tensors: public weights have at most {LARGEST / 2**30:g}"
        )
    try:
        found: Any = (
            safetensors.torch.load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:  # noqa: BLE001  a damaged pickle fails in any way
        raise ValueError(
            f"not a file of tensors ({type(error).__name__}): save a network's state_dict() with "
            "torch.save, or as .safetensors"
        ) from None
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise ValueError("it does not map names to tensors: save a state_dict()")
    return found


def _unpacked(path: Path) -> int:
    """Bytes of a file, or of what an archive says that it holds."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            return max(size, sum(each.file_size for each in archive.infolist()))
    except (zipfile.BadZipFile, OSError, ValueError):
        return size


def seems(found: Mapping[str, Tensor]) -> str:
    """What a file's tensors seem to be, in words."""
    if "freq_new_pos_embed" in found and "cls_token" in found:
        return f"the file seems to be {_passt(found)}"
    if "features.0.0.weight" in found:
        return f"the file seems to be {_mn(found)}"
    if "features.0.weight" in found and "embeddings.0.weight" in found:
        return "the file seems to be torchvggish"
    if "patch_embed.proj.weight" in found:
        return "the file seems to be a vision transformer without PaSST's positions"
    first = one_line(next(iter(found), "nothing"))[:LONGEST]
    return f"the file is of no layout that is known here (it has {first})"


def _mn(found: Mapping[str, Tensor]) -> str:
    """The network of a file in EfficientAT's layout."""
    hidden = found.get("classifier.2.weight")
    if hidden is None or hidden.ndim != 2:
        return "EfficientAT's, with another head than a hidden layer"
    return f"EfficientAT's with network.width={max(1, round(hidden.shape[0] / 128))}"


def _passt(found: Mapping[str, Tensor]) -> str:
    """The network of a file in PaSST's layout."""
    blocks = sum(name.startswith("blocks.") and name.endswith(".norm1.weight") for name in found)
    bands = found["freq_new_pos_embed"]
    rows = bands.shape[2] if bands.ndim == 4 else 0
    stride = next((each for each in (10, 12, 14, 16) if 128 // each == rows), 0)
    said = f"PaSST with network.width={found['cls_token'].shape[-1]}, network.blocks={blocks}"
    return said + (f", network.stride={stride}" if stride else "")
