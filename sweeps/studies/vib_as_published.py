"""The information bottleneck as Table 3 may have been made: each open point an arm."""

from collections.abc import Iterator, Mapping, Sequence

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import BOTTLENECK, VIB_ESC50
from sweeps.arms import Arm, in_arm
from sweeps.studies.vib_table import CHOSEN, at_fractions, models, over_baselines
from sweeps.study import repeats

QUESTION = "Does a bottleneck gain what Table 3 reports, with every detail as in the paper?"
SOURCE = "Hu et al. 2021 (Interspeech, arXiv 2107.04803), Table 3, and the authors' public code"
KERAS = Arm(
    "Keras",
    {"network.first_weights": "glorot", "training.epsilon": 1e-7},
    "Hu et al. 2021, section 3, names Keras: its default first weights and Adam's epsilon",
)
BY_CHANCE = Arm(
    "by chance",
    {"split.by_chance": True},
    "the authors' public code draws a share of all training clips, not class by class",
)


def leaking(folds: int) -> Arm:
    """Clips of one recording on both sides."""
    return Arm(
        "leaking folds",
        {"split.protocol": "leaking_folds", "split.folds": folds},
        "the authors' public code splits all clips by chance: recordings are on both sides",
    )


def as_published(folds: int) -> Arm:
    """All at once."""
    arms = KERAS, BY_CHANCE, leaking(folds)
    every = {name: value for arm in arms for name, value in arm.changes.items()}
    return Arm("as published", every, "the three together: the most literal reading")


LEAKING = {"split.protocol": "leaking_folds"}
LITERAL = {**LEAKING, "network.first_weights": "glorot"}


def claims(
    own: str,
    over_plain: Mapping[float, float],
    over_best: Mapping[float, float],
    source: str,
) -> Iterator[Claim]:
    """Table 3 in the arm as published, at two fractions and at all; then what the arms do. `own` is
    our protocol.
    """
    said = "as published a bottleneck beats the {} CNN, {:g} %"
    yield from over_baselines(said, LITERAL, over_plain, over_best, source)
    single = {"network.dropout": 0.0, "training.weight_decay": 0.0, "split.fraction": 1.0}
    where = {"network.first_weights": "he", **single}
    where |= {"objective.latent": BOTTLENECK.latent, "objective.beta": BOTTLENECK.beta}
    folds = {"split.protocol": own}
    yield Claim("leaking folds raise accuracy", LEAKING, folds, on="test", where=where)
    few = min(over_plain)
    yield Claim(
        f"Keras' first weights help, {100 * few:g} %",
        {"network.first_weights": "glorot"},
        {"network.first_weights": "he"},
        on="test",
        where={**folds, "split.fraction": few, "split.by_chance": False},
        choose=CHOSEN,
    )


def arms(trial: Trial, folds: int, fractions: Sequence[float]) -> Iterator[Trial]:
    """The plain network and one bottleneck, ours and in each arm alone, at the smallest and the
    largest of the fractions. By chance a whole is drawn as ever.
    """
    pair = [trial, trial.model_copy(update={"objective": BOTTLENECK})]
    few, whole = ([*at_fractions(pair, (share(fractions),))] for share in (min, max))
    yield from (*few, *whole)
    yield from in_arm(KERAS, [*few, *whole])
    yield from in_arm(BY_CHANCE, few)
    yield from in_arm(leaking(folds), [*few, *whole])


def literal(trials: Sequence[Trial], folds: int, fractions: Sequence[float]) -> Iterator[Trial]:
    """The trials as published, at each of the fractions."""
    for trial in at_fractions(trials, fractions):
        arm = as_published(folds)
        changes = dict(arm.changes)
        if trial.split.fraction == 1:
            del changes["split.by_chance"]
        yield changed(trial, changes)


FRACTIONS = (0.1, 0.3, 1.0)
FOLDS = VIB_ESC50.split.folds
ARMS = (KERAS, BY_CHANCE, leaking(FOLDS), as_published(FOLDS))
CLAIMS = tuple(
    claims(
        "made_folds",
        {0.1: 0.047, 0.3: 0.060, 1.0: 0.029},
        {0.1: 0.026, 0.3: 0.005, 1.0: 0.013},
        "Hu et al. 2021, Table 3, ESC-50",
    )
)


def trials() -> Iterator[Trial]:
    """The table as published on three fractions of ESC-50, and each arm alone at the smallest and
    the largest; three seeds.
    """
    yield from repeats(literal([*models(VIB_ESC50)], FOLDS, FRACTIONS), 3)
    yield from repeats(arms(VIB_ESC50, FOLDS, FRACTIONS), 3)
