"""Prototypes: any network, its answer read from distances to the mean of each class's examples.

The network's own last layer puts out a place in a space of E dimensions instead of classes; a clip
belongs to the class whose prototype is nearest. Prototypes are recomputed in every forward pass
from the same few examples, so that they move with the network. Sources: Snell et al. 2017; Pons et
al. 2019 (facts: vib_few_data_consistency, section B5): all classes in every update, examples fixed
once, distances averaged over the dimensions.
"""

# B clips, S examples, C channels, F mel bands, N frames, E dimensions, Y classes

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.networks.modules.output import Output
from scaling.objectives.modules.head import Head


class PrototypesHead(Head):
    """Features (B, C, F, N) to logits (B, Y): minus the distances to the prototypes.

    distance: `mean_squared` or `squared` (sum) over the dimensions, or `cosine` (1 - cosine).
    """

    def __init__(self, base: nn.Module, classes: int, distance: str) -> None:
        super().__init__(base)
        self.classes, self.distance = classes, distance
        # not saved: who restores a network knows its trial's examples, too
        self.register_buffer("examples_SCFN", None, persistent=False)
        self.register_buffer("classes_S", None, persistent=False)

    def show(self, examples_SCFN: Tensor, classes_S: Tensor) -> None:
        """The examples that prototypes are the mean of, at least one of each class."""
        counts_Y = torch.bincount(classes_S, minlength=self.classes)
        assert len(counts_Y) == self.classes, "an example of a class that there is not"
        assert counts_Y.min() > 0, "a class without an example has no prototype"
        self.examples_SCFN, self.classes_S = examples_SCFN, classes_S

    def forward(self, x_BCFN: Tensor) -> Output:
        assert self.examples_SCFN is not None, "show() it examples first"
        out: Output = self.base(x_BCFN)
        shown_SE = self.base(self.examples_SCFN).logits_BY.float()
        belongs_YS = functional.one_hot(self.classes_S, self.classes).T.to(shown_SE)
        prototypes_YE = (belongs_YS @ shown_SE) / belongs_YS.sum(dim=1, keepdim=True)
        distances_BY = distances(out.logits_BY.float(), prototypes_YE, self.distance)
        return out._replace(logits_BY=-distances_BY)


def distances(x_BE: Tensor, prototypes_YE: Tensor, kind: str) -> Tensor:
    """From every place to every prototype: (B, Y)."""
    if kind == "cosine":
        return 1 - functional.normalize(x_BE, dim=1) @ functional.normalize(prototypes_YE, dim=1).T
    squares_BYE = (x_BE[:, None] - prototypes_YE).square()
    return squares_BYE.mean(dim=2) if kind == "mean_squared" else squares_BYE.sum(dim=2)
