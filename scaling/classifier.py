"""Classifier: standardization and network, which is all that a trial learns from its clips.

Its state is what `weights/<trial>.safetensors` holds; another trial may take it over, but for the
last layer (transfer). Contents: Classifier, `take_over`, `taken`.
"""

# B clips, F mel bands, N frames

from collections.abc import Mapping

from torch import Tensor, nn

from scaling.machine import Machine
from scaling.networks.output import Output
from scaling.sound.frontends import Standardize


class Classifier(nn.Module):
    """Features (B, F, N) of clips, or of patches of them, to what the network says of them."""

    def __init__(self, standardize: Standardize, network: nn.Module, machine: Machine) -> None:
        super().__init__()
        self.standardize = standardize
        self.network = network
        self.machine = machine

    def forward(self, features_BFN: Tensor) -> Output:
        return self.network_on(self.standardize(features_BFN))

    def network_on(self, x_BFN: Tensor) -> Output:
        """The network's output for features that are standardized already."""
        with self.machine.autocast():
            output: Output = self.network(x_BFN[:, None])
        return output


def take_over(model: Classifier, source: Mapping[str, Tensor], last: str, whose: str) -> None:
    """Copy what another classifier learned, all but its last layer, into this one.

    `source` is that one's state, or part of it; `last` names this network's last layer; `whose`
    says where the weights come from. Raises ValueError where a tensor is missing or has another
    shape: the networks must be alike but for their classes.
    """
    own = model.state_dict()
    wanted = set(taken(own, last))
    # a bottleneck or prototypes stand around the network: their names begin with base
    plain = {name.replace("network.base.", "network."): value for name, value in source.items()}
    for name in sorted(wanted):
        found = plain.get(name.replace("network.base.", "network."))
        if found is None or found.shape != own[name].shape:
            other = "has none" if found is None else f"has {tuple(found.shape)}"
            raise ValueError(
                f"transfer: {name} is {tuple(own[name].shape)} here, {whose} {other}: name the "
                "same network, width and mel bands in both"
            )
        own[name].copy_(found)


def taken(names: Mapping[str, Tensor], last: str) -> list[str]:
    """Those of the names that are taken over: not the last layer's, nor its normalization's, nor
    those of a head around the network.
    """
    head = {last, f"{last}_norm"}
    wrapped = any(name.startswith("network.base.") for name in names)
    inner = "network.base." if wrapped else "network."
    return [
        name
        for name in names
        if not head & set(name.split("."))
        and (name.startswith(inner) or name.startswith("standardize."))
    ]
