"""No network: MFCC statistics have their place among the networks, at no parameters.

What they are compared by is in scaling.training.neighbours.
"""

from typing import ClassVar, Literal

from scaling.networks.cost import Layer
from scaling.networks.network import Network


class MFCC(Network):
    """Statistics of mel-frequency cepstral coefficients; its width means nothing."""

    kind: Literal["mfcc"] = "mfcc"

    grows: ClassVar[bool] = False

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:  # noqa: ARG002
        """None."""
        return []
