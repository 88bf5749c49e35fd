"""The training loop: `run(trial, store, machine)` trains one network and yields an epoch's records
as they happen.

The way of a clip: int16 samples from the store -> float on the device -> roll -> front end ->
standardize -> mixup -> network -> objective. Every draw comes from a stream named by its purpose
and its epoch, so an epoch that is run again is the same epoch. Source of the schedule: the paper's
exponential warm-up and linear decay, in the form of its first author's later code.
"""

# B clips, T samples, F mel bands, N frames, Y classes

import math
from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling import config, evaluate, networks
from scaling.config import Trial
from scaling.machine import Machine
from scaling.networks.cp_resnet import Output
from scaling.objectives import OBJECTIVES, Objective
from scaling.seeds import stream, torch_stream
from scaling.sound import augment, frontends, splits
from scaling.sound.store import Store

OPTIMIZERS: dict[str, type[torch.optim.Adam]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


class Epoch(NamedTuple):
    """What one epoch left behind."""

    number: int  # epochs trained so far, from 1
    metrics: list[dict[str, Any]]  # rows of the metrics table
    predictions: list[dict[str, Any]]  # rows of the predictions table; filled in the last epoch
    state: dict[str, Any]  # what `run(resume=...)` needs; save it before the next epoch changes it


class Diverged(ArithmeticError):
    """The loss stopped being a finite number."""


class Classifier(nn.Module):
    """Standardization and network: what a trial learns from its clips, and what its saved weights
    hold.
    """

    def __init__(self, standardize: nn.Module, network: nn.Module, machine: Machine) -> None:
        super().__init__()
        self.standardize = standardize
        self.network = network
        self.machine = machine

    def forward(self, features_BFN: Tensor) -> Output:
        return self.network_on(self.standardize(features_BFN))

    def network_on(self, x_BFN: Tensor) -> Output:
        """The network's output for features that are standardized already."""
        with self.machine.autocast():
            output: Output = self.network(x_BFN[:, None])
        return output


def learning_rate(training: config.Training, epoch: float, last: float) -> float:
    """The rate at a moment counted in epochs from 0, of which `last` is the final one trained at.

    Exponential ramp exp(-5 (1 - e/T)^2) over the T epochs of warm-up, then a straight line down to
    `final` times the peak, reached exactly at `last`.
    """
    factor = 1.0
    if epoch < training.warmup:
        factor = math.exp(-5 * (1 - max(epoch, 0.5) / training.warmup) ** 2)
    elif last > training.warmup:
        done = min(1.0, (epoch - training.warmup) / (last - training.warmup))
        factor = 1 - (1 - training.final) * done
    return training.rate * factor


def run(
    trial: Trial, store: Store, machine: Machine, resume: Mapping[str, Any] | None = None
) -> Iterator[Epoch]:
    """Train one network from the start, or from the state of an earlier Epoch, and yield each
    epoch's records.

    On a CPU the records (but for those that a clock measured) do not depend on where training was
    cut and resumed. Raises ValueError when trial and clips do not fit together, Diverged when the
    loss is no longer finite.
    """
    if store.rate != trial.sound.rate:
        raise ValueError(f"sound.rate={trial.sound.rate}: this store holds {store.rate} Hz")
    parts = splits.make(store.table, trial.split)
    if len(parts["train"]) < trial.training.batch:
        raise ValueError(
            f"training.batch={trial.training.batch}: only {len(parts['train'])} clips to train on"
        )
    session = _Session(trial, store, machine, parts, resume)
    first = resume["epoch"] if resume else 0
    for epoch in range(first, trial.training.epochs):
        yield session.epoch(epoch)


class _Session:
    """What lives as long as one call of `run`."""

    def __init__(
        self,
        trial: Trial,
        store: Store,
        machine: Machine,
        parts: dict[str, np.ndarray],
        resume: Mapping[str, Any] | None,
    ) -> None:
        self.trial, self.machine, self.parts = trial, machine, parts
        self.table, self.labels, self.targets = store.table, store.labels, store.targets
        self.clips = store.resident(machine.device, trial.sound.samples)
        self.frontend = frontends.build(trial.sound.features, store.rate).to(machine.device)
        self.objective: Objective = OBJECTIVES[trial.objective.kind]
        network = networks.build(
            trial.network, len(store.labels), torch_stream(trial.seed, "initialization")
        )
        mels = trial.sound.features.mels
        statistics = (torch.zeros(mels), torch.ones(mels)) if resume else self._statistics()
        self.model = Classifier(frontends.Standardize(*statistics), network, machine)
        self.model.to(machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        training = trial.training
        self.optimizer = OPTIMIZERS[training.optimizer](
            network.parameters(), lr=training.rate, weight_decay=training.weight_decay, fused=True
        )
        if resume:
            self.model.load_state_dict(resume["model"])
            self.optimizer.load_state_dict(resume["optimizer"])

    def waves(self, clips: np.ndarray) -> Tensor:
        """The clips at these rows of the table, on the device: (B, T), full scale 1."""
        batch_BT = self.clips.batch(clips, self.trial.sound.samples)
        return batch_BT.to(self.machine.device, non_blocking=True).float().div_(32768)

    @torch.no_grad()
    def features(self, clips: np.ndarray) -> Tensor:
        """Their features, neither augmented nor standardized: (B, F, N)."""
        features_BFN: Tensor = self.frontend(self.waves(clips))
        return features_BFN

    def _statistics(self) -> tuple[Tensor, Tensor]:
        train, size = self.parts["train"], evaluate.BATCH
        batches = (train[start : start + size] for start in range(0, len(train), size))
        return frontends.statistics(self.features(batch) for batch in batches)

    def epoch(self, epoch: int) -> Epoch:
        """Train one epoch (counted from 0), then score what is held out."""
        number, last = epoch + 1, epoch + 1 == self.trial.training.epochs
        begun = perf_counter()
        metrics = [
            {"split": "train", "device": "all", "metric": name, "value": value}
            for name, value in self._train(epoch).items()
        ]
        trained = perf_counter()
        predictions: list[dict[str, Any]] = []
        if last or number % self.trial.evaluation.every == 0:
            for split, clips in self._scored():
                logits_BY = evaluate.predict(self.model, self.features, clips)
                table = self.table.iloc[clips]
                found = evaluate.scores(logits_BY, self.targets[clips], table["device"])
                name = "train_clean" if split == "train" else split
                metrics += [{"split": name, **row} for row in found]
                if last:
                    rows = evaluate.predictions(logits_BY, self.labels, table)
                    predictions += [{"split": name, **row} for row in rows]
        for name, seconds in (
            ("train_seconds", trained - begun),
            ("evaluate_seconds", perf_counter() - trained),
        ):
            metrics.append({"split": "train", "device": "all", "metric": name, "value": seconds})
        stamp = {"trial": self.trial.id, "epoch": number}
        return Epoch(
            number,
            [stamp | row for row in metrics],
            [stamp | row for row in predictions],
            {
                "epoch": number,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
        )

    def _scored(self) -> Iterator[tuple[str, np.ndarray]]:
        for split, clips in self.parts.items():
            if split != "train" or self.trial.evaluation.training_clips:
                yield split, clips

    def _train(self, epoch: int) -> dict[str, float]:
        """One pass over the training clips; means of the objective's parts over its steps, and the
        last rate.
        """
        trial, training = self.trial, self.trial.training
        order = stream(trial.seed, "order", epoch).permutation(self.parts["train"])
        steps = len(order) // training.batch
        rolls = [stream(trial.seed, "roll", epoch, view) for view in range(self.objective.views)]
        mixes = stream(trial.seed, "mixup", epoch)
        sums: dict[str, Tensor] = {}
        rate = training.rate
        self.model.train()
        for step in range(steps):
            at, end = (step / steps, 1 - 1 / steps) if training.stepping == "step" else (0.0, 0.0)
            rate = learning_rate(training, epoch + at, training.epochs - 1 + end)
            clips = order[step * training.batch : (step + 1) * training.batch]
            parts = self._step(clips, rate, rolls, mixes, epoch)
            for name, value in parts.items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value
        means = {name: float(value) / steps for name, value in sums.items()}
        total = sum(means.values())
        if not math.isfinite(total):
            raise Diverged(f"the loss became {total} in epoch {epoch + 1} (rate {rate:.3g})")
        return means | {"loss": total, "rate": rate}

    def _step(
        self,
        clips: np.ndarray,
        rate: float,
        rolls: list[np.random.Generator],
        mixes: np.random.Generator,
        epoch: int,
    ) -> dict[str, Tensor]:
        """One update; returns the parts of its loss."""
        settings, classes = self.trial.augment, len(self.labels)
        views = [self._view(clips, roll) for roll in rolls]
        targets_BY = functional.one_hot(torch.from_numpy(self.targets[clips]), classes).float()
        targets_BY = targets_BY.to(self.machine.device)
        if settings.mixup > 0:
            mix = augment.draw_mixup(mixes, len(clips), settings.mixup)
            views = [augment.mixup(view, mix) for view in views]
            targets_BY = augment.mixup(targets_BY, mix)
        outputs = [self.model.network_on(view) for view in views]
        parts = self.objective.parts(outputs, targets_BY, self.trial.objective, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(list(parts.values()))
        self.optimizer.step()
        return {name: value.detach() for name, value in parts.items()}

    @torch.no_grad()
    def _view(self, clips: np.ndarray, rolls: np.random.Generator) -> Tensor:
        """One augmented copy of the clips, standardized: (B, F, N)."""
        waves_BT = self.waves(clips)
        limit = round(self.trial.augment.roll * self.trial.sound.rate)
        if limit:
            waves_BT = augment.roll(waves_BT, augment.draw_roll(rolls, len(clips), limit))
        view_BFN: Tensor = self.model.standardize(self.frontend(waves_BT))
        return view_BFN
