"""Transfer: the state of the classifier that a trial takes over, found and read.

It is that of another trial, whose weights lie in the same results folder, or public VGGish weights
in a file that a person has fetched. Contents: `source`.
"""

import torch
from torch import Tensor

from scaling.networks.modules import vggish, vggish_weights
from scaling.results import weights
from scaling.results.records import Results
from scaling.seeds import torch_stream
from scaling.settings import Trial
from scaling.sound import public_weights
from scaling.sound.frontends import Standardize


def source(trial: Trial, results: Results) -> dict[str, Tensor] | None:
    """What the trial takes over, by the names of scaling.training.classifier; None: nothing.

    Public weights come without standardization: their network hears features as they are. Raises
    ValueError where the weights are not there, or are no weights of such a network.
    """
    if name := trial.transfer.trial:
        found = weights.load(name, results)
        if found is None:
            raise ValueError(
                f"transfer.trial={name}: {results.where} has no weights of it: sweep it first, "
                "into the same --out"
            )
        return found
    if not trial.transfer.weights:
        return None
    path = public_weights.find(trial.transfer.weights)
    network = trial.network.build(2, torch_stream(0, "any"), size=trial.sound.shape)
    assert isinstance(network, vggish.VGGishModule), "Trial checks that they are VGGish's"
    vggish_weights.load(network, path)
    mels = trial.sound.features.mels
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    as_is = Standardize(torch.zeros(mels), torch.ones(mels)).state_dict()
    return state | {f"standardize.{name}": value for name, value in as_is.items()}
