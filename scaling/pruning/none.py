"""No pruning: all weights stay."""

from typing import Literal

from scaling.pruning.pruning import Pruning


class Dense(Pruning):
    """All weights stay."""

    kind: Literal["none"] = "none"
