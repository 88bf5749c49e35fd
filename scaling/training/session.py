"""A session: one trial while it trains, epoch by epoch. It trains alone, by `epoch`, or is one of
those that train side by side (scaling.training.stacked).

The way of a clip: int16 samples from the store -> float on the device -> as many views as the
objective compares (scaling.training.views) -> mixup -> network -> objective. Every draw comes from
a stream named by its purpose and its epoch, so an epoch that is run again is the same epoch.
"""

# B clips, T samples, F mel bands, N frames, Y classes

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from scaling.machine import Machine
from scaling.networks.modules.stochastic import reseed
from scaling.objectives.modules.losses import Loss
from scaling.seeds import key, stream, torch_stream
from scaling.settings import Trial, sizes
from scaling.sound import augment
from scaling.training import (
    capture,
    classifier,
    evaluation,
    held_out,
    minimizing,
    once,
    optimizer,
    order,
    pruners,
    sharpness,
)
from scaling.training.adversary import Adversary
from scaling.training.answers import ReplayedAnswers
from scaling.training.epoch import Diverged, Epoch, Metric, Prediction
from scaling.training.evaluation import Scoring
from scaling.training.inputs import EvaluationSet, Listener, own_microphone
from scaling.training.once import Once
from scaling.training.optimizer import Patience, learning_rate
from scaling.training.resume import take_up
from scaling.training.stages import Draws
from scaling.training.steps import DrawnStep, Step
from scaling.training.sums import Terms
from scaling.training.teachers import Teacher, Teachers
from scaling.training.trainees import Single
from scaling.training.views import Views


