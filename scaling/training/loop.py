"""The training loop: `run(trial, listener, machine)` trains one network and yields an epoch's
records as they happen.

The way of a clip: int16 samples from the store -> float on the device -> as many views as the
objective compares (scaling.training.views) -> mixup -> network -> objective. Every draw comes from
a stream named by its purpose and its epoch, so an epoch that is run again is the same epoch.
"""

# B clips, T samples, F mel bands, N frames, Y classes

import math
from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from scaling.machine import Machine
from scaling.networks.modules.output import Output
from scaling.networks.modules.stochastic import reseed
from scaling.objectives.modules.losses import Loss, jensen_shannon
from scaling.pruning.pruner import Pruner
from scaling.pruning.pruning import Cutting
from scaling.seeds import stream, torch_stream
from scaling.settings import Trial, sizes
from scaling.sound import augment, frontends
from scaling.sound.microphones import RECORDED
from scaling.training import classifier, evaluation, optimizer
from scaling.training.epoch import Diverged, Epoch, Metric, Prediction
from scaling.training.inputs import EvaluationSet, Listener
from scaling.training.optimizer import Patience, learning_rate
from scaling.training.resume import take_up
from scaling.training.views import Draws, Views


def run(
    trial: Trial,
    listener: Listener,
    machine: Machine,
    resume: Mapping[str, Any] | None = None,
    source: Mapping[str, Tensor] | None = None,
) -> Iterator[Epoch]:
    """Train one network from the start, or from the state of an earlier Epoch, and yield each
    epoch's records. `source` is the state of the classifier that transfer takes over.

    On a CPU the records (but for those that a clock measured) do not depend on where training was
    cut and resumed. Raises ValueError when trial and clips do not fit together, Misfit when the
    state is none of this trial's, Diverged when the loss is no longer finite.
    """
    optimizer.check_batch(trial.training, len(listener.parts["train"]))
    session = _Session(trial, listener, machine, resume, source)
    first = resume["epoch"] if resume else 0
    for number in range(first, trial.training.epochs):
        epoch = session.epoch(number)
        yield epoch
        if epoch.last:
            return


