"""Early stopping: trials that need not continue, by validation clips, among trials of equal budget.

Sources: asynchronous successive halving, Li et al. 2020 (MLSys), the variant that stops rather than
promotes; the median rule of Golovin et al. 2017 (Vizier). Both decide as Ray Tune 2.60 does (a test
compares them), but from the scores in the results folder, which outlive a launch: what Tune knows
does not. Conventions: an epoch that is reported twice counts once; only scores over all devices of
the split validation are read. Knows no Ray. Contents: Asha and Median, which a study names as
STOPPING; `named`, `check`, `described` for a launch; `scores`; Watch, which judges.
"""

import math
import statistics
import warnings
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scaling.results.records import Results
from scaling.settings import Trial, flat, leaves
from scaling.settings.label import trial_labels
from scaling.spelling import SETTINGS, nearest
from sweeps.lineage import sources

if TYPE_CHECKING:  # studies name rules, and need no torch
    from scaling.results.manifest import Plan

SPLIT = "validation"  # test clips decide nothing
METRICS = {"accuracy": 1, "macro_f1": 1, "loss": -1}  # -1: less is better
Within = tuple[str, ...] | None


@dataclass(frozen=True)
class Asha:
    """A trial continues beyond epochs first, first * factor, first * factor^2, ... when it is among
    the best 1/factor of those that came as far; judged as soon as `factor` of them have.
    """

    first: int = 1
    factor: int = 3
    metric: str = "accuracy"
    within: Within = None  # settings that compared trials share; None: their budget; (): none

    def __post_init__(self) -> None:
        _check(self, first=1, factor=2)

    def due(self, epoch: int) -> bool:
        """Whether trials are judged after this epoch."""
        return epoch in self.rungs(epoch + 1)

    def rungs(self, epochs: int) -> list[int]:
        """The epochs after which a trial of so many is judged; never its last."""
        found, rung = [], self.first
        while rung < epochs:
            found.append(rung)
            rung *= self.factor
        return found

    def verdict(
        self, own: Mapping[int, float], peers: Iterable[Mapping[int, float]], epoch: int
    ) -> str | None:
        """Why a trial stops after this epoch, or None; scores by epoch, more is better."""
        others = [peer[epoch] for peer in peers if math.isfinite(peer.get(epoch, math.nan))]
        if len(others) + 1 < self.factor:
            return None
        cutoff = float(np.percentile(others, 100 * (1 - 1 / self.factor)))
        if own[epoch] >= cutoff:
            return None
        return (
            f"asha: {SPLIT} {self.metric} {_shown(self, own[epoch])} in epoch {epoch} is worse "
            f"than {_shown(self, cutoff)}, the best 1/{self.factor} of {len(others) + 1} trials "
            f"{_group(self)}"
        )


@dataclass(frozen=True)
class Median:
    """From epoch `grace` on, a trial whose best score is below the median of the others' means,
    over epochs `grace` to this one, goes no further; judged where `fewest` others came as far.
    """

    grace: int = 5
    fewest: int = 3
    metric: str = "accuracy"
    within: Within = None  # as in Asha

    def __post_init__(self) -> None:
        _check(self, grace=1, fewest=1)

    def due(self, epoch: int) -> bool:
        """Whether trials are judged after this epoch."""
        return epoch >= self.grace

    def rungs(self, epochs: int) -> list[int]:
        """The epoch that must be scored, where there is one before the last."""
        return [self.grace] if self.grace < epochs else []

    def verdict(
        self, own: Mapping[int, float], peers: Iterable[Mapping[int, float]], epoch: int
    ) -> str | None:
        """Why a trial stops after this epoch, or None; scores by epoch, more is better."""
        means = []
        for peer in peers:
            if max(peer, default=0) >= epoch:
                heard = [value for at, value in peer.items() if self.grace <= at <= epoch]
                means += [statistics.fmean(heard)] if heard else []
        means = [mean for mean in means if math.isfinite(mean)]
        if len(means) < self.fewest:
            return None
        median = statistics.median(means)
        best = max(value for at, value in own.items() if at <= epoch)
        if best >= median:
            return None
        return (
            f"median: best {SPLIT} {self.metric} {_shown(self, best)} by epoch {epoch} is worse "
            f"than {_shown(self, median)}, the median of {len(means)} other trials {_group(self)}"
        )


Rule = Asha | Median
RULES: dict[str, type[Asha] | type[Median]] = {"asha": Asha, "median": Median}


def named(word: str | None, own: Rule | None) -> Rule | None:
    """The rule that --stop names, with its defaults: a study's own where it names none."""
    if word is None:
        return own
    if word not in (*RULES, "none"):
        raise ValueError(f"--stop {word}: not a rule{nearest(word, [*RULES, 'none'])}")
    if own is not None and word != "none" and isinstance(own, RULES[word]):
        return own
    return RULES[word]() if word != "none" else None


def check(rule: Rule, trials: Sequence[Trial]) -> None:
    """Raises ValueError where a trial is not scored when the rule would judge it, or none could
    ever be stopped.
    """
    for trial in trials:
        if trial.split.validation_fold is None:
            label = trial_labels(trials)[trial.id]
            raise ValueError(
                f"trial {label} ({trial.id}) has no validation clips, and only they may stop "
                "trials early: add --set split.validation_fold=N, or --stop none"
            )
        evaluation, epochs = trial.evaluation, trial.training.epochs
        for rung in rule.rungs(epochs):
            if rung % evaluation.every and rung <= epochs - evaluation.last:
                raise ValueError(
                    f"{rule}: epoch {rung} is not scored with evaluation.every="
                    f"{evaluation.every}: choose epochs that are, or --set evaluation.every=1"
                )
    if trials and not any(rule.rungs(trial.training.epochs) for trial in trials):
        longest = max(trial.training.epochs for trial in trials)
        raise ValueError(
            f"{rule}: no trial is long enough to be stopped (the longest has {longest} epochs): "
            "--stop none"
        )


