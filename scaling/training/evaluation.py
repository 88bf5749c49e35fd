"""Evaluation: logits of held-out clips, and what follows from them, in all and by recording device.

Conventions: every clip asked for is scored, no batch is dropped; accuracy is correct / evaluated;
the loss is the cross-entropy in nats. Means over clips. What is scored is a Scoring: a generator
that yields features and is sent their logits, so that trials side by side are scored side by side.
Contents: `due`; Scoring, `scoring`, `answered`, `logits`; `pooled`, `scores`, `predictions`.
"""

# B clips, P patches of a clip, F mel bands, N frames, Y classes

import math
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.settings import Evaluation
from scaling.training.epoch import OVERALL, Metric, Prediction

BATCH = 64  # clips, or patches, at once; no result depends on it

R = TypeVar("R")
# yields features (B, F, N), at most BATCH of them, and is sent their logits (B, Y), float32, of a
# network in evaluation mode
Scoring = Generator[Tensor, Tensor, R]


def due(evaluation: Evaluation, number: int, epochs: int) -> bool:
    """Whether a trial of so many epochs is scored after this one, counted from 1."""
    return number % evaluation.every == 0 or number > epochs - evaluation.last


def scoring(
    patches: Callable[[np.ndarray], Tensor],
    clips: np.ndarray,
    votes: str = "probabilities",
) -> Scoring[Tensor]:
    """Logits of the clips at these rows: (clips, classes) float32, where they are computed.

    `patches` are the features (B, P, F, N) of the clips at some rows; `votes` as in `pooled`.
    """
    batches = (clips[start : start + BATCH] for start in range(0, len(clips), BATCH))
    found = []
    for batch in batches:
        features_BPFN = patches(batch)
        count, each = features_BPFN.shape[:2]
        answers = []
        # patches share their memory until they are flattened: so, a few clips at a time
        for few_BPFN in torch.split(features_BPFN, max(1, BATCH // each)):
            for part in torch.split(few_BPFN.flatten(0, 1), BATCH):
                answers.append((yield part))
        found.append(pooled(torch.cat(answers).reshape(count, each, -1), votes))
    return torch.cat(found)


def answered(scored: Scoring[R], answer: Callable[[Tensor], Tensor]) -> R:
    """What a Scoring returns, its features answered one batch after the other."""
    try:
        part = next(scored)
        while True:
            part = scored.send(answer(part))
    except StopIteration as end:
        found: R = end.value
        return found


@torch.inference_mode()
def logits(classify: nn.Module, features_BFN: Tensor) -> Tensor:
    """What a classifier answers in evaluation mode, in which it stays: (B, Y) float32."""
    found_BY: Tensor = classify.eval()(features_BFN).logits_BY
    return found_BY.float()


def pooled(logits_BPY: Tensor, votes: str) -> Tensor:
    """A clip's logits from those of its patches: (B, Y).

    Of one patch, they are its own. Of several, the logarithm of their mean probabilities, or the
    mean of the logarithms, or the logarithm of the share of patches that vote for each class, where
    none counts as half a vote. Source: Pons et al. 2019 (mean probabilities; for prototypes
    logarithms; for nearest neighbours votes).
    """
    patches = logits_BPY.shape[1]
    if patches == 1:
        return logits_BPY[:, 0]
    logs_BPY = logits_BPY.log_softmax(dim=2)
    if votes == "probabilities":
        return logs_BPY.logsumexp(dim=1) - math.log(patches)
    if votes == "logarithms":
        return logs_BPY.mean(dim=1)
    chosen_BPY = functional.one_hot(logits_BPY.argmax(dim=2), logits_BPY.shape[2])
    return (chosen_BPY.sum(dim=1).clamp(min=0.5) / patches).log()


def scores(
    split: str, logits_BY: Tensor, targets_B: np.ndarray, devices: pd.Series
) -> Iterator[Metric]:
    """Accuracy, macro F1 and loss over all clips of a split and over those of each named device."""
    targets, best_B = torch.from_numpy(targets_B), logits_BY.argmax(dim=1).numpy()
    correct = (best_B == targets_B).astype(float)
    losses = functional.cross_entropy(logits_BY.double(), targets, reduction="none").numpy()
    named = sorted(set(devices) - {""})
    for device in (OVERALL, *named):
        everywhere = device == OVERALL
        chosen = np.ones(len(correct), bool) if everywhere else (devices == device).to_numpy()
        yield Metric(split, "accuracy", float(correct[chosen].mean()), device)
        yield Metric(split, "macro_f1", macro_f1(targets_B[chosen], best_B[chosen]), device)
        yield Metric(split, "loss", float(losses[chosen].mean()), device)


def macro_f1(targets_B: np.ndarray, answers_B: np.ndarray) -> float:
    """The mean over classes of F1, 2 right / (labels + answers), of those that occur as either.

    That of scikit-learn, whose import takes each worker half a second.
    """
    classes = max(targets_B.max(), answers_B.max()) + 1
    both = targets_B, answers_B, targets_B[targets_B == answers_B]
    label_Y, answer_Y, right_Y = (np.bincount(each, minlength=classes) for each in both)
    occur_Y = label_Y + answer_Y > 0
    return float((2 * right_Y[occur_Y] / (label_Y + answer_Y)[occur_Y]).mean())


def predictions(
    split: str,
    logits_BY: Tensor,
    labels: tuple[str, ...],
    targets_B: np.ndarray,
    table: pd.DataFrame,
) -> Iterator[Prediction]:
    """The answer to each clip of `table`, in its order."""
    best = logits_BY.argmax(dim=1).tolist()
    taught = targets_B.tolist()
    rows = zip(table["clip"], table["device"], taught, best, logits_BY.numpy(), strict=True)
    for clip, device, target, predicted, logits in rows:
        yield Prediction(split, clip, device, labels[target], labels[predicted], logits)
