"""Public VGGish weights into our network.

Layout: the state dict of the PyTorch port torchvggish (its release v0.1, `vggish-10086976.pth`),
whose kernels are (outputs, inputs, frames, mel bands): ours are (outputs, inputs, mel bands,
frames). Both flatten the last map by frame, mel band and channel. Nothing is downloaded. Source:
facts, vib_few_data_consistency, sections B6 and E.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from scaling.networks.modules.public_file import read, sides
from scaling.networks.modules.vggish import VGGishModule

# the port's layer -> ours; its numbers count activations and poolings
LAYERS = {
    "features.0": "conv1",
    "features.3": "conv2",
    "features.6": "conv3",
    "features.8": "conv4",
    "features.11": "conv5",
    "features.13": "conv6",
    "embeddings.0": "dense1",
    "embeddings.2": "dense2",
    "embeddings.4": "embedding",
}
KINDS = ("weight", "bias")
MAP = (4, 6)  # rows and columns of the last map of 64 mel bands x 96 frames


def load(model: VGGishModule, path: str | Path) -> None:
    """Replace a network's weights, but for those of its classes, with those of a file: one of
    `torch.save`, or one that ends in `.safetensors`.

    Raises ValueError for a file that holds no tensors by name, and as `convert` does.
    """
    try:
        converted = convert(read(Path(path)), model)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    with torch.no_grad():
        for name, tensor in converted.items():
            model.get_parameter(name).copy_(tensor)


def convert(found: Mapping[str, Tensor], model: VGGishModule) -> dict[str, Tensor]:
    """The port's tensors by our names and with our axes; `model` says what shapes they must have.

    Raises ValueError that names the first tensor that is missing, of another shape or unknown, and
    where the model is for another input than that which the weights were trained on.
    """
    if model.last_map != MAP:
        raise ValueError(
            "weights for 64 mel bands x 96 frames, whose last map is {} x {}: that of this input "
            "is {} x {}".format(*MAP, *model.last_map)
        )
    converted: dict[str, Tensor] = {}
    names = {f"{a}.{kind}": f"{b}.{kind}" for a, b in LAYERS.items() for kind in KINDS}
    for theirs, ours in names.items():
        if theirs not in found:
            first = next(iter(found), "nothing")
            raise ValueError(f"{theirs} is missing: this is not torchvggish (it has {first})")
        tensor, needed = found[theirs], model.get_parameter(ours)
        converted[ours] = tensor.transpose(2, 3) if tensor.ndim == 4 else tensor
        if converted[ours].shape != needed.shape:
            raise ValueError(
                f"{theirs} is {sides(tensor)}, where this network needs {sides(needed)}: the "
                "public weights are those of network.width=64"
            )
    if unknown := [name for name in found if name not in names]:
        raise ValueError(f"{unknown[0]} is unknown: leave only the network's own tensors")
    return converted
