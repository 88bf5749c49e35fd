"""Evaluation: logits of held-out clips, and what follows from them, in all and by recording device.

Conventions: every clip asked for is scored, no batch is dropped; accuracy is correct / evaluated;
the loss is the cross-entropy in nats. Means over clips.
"""

# B clips, Y classes

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.nn import functional

BATCH = 64  # clips at once; no result depends on it


@torch.inference_mode()
def predict(
    classify: nn.Module, waves: Callable[[np.ndarray], Tensor], clips: np.ndarray
) -> Tensor:
    """Logits of the clips at these rows, in evaluation mode: (clips, classes) float32 on the
    CPU.
    """
    was_training = classify.training
    classify.eval()
    batches = (clips[start : start + BATCH] for start in range(0, len(clips), BATCH))
    logits = [classify(waves(batch)).logits_BY.float().cpu() for batch in batches]
    classify.train(was_training)
    return torch.cat(logits)


def scores(
    logits_BY: Tensor, targets_B: np.ndarray, devices: pd.Series
) -> Iterator[dict[str, Any]]:
    """Accuracy, macro F1 and loss over all clips and each named device, as parts of metrics rows.

    Macro F1 is the mean over the classes that occur, as label or as answer.
    """
    targets, best_B = torch.from_numpy(targets_B), logits_BY.argmax(dim=1).numpy()
    correct = (best_B == targets_B).astype(float)
    losses = functional.cross_entropy(logits_BY.double(), targets, reduction="none").numpy()
    named = sorted(set(devices) - {""})
    for device in ("all", *named):
        chosen = np.ones(len(correct), bool) if device == "all" else (devices == device).to_numpy()
        yield {"device": device, "metric": "accuracy", "value": float(correct[chosen].mean())}
        f1 = f1_score(targets_B[chosen], best_B[chosen], average="macro", zero_division=0)
        yield {"device": device, "metric": "macro_f1", "value": float(f1)}
        yield {"device": device, "metric": "loss", "value": float(losses[chosen].mean())}


def predictions(
    logits_BY: Tensor, labels: tuple[str, ...], targets_B: np.ndarray, table: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """One part of a predictions row per clip of `table`, in its order."""
    best = logits_BY.argmax(dim=1).tolist()
    taught = targets_B.tolist()
    rows = zip(table["clip"], table["device"], taught, best, logits_BY.numpy(), strict=True)
    for clip, device, target, predicted, logits in rows:
        yield {
            "clip": clip,
            "device": device,
            "label": labels[target],
            "predicted": labels[predicted],
            "logits": logits,
        }
