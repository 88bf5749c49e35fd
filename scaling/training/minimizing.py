"""Minimizing: what an objective makes of a step, and of the first steps of all, by whose losses
some ways of pruning choose. Contents: `outputs`, `minimized`; `first_losses`.
"""

# B clips, F mel bands, N frames

from collections.abc import Sequence
from itertools import islice

import torch
from torch import Tensor, nn

from scaling.networks.modules.output import Output, by_view
from scaling.networks.modules.stochastic import reseed
from scaling.objectives.modules.losses import Loss
from scaling.objectives.objective import Objective
from scaling.pruning.saliency import LossOf
from scaling.seeds import key, torch_stream
from scaling.training.classifier import Classifier
from scaling.training.steps import Step, TakesSteps


def outputs(model: Classifier, views: Sequence[Tensor]) -> list[Output]:
    """The network's output for each view (B, F, N), all views normalized as one batch."""
    if len(views) == 1:
        return [model.network_on(views[0])]
    return by_view(model.network_on(torch.cat([*views])), len(views))


def minimized(objective: Objective, outputs: Sequence[Output], step: Step, epoch: int) -> Loss:
    """What the objective makes of a step's outputs."""
    if step.teachers:
        return objective.distilled(outputs, step.targets_BY, step.teachers)
    return objective.loss(outputs, step.targets_BY, epoch)


def first_losses(session: TakesSteps, count: int) -> list[LossOf]:
    """The losses of a network like the session's in so many first steps of the first epoch, each
    drawn alike in every call. Raises ValueError where an epoch has fewer.
    """
    if count > session.count:
        raise ValueError(
            f"pruning.batches={count}: an epoch has {session.count} of them, at most that"
        )
    seed, own = session.trial.seed, session.trial.own

    def of(step: Step, number: int) -> LossOf:
        def loss(network: nn.Module, temperature: float) -> Tensor:
            reseed(network, lambda name: torch_stream(seed, "pruning", number, name))
            if own:
                torch.manual_seed(key(seed, "own pruning", number) % 2**63)
            whole: Output = network(torch.cat(step.views).detach()[:, None])
            whole = whole._replace(logits_BY=whole.logits_BY / temperature)
            found = minimized(session.objective, by_view(whole, len(step.views)), step, 0)
            return torch.stack([*found.parts.values()]).sum()

        return loss

    steps = map(session.made, session.drawn())
    return [of(step, number) for number, step in enumerate(islice(steps, count))]
