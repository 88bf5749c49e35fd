"""No network: MFCC statistics have their place among the networks, at no parameters.

What they are compared by is in scaling.training.neighbours.
"""

from torch import nn

from scaling.networks.cost import Layer


def layers(*_: object) -> list[Layer]:
    """None."""
    return []


def build(*_: object) -> nn.Module:
    """Never asked for: nothing is trained."""
    raise AssertionError("MFCC statistics need no network")
