"""Maps: the effective receptive fields of a results folder's trials, computed from their weights.

A map is kept with its numbers in `maps/<trial>.parquet`, one row per split and kind; what is there
is not computed again. Source: Koutini et al. 2021, Figures 7 to 16 (the mean over all clips from
unseen devices).
"""

# B clips, F mel bands, N frames

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from scaling.machine import Machine
from scaling.networks.cost import any_size, field, last_map, local
from scaling.networks.own import OwnNetwork
from scaling.receptive_field.gradients import (
    SCORES,
    Map,
    Numbers,
    Place,
    cropped,
    effective_field,
    numbers,
    place_of,
    target_of,
)
from scaling.results import lock_file, trained_on, weights, weights_file
from scaling.results.records import Results
from scaling.settings import Trial, sizes, unflat
from scaling.sound.datasets.reading import AS_IT_IS, Reading
from scaling.sound.store import Store
from scaling.spelling import nearest
from scaling.training.classifier import Classifier, of_trial, show_examples
from scaling.training.inputs import EvaluationSet, Listener

BATCH = 16  # clips of one backward pass; no result depends on it


class Wanted(NamedTuple):
    """One map that is asked for: a split of clips ("": `usual_split`) and a target."""

    split: str = ""
    kind: str = "feature"
    label: str | None = None  # the class, for kind=class

    @property
    def name(self) -> str:
        """The target's name in the records."""
        return f"class {self.label}" if self.kind == "class" else self.kind


def trials(results: Results, names: Iterable[str] = ()) -> list[Trial]:
    """The trials of a folder whose weights are there: those named, or all.

    Raises ValueError for a name that is no trial of this folder, one without weights, and a folder
    in which no trial has any.
    """
    planned = {row["trial"]: row for row in results.read("manifest").to_pylist()}
    weighed = weights_file.trials(results)
    for name in names:
        if name not in planned:
            raise ValueError(f"--trial {name}: not in {results.where}{nearest(name, planned)}")
        if name not in weighed:
            raise ValueError(
                f"--trial {name}: it has no weights/{name}.safetensors: only a complete trial has, "
                "run its sweep (again)"
            )
    chosen = list(names) or [name for name in planned if name in weighed]
    if not chosen:
        raise ValueError(f"{results.where} holds no trial's weights: run its sweep first")
    return [unflat(planned[name]) for name in dict.fromkeys(chosen)]


def usual_split(trial: Trial) -> str:
    """Whose clips a trial's map is of unless a split is named: those of unseen devices, if any."""
    return "unseen" if trial.split.train_devices or trial.microphones.test else "test"


def compute(
    results: Results,
    chosen: list[Trial],
    wanted: Wanted,
    machine: Machine,
    root: str | Path | None = None,
    reading: Reading = AS_IT_IS,
) -> Iterator[tuple[Trial, bool]]:
    """Compute and keep the maps that are missing; yields each trial, and whether it was computed.

    Raises ValueError when a split or a class is not there, or the clips are not those that the
    trial was trained on.
    """
    missing = [trial for trial in chosen if not _kept(results, trial, wanted)]
    store_of = trained_on.stored(results, missing, root, reading)
    for trial in chosen:
        if trial not in missing:
            yield trial, False
            continue
        row = _map(results, trial, store_of(trial), machine, wanted)
        _keep(results, trial, row)
        yield trial, True


def _keep(results: Results, trial: Trial, row: dict[str, Any]) -> None:
    """Write a map beside the trial's others, of which another process may just be writing one."""
    with lock_file.alone(results, lock_file.STILL):
        there = _rows(results, trial)
        others = [each for each in there if _what(each) != _what(row)]
        results.write("maps", trial.id, [*others, row])


def _what(row: dict[str, Any]) -> tuple[str, str]:
    """What tells a trial's maps apart."""
    return row["split"], row["kind"]


def _rows(results: Results, trial: Trial) -> list[dict[str, Any]]:
    there = results.holds("maps", trial.id)
    return results.read("maps", [trial.id]).to_pylist() if there else []


def _kept(results: Results, trial: Trial, wanted: Wanted) -> bool:
    split = wanted.split or usual_split(trial)
    return (split, wanted.name) in map(_what, _rows(results, trial))


