"""Step times: how long a trial's start, step and scores take, on synthetic clips in this process.

A Probe is a trial with all that decides its speed and nothing else, or several that train side by
side: trials of one speed have one probe. It runs as any trial does (scaling.results.run_trial,
run_group). As a program (`python -m sweeps.timing.step_times`) it answers line by line: see
benchmark. Contents: Probe with `of_trial` and `together`, `batch_of`, Speed with `speed`.
"""

import json
import math
import statistics
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch

from scaling import machine
from scaling.machine import Machine
from scaling.objectives.bottleneck import Bottleneck
from scaling.objectives.prototypes import Prototypes
from scaling.results import weights
from scaling.results.records import Results
from scaling.results.run_group import run_group
from scaling.results.run_trial import Progress, run_trial
from scaling.settings import Trial
from scaling.training import classifier, evaluation, once
from scaling.training.inputs import Listener, through_one
from scaling.training.stages import as_recorded
from sweeps.timing import synthetic_store

EPOCHS = 5  # of a probe at most; the first warms up, the last leaves weights and predictions
ENOUGH, TOO_MUCH = 1.0, 20.0  # seconds of epochs that are timed; of a first one that then counts
WORK = 1e10  # multiply-adds of a probe's steps in an epoch, about: a second or two of one core
MOST = 10  # steps, at least one
FEWEST = 8  # clips to score, where there are as many
SOURCE = "0" * 12  # the trial that a probe of neighbours takes over


class Probe(NamedTuple):
    """What is measured for all trials of one speed."""

    trial: Trial
    classes: int
    clips: int  # to train on
    held: int  # to score
    macs: int  # multiply-adds of a clip's forward pass
    beside: tuple[Trial, ...] = ()  # those that train beside it, of the same numbers

    @property
    def trials(self) -> list[Trial]:
        """All that train side by side; each has an id of its own."""
        if not self.beside:
            return [self.trial]
        each = enumerate((self.trial, *self.beside))
        return [Trial.model_validate({**one.stated(), "seed": seed}) for seed, one in each]

    @property
    def nearest(self) -> bool:
        """Whether it trains nothing."""
        return not self.trial.objective.trains

    @property
    def step_work(self) -> int:
        """Multiply-adds of a trial's step: forward and, unless its network is frozen, twice that,
        backward, of each view; 0 where an encoder's answers are kept.
        """
        return 0 if self.nearest else _step_work(self.trial, self.macs, self.trial.training.batch)

    @property
    def work(self) -> int:
        """Multiply-adds of the two epochs that a measurement takes at least."""
        steps = self.trial.training.passes * self.clips // self.trial.training.batch
        passed = self.held + self.clips * (self.nearest or once.encodes(self.trial))
        return 2 * (steps * self.step_work + passed * self.macs) * (1 + len(self.beside))


class Speed(NamedTuple):
    """Seconds of a trial's parts; of trials side by side, each one's share."""

    start: float  # before its first epoch, but for its clips
    front: float  # a training clip through the front end
    step: float  # an update
    score: float  # a held-out clip, scored
    epoch: float  # records and checkpoint


def batch_of(trial: Trial, clips: int) -> int:
    """How many clips a step takes of a trial that trains on so many."""
    training = trial.training
    return min(training.batch, clips * training.passes) if training.partial else training.batch