def warn_alone(rule: Rule, plan: "Plan") -> None:
    """Warns where no trial has another one to be compared with."""
    if max(_sizes(rule, plan)) < 2:
        warnings.warn(
            f"no two trials are {_group(rule)}, so none can be stopped early: STOPPING with "
            "within=() compares all trials",
            stacklevel=2,
        )


def described(rule: Rule, plan: "Plan") -> str:
    """The rule and whom it compares, in a line."""
    sizes = _sizes(rule, plan)
    most = max(trial.training.epochs for trial in plan.trials)
    epochs = ", ".join(str(rung) for rung in rule.rungs(most))
    when = f"after epochs {epochs}" if isinstance(rule, Asha) else f"from epoch {epochs} on"
    return (
        f"{type(rule).__name__.lower()} stops trials early, by {SPLIT} {rule.metric} {when}, each "
        f"compared with the trials {_group(rule)} (at most {max(sizes)})"
    )


def scores(results: Results, trials: Iterable[str], metric: str) -> dict[str, dict[int, float]]:
    """What the records say of these trials on validation clips: by id, by epoch."""
    wanted = sorted(set(trials) & set(results.names("metrics")))
    found: dict[str, dict[int, float]] = {}
    for row in results.read("metrics", wanted).to_pylist():
        if (row["split"], row["device"], row["metric"]) == (SPLIT, "all", metric):
            found.setdefault(row["trial"], {})[row["epoch"]] = row["value"]
    return found


class Watch:
    """Knows the scores of a launch's trials and says which to stop, each once at each epoch."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.groups: dict[str, Hashable] = {}
        self.spared: set[str] = set()  # others take over from them, and need their weights
        self.scores: dict[str, dict[int, float]] = {}  # more is better
        self.judged: dict[str, int] = {}  # the last epoch after which a trial was

    def add(self, plan: "Plan", results: Results) -> None:
        """Take these trials in, with what the records say of them, whatever became of them."""
        for index, trial in enumerate(plan.trials):
            self.groups[trial.id] = _key(self.rule, plan, index)
        self.spared.update(each.id for found in sources(plan.trials).values() for each in found)
        names = [trial.id for trial in plan.trials]
        for name, found in scores(results, names, self.rule.metric).items():
            self.scores[name] = {epoch: self._better(value) for epoch, value in found.items()}
            # a launch that was cut off may not have come to judge the last one
            self.judged[name] = max(found) - 1

    def heard(self, trial: str, epoch: int, found: Mapping[str, float]) -> str | None:
        """Take in what a trial reports after an epoch; why it is to stop there, or None."""
        own = self.scores.setdefault(trial, {})
        if self.rule.metric in found:
            own[epoch] = self._better(found[self.rule.metric])
        before = self.judged.get(trial, 0)
        due = [at for at in own if before < at <= epoch and self.rule.due(at)]
        self.judged[trial] = max(epoch, before)
        if not due or trial in self.spared:
            return None
        peers = [
            self.scores[other]
            for other, group in self.groups.items()
            if group == self.groups[trial] and other != trial and other in self.scores
        ]
        return self.rule.verdict(own, peers, max(due))

    def _better(self, value: float) -> float:
        return -math.inf if math.isnan(value) else METRICS[self.rule.metric] * value


def _key(rule: Rule, plan: "Plan", index: int) -> Hashable:
    """What a trial shares with those it is compared with.

    Equal budgets: as many numbers and multiply-adds, in the network and in training, over as many
    epochs. Besides, the same clips and seed: repetitions of a trial are no rivals.
    """
    trial, (cost, kept, _) = plan.trials[index], plan.prices[index]
    if rule.within is not None:
        settings = flat(trial)
        return tuple(settings[name] for name in rule.within)
    size = cost.parameters, kept, cost.macs, plan.work(index)
    clips = trial.sound.recordings, trial.sound.classes, trial.split, trial.seed
    return *size, trial.training.epochs, *clips


def _sizes(rule: Rule, plan: "Plan") -> list[int]:
    """How many trials each group has."""
    return [*Counter(_key(rule, plan, index) for index in range(len(plan.trials))).values()]


def _group(rule: Rule) -> str:
    if rule.within is None:
        return "of one budget"
    return f"of one {' and '.join(rule.within)}" if rule.within else "of this study"


def _shown(rule: Rule, value: float) -> str:
    return f"{METRICS[rule.metric] * value:.3f}"


def _check(rule: Rule, **least: int) -> None:
    """Raises ValueError for what nobody can mean."""
    name = type(rule).__name__
    for field, bound in least.items():
        if not isinstance(value := getattr(rule, field), int) or value < bound:
            raise ValueError(f"{name}: {field}={value!r} must be a whole number, {bound} or more")
    if rule.metric not in METRICS:
        raise ValueError(f"{name}: metric={rule.metric}{nearest(rule.metric, METRICS)}")
    if isinstance(rule.within, str):
        raise ValueError(
            f'{name}: within="{rule.within}" must be a tuple of settings, ("{rule.within}",)'
        )
    for setting in rule.within or ():
        if setting not in leaves():
            raise ValueError(
                f"{name}: within={setting}: no such setting{nearest(setting, leaves(), SETTINGS)}"
            )
