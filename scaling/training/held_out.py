"""Held out: what a trial's network answers to clips that it is not trained on, epoch by epoch.

Contents: `scored`, `judged`, `disagreement`.
"""

# B clips, Y classes

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from scaling.objectives.modules.losses import jensen_shannon
from scaling.seeds import stream
from scaling.settings import Trial
from scaling.training import evaluation
from scaling.training.classifier import Classifier
from scaling.training.epoch import Metric, Prediction
from scaling.training.evaluation import Scoring
from scaling.training.inputs import EvaluationSet, Listener
from scaling.training.stages import Draws
from scaling.training.views import Views


def scored(
    trial: Trial, listener: Listener, model: Classifier, views: Views, last: bool
) -> Scoring[tuple[list[Metric], list[Prediction]]]:
    """The scores of every set of held-out clips; after the last epoch, with each prediction."""
    metrics: list[Metric] = []
    predictions: list[Prediction] = []
    for heard in listener.scored():
        logits_BY, targets, table = yield from judged(trial, listener, heard)
        metrics += evaluation.scores(heard.split, logits_BY, targets, table["device"])
        if trial.evaluation.disagreement != "none":
            apart = disagreement(trial, model, views, heard.clips)
            metrics.append(Metric(heard.split, "disagreement", apart))
        if last:
            predictions += evaluation.predictions(
                heard.split, logits_BY, listener.labels, targets, table
            )
    return metrics, predictions


def judged(
    trial: Trial, listener: Listener, heard: EvaluationSet
) -> Scoring[tuple[Tensor, np.ndarray, pd.DataFrame]]:
    """Logits of what is heard, its classes, and its rows of the clip table."""
    logits, tables = [], []
    for microphone in heard.through:

        def patches(clips: np.ndarray, microphone: int = microphone) -> Tensor:
            return listener.patches(listener.features(clips, microphone))

        votes = trial.evaluation.patch_votes
        logits.append((yield from evaluation.scoring(patches, heard.clips, votes)))
        tables.append(listener.rows(heard.clips, microphone))
    targets = np.tile(listener.targets[heard.clips], len(heard.through))
    return torch.cat(logits).cpu(), targets, pd.concat(tables)


@torch.inference_mode()
def disagreement(trial: Trial, model: Classifier, views: Views, clips: np.ndarray) -> float:
    """How far the network's answers to a clip and to two changed copies of it are apart.

    The copies are the same in every epoch. Source: Iqbal et al. 2021, Figure 1.
    """
    total, size, seed = 0.0, evaluation.BATCH, trial.seed
    draws = [Draws(seed, -1, view) for view in range(3)]
    for each in draws:  # of copies that are to be answered alike, the same patch is looked at
        each["patch"] = stream(seed, "patch", -1, 0)
    model.eval()
    for batch in (clips[at : at + size] for at in range(0, len(clips), size)):
        copies = [
            views.transformed(batch, each, float(view > 0)) for view, each in enumerate(draws)
        ]
        logits = [model.network_on(copy).logits_BY for copy in copies]
        total += len(batch) * float(jensen_shannon(logits))
    return total / len(clips)
