"""What helps on devices never heard, on TAU 2020 Mobile: all combinations of four methods.

Seven more stand beside impulse responses alone. A model tuned for each device that it
heard is the study device_tuning_esc10.
"""

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
from sweeps.arms import Arm, in_arm
from sweeps.study import product, repeats

QUESTION = "Which methods help on unseen devices, by how much, and do their gains add up?"
SOURCE = "ours; methods of Schmid et al. 2023, Kim et al. 2021 and Koutini et al. 2021"
NETWORKS: tuple[dict[str, Any], ...] = (
    {"network.width": 16},
    {"network.width": 32},
    {"network.kind": "cp_mobile", "network.width": 32},
    {"network.kind": "tf_sepnet", "network.width": 64},
)
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

ARMS = (
    Arm(
        "device-adversarial head",
        {"training.adversarial": 1.0},
        "Ganin et al. 2016: gradient reversal, lambda up to 1",
    ),
    Arm("frequency mask", {"augment.band_mask": 48}, "CP-Mobile's public code: up to 48 bands"),
    Arm(
        "jitter of the mel range",
        {"augment.low_jitter": 1.0, "augment.high_jitter": 1000.0},
        "CP-Mobile's public code: 1 Hz and 1,000 Hz",
    ),
    Arm("pre-emphasis", {"sound.features.preemphasis": 0.97}, "Schmid et al. 2023"),
    Arm("SAM", {"training.sam": 0.05}, "Foret et al. 2021: rho .05"),
    Arm(
        "adaptive SAM",
        {"training.sam": 0.5, "training.sam_adaptive": True},
        "Kwon et al. 2021: rho .5",
    ),
    Arm(
        "adaptive residual normalization",
        {"network.normalization": "adaptive"},
        "Kim et al. 2021: rho from .5, trained",
    ),
)


def without(method: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a method where it is left out."""
    return {
        name: "none" if isinstance(value, str) else type(value)() for name, value in method.items()
    }


def claims() -> Iterator[Claim]:
    """Each method over all that it is combined with; two that are said to complement each other;
    all against none; and two arms against impulse responses alone. Where nothing else is said,
    arms take no part.
    """
    alone = {k: v for arm in ARMS for k, v in without(arm.changes).items()}
    combined = {**alone, "network.normalization": ("none", "residual")}
    for name, method in METHODS.items():
        yield _claim(f"helps on unseen devices: {name}", method, combined)
    for name, method, beside in (
        ("Freq-MixStyle", MIXED, RESPONSES),
        ("residual normalization", NORMALIZED, MIXED),
    ):
        other = "impulse responses" if beside is RESPONSES else "Freq-MixStyle"
        yield _claim(f"{name} helps beside {other}", method, {**combined, **beside})
    every = {k: v for method in METHODS.values() for k, v in method.items()}
    yield Claim("all four beat none", every, without(every))
    yield Claim("all four close the gap", every, without(every), on="unseen - seen")
    plain = {k: v for method in (MIXED, DAMPING) for k, v in without(method).items()}
    where = {**alone, **plain, **RESPONSES, "network.kind": "cp_resnet", "network.width": 16}
    for arm in ARMS[:2]:
        yield _claim(f"{arm.name} helps beside impulse responses", arm.changes, where, arm.source)


def _claim(
    text: str, method: Mapping[str, Any], where: Mapping[str, Any], source: str = ""
) -> Claim:
    """That a method helps, where both sides have what the method leaves open of `where`."""
    shared = {key: value for key, value in where.items() if key not in method}
    return Claim(text, method, without(method), where=shared, source=source)


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
    """Sixteen combinations on four networks, and seven arms on the first; three seeds. All are
    trained as CP-ResNet is.
    """
    still = {"augment.freq_mixstyle": 0.0, "augment.freq_mixstyle_alpha": 0.3}
    through = changed(TAU2020_DEVICES, still)
    for network in NETWORKS:
        both = (changed(each, network) for each in (TAU2020, through))
        yield from repeats(factorial(*both), 3)
    for arm in ARMS:
        yield from repeats(in_arm(arm, [changed(through, NETWORKS[0])]), 3)
