"""Fine-tuning for int8: a trained network learns to live with weights of eight bits.

Weights are rounded per output channel in each forward pass, gradients pass as if they were not
(straight-through, Bengio et al. 2013). A channel's scale commutes with its normalization, so
folding changes nothing. It learns the probabilities of the network itself (Hinton et al. 2015):
labels of clips without augmentation would be learnt by heart. Normalization keeps its statistics,
weights that pruning cut stay zero, and clips are the trial's training clips as recorded.
Contents: `rounded`, `stops`, `finetuned`.
"""

# B clips, P patches of a clip, F mel bands, N frames

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from scaling.networks.modules.kernels import Convolution, Prunable
from scaling.seeds import stream
from scaling.shipping.model import Model
from scaling.training import inputs
from scaling.training.inputs import Listener

BATCH = 32  # clips
LEVELS = 127  # on either side of zero


def rounded(weight: Tensor) -> Tensor:
    """A weight (outputs, ...) at the 255 levels of each of its output channels."""
    largest = weight.detach().abs().flatten(1).amax(dim=1).clamp(min=1e-12)
    scale = (largest / LEVELS).reshape(-1, *[1] * (weight.ndim - 1))
    return (weight / scale).round() * scale


class _Rounding(nn.Module):
    """The weight as it will be in the file: kept where it was not cut, damped weights rounded as
    they are multiplied.
    """

    kept: Tensor
    factor: Tensor | None

    def __init__(self, layer: Prunable) -> None:
        super().__init__()
        self.register_buffer("kept", layer.weight != 0)
        self.register_buffer("factor", layer.factor if isinstance(layer, Convolution) else None)

    def forward(self, weight: Tensor) -> Tensor:
        kept = weight * self.kept
        if self.factor is None:
            return kept + (rounded(kept) - kept).detach()
        damped = kept * self.factor
        return kept + (rounded(damped) - damped).detach() / self.factor.clamp(min=1e-12)


def stops(epochs: int) -> list[int]:
    """After which epochs the weights are worth a look: 1, 2, 4, ... and the last."""
    return sorted({epochs, *(2**power for power in range(epochs.bit_length()))}) if epochs else []


def finetuned(
    model: Model, listener: Listener, epochs: int, rate: float
) -> Iterator[tuple[int, Model]]:
    """Copies of the model after each of `stops`, with that epoch: their weights, rounded, were
    trained on the trial's training clips, towards the model's own probabilities, by Adam of this
    rate.
    """
    made = copy.deepcopy(model)
    network = made.classifier.network
    layers = [each for each in network.modules() if isinstance(each, Prunable)]
    weights = [layer.weight.requires_grad_(True) for layer in layers]
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", _Rounding(layer))
    optimizer = torch.optim.Adam(weights, rate)
    train, seed = listener.parts["train"], listener.trial.seed
    for epoch in range(epochs):
        order = stream(seed, "finetune", epoch).permutation(train)
        for at in range(0, len(order), BATCH):
            rows = order[at : at + BATCH]
            patches_BPFN = inputs.patches(made.trial, listener.features(rows))
            x_BFN = patches_BPFN.flatten(0, 1)
            with torch.no_grad():
                wanted_BY = model.classifier(x_BFN).logits_BY.float().softmax(dim=1)
            logits_BY = made.classifier(x_BFN).logits_BY.float()
            loss = functional.cross_entropy(logits_BY, wanted_BY)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        if epoch + 1 in stops(epochs):
            yield epoch + 1, _plain(model, layers)


@torch.no_grad()
def _plain(model: Model, layers: Sequence[Prunable]) -> Model:
    """A copy of the model with the weights of these layers of its twin."""
    made = copy.deepcopy(model)
    own = (each for each in made.classifier.network.modules() if isinstance(each, Prunable))
    for mine, layer in zip(own, layers, strict=True):
        mine.weight.copy_(layer.weight)
    return made
