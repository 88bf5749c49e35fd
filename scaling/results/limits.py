"""Limits: what a trial's network may cost, refused before anything is trained.

Costs are those of networks as they are used: without channels that pruning cuts, with single
weights that it sets to zero. Known limits are those of scaling.results.presets.
Contents: `parsed`, `check`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from scaling.results.manifest import Price, price, price_unseen
from scaling.results.presets import PRESETS
from scaling.settings import Trial, changed
from scaling.settings.label import trial_labels
from scaling.sound import prepare
from scaling.sound.datasets.reading import AS_IT_IS, Reading
from scaling.spelling import nearest

# what may be limited
COSTS = (
    *("parameters", "kept_parameters", "kept_weights", "macs", "dcase_macs"),
    *("bytes", "dense_bytes", "sparse_bytes", "receptive_field"),
)
SMALLER = "network.width"  # the setting that a remedy changes


def parsed(words: Sequence[str]) -> dict[str, float]:
    """`dcase` and NAME=VALUE words as limits by name; of two of one cost, the tighter.

    Raises ValueError for a word that is neither, an unknown cost, and a value that is no number
    above 0.
    """
    found: dict[str, float] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            if name not in PRESETS:
                raise ValueError(
                    f"--limit {word}: no such limit{nearest(name, PRESETS)}; or write COST=VALUE, "
                    "such as parameters=128000"
                )
            given = PRESETS[name]
        else:
            if name not in COSTS:
                raise ValueError(f"--limit {word}: no such cost{nearest(name, COSTS)}")
            given = {name: _number(word, text)}
        for cost, value in given.items():
            found[cost] = min(value, found.get(cost, value))
    return found


def _number(word: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError(
            f"--limit {word}: a limit must be a number above 0, such as 128000 or 30e6"
        )
    return value


def check(
    trials: Iterable[Trial],
    limits: Mapping[str, float],
    root: str | None = None,
    reading: Reading = AS_IT_IS,
) -> None:
    """Raise ValueError for the first trial that exceeds a limit: its name, value and the limit, how
    many others do, and the largest width that would not.
    """
    if not limits:
        return
    trials = list(trials)
    classes: dict[str, int] = {}
    exceeded = [
        (trial, over)
        for trial in trials
        if (over := _over(_priced(trial, classes, root, reading), limits))
    ]
    if not exceeded:
        return
    trial, over = exceeded[0]
    named = f"{trial_labels(trials)[trial.id]} ({trial.id})"
    said = "; ".join(f"{cost} {_text(value)}, limit {limits[cost]:,.0f}" for cost, value in over)
    others = f" (and {len(exceeded) - 1} of {len(trials)} trials more)" if exceeded[1:] else ""
    remedy = _remedy(trial, limits, classes, root, reading)
    raise ValueError(f"--limit: trial {named}: {said}{others}: {remedy}")


def _text(value: float) -> str:
    return "not known" if math.isnan(value) else f"{value:,.0f}"


def _over(priced: Price, limits: Mapping[str, float]) -> list[tuple[str, float]]:
    """The limited costs that are above their limit, or not known."""
    facts = priced.facts()
    used = priced.compacted or priced.cost
    facts |= {"parameters": used.parameters, "macs": used.macs}
    values = ((cost, facts[cost]) for cost in limits)
    known = [(cost, math.nan if value is None else float(value)) for cost, value in values]
    return [(cost, value) for cost, value in known if not value <= limits[cost]]


def _priced(trial: Trial, classes: dict[str, int], root: str | None, reading: Reading) -> Price:
    """What a trial's network costs; classes of a person's own dataset are counted once."""
    if priced := price_unseen(trial):
        return priced
    dataset = trial.sound.dataset
    if dataset not in classes:
        scanned = prepare.scan([trial], root, reading)[dataset]
        classes[dataset] = int(scanned.table["label"].nunique())
    return price(trial, classes[dataset])


def _remedy(
    trial: Trial,
    limits: Mapping[str, float],
    classes: dict[str, int],
    root: str | None,
    reading: Reading,
) -> str:
    """The largest width within the limits; costs grow with it."""
    low, high = 0, trial.network.width
    while high - low > 1:
        middle = (low + high) // 2
        try:
            narrower = changed(trial, {SMALLER: middle})
            fits = not _over(_priced(narrower, classes, root, reading), limits)
        except ValueError:  # a width that this network, or its pruning, cannot have
            fits = False
        low, high = (middle, high) if fits else (low, middle)
    if low:
        return f"{SMALLER}={low} is within"
    return "no width is within: take fewer mel bands, shorter clips or another network"
