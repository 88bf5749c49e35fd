"""The training loop: `run(trial, store, machine)` trains one network and yields an epoch's records
as they happen.

The way of a clip: int16 samples from the store -> float on the device -> as many views as the
objective compares (scaling.views) -> mixup -> network -> objective. Every draw comes from a stream
named by its purpose and its epoch, so an epoch that is run again is the same epoch. Source of the
schedule: the paper's exponential warm-up and linear decay, in the form of its first author's later
code.
"""

# B clips, T samples, F mel bands, N frames, Y classes

import math
from collections.abc import Iterator, Mapping
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling import config, evaluate, networks
from scaling.config import Trial
from scaling.listening import Heard, Listener
from scaling.machine import Machine
from scaling.networks.output import Output
from scaling.objectives import OBJECTIVES, Loss, Objective, jensen_shannon
from scaling.pruner import Pruner
from scaling.seeds import stream, torch_stream
from scaling.sound import augment, frontends
from scaling.sound.store import Store
from scaling.views import Draws, Views

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
    `final` times the peak, reached exactly at `last`; all of it times `decay` for every
    `decay_every` whole epochs that have passed.
    """
    factor = 1.0
    if epoch < training.warmup:
        factor = math.exp(-5 * (1 - max(epoch, 0.5) / training.warmup) ** 2)
    elif last > training.warmup:
        done = min(1.0, (epoch - training.warmup) / (last - training.warmup))
        factor = 1 - (1 - training.final) * done
    return training.rate * factor * training.decay ** (int(epoch) // training.decay_every)


def run(
    trial: Trial, store: Store, machine: Machine, resume: Mapping[str, Any] | None = None
) -> Iterator[Epoch]:
    """Train one network from the start, or from the state of an earlier Epoch, and yield each
    epoch's records.

    On a CPU the records (but for those that a clock measured) do not depend on where training was
    cut and resumed. Raises ValueError when trial and clips do not fit together, Diverged when the
    loss is no longer finite.
    """
    if trial.microphones.test and trial.split.train_devices:
        raise ValueError(
            "split.train_devices and microphones.test both make unseen devices: use one of them"
        )
    listener = Listener(trial, store, machine)
    clips = len(listener.parts["train"])
    if clips < trial.training.batch:
        raise ValueError(f"training.batch={trial.training.batch}: only {clips} clips to train on")
    session = _Session(trial, listener, machine, resume)
    first = resume["epoch"] if resume else 0
    for epoch in range(first, trial.training.epochs):
        yield session.epoch(epoch)


class _Session:
    """What lives as long as one call of `run`."""

    def __init__(
        self, trial: Trial, listener: Listener, machine: Machine, resume: Mapping[str, Any] | None
    ) -> None:
        self.trial, self.listener, self.machine = trial, listener, machine
        self.train = listener.parts["train"]
        self.objective: Objective = OBJECTIVES[trial.objective.kind]
        drawn = torch_stream(trial.seed, "initialization")
        network = networks.of_trial(trial, len(listener.labels), drawn)
        mels = trial.sound.features.mels
        statistics = (torch.zeros(mels), torch.ones(mels)) if resume else self._statistics()
        self.model = Classifier(frontends.Standardize(*statistics), network, machine)
        self.model.to(machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.views = Views(listener, self.model.standardize)
        training = trial.training
        self.optimizer = OPTIMIZERS[training.optimizer](
            network.parameters(), lr=training.rate, weight_decay=training.weight_decay, fused=True
        )
        if resume:
            self.model.load_state_dict(resume["model"])
            self.optimizer.load_state_dict(resume["optimizer"])
        self.pruner: Pruner | None = None
        if trial.pruning.kind != "none":
            target = networks.kept_weights(trial, len(listener.labels))
            masks = resume["masks"] if resume else None
            self.pruner = Pruner(trial, network, self.optimizer, target, masks)

    def _statistics(self) -> tuple[Tensor, Tensor]:
        size = evaluate.BATCH
        batches = (self.train[at : at + size] for at in range(0, len(self.train), size))
        return frontends.statistics(self.listener.features(batch) for batch in batches)

    def epoch(self, epoch: int) -> Epoch:
        """Train one epoch (counted from 0), then score what is held out."""
        number, last = epoch + 1, epoch + 1 == self.trial.training.epochs
        begun = perf_counter()
        if self.pruner:
            self.pruner.before(epoch)
        metrics = [
            {"split": "train", "device": "all", "metric": name, "value": value}
            for name, value in self._train(epoch).items()
        ]
        trained = perf_counter()
        predictions: list[dict[str, Any]] = []
        evaluation, epochs = self.trial.evaluation, self.trial.training.epochs
        if number % evaluation.every == 0 or number > epochs - evaluation.last:
            for heard in self.listener.scored():
                logits_BY, targets, table = self._judge(heard)
                found = evaluate.scores(logits_BY, targets, table["device"])
                metrics += [{"split": heard.split, **row} for row in found]
                if self.trial.evaluation.disagreement != "none":
                    metrics.append(self._disagreement(heard.split, heard.clips))
                if last:
                    rows = evaluate.predictions(logits_BY, self.listener.labels, targets, table)
                    predictions += [{"split": heard.split, **row} for row in rows]
        if self.pruner:
            metrics += self.pruner.metrics()
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
                "masks": self.pruner.masks if self.pruner else None,
            },
        )

    def _judge(self, heard: Heard) -> tuple[Tensor, np.ndarray, pd.DataFrame]:
        """Logits of what is heard, its classes, and its rows of the clip table."""
        logits, tables = [], []
        for microphone in heard.through:
            features = partial(self.listener.features, microphone=microphone)
            logits.append(evaluate.predict(self.model, features, heard.clips))
            tables.append(self.listener.rows(heard.clips, microphone))
        targets = np.tile(self.listener.targets[heard.clips], len(heard.through))
        return torch.cat(logits), targets, pd.concat(tables)

    @torch.inference_mode()
    def _disagreement(self, split: str, clips: np.ndarray) -> dict[str, Any]:
        """How far the network's answers to a clip and to two changed copies of it are apart.

        The copies are the same in every epoch. Source: Iqbal et al. 2021, Figure 1.
        """
        total, size = 0.0, evaluate.BATCH
        draws = [Draws.of(self.trial.seed, -1, view) for view in range(3)]
        self.model.eval()
        for batch in (clips[at : at + size] for at in range(0, len(clips), size)):
            views = [
                self.views.transformed(batch, each, float(view > 0))
                for view, each in enumerate(draws)
            ]
            logits = [self.model.network_on(view).logits_BY for view in views]
            total += len(batch) * float(jensen_shannon(logits))
        name, value = "disagreement", total / len(clips)
        return {"split": split, "device": "all", "metric": name, "value": value}

    def _train(self, epoch: int) -> dict[str, float]:
        """One pass over the training clips: means over its steps of what the objective minimizes
        and measures, the total of what is minimized, and the last rate.
        """
        trial, training = self.trial, self.trial.training
        order = stream(trial.seed, "order", epoch).permutation(self.train)
        steps = len(order) // training.batch
        views = [Draws.of(trial.seed, epoch, view) for view in range(self.objective.views)]
        mixes = stream(trial.seed, "mixup", epoch)
        sums: dict[str, Tensor] = {}
        minimized: set[str] = set()
        rate = training.rate
        self.model.train()
        networks.reseed(
            self.model.network, lambda name: torch_stream(trial.seed, "network", epoch, name)
        )
        for step in range(steps):
            at, end = (step / steps, 1 - 1 / steps) if training.stepping == "step" else (0.0, 0.0)
            rate = learning_rate(training, epoch + at, training.epochs - 1 + end)
            clips = order[step * training.batch : (step + 1) * training.batch]
            loss = self._step(clips, rate, views, mixes, epoch)
            minimized |= loss.parts.keys()
            for name, value in (loss.parts | loss.measured).items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value.detach()
        means = {name: float(value) / steps for name, value in sums.items()}
        total = sum(means[name] for name in sorted(minimized))
        if not math.isfinite(total):
            raise Diverged(f"the loss became {total} in epoch {epoch + 1} (rate {rate:.3g})")
        return means | {"loss": total, "rate": rate}

    def _step(
        self,
        clips: np.ndarray,
        rate: float,
        draws: list[Draws],
        mixes: np.random.Generator,
        epoch: int,
    ) -> Loss:
        """One update; returns what it minimized and measured."""
        settings, classes = self.trial.augment, len(self.listener.labels)
        views = [
            self.views.augmented(clips, each, share)
            for each, share in zip(draws, self._shares(), strict=True)
        ]
        targets_B = torch.from_numpy(self.listener.targets[clips])
        targets_BY = functional.one_hot(targets_B, classes).float()
        targets_BY = targets_BY.to(self.machine.device)
        if settings.mixup > 0:
            mix = augment.draw_mixup(mixes, len(clips), settings.mixup)
            views = [augment.mixup(view, mix) for view in views]
            targets_BY = augment.mixup(targets_BY, mix)
        outputs = self._outputs(views)
        loss = self.objective.loss(outputs, targets_BY, self.trial.objective, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(list(loss.parts.values()))
        self.optimizer.step()
        return loss

    def _shares(self) -> list[float]:
        """How many of the clips each view transforms: several are the clip itself, then changed."""
        others = self.objective.views - 1
        return [0.0, *[1.0] * others] if others else [self.trial.augment.transform_share]

    def _outputs(self, views: list[Tensor]) -> list[Output]:
        """The network's output for each view, all views normalized as one batch."""
        if len(views) == 1:
            return [self.model.network_on(views[0])]
        whole, count = self.model.network_on(torch.cat(views)), len(views)
        parts = [[None] * count if each is None else each.chunk(count) for each in whole]
        return [Output(*each) for each in zip(*parts, strict=True)]
