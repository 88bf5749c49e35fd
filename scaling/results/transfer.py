"""Transfer: the state of the classifier that a trial takes over, found and read.

It is that of another trial, whose weights lie in the same results folder, or public weights in a
file that a person has fetched. A trial that knows clips or devices which this one is tested on is
refused (scaling.results.leaks). Contents: `check`, `source`.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from scaling.results import leaks, weights
from scaling.results.records import Results
from scaling.seeds import torch_stream
from scaling.settings import Trial
from scaling.sound import public_weights
from scaling.sound.frontends import Standardize


def check(trials: Sequence[Trial], results: Results) -> None:
    """Raises ValueError for a trial that takes over one which knows clips or devices that it is
    tested on; where the last layer is kept, also for one that is neither among these trials nor
    planned in this folder, and for one that hears otherwise.
    """
    taking = [trial for trial in trials if trial.transfer.trial]
    if not taking:
        return
    here = {trial.id: trial for trial in trials}
    known = leaks.recorded(results, (trial.transfer.trial for trial in taking)) | here
    for trial in taking:
        _check(trial, known, results)


def _check(trial: Trial, known: Mapping[str, Trial], results: Results) -> None:
    name, kept = trial.transfer.trial, trial.transfer.last_layer == "kept"
    stated = f"transfer.trial={name}"
    if name not in known:
        if kept:
            raise _missing(name, results)
        return  # whose weights may have been brought here without their plan
    taken = known[name]
    if kept and (told := leaks.apart(taken, trial, "sound.")):
        raise ValueError(
            f"{stated} hears otherwise: {told}; with transfer.last_layer=kept name one of the same "
            "sound and classes"
        )
    leaks.check(trial, taken, known, stated, "one")


def _missing(name: str, results: Results) -> ValueError:
    return ValueError(
        f"transfer.trial={name}: {results.where} has no weights of it: sweep it first, into the "
        "same --out"
    )


def source(trial: Trial, results: Results) -> dict[str, Tensor] | None:
    """What the trial takes over, by the names of scaling.training.classifier; None: nothing.

    Public weights come without standardization: their network hears features as they are. Raises
    ValueError where the weights are not there, or are no weights of such a network.
    """
    if name := trial.transfer.trial:
        _check(trial, leaks.recorded(results, [name]), results)
        found = weights.load(name, results)
        if found is None:
            raise _missing(name, results)
        return found
    if not trial.transfer.weights:
        return None
    path = public_weights.find(trial.transfer.weights, trial.network.public)
    network = trial.network.build(2, torch_stream(0, "any"), size=trial.sound.shape)
    trial.network.load_public(network, path)
    mels = trial.sound.features.mels
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    as_is = Standardize(torch.zeros(mels), torch.ones(mels)).state_dict()
    return state | {f"standardize.{name}": value for name, value in as_is.items()}
