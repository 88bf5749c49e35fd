"""Pruning methods beside the dense network of as many weights: TAU Urban Acoustic Scenes 2020."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import TAU2020
from sweeps.study import product, repeats

QUESTION = "Does any pruning method beat a dense network with the same number of weights?"
SOURCE = "ours; docs/pruning.md gives the sources of the methods"
WIDTHS = (8, 16, 32, 46)  # of W = 64: 2, 6, 25 and 52 % of its weights
DENSE = {"pruning.kind": "none"}
DENSITIES = ("largest", "uniform", "er", "erk", "magnitude")
AT_INITIALIZATION = ("snip", "grasp", "synflow")
PRUNED = ("static", *AT_INITIALIZATION, "magnitude", "rigl", "rewinding")
# what tells the methods apart, so that validation clips can choose one
CHOSEN = (
    *("pruning.kind", "pruning.density", "pruning.schedule", "pruning.start", "pruning.length"),
    *("pruning.period", "pruning.rounds", "pruning.rewind", "pruning.rewind_to"),
)


class Epochs(NamedTuple):
    """When the methods cut; each trial has as many epochs as the dense ones."""

    start: int  # of pruning by magnitude
    slow: int  # epochs of the cubic schedule
    fast: int  # those of the geometric one
    period: int  # steps between RigL's changes
    rounds: int
    early: int  # epochs to which rounds return


def methods(trial: Trial, width: int, when: Epochs) -> Iterator[Trial]:
    """Every way of cutting a trial's network to the weights of this width."""

    def cut(**settings: Any) -> Trial:
        own = {f"pruning.{name}": value for name, value in settings.items()}
        return changed(trial, {"pruning.target_width": width, **own})

    yield from (cut(kind="static", density=density) for density in DENSITIES)
    yield from (cut(kind=kind) for kind in AT_INITIALIZATION)
    for schedule, length in (("cubic", when.slow), ("geometric", when.fast)):
        yield cut(kind="magnitude", schedule=schedule, start=when.start, length=length)
    yield cut(kind="rigl", density="erk", period=when.period)
    rounds = {"kind": "rewinding", "rounds": when.rounds}
    for rewind in ("weights", "rate", "none"):
        yield cut(**rounds, rewind=rewind, rewind_to=when.early)
    for rewind in ("weights", "reinitialized"):
        yield cut(**rounds, rewind=rewind)


def claims(widths: Sequence[int], early: int) -> Iterator[Claim]:
    """At each size, the method that validation clips choose against the dense network; over all
    sizes, methods against those that they are to improve on.
    """
    for width in widths:
        yield Claim(
            f"pruning beats the dense network of as many weights, W = {width}",
            {"pruning.kind": PRUNED, "pruning.target_width": width},
            {**DENSE, "network.width": width},
            choose=CHOSEN,
        )
    static = {"pruning.kind": "static", "pruning.density": "largest"}
    erk = {**static, "pruning.density": "erk"}
    rewinding = {"pruning.kind": "rewinding"}
    ticket = {**rewinding, "pruning.rewind": "weights", "pruning.rewind_to": 0}
    tuned = {**rewinding, "pruning.rewind": "none"}
    pairs: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
        "ERK beats cutting the largest layers first": (erk, static),
        "RigL beats fixed masks of the same density": ({**erk, "pruning.kind": "rigl"}, erk),
        "a lottery ticket beats its random reinitialization": (
            ticket,
            {**ticket, "pruning.rewind": "reinitialized"},
        ),
        "weights of an early epoch beat first weights": (
            {**ticket, "pruning.rewind_to": early},
            ticket,
        ),
        "rewinding the rate beats fine-tuning": ({**tuned, "pruning.rewind": "rate"}, tuned),
    }
    all_sizes = {"pruning.target_width": tuple(widths)}
    for text, (better, worse) in pairs.items():
        yield Claim(text, better, worse, where=all_sizes)
    yield Claim(
        "cutting slowly by magnitude beats cutting at initialization",
        {"pruning.kind": "magnitude", "pruning.schedule": "cubic"},
        {"pruning.kind": AT_INITIALIZATION},
        where=all_sizes,
        choose=CHOSEN,
    )


WHEN = Epochs(start=20, slow=150, fast=50, period=100, rounds=4, early=10)
CLAIMS = tuple(claims(WIDTHS, WHEN.early))


def trials() -> Iterator[Trial]:
    """W = 64 dense and cut to four sizes by sixteen methods, beside the dense network of each
    size; three seeds, all of 250 epochs. From He's initialization, as layers that begin at zero
    cannot be judged before training.
    """
    he = {"network.initialization": "he", "split.validation_fold": 1}
    base = changed(TAU2020, {"network.width": 64, **he})
    yield from repeats(product(base, network__width=(*WIDTHS, 64)), 3)
    for width in WIDTHS:
        yield from repeats(methods(base, width, WHEN), 3)
