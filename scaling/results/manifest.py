"""What a launch is about to do: its trials, what each costs, and the manifest that says so.

A launch of one trial (`overhear train`) and of a sweep leave the same manifest, so that the same
analysis reads both.
"""

import datetime
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scaling.networks.cost import Cost
from scaling.networks.own import OwnNetwork
from scaling.pruning import masks
from scaling.pruning.pruning import Cutting
from scaling.results.code_version import code_version
from scaling.results.records import Results
from scaling.settings import Split, Trial, flat, sizes
from scaling.sound import datasets, splits
from scaling.sound.clip_table import same
from scaling.training import adversary, inputs, once, optimizer, order, trying


class Price(NamedTuple):
    """What a trial's network costs."""

    cost: Cost
    kept_weights: int  # that pruning leaves; all, where nothing is pruned
    compacted: Cost | None  # without the channels that are cut; None: none are

    def facts(self) -> dict[str, int | None]:
        """Its numbers by the names of the records."""
        cost, less = self.cost, self.compacted or self.cost
        kept = cost.parameters - cost.weights + self.kept_weights
        compacted = self.compacted.parameters if self.compacted else None
        size = sizes.in_bytes(cost.parameters, cost.weights, self.kept_weights, compacted)
        return {
            "parameters": cost.parameters,
            "kept_parameters": kept if compacted is None else compacted,
            "weights": cost.weights,
            "kept_weights": self.kept_weights,
            "macs": cost.macs,
            "kept_macs": less.macs,
            "dcase_macs": less.dcase_macs,
            "receptive_field": cost.receptive_field,
            "dense_bytes": size.dense,
            "sparse_bytes": size.sparse,
            "bytes": size.compacted,
        }


class Plan(NamedTuple):
    """A study's trials, with what each costs and learns from."""

    study: str
    trials: list[Trial]
    prices: list[Price]
    train_clips: list[int]
    scored: list[int]  # clips in one evaluation; through another microphone it is another clip
    classes: list[int]
    parts: list[dict[str, int]]  # clips of each name that trains or is scored, likewise
    teachers: list[int]  # multiply-adds of what its teachers answer to a clip

    def epoch_work(self, index: int) -> int:
        """Multiply-adds of one epoch of a trial's training: by it, epochs' times are compared."""
        return self.work(index) // self.trials[index].epochs

    def work(self, index: int) -> int:
        """Multiply-adds of training one trial: forward and, unless what is taken over is frozen,
        twice that, backward; and its teachers' answers.
        """
        trial, clips, cost = self.trials[index], self.train_clips[index], self.prices[index].cost
        if not trial.objective.trains:  # every clip goes through the network once
            return cost.macs * clips
        seen, taught = self._seen(index), self.teaching(index)
        if once.kept(trial, self.classes[index], clips)[1]:
            return cost.macs * clips + 3 * cost.parts[-1].macs * seen + taught
        return (1 if trial.transfer.frozen else 3) * cost.macs * seen + taught

    def teaching(self, index: int) -> int:
        """Multiply-adds of teachers' answers in a trial: to each clip once, where views repeat."""
        clips = self.train_clips[index]
        kept, _ = once.kept(self.trials[index], self.classes[index], clips)
        return self.teachers[index] * (clips if kept else self._seen(index))

    def _seen(self, index: int) -> int:
        """Views of clips in all of a trial's training."""
        trial = self.trials[index]
        views = trial.training.passes * trial.objective.views
        return self.train_clips[index] * views * trial.training.epochs


def plan(
    study: str,
    trials: Sequence[Trial],
    tables: Mapping[str, pd.DataFrame],
    trained: Mapping[str, Trial] | None = None,
) -> Plan:
    """Count every trial's cost on its dataset's clip table; `trained` are teachers, by id, that are
    not among the trials. The answers of others are not counted.

    Raises ValueError that names what does not fit: a fold or device that the table lacks, one
    class alone, fewer training clips than a batch, a network too deep for its clips, a pruning
    target above what the network has or below what it must keep.
    """
    prices, train_clips, scored, of_classes, counts = [], [], [], [], []
    # thousands of trials share a few splits
    parted: dict[tuple[str, tuple[str, ...], Split, str], dict[str, np.ndarray]] = {}
    chosen: dict[tuple[str, tuple[str, ...]], pd.DataFrame] = {}
    for trial in trials:
        name, named = trial.sound.recordings, trial.sound.classes
        if (name, named) not in chosen:
            rows = splits.of_classes(tables[name], named)
            chosen[name, named] = tables[name].iloc[rows].reset_index(drop=True)
        table = chosen[name, named]
        classes = table["label"].nunique()
        if classes < 2:
            raise ValueError(
                f"{name}: all {len(table)} clips are of class {table['label'].iloc[0]}: at least "
                "two classes are needed to tell apart"
            )
        prices.append(price(trial, classes))
        key = (name, named, trial.split, trial.transfer.device)
        if key not in parted:
            parted[key] = inputs.parts(trial, table)
        clips = len(parted[key]["train"])
        if trial.objective.trains:
            optimizer.check_batch(trial.training, clips)
            order.check(trial, classes)
            adversary.check(trial, table.iloc[parted[key]["train"]])
        train_clips.append(clips)
        heard = {
            each.split: len(each.clips) * len(each.through)
            for each in inputs.scored(trial, parted[key])
        }
        scored.append(sum(heard.values()))
        counts.append({"train": clips} | heard)
        of_classes.append(classes)
    taught = _of_teachers(trials, prices, of_classes, trained or {})
    return Plan(study, list(trials), prices, train_clips, scored, of_classes, counts, taught)


