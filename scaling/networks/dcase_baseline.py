"""The baseline of the DCASE challenge of 2024 and 2025, task 1: CP-Mobile, narrower and without
global response normalization.

Source: Schmid et al. 2024 (arXiv 2405.10018) and its public code (facts: unseen_devices), with W =
32 channels after the stem, 1.8 times the channels by stage, 2.1 times within blocks, and other
strides than CP-Mobile.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

from scaling.networks.cost import Sides
from scaling.networks.cp_mobile import Inverted


class DCASEBaseline(Inverted):
    """W channels after the stem; stages and blocks grow as published."""

    kind: Literal["dcase_baseline"] = "dcase_baseline"

    strides: ClassVar[Mapping[int, Sides]] = {3: (1, 2), 4: (2, 1)}
    responds: ClassVar[bool] = False

    @property
    def growth(self) -> tuple[float, float]:
        """See Inverted.growth."""
        return 1.8, 2.1
