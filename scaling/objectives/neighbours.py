"""Nearest neighbours: nothing is minimized; scaling.training.neighbours says what is done instead.

It stands among the objectives because ids of trials say so.
"""

from typing import ClassVar, Literal

from scaling.objectives.objective import Objective


class Neighbours(Objective):
    """A clip is of the class of the training clips that are nearest to it."""

    kind: Literal["neighbours"] = "neighbours"

    trains: ClassVar[bool] = False
