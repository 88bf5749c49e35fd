"""Details: what a reader finds behind a trial, as fine as the page has room for.

Conventions: shares are whole numbers of 1/1000, losses of 1/100: three digits are what a figure
shows, and a page of a thousand trials must stay small. Each kind of detail has levels, from fine to
coarse; `fitted` takes the finest that its room allows, and none where even the coarsest is too
much. Contents: Fitted, fitted, curves, thinned, answers, maps.
"""

import base64
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import softmax

from analysis import aggregate
from analysis.data import Data
from analysis.failures.answers import expected_error, reliability
from analysis.metrics import Unrecorded
from analysis.report.embedded import embedded

SHARE, LOSS = 1000, 100  # one, in what is written
EPOCHS = (200, 100, 60, 40, 25, 16, 10)  # of each curve, at most
SIDES = (64, 32, 24, 16)  # of an ERF map in pixels, at most
NAMES = {
    "devices": "accuracy by device",
    "curves": "learning curves",
    "confusions": "accuracy by class and confusion matrices",
    "calibrations": "calibration",
    "maps": "ERF maps",
}
UNITS = {"curves": "epochs each", "maps": "pixels a side"}


class Fitted(NamedTuple):
    """Details by trial id, and how fine they are; level 0 and no details where none fit."""

    details: dict[str, Any]
    level: int
    finest: bool


def fitted(make: Callable[[int], dict[str, Any]], levels: Sequence[int], room: int) -> Fitted:
    """The details of the finest level that take at most `room` bytes in the page."""
    for level in levels:
        details = make(level)
        if len(embedded(details)) <= room:
            return Fitted(details, level, level == levels[0])
    return Fitted({}, 0, False)


def curves(data: Data) -> dict[str, list[Any]]:
    """By trial and split, epochs with accuracies and losses: [split, epochs, shares, losses].

    Of split `train` the cross-entropy of the training steps is the loss, and no accuracy is known.
    """
    accuracy = _by_epoch(data, "accuracy", SHARE)
    loss = _by_epoch(data, "loss", LOSS)
    steps = _by_epoch(data, "cross_entropy", LOSS)
    found: dict[str, list[Any]] = {}
    for key in {**accuracy, **loss, **steps}:
        trial, split = key
        epochs, shares = accuracy.get(key, ([], []))
        known, losses = (steps if split == "train" else loss).get(key, ([], []))
        if epochs and known != epochs:
            losses = []
        if epochs or known:
            found.setdefault(trial, []).append([split, epochs or known, shares, losses])
    for lines in found.values():
        lines.sort(key=lambda line: aggregate.split_order(line[0]))
    return found


def thinned(lines: Sequence[Any], most: int) -> list[Any]:
    """The curves with at most so many epochs each: the first, the last, and evenly between."""
    made = []
    for split, *columns in lines:
        count = len(columns[0])
        places = sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int)))
        made.append([split, *([c[p] for p in places] if c else [] for c in columns)])
    return made


class Answered(NamedTuple):
    """What trials answered to held-out clips, by trial id."""

    classes: list[list[str]]  # the lists of classes that occur
    # split, place of its classes, [true * classes + predicted, count, ...] without zeros, and how
    # many answers there are to each clip, as through several microphones
    confusions: dict[str, list[Any]]
    # split, expected calibration error, what it would be by chance, and of bins of equal mass the
    # mean confidences and accuracies
    calibrations: dict[str, list[Any]]


def answers(data: Data, trials: Iterable[str]) -> Answered:
    """The answers of each trial on one split: the one that is told last, unseen devices before seen
    ones.
    """
    lists: dict[tuple[str, ...], int] = {}
    confusions, calibrations = dict[str, list[Any]](), dict[str, list[Any]]()
    columns = ["split", "clip", "label", "predicted", "logits"]
    for trial, frame in data.predictions([*trials], columns):
        held_out = {str(split) for split in frame["split"]} - set(aggregate.NOT_HELD_OUT)
        if not held_out:
            continue
        split = max(held_out, key=aggregate.split_order)
        here = frame[frame["split"] == split]
        classes = tuple(sorted({*here["label"], *here["predicted"]}))
        place = {name: number for number, name in enumerate(classes)}
        cells = here["label"].map(place) * len(classes) + here["predicted"].map(place)
        places, counts = np.unique(cells.to_numpy(np.int64), return_counts=True)
        pairs = np.stack([places, counts], axis=1).ravel().tolist()
        each = round(len(here) / here["clip"].nunique(), 3)
        confusions[trial] = [split, lists.setdefault(classes, len(lists)), pairs, each]
        calibrations[trial] = [split, *_calibration(here)]
    return Answered([[*classes] for classes in lists], confusions, calibrations)


def _calibration(answers: pd.DataFrame) -> list[Any]:
    """Expected calibration error, that by chance, mean confidences and accuracies of the bins."""
    confidence_N = softmax(np.stack(answers["logits"].tolist()), axis=1).max(axis=1)
    right_N = (answers["label"] == answers["predicted"]).to_numpy()
    bins = reliability(confidence_N, right_N)
    errors = [round(SHARE * each) for each in expected_error(bins)]
    means = (bins.confidence_B, bins.accuracy_B)
    return [*errors, *((SHARE * each).round().astype(int).tolist() for each in means)]


def maps(data: Data, side: int) -> dict[str, Any]:
    """By trial: the ERF map as [rows, columns, bytes in base64, kind, split, f95, t95].

    A byte is 255 times the root of the value over the largest, as fields fade fast; where the map
    has more than `side` rows or columns, neighbours are averaged. One map per trial: of features,
    on the split that is told last.
    """
    frame = data.maps()
    frame = frame[frame["kind"] == "feature"]
    frame = frame.sort_values("split", key=lambda each: each.map(aggregate.split_order))
    found = {}  # of several splits, the last one stays
    for row in frame.to_dict("records"):
        field = np.asarray(row["values"], np.float64).reshape(row["rows"], row["columns"])
        small = _averaged(_averaged(field, side).T, side).T
        most = small.max()
        shade = np.sqrt(small / most) if most > 0 else small
        pixels = np.round(255 * shade).astype(np.uint8)
        code = base64.b64encode(pixels.tobytes()).decode()
        found[row["trial"]] = [*pixels.shape, code, row["split"], row["f95"], row["t95"]]
    return found


def _averaged(field: np.ndarray[Any, Any], most: int) -> np.ndarray[Any, Any]:
    """The field with at most so many rows: each the mean of neighbours."""
    if len(field) <= most:
        return field
    parts = np.array_split(field, most)
    return np.stack([part.mean(axis=0) for part in parts])


def _by_epoch(data: Data, metric: str, one: int) -> dict[tuple[str, str], tuple[Any, Any]]:
    """By trial and split, epochs and values of this metric over all devices."""
    try:
        frame = data.evaluations(metric, "all")
    except Unrecorded:
        return {}
    frame = frame.sort_values("epoch", kind="stable")
    frame = frame.assign(value=(frame["value"] * one).round().astype(int))
    return {
        (str(trial), str(split)): (rows["epoch"].tolist(), rows["value"].tolist())
        for (trial, split), rows in frame.groupby(["trial", "split"], sort=False, observed=True)
    }
