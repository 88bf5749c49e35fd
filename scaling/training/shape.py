"""Shape: which trials can train side by side, and in which groups.

Trials of one shape have the same features, network, steps and kind of objective; they may differ in
their seed, clips, labels, damping, masks, rates, decay, weights of the loss, augmentation,
microphones and evaluation. Contents: `shape`, `groups`.
"""

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise

from scaling.settings import Trial
from scaling.training.optimizer import steps_of

# Settings of training that decide how many steps there are, and what an optimizer remembers.
OF_TRAINING = ("epochs", "batch", "passes", "partial", "optimizer")


def shape(trial: Trial, clips: int) -> Hashable | None:
    """What trials that train side by side have in common; None: this one trains alone.

    `clips` are those it trains on. A front end that learns is no part of a network, and nearest
    neighbours train nothing, parts of a person's own may do what cannot be stacked, RigL's masks
    change within an epoch, steps of as many clips of each class (objective.queries) may differ in
    size, teachers answer to one student (objective.kind=distillation), a stack's loss has no
    penalty on scales (pruning.penalty), an adversary is one network's (training.adversarial), and
    all of a stack learns (transfer.frozen). `network.kind=mn` and `passt` fill a device alone.
    """
    learns = trial.sound.features.trainable != "none"
    alone = learns or not trial.objective.trains or bool(trial.objective.sources)
    alone = alone or trial.training.adversarial > 0 or trial.transfer.frozen
    alone = alone or not trial.network.stackable
    if alone or trial.own or not (trial.pruning.stackable and trial.objective.stackable):
        return None
    training, seen = trial.training, clips * trial.training.passes
    network, objective = trial.network, trial.objective
    return (
        trial.sound.model_dump_json(),
        network.model_dump_json(exclude=set(network.apart)),
        objective.model_dump_json(exclude=set(objective.apart)),
        training.model_dump_json(include=set(OF_TRAINING)),
        training.sam > 0,
        steps_of(training, seen),
        seen % training.batch if training.partial else 0,
        bool(trial.transfer.trial or trial.transfer.weights),
    )


def groups(
    trials: Sequence[Trial], most: int, shape_of: Callable[[Trial], Hashable | None]
) -> list[list[Trial]]:
    """The trials in groups of one shape, of at most so many and of about the same size, in the
    order of their first ones.
    """
    assert most >= 1
    by_shape: dict[Hashable, list[Trial]] = {}
    for trial in trials:
        found = shape_of(trial)
        by_shape.setdefault(trial.id if found is None else found, []).append(trial)
    chunks = []
    for each in by_shape.values():
        count = -(-len(each) // most)
        ends = [len(each) * number // count for number in range(count + 1)]
        chunks += [each[a:b] for a, b in pairwise(ends)]
    place = {trial.id: number for number, trial in enumerate(trials)}
    return sorted(chunks, key=lambda chunk: place[chunk[0].id])