class Session:
    """One trial while it trains. An epoch is `begin`, then an update for each of `steps`, then
    `end` with what `trained` makes of them: `epoch` does it all.
    """

    def __init__(
        self,
        trial: Trial,
        listener: Listener,
        machine: Machine,
        resume: Mapping[str, Any] | None,
        source: Mapping[str, Tensor] | None,
        teachers: Sequence[Teacher] = (),
    ) -> None:
        """Raises as `run` does."""
        self.trial, self.listener, self.machine = trial, listener, machine
        self.train = listener.parts["train"]
        optimizer.check_batch(trial.training, len(self.train))
        order.check(trial, len(listener.labels))
        self.done: int = resume["epoch"] if resume else 0  # epochs trained
        self.count = optimizer.steps_of(trial.training, len(self.train) * trial.training.passes)
        self.objective = trial.objective
        statistics = None if resume or source else listener.statistics()
        self.model, slow = classifier.of_trial(trial, listener, machine, statistics, source)
        self.model.to(machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.frozen = classifier.freeze(self.model, slow) if trial.transfer.frozen else []
        self.views = Views(listener, self.model.standardize)
        scales = sizes.scales(trial, len(listener.labels))
        self.optimizer = optimizer.build(
            self.model, trial.training, slow, trial.transfer.rate, scales
        )
        self.patience = Patience()
        if resume:
            take_up(resume, self.model, self.optimizer)
            self.patience = Patience(*resume["patience"])
        classifier.show_examples(self.model, listener)
        if len(teachers) < len(self.objective.sources):
            raise ValueError(
                f"objective.kind={self.objective.kind}: its teachers are read from a results "
                "folder, of which this has none: sweep it, or name another objective"
            )
        self.teachers = Teachers(teachers, self.model.standardize, listener, machine)
        self.taught, self.encoded = self._once()
        self.recomputes = False  # activations: scaling.training.memory
        self.adversary = None
        if trial.training.adversarial:
            self.adversary = Adversary(trial, listener, self.model, machine, resume)
        self.pruner = pruners.build(
            trial,
            len(listener.labels),
            self.model,
            self.optimizer,
            self.count,
            partial(minimizing.first_losses, self),
            resume,
        )

    def _once(self) -> tuple[Once | None, Once | None]:
        """What teachers, and a frozen encoder, answer to all training clips, where that is kept."""
        classes, clips = len(self.listener.labels), len(self.train)
        taught, encoded = once.kept(self.trial, classes, clips, warns=True)
        of_teachers = Once(self.views, self.teachers) if taught else None
        if not encoded:
            return of_teachers, None
        of_encoder = Once(self.views, self._embedded)
        self.model.train()
        return of_teachers, of_encoder

    def _embedded(self, view_BFN: Tensor) -> list[Tensor]:
        """What the network makes of a view before its last layer, in evaluation mode: (B, E)."""
        embedding_BE = self.model.eval().network_on(view_BFN).embedding_BE
        assert embedding_BE is not None
        return [embedding_BE]

    def epoch(self) -> Epoch:
        """Train the next epoch, then score what is held out."""
        begun = perf_counter()
        self.begin()
        trained = self._train()
        return evaluation.answered(self.end(trained, begun), self.answers)

    def begin(self) -> None:
        """Cut what the next epoch is trained without, and give what draws its streams."""
        if self.pruner:
            self.pruner.before(self.done)
        self.model.train()
        for part in self.frozen:
            part.eval()
        self.reseed()

    def reseed(self) -> None:
        """Give what draws within the network the next epoch's streams."""
        seed, epoch = self.trial.seed, self.done
        reseed(self.model.network, lambda name: torch_stream(seed, "network", epoch, name))
        if self.trial.own:  # what a person's code draws comes from torch's own generator
            torch.manual_seed(key(seed, "own", epoch) % 2**63)

    def end(
        self, of_train: Mapping[str, float], begun: float, share: float = 1.0
    ) -> Scoring[Epoch]:
        """Score what is held out after an epoch that began at `begun` and has measured `of_train`;
        `share` of the time is this trial's.
        """
        metrics, number = _of_train(of_train), self.done + 1
        if self.trial.training.patience:
            metrics += _of_train({"fit": (yield from self._fit())})
        last = number == self.trial.training.epochs or self._is_fit()
        trained = perf_counter()
        predictions: list[Prediction] = []
        if last or evaluation.due(self.trial.evaluation, number, self.trial.training.epochs):
            scores, predictions = yield from held_out.scored(
                self.trial, self.listener, self.model, self.views, last
            )
            metrics += scores
        if self.pruner:
            metrics += _of_train(self.pruner.counts())
        seconds = {"train_seconds": trained - begun, "evaluate_seconds": perf_counter() - trained}
        self.done = number
        metrics += _of_train({name: share * value for name, value in seconds.items()})
        return Epoch(number, metrics, predictions, self._state(), last)

    def _state(self) -> dict[str, Any]:
        """What a trial that resumes after the epochs that are done continues from."""
        return {
            "epoch": self.done,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "masks": self.pruner.masks if self.pruner else None,
            "early": self.pruner.early if self.pruner else None,
            "adversary": self.adversary.state if self.adversary else None,
            "patience": tuple(self.patience),
        }

    def _fit(self) -> Scoring[float]:
        """How well training clips are fit as recorded, which patience goes by."""
        clips = self.listener.parts["train"]
        logits_BY, targets, _ = yield from held_out.judged(
            self.trial,
            self.listener,
            EvaluationSet("train", clips, (own_microphone(self.trial),)),
        )
        accuracy = float((logits_BY.argmax(dim=1).numpy() == targets).mean())
        self.patience = self.patience.after(accuracy, self.trial.training)
        return accuracy

    def _is_fit(self) -> bool:
        """Whether the trial's patience is at its end."""
        return 0 < self.trial.training.patience < self.patience.worse

    def steps(self) -> Iterator[Step]:
        """What the steps of the next epoch are made of; each is made when it is asked for."""
        return map(self.made, self.drawn())

    def made(self, drawn: DrawnStep) -> Step:
        """A step, from what it draws."""
        first = drawn.views[0]
        taught = self.taught.of(first) if self.taught else None
        encoded = self.encoded.of(first) if self.encoded else None
        asked = taught is None and bool(self.teachers.models)  # teachers, in this step
        views = []
        if encoded is None or asked:
            views = [self.views.made(view) for view in drawn.views]
        targets_BY, heard = drawn.targets_BY.to(self.machine.device), drawn.heard
        if drawn.mix is not None:
            mix = drawn.mix
            views = [augment.mixup(view, mix) for view in views]
            targets_BY = augment.mixup(targets_BY, mix)
            heard = [augment.mixup(each, mix) for each in heard]
        return Step(
            views,
            targets_BY,
            drawn.rate,
            self.teachers(views[0]) if asked else taught or (),
            encoded[0] if encoded else None,
            torch.cat([*heard]) if heard else None,
            drawn.progress,
        )

    def drawn(self) -> Iterator[DrawnStep]:
        """What the steps of the next epoch draw."""
        trial, epoch = self.trial, self.done
        draws = [Draws(trial.seed, epoch, view) for view in range(self.objective.views)]
        mixes = stream(trial.seed, "mixup", epoch)
        shuffle = stream(trial.seed, "order", epoch)
        ordered = order.batches(trial, self.train, self.listener.targets, shuffle)
        for step, clips in enumerate(ordered):
            copies = [
                self.views.copy(clips, each, share)
                for each, share in zip(draws, self._shares(), strict=True)
            ]
            views = [*map(self.views.drawn, copies)]
            heard = [*map(self.adversary.heard, copies)] if self.adversary else []
            targets_B = torch.from_numpy(self.listener.targets[clips])
            targets_BY = functional.one_hot(targets_B, len(self.listener.labels)).float()
            mix = None
            if trial.augment.mixup > 0:
                mix = augment.draw_mixup(mixes, len(clips), trial.augment.mixup)
            progress = (epoch + step / self.count) / trial.training.epochs
            yield DrawnStep(views, targets_BY, mix, self.rate(step), heard, progress)

    def rate(self, step: int) -> float:
        """The rate of a step of the next epoch."""
        training, steps = self.trial.training, self.count
        at, end = (step / steps, 1 - 1 / steps) if training.stepping == "step" else (0.0, 0.0)
        epoch, epochs = self.trial.pruning.scheduled(self.done, training.epochs)
        return learning_rate(training, epoch + at, epochs - 1 + end)

    def _train(self) -> dict[str, float]:
        """One epoch's passes over the training clips; see `trained`."""
        sums = self.replay.epoch() if self.replay and not self.replay.broken else None
        if sums is not None:
            (terms,) = sums.values()
        else:
            terms = Terms()
            for step in self.steps():
                terms.add(self.update(step))
        totals = {name: float(value) for name, value in terms.values.items()}
        return self.trained(totals, terms.minimized)

    @cached_property
    def answers(self) -> ReplayedAnswers:
        """How it is scored, where it trains alone."""
        answer, machine = partial(evaluation.logits, self.model), self.machine
        if self.trial.own:  # which may do anything
            machine = replace(machine, capture="off")
        return ReplayedAnswers(
            answer, lambda: [*self.model.parameters(), *self.model.buffers()], machine
        )

    @cached_property
    def replay(self) -> capture.Replay | None:
        """How its epochs are replayed, where it trains alone."""
        return capture.of(Single(self))

    def trained(self, sums: Mapping[str, float], minimized: Collection[str]) -> dict[str, float]:
        """Of sums over an epoch's steps: means of what the objective minimizes and measures, the
        total of what is minimized, the last rate, and what the epoch was made of: optimizer steps,
        and clips that went through the network (each view counts). Raises Diverged.
        """
        training, steps, rate = self.trial.training, self.count, self.rate(self.count - 1)
        means = {name: value / steps for name, value in sums.items()}
        total = sum(means[name] for name in sorted(minimized))
        if not math.isfinite(total):
            raise Diverged(f"the loss became {total} in epoch {self.done + 1} (rate {rate:.3g})")
        clips = min(steps * training.batch, len(self.train) * training.passes)
        seen = clips * self.objective.views
        return means | {"loss": total, "rate": rate, "steps": steps, "clips": seen}

    def update(self, step: Step) -> Loss:
        """One update; returns what it minimized and measured."""
        training, network = self.trial.training, self.model.network
        states = sharpness.drawn(network) if training.sam else {}
        loss = self._loss(step)
        parts = [*loss.parts.values()]

        def uphill(weights: Iterable[Tensor]) -> None:
            with sharpness.repeated(network, states):
                losses = lambda: self._loss(step).parts.values()  # noqa: E731
                sharpness.uphill(weights, training.sam, training.sam_adaptive, losses)

        if not (self.pruner and self.pruner.steps_instead(parts)):
            elsewhere = uphill if training.sam else None
            optimizer.step(self.optimizer, parts, step.rate, training.clip, elsewhere)
        if self.adversary:
            self.adversary.step(step.rate)
        return loss

    def _loss(self, step: Step) -> Loss:
        """What a step minimizes and measures."""
        if step.embedding_BE is None:
            outputs = minimizing.outputs(self.model, step.views)
        else:
            outputs = [self.model.answer(step.embedding_BE)]
        loss = minimizing.minimized(self.objective, outputs, step, self.done)
        if self.adversary:
            assert step.heard_BD is not None
            self.adversary.add_to(loss, outputs, step.heard_BD, step.progress)
        penalty = self.trial.training.penalty
        if penalty > 0:
            loss.parts["penalty"] = penalty * optimizer.penalty(self.model.network)
        if self.pruner:
            loss.parts.update(self.pruner.penalties(self.done))
        return loss

    def _shares(self) -> list[float]:
        """How many of the clips each view transforms: several are the clip itself, then changed."""
        others = self.objective.views - 1
        return [0.0, *[1.0] * others] if others else [self.trial.augment.transform_share]


def _of_train(values: Mapping[str, float]) -> list[Metric]:
    return [Metric("train", name, value) for name, value in values.items()]
