"""Rewinding: rounds of training, cutting the smallest weights, and starting over, as one trial.

Sources: Frankle and Carbin 2019 (arXiv 1803.03635: lottery tickets, and their control, a random
reinitialization), Frankle et al. 2020 (arXiv 1912.05671: weights of an early epoch), Renda et al.
2020 (arXiv 2003.02389: the learning rate alone). With E epochs, `rewind_to` = k and R rounds, the
first training takes k + (E - k) / (R + 1) epochs, and each of the R after it (E - k) / (R + 1): all
ways of rewinding train for as many epochs in all.
"""

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from scaling.networks.network import Network
from scaling.pruning.by_magnitude import ByMagnitude
from scaling.pruning.pruning import Length, Rounds


class Rewinding(ByMagnitude):
    """Iterative magnitude pruning, each round trained to its end."""

    kind: Literal["rewinding"] = "rewinding"
    rewind: Annotated[
        Literal["weights", "rate", "none", "reinitialized"],
        Field(
            description="what each round resets to its state at `rewind_to`: weights and learning "
            "rate, the rate alone, or nothing; reinitialized: weights, and a new draw "
            "in the last round"
        ),
    ] = "weights"
    rewind_to: Annotated[
        int, Field(ge=0, le=100_000, description="epoch to which rounds rewind; 0: initialization")
    ] = 0
    rounds: Rounds = 1

    open_ended: ClassVar[bool] = False
    brief: ClassVar[Mapping[str, int]] = {"rounds": 4, "rewind_to": 0}

    def check(self, network: Network, length: Length) -> None:
        """See Pruning.check."""
        super().check(network, length)
        over = (length.epochs - self.rewind_to) % (self.rounds + 1)
        if over or length.epochs <= self.rewind_to:
            less = length.epochs - over
            fits = [each for each in (less, less + self.rounds + 1) if each > self.rewind_to]
            fits = fits or [self.rewind_to + self.rounds + 1]
            raise ValueError(
                f"pruning.rounds={self.rounds} and rewind_to={self.rewind_to}: what follows "
                f"{self.rewind_to} of training.epochs={length.epochs} is no {self.rounds + 1} "
                f"equal parts: training.epochs={' or '.join(map(str, fits))}"
            )
        if length.warmup >= self.first(length.epochs):
            raise ValueError(
                f"training.warmup={length.warmup:g} must end before the first cut, after "
                f"{self.first(length.epochs)} epochs (pruning.rounds={self.rounds})"
            )
        if length.patience:
            raise ValueError(
                f"training.patience={length.patience} may end a trial before "
                f"pruning.kind={self.kind} has cut to its target: name one of them"
            )
        if self.rewind == "reinitialized" and self.rewind_to:
            raise ValueError(
                f"pruning.rewind=reinitialized begins before the first epoch, rewind_to="
                f"{self.rewind_to} after: pruning.rewind_to=0"
            )

    @property
    def returns(self) -> bool:
        """Whether weights are rewound."""
        return self.rewind in ("weights", "reinitialized")

    def each(self, epochs: int) -> int:
        """Epochs of each round."""
        return (epochs - self.rewind_to) // (self.rounds + 1)

    def first(self, epochs: int) -> int:
        """Epochs before the first cut."""
        return self.rewind_to + self.each(epochs)

    def done(self, epoch: int, epochs: int) -> int:
        """How many rounds have begun when epoch `epoch`, counted from 0, is trained."""
        return max(0, epoch - self.rewind_to) // self.each(epochs)

    def due(self, epoch: int, epochs: int) -> bool:
        """Whether a round begins with this epoch."""
        return self.done(epoch, epochs) > self.done(epoch - 1, epochs)

    def after(self, number: int, dense: int, target: int) -> int:
        """How many of `dense` weights so many rounds leave, each the same share of what it
        finds.
        """
        return round(dense * math.pow(target / dense, number / self.rounds))

    def scheduled(self, epoch: int, epochs: int) -> tuple[int, int]:
        """See Pruning.scheduled: a round's rates are those of the first training from rewind_to on;
        where nothing is rewound, those of its last epoch.
        """
        first = self.first(epochs)
        if epoch < first:
            return epoch, first
        if self.rewind == "none":
            return first - 1, first
        return self.rewind_to + (epoch - first) % self.each(epochs), first