def _of_teachers(
    trials: Sequence[Trial],
    prices: Sequence[Price],
    classes: Sequence[int],
    trained: Mapping[str, Trial],
) -> list[int]:
    """Multiply-adds of what each trial's teachers answer to a clip, without channels that they have
    lost.
    """
    here = {trial.id: each for trial, each in zip(trials, prices, strict=True)}
    found = []
    for trial, count in zip(trials, classes, strict=True):
        names = [name for name in trial.objective.sources if name in here or name in trained]
        of = (here[name] if name in here else price(trained[name], count) for name in names)
        found.append(sum((each.compacted or each.cost).macs for each in of))
    return found


def counted(parts: Sequence[Mapping[str, int]]) -> list[str]:
    """How many clips train and are scored, a line for each design: `clips: 192 train, 48 test (60
    trials)`; a range where trials of one design differ, as over folds.
    """
    designs: dict[tuple[str, ...], list[Mapping[str, int]]] = {}
    for each in parts:
        designs.setdefault(tuple(each), []).append(each)
    lines = []
    for names, alike in designs.items():
        words = []
        for name in names:
            fewest, most = (edge(each[name] for each in alike) for edge in (min, max))
            words.append(f"{fewest if fewest == most else f'{fewest} to {most}'} {name}")
        trials = f"{len(alike)} trial{'s' if len(alike) > 1 else ''}"
        lines.append(f"clips: {', '.join(words)}" + (f" ({trials})" if len(parts) > 1 else ""))
    return lines


def price(trial: Trial, classes: int) -> Price:
    """What a trial's network costs, and what pruning keeps of it: all that a plan knows without
    clips.

    Raises ValueError for a network too deep for its clips and a pruning target or budget that does
    not fit.
    """
    cost = sizes.cost(trial, classes)
    _check_own(trial)
    kept = sizes.kept_weights(trial, classes)
    if isinstance(trial.pruning, Cutting):
        weights = {part.name: part.weights for part in cost.parts}
        masks.check(weights, kept, trial.pruning.largest_sparsity)
    return Price(cost, kept, sizes.compacted(trial, classes))


def _check_own(trial: Trial) -> None:
    """Raises ValueError where a part of a person's own puts out another shape, or a network of
    theirs cannot be pruned or taken over.
    """
    if trial.own:
        trying.tried(trial)
    network = trial.network
    if not isinstance(network, OwnNetwork) or network.described() is not None:
        return
    if isinstance(trial.pruning, Cutting):  # noqa: SIM102
        if layer := network.uncut(trial.objective.outputs(2), trial.sound.shape):
            raise ValueError(
                f"pruning.kind={trial.pruning.kind}: {network.kind} has weights in {layer}, which "
                "masks cannot cut: Conv1d, Conv2d and Linear layers only"
            )
    taken = trial.transfer.trial and trial.transfer.last_layer == "new"
    if taken or not trial.objective.trains:
        raise ValueError(
            f"transfer.trial={trial.transfer.trial}: network.kind={network.kind} does not state "
            "its layers, so nobody knows which is its last: make it a subclass of Network "
            "(docs/own_parts.md)"
        )


def price_unseen(trial: Trial) -> Price | None:
    """`price` of a trial whose dataset is not at hand; None where nobody knows how many classes it
    has, as of a person's own.
    """
    classes = len(trial.sound.classes) or datasets.find(trial.sound.recordings).classes
    return price(trial, classes) if classes else None


def rows(plan: Plan, digests: Mapping[str, str], commit: str | None = None) -> list[dict[str, Any]]:
    """The manifest's rows; `digests` name what each trial hears, by its id."""
    now = datetime.datetime.now(datetime.UTC)
    return [
        {
            "trial": trial.id,
            "study": plan.study,
            **flat(trial),
            "parameters": cost.parameters,
            "weights": cost.weights,
            "kept_weights": kept,
            "macs": cost.macs,
            "kept_parameters": less.parameters if less else None,
            "kept_macs": less.macs if less else None,
            "dcase_macs": (less or cost).dcase_macs,
            "epoch_macs": plan.epoch_work(index),
            "receptive_field": cost.receptive_field,
            "data_digest": digests[trial.id],
            "commit": commit,
            "planned": now,
        }
        for index, (trial, (cost, kept, less)) in enumerate(
            zip(plan.trials, plan.prices, strict=True)
        )
    ]


def record(
    plan: Plan,
    digests: Mapping[str, str],
    results: Results,
    glances: Mapping[str, str] | None = None,
) -> None:
    """Write this launch's manifest, unless earlier ones of its study have all of its trials; where
    the code's files were changed, their diff, too (code/DIGEST.diff).

    `glances` are the digests in the form of earlier versions (prepare.glances): a trial that the
    folder holds under its glance stays under that, as nothing says what else its files held then.
    Raises ValueError when the folder holds one of the trials with other data: the two must not be
    mixed.
    """
    glances = glances or {}
    earlier = results.read("manifest").select(["trial", "study", "data_digest"]).to_pylist()
    known = {row["trial"]: row["data_digest"] for row in earlier}
    listed = {(row["study"], row["trial"]) for row in earlier}
    for trial in plan.trials:
        digest = digests[trial.id]
        if not same(known.get(trial.id, digest), digest, glances.get(trial.id, "")):
            raise ValueError(
                f"results folder {results.where} has trial {trial.id} on other data "
                f"(digest {known[trial.id]}, these clips are {digest}): name another folder with "
                "--out"
            )
    if all((plan.study, trial.id) in listed for trial in plan.trials):
        return
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    digests = dict(digests) | {name: known[name] for name in digests if name in known}
    code = code_version()
    if code and code.diff:
        results.put(code.diff, "code", f"{code.digest}.diff")
    planned = rows(plan, digests, code.commit if code else None)
    results.write("manifest", f"{stamp}-{uuid.uuid4().hex[:6]}", planned)
