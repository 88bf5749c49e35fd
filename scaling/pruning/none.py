"""No pruning: all weights stay."""

from typing import Literal

from scaling.pruning.pruning import Pruning


class Unpruned(Pruning):
    """All weights stay."""

    kind: Literal["none"] = "none"
