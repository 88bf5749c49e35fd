"""Transfer: the state of the classifier that a trial takes over, found and read.

It is that of another trial, whose weights lie in the same results folder, or public VGGish weights
in a file that a person has fetched. Contents: `source`, `find`, `digest`.
"""

import os
from pathlib import Path

import torch
from torch import Tensor

from scaling import networks, weights
from scaling.config import Trial
from scaling.networks import vggish, vggish_weights
from scaling.records import Results
from scaling.seeds import torch_stream
from scaling.sound import checksums
from scaling.sound.frontends import Standardize
from scaling.storage import shown

FOLDER = "weights"  # below a data root
ADDRESS = "https://github.com/harritaylor/torchvggish (release v0.1: vggish-10086976.pth)"


def source(trial: Trial, results: Results) -> dict[str, Tensor] | None:
    """What the trial takes over, by the names of scaling.classifier; None where it takes nothing.

    Public weights come without standardization: their network hears features as they are. Raises
    ValueError where the weights are not there, or are no weights of such a network.
    """
    if name := trial.transfer.trial:
        content = results.get("weights", f"{name}.safetensors")
        if content is None:
            raise ValueError(
                f"transfer.trial={name}: {results.where} has no weights of it: sweep it first, "
                "into the same --out"
            )
        return weights.unpacked(content, name, results.path("weights", f"{name}.safetensors"))
    if not trial.transfer.weights:
        return None
    path = find(trial.transfer.weights)
    network = networks.build(trial.network, 2, torch_stream(0, "any"), size=trial.sound.shape)
    assert isinstance(network, vggish.VGGish), "Trial checks that they are VGGish's"
    vggish_weights.load(network, path)
    mels = trial.sound.features.mels
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    as_is = Standardize(torch.zeros(mels), torch.ones(mels)).state_dict()
    return state | {f"standardize.{name}": value for name, value in as_is.items()}


def find(name: str) -> Path:
    """A file of weights: as it is, else in the folder weights below OVERHEAR_DATA or data/.

    Raises ValueError that names the places looked at.
    """
    bases = filter(None, (os.environ.get("OVERHEAR_DATA"), "data"))
    places = list(dict.fromkeys([Path(name), *(Path(base) / FOLDER / name for base in bases)]))
    for place in places:
        if place.is_file():
            return place
    raise ValueError(
        f"transfer.weights={shown(name)} not found at {', '.join(shown(str(p)) for p in places)}: "
        "fetch it from "
        f"{ADDRESS}"
    )


def digest(path: Path) -> str:
    """16 hex digits of the SHA-256 of a file of weights."""
    return checksums.content(path)[:16]
