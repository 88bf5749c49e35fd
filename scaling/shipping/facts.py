"""Facts: what is known of a model in use, as plain values: what its card says, for programs.

Source of the second count of multiply-adds: DCASE's baseline, where normalization takes two for
each value. Contents: `facts`, `multiply_adds`.
"""

# B clips, T samples, Y classes

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import nn

from scaling.results.records import Results
from scaling.shipping.model import Model
from scaling.shipping.whole import Whole
from scaling.sound.datasets import DATASETS

UNKNOWN = "unknown"


def facts(model: Model, results: Results, record: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a model, besides the file that it is exported to.

    `record` is what analysis says of its trial (analysis.track_record).
    """
    trial = model.trial
    planned = [row for row in results.read("manifest").to_pylist() if row["trial"] == model.id][-1]
    dataset = DATASETS.get(trial.sound.dataset)
    outcome = results.outcome(model.id)
    measured = [model.id] if results.holds("latency", model.id) else []
    try:
        made_by = version("overhear-study")
    except PackageNotFoundError:
        made_by = UNKNOWN
    unseen = [row for row in record["devices"] if row["split"] == "unseen" and row["device"]]
    named = unseen or [row for row in record["devices"] if row["device"]]
    return {
        "trial": model.id,
        "overhear": made_by,
        "labels": list(model.labels),
        "rate": model.rate,
        "samples": model.samples,
        "seconds": trial.sound.seconds,
        "fill": trial.sound.fill,
        "network": f"{trial.network.kind}, width {trial.network.width}",
        "trained_on": {
            "dataset": trial.sound.dataset,
            "about": dataset.about if dataset else UNKNOWN,
            "licence": dataset.licence if dataset else UNKNOWN,
            "address": dataset.address if dataset else UNKNOWN,
            "protocol": trial.split.protocol,
            "fold": trial.split.fold,
            "validation_fold": trial.split.validation_fold,
            "devices": [trial.transfer.device] * bool(trial.transfer.device)
            or list(trial.split.train_devices),
            "microphones": list(trial.microphones.train),
            "share_through_microphones": trial.microphones.share,
            "epochs": outcome.epochs if outcome else None,
            "seed": trial.seed,
            "clips": record["training_clips"],
            "data_digest": planned["data_digest"],
            "commit": planned["commit"],
        },
        "accuracy": record["devices"],
        "worst": min(named, key=lambda row: row["accuracy"], default=None),
        "configuration": {"trainings": record["trainings"], "accuracy": record["alike"]},
        "calibration": {"temperature": model.temperature, "errors": record["calibration"]},
        "size": {
            "parameters": planned["parameters"],
            "weights": planned["weights"],
            "kept_weights": planned["kept_weights"],
            "receptive_field": planned["receptive_field"],
            **multiply_adds(model),
        },
        "silence": _silence(model),
        "latency": [_told(row) for row in results.read("latency", measured).to_pylist()],
        "again": record["again"],
    }


@torch.no_grad()
def multiply_adds(model: Model) -> dict[str, int]:
    """Of one clip, all its patches together: those of convolutions and dense layers, the same with
    normalization, and those of the exported front end; and how many patches there are.
    """
    from torch.utils.flop_counter import FlopCounterMode

    whole = Whole(model)
    normalized: list[int] = []
    patches: list[int] = []

    def note(_: nn.Module, __: Any, out: torch.Tensor) -> None:
        normalized.append(2 * out.numel())

    def count(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        patches.append(len(inputs[0]))

    whole.network.register_forward_pre_hook(count)
    for layer in whole.network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.register_forward_hook(note)
    waves = torch.zeros(1, model.samples)
    with FlopCounterMode(display=False) as all_of_it:
        whole(waves)
    with FlopCounterMode(display=False) as front:
        whole.frontend(waves)
    before = front.get_total_flops() // 2
    network = all_of_it.get_total_flops() // 2 - before
    return {
        "macs": network,
        "macs_with_normalization": network + sum(normalized),
        "macs_of_front_end": before,
        "patches": patches[0],
    }


@torch.no_grad()
def _silence(model: Model) -> dict[str, Any]:
    """What a model answers to a clip of zeros."""
    device = next(model.classifier.parameters()).device
    chances_Y = model.probabilities(model(torch.zeros(1, model.samples, device=device)))[0]
    best = int(chances_Y.argmax())
    return {"label": model.labels[best], "probability": float(chances_Y[best])}


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {name: str(v) if name == "measured" else v for name, v in row.items()}
