"""Nearest neighbours: baselines that train nothing, against which few-data networks are measured.

Source: J. Pons, J. Serra, X. Serra, Training neural audio classifiers with few data, ICASSP 2019:
MFCC statistics of whole clips, and embeddings of patches whose clip takes a vote, each given the
class of its nearest neighbour by cosine. Conventions: classes and clips are numbered; equal
distances and equal votes are decided by what comes first, so that nothing is left to chance.
Contents: `mfcc_statistics`, `nearest`, and of a trial `run` and NearestNeighbours.
"""

# B clips, D numbers of each, P patches, T samples, M coefficients, N frames

from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import pandas as pd
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from scaling.machine import Machine
from scaling.networks.modules.output import described
from scaling.settings import Trial
from scaling.sound.microphones import RECORDED
from scaling.training import classifier, evaluation
from scaling.training.classifier import Classifier
from scaling.training.epoch import Epoch, Metric, Prediction
from scaling.training.inputs import Listener

RATE = 12_000  # Hz
COEFFICIENTS = 20
WINDOW, HOP, MELS = 2048, 512, 128  # librosa's defaults; so is the floor of 80 dB
SHORTEST = 1024  # samples: three frames, the fewest that have a second difference


def mfcc_statistics(waves: Iterable[NDArray[np.floating]], rate: int) -> NDArray[np.float32]:
    """120 numbers per clip, (B, 120): mean and deviation over time of each of 20 MFCC, then of
    their first differences from frame to frame, then of their second ones.

    Waves are mono at `rate` Hz, full scale 1, of any lengths; they are taken to 12 kHz by soxr (the
    paper's code by resampy), and with zeros to 1024 samples. MFCC are librosa's with reflected
    edges, as it had them then. Raises ValueError for a wave that is empty or has channels.
    """
    # Imported where it is used: embeddings do without.
    from torchaudio.transforms import MFCC

    mel = {"n_fft": WINDOW, "hop_length": HOP, "n_mels": MELS, "center": False}
    slaney = {"norm": "slaney", "mel_scale": "slaney"}
    mfcc = MFCC(RATE, COEFFICIENTS, melkwargs=mel | slaney).double()
    rows = []
    for number, wave in enumerate(waves):
        if wave.ndim != 1 or not len(wave):
            raise ValueError(
                f"wave {number} has the shape {wave.shape}: MFCC are taken of mono clips with one "
                "sample or more, (T,)"
            )
        wave_T = wave.astype(np.float64)
        if rate != RATE:
            wave_T = soxr.resample(wave_T, rate, RATE, quality="HQ")
        wave_T = np.pad(wave_T, (0, max(0, SHORTEST - len(wave_T))))
        padded_T = np.pad(wave_T, WINDOW // 2, mode="reflect")
        mfcc_MN = mfcc(torch.from_numpy(padded_T)).numpy()
        orders = [mfcc_MN, np.diff(mfcc_MN), np.diff(mfcc_MN, n=2)]
        rows.append([part(order, axis=1) for order in orders for part in (np.mean, np.std)])
    return np.array(rows, dtype=np.float32).reshape(len(rows), 6 * COEFFICIENTS)


def nearest(
    train: NDArray[np.floating],
    train_targets: NDArray[np.integer],
    test: NDArray[np.floating],
    metric: Literal["cosine", "euclidean"] = "cosine",
) -> NDArray[np.int64]:
    """The class of the nearest of train (B, D), for each of test (B', D): (B',).

    Of several at the same distance the first. By cosine, a vector of zeros is at distance 1 from
    all. Raises ValueError where there is nothing to be near to, and for NaN or infinite numbers.
    """
    from sklearn.metrics import pairwise_distances_chunked  # as in scaling.training.evaluation

    assert train.ndim == test.ndim == 2, "train and test are (B, D)"
    assert train.shape[1] == test.shape[1], "train and test have different numbers of dimensions"
    assert train_targets.shape == train.shape[:1], "one class for each of train"
    if not len(train):
        raise ValueError("no neighbours: there is no clip to train on")
    for name, values in (("train", train), ("test", test)):
        if bad := int((~np.isfinite(values)).any(axis=1).sum()):
            raise ValueError(f"{bad} of {len(values)} rows of {name} are NaN or infinite")
    if not len(test):
        return np.empty(0, dtype=np.int64)
    chunks = pairwise_distances_chunked(
        test, train, reduce_func=lambda distances, _: distances.argmin(axis=1), metric=metric
    )
    classes: NDArray[np.int64] = train_targets[np.concatenate([*chunks])].astype(np.int64)
    return classes


class NearestNeighbours:
    """Answers for clips of a trial, from the classes of their nearest training clips.

    Without a model clips are compared by MFCC statistics, else patch by patch by what the model's
    network makes of them before its last layer.
    """

    def __init__(self, listener: Listener, model: Classifier | None) -> None:
        self.listener, self.model = listener, model
        train = listener.parts["train"]
        self.known_PD, clips_P = self._described(train, RECORDED)
        self.targets_P = listener.targets[clips_P]

    def answer(self, clips: np.ndarray, microphone: int) -> Tensor:
        """Logarithms of the share of patches for each class, where none counts as half a one:
        (B, Y).
        """
        asked_PD, clips_P = self._described(clips, microphone)
        found_P = nearest(self.known_PD, self.targets_P, asked_PD)
        counts_BY = np.zeros((len(clips), len(self.listener.labels)))
        places = {clip: place for place, clip in enumerate(clips.tolist())}
        rows_P = np.array([places[clip] for clip in clips_P.tolist()])
        np.add.at(counts_BY, (rows_P, found_P), 1)
        patches = len(clips_P) // len(clips)
        return torch.from_numpy(np.log(np.maximum(counts_BY, 0.5) / patches)).float()

    def _described(self, clips: np.ndarray, microphone: int) -> tuple[np.ndarray, np.ndarray]:
        """What clips are compared by (P, D), and the clip of each of them."""
        batches = [
            clips[at : at + evaluation.BATCH] for at in range(0, len(clips), evaluation.BATCH)
        ]
        describe = self._statistics if self.model is None else self._embeddings
        found = [describe(batch, microphone) for batch in batches]
        return np.concatenate(found), np.repeat(clips, sum(map(len, found)) // len(clips))

    def _statistics(self, clips: np.ndarray, microphone: int) -> np.ndarray:
        """Of the clips in their own lengths: what fills short ones is no sound."""
        waves_BT = self.listener.heard(clips, microphone).cpu().numpy()
        lengths_B = self.listener.lengths(clips)
        waves = (wave[:length] for wave, length in zip(waves_BT, lengths_B, strict=True))
        return mfcc_statistics(waves, self.listener.trial.sound.rate)

    @torch.inference_mode()
    def _embeddings(self, clips: np.ndarray, microphone: int) -> np.ndarray:
        assert self.model is not None
        features_BFN = self.listener.features(clips, microphone)
        parts = torch.split(self.listener.patches(features_BFN).flatten(0, 1), evaluation.BATCH)
        outputs = [self.model.eval()(part) for part in parts]
        return torch.cat([described(out).float().cpu() for out in outputs]).numpy()


def run(
    trial: Trial, listener: Listener, machine: Machine, source: Mapping[str, Tensor] | None
) -> Epoch:
    """The one epoch of a trial that trains nothing: every clip gets the class of its nearest
    neighbour. `source` is the state of the classifier that transfer takes over.
    """
    model = None
    if source is not None:
        model, _ = classifier.of_trial(trial, listener, machine, None, source)
        model.to(machine.device)
    neighbours = NearestNeighbours(listener, model)
    metrics: list[Metric] = []
    predictions: list[Prediction] = []
    for heard in listener.scored():
        logits_BY = torch.cat([neighbours.answer(heard.clips, m) for m in heard.through])
        targets = np.tile(listener.targets[heard.clips], len(heard.through))
        table = pd.concat([listener.rows(heard.clips, m) for m in heard.through])
        metrics += evaluation.scores(heard.split, logits_BY, targets, table["device"])
        predictions += evaluation.predictions(
            heard.split, logits_BY, listener.labels, targets, table
        )
    return Epoch(1, metrics, predictions, {}, last=True)
