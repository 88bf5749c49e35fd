"""Plans: what the layers of a chain have in common, and residual blocks, as data. No torch."""

from typing import Literal, NamedTuple

Scheme = Literal["he", "glorot", "fan_out", "uniform"]  # how first weights are drawn


class ChainStyle(NamedTuple):
    """What the layers of a chain have in common; the defaults are torch's."""

    activation: Literal["relu", "elu"] = "relu"  # after each layer but the last
    norm_last: bool = False  # batch normalization after the activation, not in front of it
    epsilon: float = 1e-5  # of batch normalization
    momentum: float = 0.1  # share of the newest batch in its running statistics
    dropout: float = 0.0  # share of elements dropped in front of each dense layer
    initialization: Scheme = "he"


# TensorFlow's defaults
TENSORFLOW = ChainStyle(epsilon=1e-3, momentum=0.01, initialization="glorot")


class Block(NamedTuple):
    """The plan of one residual block: two convolutions, a shortcut where the width changes, perhaps
    pooling.
    """

    name: str
    kernels: tuple[int, int]
    inputs: int
    outputs: int
    pool: int = 1
