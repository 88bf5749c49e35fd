"""Learning rate by width on ESC-10, under both parametrizations, on validation clips."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import ESC10
from sweeps.study import product

QUESTION = "Does one learning rate serve all widths under maximal update parametrization?"
SOURCE = "Yang et al. 2022 (Tensor Programs V), for CP-ResNet"
WIDTHS, RATES = (8, 16, 32, 64), (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)
RATE, KIND = "training.rate", "network.parametrization"
HELPS = "at the highest rate mup is ahead on validation clips"
WIDEST = {"network.width": WIDTHS[-1]}
CLAIMS = (
    Claim(
        f"{HELPS}, width {WIDTHS[-1]}",
        {KIND: "mup"},
        {KIND: "standard"},
        on="validation",
        where={**WIDEST, RATE: RATES[-1]},
        source=SOURCE,
    ),
    Claim(
        f"with its own rate mup is ahead on test clips, width {WIDTHS[-1]}",
        {KIND: "mup"},
        {KIND: "standard"},
        on="test",
        where=WIDEST,
        choose=(RATE,),
        source=SOURCE,
    ),
)


def trials() -> Iterator[Trial]:
    """Four widths at five rates, standard and mup, on five folds with validation clips; a third of
    the recipe's epochs. At the narrowest width both are one.
    """
    shorter = {"training.epochs": 20, "training.warmup": 4, "network.initialization": "he"}
    for fold in (1, 2, 3, 4, 5):
        base = changed(
            ESC10, {"split.fold": fold, "split.validation_fold": fold % 5 + 1, **shorter}
        )
        for kind in ("standard", "mup"):
            yield from product(
                changed(base, {KIND: kind}), network__width=WIDTHS, training__rate=RATES
            )
