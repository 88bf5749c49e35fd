"""Capacity (section 4): what network fits labels that mean nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import DAMPED, TAU2020
from sweeps.claimed import base_and_damped
from sweeps.study import product, repeats

QUESTION = "How wide must a network be to fit random labels?"
SOURCE = "Koutini et al. 2021, section 4, on TAU Urban Acoustic Scenes 2020 Mobile"
PLAIN = {"augment.roll": 0.0, "augment.mixup": 0.0, "evaluation.training_clips": True}
WIDTHS = (16, 32, 64)
PUBLISHED = {32: 0.8551, 64: 1.0}


def claims(widths: Sequence[int]) -> Iterator[Claim]:
    """Random labels are fitted where 99 % of the training clips are answered so."""
    for width in widths:
        base, damped = base_and_damped(
            Claim(
                f"random labels are fitted, width {width}",
                better={"split.labels": "uniform"},
                worse={},
                on="train_clean",
                at_least=0.99,
                where={"network.width": width},
                source="Koutini et al. 2021, section 4",
            )
        )
        yield from (replace(base, published=PUBLISHED.get(width)), damped)


CLAIMS = tuple(claims(WIDTHS))


def trials() -> Iterator[Trial]:
    """Three widths, true and random labels, base and damped, three seeds; no augmentation."""
    base = changed(TAU2020, {**PLAIN, "evaluation.every": 50, "evaluation.last": 1})
    varied = product(
        base,
        network__damping=(0.0, DAMPED),
        network__width=WIDTHS,
        split__labels=("true", "uniform"),
    )
    yield from repeats(varied, 3)