def of_trial(trial: Trial, macs: int, classes: int, clips: int, scored: int) -> Probe:
    """The probe of a trial that trains on so many clips, of so many classes, and scores so many."""
    training, nearest = trial.training, not trial.objective.trains
    batch = batch_of(trial, clips)
    each = math.ceil(max(2, batch) / classes)
    if isinstance(trial.objective, Prototypes):
        each = max(each, min(trial.objective.support, clips // classes))
    work = 0 if nearest else _step_work(trial, macs, batch)
    steps = min(MOST, max(1, round(WORK / work))) if work else 1
    raw = trial.stated()
    raw |= {"seed": 0, "split": {"protocol": "folds", "fold": 1}}
    raw["sound"] |= {"dataset": "noise", "classes": ()}
    raw["training"] = {
        "epochs": 1 if nearest else EPOCHS,
        "batch": max(2, batch),
        "passes": math.ceil(steps * batch / (classes * each)),
        "rate": 1e-6,  # noise teaches nothing: weights stay finite
        "optimizer": training.optimizer,
        "clip": training.clip,
        "sam": training.sam,
        "sam_adaptive": training.sam_adaptive,
        "penalty": min(training.penalty, 1e-6),
    }
    kept = ("patch_hop", "patch_votes", "disagreement")
    raw["evaluation"] = {k: v for k, v in raw.get("evaluation", {}).items() if k in kept}
    raw.pop("transfer", None)
    if trial.transfer.frozen:
        one = {"device": trial.transfer.device} if through_one(trial) else {}
        raw["transfer"] = {"trial": SOURCE, "frozen": True, **one}
    if nearest and trial.network.kind != "mfcc":
        raw["transfer"] = {"trial": SOURCE}
    if trial.pruning.brief:
        raw["pruning"] |= trial.pruning.brief
    if trial.objective.sources:  # whose teachers nobody has at hand: the student alone
        raw["objective"] = {"kind": "cross_entropy"}
    if isinstance(trial.objective, Prototypes):  # as many clips, whatever their classes
        raw["objective"].pop("queries", None)
    if isinstance(trial.objective, Bottleneck):
        raw["objective"]["beta"] = 0.0
    if getattr(trial.network, "damping", 0):
        raw["network"]["damping"] = 0.5
    enough = max(FEWEST, round(WORK / max(1, macs)))
    held = max(1, min(evaluation.BATCH, enough, scored or clips))
    return Probe(Trial.model_validate(raw), classes, classes * each, held, macs)


def together(probes: Sequence[Probe]) -> Probe:
    """The probe of trials that train side by side, whatever their order; of one, its own."""
    first, *others = sorted(probes, key=lambda each: each.trial.id)
    return first._replace(beside=tuple(each.trial for each in others))


def speed(probe: Probe, here: Machine, folder: Path) -> Speed:
    """The speed of a probe in this process; what it writes goes to the folder.

    Raises ValueError for what the trial raises.
    """
    trials = probe.trials
    store = synthetic_store.store(trials, probe.classes, probe.clips, probe.held, folder)
    here.reset()
    listener = Listener(trials[0], store, here)
    scored = sum(len(each.clips) * len(each.through) for each in listener.scored())
    if probe.nearest:
        return _nearest(probe, listener, here, folder, scored)
    front = _front(listener, here)
    results, taken = Results(folder / "results"), probe.trial.transfer.frozen
    if taken:
        one = classifier.untrained(trials[0], len(listener.labels), listener.frontend, here)
        weights.save(SOURCE, results, one.state_dict())
    if len(trials) > 1:
        ends = _ends(run_group(trials, store, here, results), len(trials))
    else:
        ends = _ends(run_trial(trials[0], store, here, results), 1)
    trained, judged, steps = (
        _by_epoch(results, trials, name)[: len(ends) - 1]
        for name in ("train_seconds", "evaluate_seconds", "steps")
    )
    spans = [end - begun for begun, end in pairwise(ends)]
    rest = [a - b - c for a, b, c in zip(spans, trained, judged, strict=True)]
    warm = slice(1, None) if len(spans) > 1 else slice(None)
    epoch = max(0.0, statistics.median(rest[1:])) if len(spans) > 1 else 0.0
    kept = statistics.fmean(as_recorded(each) for each in trials)
    score = statistics.median(judged[warm]) / scored
    before = probe.clips * (front * (kept + (not taken)) + score * once.encodes(probe.trial))
    return Speed(
        start=max(0.0, rest[0] - epoch - before),
        front=front,
        step=statistics.median(trained[warm]) / steps[0],
        score=score,
        epoch=epoch,
    )


def main() -> None:
    """Answer each line of standard input, a question in JSON, with the speed or the reason why
    there is none.
    """
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        asked = json.loads(line)
        trial, *beside = (Trial.model_validate(each) for each in asked["trials"])
        probe = Probe(trial, *asked["numbers"])._replace(beside=tuple(beside))
        try:
            with tempfile.TemporaryDirectory(prefix="overhear-probe-") as folder:
                answer = speed(probe, machine.here(*asked["machine"]), Path(folder))._asdict()
        except Exception as error:  # noqa: BLE001
            # whatever a trial raises is said by whoever asked
            answer = {"error": str(error) or type(error).__name__}
        print(json.dumps(answer), flush=True)


def _step_work(trial: Trial, macs: int, batch: int) -> int:
    if once.encodes(trial):  # whose last layer costs next to nothing
        return 0
    passes = (2 if trial.training.sam else 1) * (1 if trial.transfer.frozen else 3)
    return macs * trial.objective.views * batch * passes


def _ends(running: Iterator[Progress], trials: int) -> list[float]:
    """When each epoch of so many trials had ended, and 0 before the first: seconds of one trial, on
    average.
    """
    ends, last = [0.0], dict[str, float]()
    for reports, progress in enumerate(running, start=1):
        _check(progress)
        last[progress.trial] = progress.seconds
        if reports % trials:
            continue
        ends.append(sum(last.values()) / trials)
        timed, first = trials * (ends[-1] - ends[1]), trials * ends[1]
        if timed > ENOUGH or first > TOO_MUCH or len(ends) == EPOCHS:
            break
    return ends


def _by_epoch(results: Results, trials: Sequence[Trial], metric: str) -> list[float]:
    """A metric of each epoch, on average over trials."""
    found: dict[int, list[float]] = {}
    for row in results.read("metrics", [each.id for each in trials]).to_pylist():
        if row["metric"] == metric:
            found.setdefault(row["epoch"], []).append(row["value"])
    return [statistics.fmean(values) for _, values in sorted(found.items())]


def _front(listener: Listener, here: Machine) -> float:
    """Seconds of a clip in the front end, once it is warm."""
    batch = listener.parts["train"][: evaluation.BATCH]
    seconds = 0.0
    for _ in range(2):
        begun = perf_counter()
        listener.features(batch)
        if here.device.type == "cuda":
            torch.cuda.synchronize(here.device)
        seconds = perf_counter() - begun
    return seconds / len(batch)


def _nearest(probe: Probe, listener: Listener, here: Machine, folder: Path, scored: int) -> Speed:
    """A clip of neighbours: described, and compared with few others."""
    state = None
    if probe.trial.transfer.trial:
        taught = probe.trial.stated()
        del taught["transfer"], taught["objective"]
        other = Trial.model_validate(taught)
        model, _ = classifier.of_trial(other, listener, here, None, None)
        state = model.state_dict()
    seconds = 0.0
    for attempt in ("cold", "warm"):
        results = Results(folder / attempt)
        if state is not None:
            weights.save(SOURCE, results, state)
        for progress in run_trial(probe.trial, listener.store, here, results):
            _check(progress)
            seconds = progress.seconds
    return Speed(0.0, 0.0, 0.0, seconds / (scored + probe.clips), 0.0)


def _check(progress: Progress) -> None:
    if progress.error:
        raise ValueError(progress.error)


if __name__ == "__main__":
    main()
