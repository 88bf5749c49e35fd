"""Weights: a trained classifier's tensors as one safetensors file, which says whose they are.

The file itself is scaling.results.weights_file's. Contents: `save`, `load`, `restore`; `packed`,
`unpacked`.
"""

from collections.abc import Mapping

import safetensors.torch
from torch import Tensor, nn

from scaling.networks.modules.state import renamed
from scaling.results import seal
from scaling.results.records import Results
from scaling.results.weights_file import ENDING, FIELD, KIND, NAMES, opened, path, remedy


def save(trial: str, results: Results, weights: Mapping[str, Tensor]) -> None:
    """Keep the weights of the trial of this id, by name. Raises Refused."""
    results.put(memoryview(packed(trial, weights)), KIND, trial + ENDING)


def load(trial: str, results: Results) -> dict[str, Tensor] | None:
    """The weights of a trial, on the CPU; None where it has none. Raises as `unpacked` does."""
    content = results.get(KIND, trial + ENDING)
    return None if content is None else unpacked(content, trial, path(trial, results))


def restore(model: nn.Module, trial: str, results: Results) -> None:
    """Give a model the weights of this trial, which has some. Raises as `load` does, and ValueError
    for weights of another network.
    """
    learned = load(trial, results)
    assert learned is not None, "who asks has looked"
    try:
        model.load_state_dict(learned)
    except RuntimeError:
        raise ValueError(
            f"{path(trial, results)} holds another network's weights: {remedy(trial)}"
        ) from None


def packed(trial: str, weights: Mapping[str, Tensor]) -> bytearray:
    """The weights of the trial of this id, by name, as a file's content."""
    # in the plain layout that safetensors holds
    plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    about = {FIELD: f"trial {trial} {NAMES} {seal.BLANK}"}
    return seal.sealed(safetensors.torch.save(plain, about))


def unpacked(content: bytes, trial: str, path: str) -> dict[str, Tensor]:
    """The weights in the content of the file at `path`, on the CPU, by the names that layers have
    now. Raises as `weights_file.opened` does.
    """
    weights, named = opened(content, trial, path, safetensors.torch.load)
    return weights if named else renamed(weights)
