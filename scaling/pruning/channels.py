"""Channel pruning: whole channels are cut by what they have learnt, down to a budget.

Ranked layer by layer, every group of channels (scaling.networks.groups) keeps the same share of its
own, so that what is left is known before a trial trains. Ranked over the network, the least of all
channels go: the budget is met, but how many of which group stay is learnt. Sources: the
normalization's scale, its penalty and the ranking over the network, Liu et al. 2017 (network
slimming); norms of filters, Li et al. 2017. Contents: Channels, `fitted`, `ranked`.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from scaling.networks.cost import Cost
from scaling.networks.groups import ChannelGroup
from scaling.pruning.pruning import Pruning, Rounds

Budget = Literal["macs", "parameters", "bytes"]
Price = Callable[[Mapping[str, int]], int]  # of so many channels of each group

FLOAT32 = 4  # bytes


class Channels(Pruning):
    """Whole channels, once or in rounds, while the network trains."""

    kind: Literal["channels"] = "channels"
    budget: Annotated[
        Budget,
        Field(description="cost that `keep` and `limit` bound, counted without the cut channels"),
    ] = "macs"
    keep: Annotated[
        float, Field(ge=0, lt=1, description="largest share of the cost to keep; 0: use `limit`")
    ] = 0.0
    limit: Annotated[int, Field(ge=0, description="largest cost to keep; 0: use `keep`")] = 0
    criterion: Annotated[
        Literal["scale", "l1", "l2"],
        Field(
            description="score of a channel: |scale| of its normalization, or the norm of its "
            "kernels"
        ),
    ] = "scale"
    ranking: Annotated[
        Literal["layer", "network"],
        Field(
            description="rank channels within their layer, so that all layers keep one share, or "
            "over the whole network"
        ),
    ] = "layer"
    round_to: Annotated[
        int,
        Field(ge=1, le=256, description="a cut layer keeps a multiple of this number of channels"),
    ] = 1
    penalty: Annotated[
        float,
        Field(ge=0, description="L1 penalty on the scales until the last cut; 0: none"),
    ] = 0.0
    start: Annotated[
        int,
        Field(ge=0, description="epochs of training before pruning starts; channels: at least 1"),
    ] = 0
    rounds: Rounds = 1
    every: Annotated[int, Field(ge=1, description="epochs between rounds")] = 1

    brief: ClassVar[Mapping[str, int]] = {"start": 1, "rounds": 1, "every": 1}

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if (self.keep > 0) == (self.limit > 0):
            raise ValueError(
                f"keep={self.keep:g} and limit={self.limit}: exactly one of the two must be above 0"
            )
        if not self.start:
            raise ValueError(
                "kind=channels with start=0: channels are cut by what they have learnt, name the "
                "epochs trained before, 1 or more"
            )
        if self.penalty and self.criterion != "scale":
            raise ValueError(
                f"penalty={self.penalty:g} lowers scales, criterion={self.criterion} does not look "
                "at them: criterion=scale, or penalty=0"
            )
        if self.rounds == 1 and self.every != 1:
            raise ValueError(f"every={self.every} changes nothing with rounds=1: leave it at 1")
        return self

    @property
    def stackable(self) -> bool:
        """See Pruning.stackable: a stack's loss knows nothing of scales."""
        return not self.penalty

    def least(self, channels: int) -> int:
        """How many of so many channels stay whatever happens."""
        return min(self.round_to, channels)

    def rounded(self, kept: int, channels: int) -> int:
        """How many of so many channels stay where at most `kept` may: all, or a multiple."""
        if kept == channels:
            return kept
        return max(self.least(channels), kept - kept % self.round_to)

    def price(self, cost: Cost) -> int:
        """How much of the budget a network takes."""
        return {
            "macs": cost.macs,
            "parameters": cost.parameters,
            "bytes": FLOAT32 * cost.parameters,
        }[self.budget]

    @property
    def last_cut(self) -> int:
        """The epoch, counted from 0, before which the last channels go."""
        return self.start + (self.rounds - 1) * self.every

    def done(self, epoch: int) -> int:
        """How many rounds are over while epoch `epoch`, counted from 0, is trained."""
        return min(self.rounds, max(0, 1 + (epoch - self.start) // self.every))

    def most(self, dense: int) -> int:
        """How much of a budget of which the dense network takes `dense` may be left. Raises
        ValueError for a limit above that.
        """
        if self.limit > dense:
            raise ValueError(
                f"pruning.limit={self.limit}: the network has {dense:,} {self.budget}, pruning "
                f"adds none: at most {dense}"
            )
        return self.limit or math.floor(Fraction(str(self.keep)) * dense)

    def after(self, number: int, dense: int) -> int:
        """The same after so many rounds, each of which leaves an equal share of what it finds."""
        most = self.most(dense)
        return (
            most
            if number == self.rounds
            else round(dense * (most / dense) ** (number / self.rounds))
        )

    def beyond(self, dense: int, smallest: int) -> ValueError:
        """Says that the fewest channels in each layer take more of the budget than may be left."""
        least = f"limit={smallest}"
        if self.keep:
            least = f"keep={math.ceil(Fraction(1000 * smallest, dense)) / 1000:g}"
        said = f"keep={self.keep:g}" if self.keep else f"limit={self.limit}"
        return ValueError(
            f"pruning.{said} leaves {self.most(dense):,} of {dense:,} {self.budget}: with "
            f"{'one channel' if self.round_to == 1 else f'{self.round_to} channels'} in each layer "
            f"there are {smallest:,}, at least pruning.{least}"
        )


def fitted(
    groups: Sequence[ChannelGroup], price: Price, most: int, settings: Channels
) -> dict[str, int] | None:
    """How many channels each group keeps, by its name, for a price of at most `most`; None where
    the fewest that may stay are too many.

    All keep the largest share that fits, rounded down, at least one channel; then each, in the
    order of the network, keeps one more if that fits, too.
    """

    def shared(share: Fraction) -> dict[str, int]:
        return {
            each.name: settings.rounded(math.floor(share * each.channels), each.channels)
            for each in groups
        }

    sizes = {each.channels for each in groups}
    shares = sorted({Fraction(kept, size) for size in sizes for kept in range(1, size + 1)})
    fits = bisect_right(shares, most, key=lambda share: price(shared(share)))
    if not fits:
        return None
    found = shared(shares[fits - 1])
    for each in groups:
        more = found | {each.name: min(each.channels, found[each.name] + settings.round_to)}
        if price(more) <= most:
            found = more
    return found


def ranked(
    scores: Mapping[str, Sequence[float]], price: Price, most: int, settings: Channels
) -> dict[str, int]:
    """How many channels each group keeps where all of them compete, for a price of at most `most`.

    `scores` are those of the channels that are left, by group; each is divided by the mean of its
    group, so that layers of small numbers are not cut first. The least go, of equals those of the
    first group, until the price is met or each group has the fewest that may stay.
    """
    means = {name: math.fsum(each) / len(each) or 1.0 for name, each in scores.items()}
    order = sorted(
        (score / means[name], place, name)
        for place, (name, each) in enumerate(scores.items())
        for score in each
    )

    def left(cut: int) -> dict[str, int]:
        lost = Counter(name for _, _, name in order[:cut])
        return {
            name: settings.rounded(max(1, len(each) - lost[name]), len(each))
            for name, each in scores.items()
        }

    return left(bisect_left(range(len(order)), -most, key=lambda cut: -price(left(cut))))
