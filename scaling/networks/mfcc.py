"""No network: what a clip's MFCC statistics stand in for, so that the baseline has its place among
the networks, at no parameters. See scaling.neighbours.
"""

from torch import nn

from scaling.networks.cost import Layer


def layers(*_: object) -> list[Layer]:
    """None."""
    return []


def build(*_: object) -> nn.Module:
    """Never asked for: nothing is trained."""
    raise AssertionError("MFCC statistics need no network")