def _map(
    results: Results, trial: Trial, store: Store, machine: Machine, wanted: Wanted
) -> dict[str, Any]:
    """One row of the maps table."""
    listener = Listener(trial, store, machine)
    heard = {each.split: each for each in listener.scored()}
    split = wanted.split or usual_split(trial)
    if split not in heard:
        raise ValueError(f"--split {split}: trial {trial.id} has {', '.join(heard)}")
    if wanted.label is not None and wanted.label not in listener.labels:
        hint = nearest(wanted.label, listener.labels)
        raise ValueError(f"--label {wanted.label}: no such class{hint}")
    label = None if wanted.label is None else listener.labels.index(wanted.label)
    model = _restored(results, trial, listener, machine)
    show_examples(model, listener)
    batches = _inputs(listener, model, heard[split])
    network = trial.network
    if isinstance(network, OwnNetwork) and network.described() is None:
        (values_FN, _, clips), measured = _own_map(
            model.network, batches, wanted, label, network.kind
        )
    else:
        (values_FN, _, clips), measured = _stated_map(trial, listener, model, batches, wanted)
    return {
        "trial": trial.id,
        "epoch": _epochs(results, trial),
        "split": split,
        "kind": wanted.name,
        "clips": clips,
        "rows": values_FN.shape[0],
        "columns": values_FN.shape[1],
        "values": values_FN.astype(np.float32).ravel(),
        **measured._asdict(),
    }


def _stated_map(
    trial: Trial, listener: Listener, model: Classifier, batches: Iterator[Tensor], wanted: Wanted
) -> tuple[Map, Numbers]:
    """The map of a network that states its layers."""
    if wanted.kind != "feature" and SCORES not in dict(model.network.named_modules()):
        raise ValueError(
            f"--kind {wanted.kind}: trial {trial.id} is a {trial.network.kind}, which has no map "
            "of class scores (its dense layer sees whole clips): take --kind feature"
        )
    label = None if wanted.label is None else listener.labels.index(wanted.label)
    layers = sizes.layers(trial, len(listener.labels))
    reach, size = field(layers), trial.sound.shape
    rows, columns = last_map(layers, size)
    pixel = (rows // 2, columns // 2)
    target = target_of(model.network, wanted.kind, label)
    if not local(layers):  # the pixel may depend on all of the input
        made = effective_field(model.network, batches, target)
        centre = reach.rows.centre(pixel[0]), reach.columns.centre(pixel[1])
        found = numbers(made.values_FN, Place(centre, _whole(size)))
        return made, found._replace(inside=float("nan"))
    # a dense layer on the whole map, and a normalization of it, take whole inputs only
    if any_size(layers) and trial.network.normalization == "none":
        target = cropped(target, reach, pixel, size)
    made = effective_field(model.network, batches, target)
    return made, numbers(made.values_FN, place_of(reach, pixel, size))


def _whole(size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last row and column of an input of this size."""
    return (0, size[0] - 1), (0, size[1] - 1)


def _own_map(
    network: nn.Module, batches: Iterator[Tensor], wanted: Wanted, label: int | None, kind: str
) -> tuple[Map, Numbers]:
    """The map of a person's own network, whose maximum field nobody knows: that of the pixel in the
    middle is taken to be all of the input, and no share is said to be inside.
    """
    last = (1, 1)

    def target(batch: Tensor) -> Tensor:
        nonlocal last
        found = network(batch)
        if wanted.kind != "feature":
            logits_BY: Tensor = found.logits_BY
            return logits_BY if label is None else logits_BY[:, label : label + 1]
        features = found.features_BCFN
        if not isinstance(features, Tensor) or features.ndim != 4:
            raise ValueError(
                f"--kind feature: network.kind={kind} puts out no last map: take --kind logits, or "
                "let it return (logits, map), with a map (clips, channels, rows, columns)"
            )
        last = features.shape[2], features.shape[3]
        return features

    made = effective_field(network, batches, target)
    size = made.values_FN.shape
    row, column = (
        (pixels // 2 + 0.5) * length / pixels - 0.5
        for pixels, length in zip(last, size, strict=True)
    )
    found = numbers(made.values_FN, Place((row, column), _whole(size)))
    return made, found._replace(inside=float("nan"))


def _epochs(results: Results, trial: Trial) -> int:
    """How long it was trained: some stop before all of their epochs."""
    outcome = results.outcome(trial.id)
    return outcome.epochs if outcome else trial.training.epochs


def _restored(results: Results, trial: Trial, listener: Listener, machine: Machine) -> Classifier:
    """The trained network with its standardization, and the listener's front end as it learnt."""
    model, _ = of_trial(trial, listener, machine, None, None)
    weights.restore(model, trial.id, results)
    return model.to(machine.device).eval()


@torch.no_grad()
def _inputs(listener: Listener, model: Classifier, heard: EvaluationSet) -> Iterator[Tensor]:
    """What the network is given for these clips: (B, 1, F, N)."""
    for microphone in heard.through:
        for at in range(0, len(heard.clips), BATCH):
            features_BFN = listener.features(heard.clips[at : at + BATCH], microphone)
            if size := listener.trial.sound.patch:  # the middle of each clip
                features_BFN = features_BFN.narrow(2, (features_BFN.shape[2] - size) // 2, size)
            yield model.standardize(features_BFN)[:, None]
