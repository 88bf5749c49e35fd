"""Predict: what a model answers to recordings, window by window and for each as a whole.

Conventions: times are seconds from a recording's start. The answer for a whole recording is the
mean of its windows' probabilities; a recording of one window has that answer only.
Contents: Answer, `answers`, `predict`, `table`; WHOLE, WINDOW.
"""

# B windows, Y classes

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from scaling.shipping import windows
from scaling.shipping.hop import hop_samples
from scaling.shipping.model import Model
from scaling.shipping.windows import Recording
from scaling.sound.batches import full_scale
from scaling.sound.cache import each

BATCH = 32  # windows at once; no result depends on it but for rounding
READERS = 2  # recordings that are decoded at once, while others are answered
WHOLE, WINDOW = "whole", "window"


class Answer(NamedTuple):
    """What a model answers to one part of a recording, or why it answers nothing."""

    file: str
    part: str  # WHOLE or WINDOW
    start: float  # s
    end: float  # s
    probabilities_Y: NDArray[np.float64] | None  # None: the file cannot be read
    note: str = ""  # what to beware of, or why it cannot be read


def predict(
    model: Model,
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    hop: float | None = None,
) -> pd.DataFrame:
    """What a model answers to recordings: files, and all of those below folders.

    Any rate, length, format and number of channels that can be decoded. `hop` is the time from
    window to window of a long recording in seconds; None: a clip's length. Columns: file; part
    (`whole`, one row of each file, or `window`, more rows of one that is longer than a clip);
    start and end, s; label and its probability; note (silence, filled up, why a file cannot be
    read: then it has no label); and for each class `p(CLASS)`, in the order of the model's labels.
    Raises ValueError for a hop that is no part of a clip, and where there is nothing to hear.
    """
    listed = [paths] if isinstance(paths, str | os.PathLike) else paths
    return table(answers(model, windows.find(listed), hop), model.labels)


def table(found: Iterable[Answer], labels: Sequence[str]) -> pd.DataFrame:
    """Answers as the rows of `predict`."""
    rows = []
    for answer in found:
        row = dict(answer._asdict())
        chances_Y = row.pop("probabilities_Y")
        note = row.pop("note")
        known = chances_Y is not None
        best = int(chances_Y.argmax()) if known else -1
        row |= {"label": labels[best] if known else None}
        row |= {"probability": float(chances_Y[best]) if known else np.nan, "note": note}
        values = chances_Y if known else np.full(len(labels), np.nan)
        rows.append(row | {f"p({name})": p for name, p in zip(labels, values, strict=True)})
    return pd.DataFrame(rows)


def answers(
    model: Model, files: Sequence[Path], hop: float | None = None, progress: str = ""
) -> Iterator[Answer]:
    """What a model answers to these files, one after the other: of each its windows, if it has
    several, then the whole; `progress` is the label of a bar, "" for none.

    Raises ValueError for a hop that is no part of a clip.
    """
    sound = model.trial.sound
    step = hop_samples(hop, sound)
    waiting: list[tuple[Recording, list[int]]] = []
    for recording in each(partial(windows.read, rate=sound.rate), files, READERS, progress):
        begin = []
        if not recording.problem:
            begin = windows.starts(len(recording.wave_T), sound.samples, step)
        waiting.append((recording, begin))
        if sum(len(begin) for _, begin in waiting) >= BATCH:
            yield from _answered(model, waiting)
            waiting = []
    yield from _answered(model, waiting)


def _answered(model: Model, waiting: Sequence[tuple[Recording, list[int]]]) -> Iterator[Answer]:
    """The answers to some recordings, whose windows begin there."""
    asked = [(recording, start) for recording, begin in waiting for start in begin]
    parts = [_chances(model, asked[at : at + BATCH]) for at in range(0, len(asked), BATCH)]
    chances_BY = np.concatenate(parts) if parts else np.zeros((0, len(model.labels)))
    at = 0
    for recording, begin in waiting:
        yield from _of_one(model, recording, begin, chances_BY[at : at + len(begin)])
        at += len(begin)


@torch.inference_mode()
def _chances(model: Model, asked: Sequence[tuple[Recording, int]]) -> NDArray[np.float64]:
    """Probabilities (B, Y) of the windows of recordings that begin there."""
    sound = model.trial.sound
    clips = [windows.cut(recording.wave_T, [start], sound) for recording, start in asked]
    device = model.classifier.standardize.mean_F.device
    logits_BY = model(full_scale(torch.cat(clips), device)).double()
    chances_BY: NDArray[np.float64] = model.probabilities(logits_BY).cpu().numpy()
    return chances_BY


def _of_one(
    model: Model, recording: Recording, begin: Sequence[int], chances_BY: NDArray[np.float64]
) -> Iterator[Answer]:
    """The answers to one recording, from those to its windows."""
    file = recording.file
    if recording.problem:
        yield Answer(file, WHOLE, 0.0, np.nan, None, recording.problem)
        return
    sound = model.trial.sound
    samples = len(recording.wave_T)
    seconds = samples / sound.rate
    notes = [recording.fault] if recording.fault else []
    if samples < (1 - windows.SPARE) * sound.samples:
        how = "by repeating it" if sound.fill == "tile" else "with zeros"
        notes.append(f"shorter than {sound.seconds:g} s: filled up {how}")
    if len(begin) > 1:
        for start, chances_Y in zip(begin, chances_BY, strict=True):
            times = start / sound.rate, (start + sound.samples) / sound.rate
            yield Answer(file, WINDOW, *times, chances_Y)
    yield Answer(file, WHOLE, 0.0, seconds, chances_BY.mean(axis=0), "; ".join(notes))