class _Session:
    """What lives as long as one call of `run`."""

    def __init__(
        self,
        trial: Trial,
        listener: Listener,
        machine: Machine,
        resume: Mapping[str, Any] | None,
        source: Mapping[str, Tensor] | None,
    ) -> None:
        self.trial, self.listener, self.machine = trial, listener, machine
        self.train = listener.parts["train"]
        self.objective = trial.objective
        statistics = None if resume or source else self._statistics()
        self.model, slow = classifier.of_trial(trial, listener, machine, statistics, source)
        network = self.model.network
        self.model.to(machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.views = Views(listener, self.model.standardize)
        self.optimizer = optimizer.build(self.model, trial.training, slow, trial.transfer.rate)
        self.patience = Patience()
        if resume:
            take_up(resume, self.model, self.optimizer)
            self.patience = Patience(*resume["patience"])
        self.pruner: Pruner | None = None
        if isinstance(trial.pruning, Cutting):
            target = sizes.kept_weights(trial, len(listener.labels))
            masks = resume["masks"] or {} if resume else None
            self.pruner = Pruner(trial.pruning, trial.seed, network, self.optimizer, target, masks)
        classifier.show_examples(self.model, listener)

    def _statistics(self) -> tuple[Tensor, Tensor]:
        size = evaluation.BATCH
        batches = (self.train[at : at + size] for at in range(0, len(self.train), size))
        return frontends.statistics(self.listener.features(batch) for batch in batches)

    def epoch(self, epoch: int) -> Epoch:
        """Train one epoch (counted from 0), then score what is held out."""
        number = epoch + 1
        begun = perf_counter()
        if self.pruner:
            self.pruner.before(epoch)
        metrics = _of_train(self._train(epoch))
        if self.trial.training.patience:
            metrics += _of_train({"fit": self._fit()})
        last = number == self.trial.training.epochs or self._is_fit()
        trained = perf_counter()
        predictions: list[Prediction] = []
        if last or evaluation.due(self.trial.evaluation, number, self.trial.training.epochs):
            for heard in self.listener.scored():
                logits_BY, targets, table = self._judge(heard)
                metrics += evaluation.scores(heard.split, logits_BY, targets, table["device"])
                if self.trial.evaluation.disagreement != "none":
                    apart = self._disagreement(heard.clips)
                    metrics.append(Metric(heard.split, "disagreement", apart))
                if last:
                    predictions += evaluation.predictions(
                        heard.split, logits_BY, self.listener.labels, targets, table
                    )
        if self.pruner:
            metrics += _of_train(self.pruner.counts())
        seconds = {"train_seconds": trained - begun, "evaluate_seconds": perf_counter() - trained}
        return Epoch(
            number,
            [*metrics, *_of_train(seconds)],
            predictions,
            {
                "epoch": number,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "masks": self.pruner.masks if self.pruner else None,
                "patience": tuple(self.patience),
            },
            last,
        )

    def _fit(self) -> float:
        """How well training clips are fit as recorded, which patience goes by."""
        clips = self.listener.parts["train"]
        logits_BY, targets, _ = self._judge(EvaluationSet("train", clips, (RECORDED,)))
        accuracy = float((logits_BY.argmax(dim=1).numpy() == targets).mean())
        self.patience = self.patience.after(accuracy, self.trial.training)
        return accuracy

    def _is_fit(self) -> bool:
        """Whether the trial's patience is at its end."""
        return 0 < self.trial.training.patience < self.patience.worse

    def _judge(self, heard: EvaluationSet) -> tuple[Tensor, np.ndarray, pd.DataFrame]:
        """Logits of what is heard, its classes, and its rows of the clip table."""
        logits, tables = [], []
        for microphone in heard.through:

            def patches(clips: np.ndarray, microphone: int = microphone) -> Tensor:
                return self.listener.patches(self.listener.features(clips, microphone))

            votes = self.trial.evaluation.patch_votes
            logits.append(evaluation.predict(self.model, patches, heard.clips, votes))
            tables.append(self.listener.rows(heard.clips, microphone))
        targets = np.tile(self.listener.targets[heard.clips], len(heard.through))
        return torch.cat(logits), targets, pd.concat(tables)

    @torch.inference_mode()
    def _disagreement(self, clips: np.ndarray) -> float:
        """How far the network's answers to a clip and to two changed copies of it are apart.

        The copies are the same in every epoch. Source: Iqbal et al. 2021, Figure 1.
        """
        total, size, seed = 0.0, evaluation.BATCH, self.trial.seed
        draws = [Draws(seed, -1, view) for view in range(3)]
        for each in draws:  # of copies that are to be answered alike, the same patch is looked at
            each["patch"] = stream(seed, "patch", -1, 0)
        self.model.eval()
        for batch in (clips[at : at + size] for at in range(0, len(clips), size)):
            views = [
                self.views.transformed(batch, each, float(view > 0))
                for view, each in enumerate(draws)
            ]
            logits = [self.model.network_on(view).logits_BY for view in views]
            total += len(batch) * float(jensen_shannon(logits))
        return total / len(clips)

    def _train(self, epoch: int) -> dict[str, float]:
        """One epoch's passes over the training clips: means over its steps of what the objective
        minimizes and measures, the total of what is minimized, the last rate, and what the epoch
        was made of: optimizer steps, and clips that went through the network (each view counts).
        """
        trial, training = self.trial, self.trial.training
        shuffle = stream(trial.seed, "order", epoch)
        order = np.concatenate([shuffle.permutation(self.train) for _ in range(training.passes)])
        steps = optimizer.steps_of(training, len(order))
        views = [Draws(trial.seed, epoch, view) for view in range(self.objective.views)]
        mixes = stream(trial.seed, "mixup", epoch)
        sums: dict[str, Tensor] = {}
        minimized: set[str] = set()
        rate = training.rate
        self.model.train()
        reseed(self.model.network, lambda name: torch_stream(trial.seed, "network", epoch, name))
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
        seen = min(steps * training.batch, len(order)) * self.objective.views
        return means | {"loss": total, "rate": rate, "steps": steps, "clips": seen}

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
        loss = self.objective.loss(outputs, targets_BY, epoch)
        training = self.trial.training
        if training.penalty > 0:
            loss.parts["penalty"] = training.penalty * optimizer.penalty(self.model.network)
        optimizer.step(self.optimizer, loss.parts.values(), rate, training.clip)
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


def _of_train(values: Mapping[str, float]) -> list[Metric]:
    return [Metric("train", name, value) for name, value in values.items()]
