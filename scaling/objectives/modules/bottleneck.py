"""The variational information bottleneck: any network, its answer read from a sample of a Gaussian.

The network's own last layer puts out mean and deviation of K independent dimensions instead of
classes; one dense layer reads a sample of them, or in evaluation their mean. Sources: Alemi et al.
2017; Hu et al. 2021 (facts: vib_few_data_consistency, section A4), whose public code has the
offset of the deviation and one dense layer for what the paper calls an MLP.
"""

# B clips, Y classes, K dimensions

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.networks.modules.kernels import Dense, initialize
from scaling.networks.modules.output import Output
from scaling.networks.plan import Scheme
from scaling.objectives.modules.head import Head

SMALLEST = 1e-8  # deviation, so that its logarithm is finite; the public code's


class BottleneckHead(Head):
    """Features (B, channels, F, N) to logits (B, Y), by way of a Gaussian of K dimensions.

    deviation = softplus(what the base puts out - offset): an offset of 5 begins with next to none.
    """

    def __init__(
        self,
        base: nn.Module,
        latent: int,
        classes: int,
        offset: float,
        generator: torch.Generator,
        scheme: Scheme = "he",
    ) -> None:
        super().__init__(base)
        self.offset = offset
        self.answer = Dense(latent, classes)
        initialize(self.answer, generator, scheme)

    def forward(self, x_BCFN: Tensor) -> Output:
        out: Output = self.base(x_BCFN)
        mean_BK, raw_BK = out.logits_BY.float().chunk(2, dim=1)
        deviation_BK = functional.softplus(raw_BK - self.offset) + SMALLEST
        sample_BK = mean_BK
        if self.training:
            noise_BK = self.draw(torch.randn, mean_BK.shape)
            sample_BK = mean_BK + deviation_BK * noise_BK.to(mean_BK)
        logits_BY = self.answer(sample_BK)
        return out._replace(logits_BY=logits_BY, mean_BK=mean_BK, deviation_BK=deviation_BK)
