"""What helps on devices never heard: four methods, each with and without, on TAU 2020 Mobile."""

from collections.abc import Iterator, Mapping
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import (
    DAMPED,
    DEVICES_CP_RESNET,
    FREQ_MIXSTYLE,
    TAU2020,
    TAU2020_DEVICES,
)
from sweeps.study import product, repeats

QUESTION = "Which methods help on unseen devices, by how much, and do their gains add up?"
SOURCE = "ours; methods of Schmid et al. 2023, Kim et al. 2021 and Koutini et al. 2021"
WIDTHS = (16, 32)
RESPONSES = {"microphones.share": DEVICES_CP_RESNET["microphones.share"]}
MIXED = {"augment.freq_mixstyle": FREQ_MIXSTYLE["augment.freq_mixstyle"]}
NORMALIZED = {"network.normalization": "residual"}
DAMPING = {"network.damping": DAMPED}
METHODS: dict[str, dict[str, Any]] = {
    "impulse responses": RESPONSES,
    "Freq-MixStyle": MIXED,
    "residual normalization": NORMALIZED,
    "damping": DAMPING,
}


def without(method: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a method where it is left out."""
    return {name: "none" if isinstance(value, str) else 0.0 for name, value in method.items()}


def claims() -> Iterator[Claim]:
    """Each method over all that it is combined with; two that are said to complement each other;
    and all against none.
    """
    for name, method in METHODS.items():
        yield Claim(f"helps on unseen devices: {name}", method, without(method))
    for name, method, beside in (
        ("Freq-MixStyle", MIXED, RESPONSES),
        ("residual normalization", NORMALIZED, MIXED),
    ):
        other = "impulse responses" if beside is RESPONSES else "Freq-MixStyle"
        yield Claim(f"{name} helps beside {other}", method, without(method), where=beside)
    every = {k: v for method in METHODS.values() for k, v in method.items()}
    yield Claim("all four beat none", every, without(every))
    yield Claim("all four close the gap", every, without(every), on="unseen - seen")


CLAIMS = tuple(claims())


def factorial(recorded: Trial, through: Trial) -> Iterator[Trial]:
    """All combinations of the methods; `through` is the trial that hears impulse responses."""
    for base in (recorded, through):
        for styles in ({}, FREQ_MIXSTYLE):
            yield from product(
                changed(base, styles),
                network__normalization=("none", "residual"),
                network__damping=(0.0, DAMPED),
            )


def trials() -> Iterator[Trial]:
    """Sixteen combinations at two widths, three seeds."""
    still = {"augment.freq_mixstyle": 0.0, "augment.freq_mixstyle_alpha": 0.3}
    through = changed(TAU2020_DEVICES, still)
    for width in WIDTHS:
        both = (changed(each, {"network.width": width}) for each in (TAU2020, through))
        yield from repeats(factorial(*both), 3)
