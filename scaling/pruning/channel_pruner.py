"""Channel pruner: whole channels cut from a network and its optimizer while they train.

A channel that is cut has no row in the kernels that make it, no column in those that read it, and
no bias, scale or shift: after the activation it is exactly zero, so that nothing changes where it
is left out (scaling.pruning.compaction). Among equal scores the first channels go.
"""

# C channels

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from scaling.networks.cost import Cost, Layer
from scaling.pruning.built import Built, built
from scaling.pruning.channels import Channels, ranked
from scaling.pruning.pruner import Masked


class ChannelPruner(Masked):
    """Cuts one network by one trial's settings; `masks` say what is left of each layer."""

    def __init__(
        self,
        settings: Channels,
        layers: Sequence[Layer],
        rounds: Sequence[tuple[Mapping[str, int], Cost]],
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        masks: Mapping[str, Tensor] | None = None,
        costs: Callable[[Mapping[str, int]], Cost] | None = None,
    ) -> None:
        """`rounds` are how many channels of each group are left after 0, 1, ... rounds, and what
        the network then costs; `masks` are those of a trial that resumes. `costs` of so many
        channels of each group are needed where they are ranked over the network.

        Raises Misfit when the masks are none of this network's, ValueError for layers that are not.
        """
        self.settings, self.rounds, self._costs = settings, rounds, costs
        self.built = built(network, layers)
        super().__init__(network, optimizer, masks)

    def before(self, epoch: int) -> None:
        """Cut what must go before this epoch (counted from 0) is trained."""
        alive, done = self._alive(), self.settings.done(epoch)
        now, channels = _counts(alive), self.rounds[done][0]
        if self.settings.ranking == "network":
            channels = self._ranked(alive, done)
        if all(now[name] <= kept for name, kept in channels.items()):
            return
        scores = self._scores()
        left = {
            name: _highest(scores[name].masked_fill(~alive[name], -1), kept)
            for name, kept in channels.items()
        }
        self._cut(self._masks(left))

    def _ranked(self, alive: Mapping[str, Tensor], done: int) -> Mapping[str, int]:
        """How many channels are left of each group after so many rounds, all of them ranked."""
        settings = self.settings

        def price(channels: Mapping[str, int]) -> int:
            return settings.price(self._cost(channels))

        most, now = settings.after(done, price(self.rounds[0][0])), _counts(alive)
        if price(now) <= most:
            return now
        scores = {name: score[alive[name]].tolist() for name, score in self._scores().items()}
        return ranked(scores, price, most, settings)

    def _cost(self, channels: Mapping[str, int]) -> Cost:
        assert self._costs is not None, "ranked over the network"
        return self._costs(channels)

    def penalties(self, epoch: int) -> dict[str, Tensor]:
        """See Masked.penalties: on all scales of channels that may be cut, while some will be."""
        if not self.settings.penalty or epoch >= self.settings.last_cut:
            return {}
        scales = [each.norm.weight.abs().sum() for each in self.built if each.group and each.norm]
        return {"scale_penalty": self.settings.penalty * torch.stack(scales).sum()}

    def counts(self) -> dict[str, float]:
        """Also parameters and multiply-adds of the network without its cut channels."""
        if self.settings.ranking == "network":
            cost = self._cost(_counts(self._alive()))
        else:
            cost = next(cost for _, cost in self.rounds if cost.weights == self.kept)
        sizes = {"kept_parameters": float(cost.parameters), "kept_macs": float(cost.macs)}
        return super().counts() | sizes

    def _alive(self) -> dict[str, Tensor]:
        """Which channels of each group are left: (C,)."""
        return {
            each.group: self.masks[each.layer.name].flatten(1).any(dim=1)
            for each in self.built
            if each.group
        }

    @torch.no_grad()
    def _scores(self) -> dict[str, Tensor]:
        """What the channels of each group are worth, over all layers that put them out: (C,)."""
        found: dict[str, Tensor] = {}
        for each in self.built:
            if each.group:
                own = self._score(each)
                found[each.group] = found[each.group] + own if each.group in found else own
        return {name: score.nan_to_num(nan=math.inf) for name, score in found.items()}

    def _score(self, each: Built) -> Tensor:
        if self.settings.criterion == "scale":
            if each.norm is None:
                return torch.zeros(len(each.module.weight), device=each.module.weight.device)
            return each.norm.weight.abs()
        kernels = each.module.kernel.flatten(1).double()
        return (
            kernels.abs().sum(dim=1)
            if self.settings.criterion == "l1"
            else kernels.square().sum(dim=1)
        )

    def _masks(self, alive: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The masks of all layers whose groups have these channels left."""
        masks = {**self._begin()}
        for each in self.built:
            mask = masks[each.layer.name]
            if each.group:
                mask &= _along(alive[each.group], mask, 0)
            if each.source:
                mask &= _along(each.columns(alive[each.source]), mask, 1)
        return masks

    @torch.no_grad()
    def _cut(self, masks: Mapping[str, Tensor]) -> None:
        super()._cut(masks)
        if self.kept == self.dense:
            return
        alive = self._alive()
        for each in self.built:
            if each.group:
                for name, vector in each.vectors():
                    self._cut_vector(name, vector, alive[each.group])


def _counts(alive: Mapping[str, Tensor]) -> dict[str, int]:
    return {name: int(alive_C.sum()) for name, alive_C in alive.items()}


def _highest(score_C: Tensor, kept: int) -> Tensor:
    """True at so many of the highest; of equals, at the last."""
    order = score_C.argsort(stable=True)
    return torch.zeros_like(score_C, dtype=torch.bool).index_fill_(
        0, order[len(order) - kept :], True
    )


def _along(values: Tensor, like: Tensor, axis: int) -> Tensor:
    """Values along one axis of a tensor, to be broadcast over the others."""
    return values.view([-1 if place == axis else 1 for place in range(like.ndim)])
