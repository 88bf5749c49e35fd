"""Answers: what networks answered to held-out clips, counted trial by trial.

Source: records of predictions, which hold a trial's last epoch. A trial's are read once and reduced
to counts, some trials at a time: what is kept grows with devices x classes, and with the clips.
Conventions: a class is named as in the records; an answer is one clip heard through one device. A
temperature divides the logits; it is fitted on validation clips, never on those of the test.
Sources: Guo et al. 2017, On calibration of modern neural networks (temperature; expected
calibration error); Nixon et al. 2019, Measuring calibration in deep learning (bins of equal mass).
Contents: BINS, Tally, tally, obstacle, clips_by_device, temperature, Reliability, reliability,
expected_error.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from analysis import table
from analysis.aggregate import NOT_HELD_OUT
from analysis.data import Data
from analysis.remembered import remembered

# N answers, Y classes

BINS = 10  # of equal mass, by confidence
COOLEST, HOTTEST = 0.05, 20.0  # bounds of a temperature: all right, or none better than guessed
VALIDATION = "validation"
TEMPERED, AS_TRAINED = "with temperature", "as trained"
TEXTS = ["split", "device", "clip", "label", "predicted"]
NAMES = ["trial", *TEXTS]
BLOCK = 100_000  # answers that are counted together


class Tally(NamedTuple):
    """Counts of answers, each with its trial."""

    answers: pd.DataFrame  # split, device, label, predicted: answers
    clips: pd.DataFrame  # split, device, label, everywhere (over all devices): different clips
    bins: pd.DataFrame  # split, stage, bin: answers, confidence, accuracy
    errors: pd.DataFrame  # split, stage: answers, confidence, accuracy, error, by_chance
    temperatures: dict[str, float]  # of the trials that have validation clips
    heard: pd.DataFrame  # split, clip, label: devices, heard, missed (answers)
    mistaken: pd.DataFrame  # clip, predicted: answers that were wrong


def obstacle(data: Data) -> str | None:
    """Why there is nothing to count, as half a sentence."""
    predicted = set(data.snapshot.results.names("predictions"))
    if predicted & set(data.scores()["trial"]):
        return None
    return "no complete trial has predictions"


def tally(data: Data, trials: Sequence[str]) -> Tally:
    """What these trials answered to the clips held out for the test.

    Warns of trials without predictions. Raises ValueError where none has any.
    """
    return _tally(data, tuple(trials))


def clips_by_device(data: Data) -> pd.DataFrame:
    """How many different clips each trial was scored on: trial, split, device, clips. Told by one
    of the trials that are split alike; no row where none of these has predictions.
    """
    found = []
    for alike, answers in table.told_by_one(data.snapshot):
        if answers.num_rows:
            said = answers.select(["split", "device", "clip"]).to_pandas()
            clips = said.groupby(["split", "device"])["clip"].nunique().rename("clips")
            found.append(clips.reset_index().merge(alike.to_frame(), how="cross"))
    if not found:
        return pd.DataFrame({"trial": [], "split": [], "device": [], "clips": []}, dtype="str")
    counted: pd.DataFrame = pd.concat(found, ignore_index=True)
    return counted


@remembered
def _tally(data: Data, trials: tuple[str, ...]) -> Tally:
    found = [_counted(block) for block in _blocks(_answers(data, trials))]
    if not found:
        raise ValueError("no complete trial has predictions: nothing tells classes or clips apart")
    if missing := len(trials) - sum(len(warmths) for _, warmths in found):
        warnings.warn(
            f"{missing} of {len(trials)} trials have no predictions: they are in no figure of "
            "classes, confusion, calibration or clips",
            stacklevel=5,
        )
    frames = [
        _as_texts(pd.concat([parts[place] for parts, _ in found], ignore_index=True))
        for place in range(6)
    ]
    known = {trial: warmth for _, warmths in found for trial, warmth in warmths.items()}
    fitted = {trial: warmth for trial, warmth in known.items() if warmth is not None}
    answers, clips, bins, errors, heard, mistaken = frames
    return Tally(answers, clips, bins, errors, fitted, heard, mistaken)


def _answers(data: Data, trials: Iterable[str]) -> Iterator[tuple[str, pa.Table]]:
    """Each trial's predictions, one after the other; none of trials that have none."""
    results = data.snapshot.results
    there = set(results.names("predictions"))
    yield from results.each("predictions", [trial for trial in trials if trial in there])


Block = list[tuple[str, pa.Table]]


def _blocks(answers: Iterable[tuple[str, pa.Table]]) -> Iterator[Block]:
    """Trials that are counted together, of BLOCK answers or a few more: a table of one trial is so
    small that its overhead would be most of the time.
    """
    block: Block = []
    for trial, table_ in answers:
        last = table_.filter(pc.equal(table_["epoch"], pc.max(table_["epoch"])))
        block.append((trial, last))
        if sum(each.num_rows for _, each in block) >= BLOCK:
            yield block
            block = []
    if block:
        yield block


def _counted(block: Block) -> tuple[tuple[pd.DataFrame, ...], dict[str, float | None]]:
    """The counts of some trials: the frames of a Tally, and each one's temperature."""
    said = pa.concat_tables([answers.select(TEXTS) for _, answers in block])
    said = said.to_pandas(strings_to_categorical=True)
    names, sizes = [trial for trial, _ in block], [answers.num_rows for _, answers in block]
    said["trial"] = pd.Categorical.from_codes(
        np.repeat(range(len(block)), sizes).tolist(), pd.Index(names)
    )
    said["right"] = said["label"].astype(str) == said["predicted"].astype(str)
    held_out = ~said["split"].isin(NOT_HELD_OUT)
    warmths: dict[str, float | None] = {}
    heard: list[_Heard] = []
    for (trial, answers), end in zip(block, np.cumsum(sizes), strict=True):
        mine = said.iloc[end - answers.num_rows : end]
        logits_NY, tested = _rows(answers["logits"]), held_out.loc[mine.index].to_numpy()
        warmths[trial] = warmth = _fitted(mine, logits_NY)
        heard += _heard(trial, mine[tested], logits_NY[tested], warmth)
    return (*_counts(said[held_out], *_calibrations(heard)),), warmths


def _counts(
    tested: pd.DataFrame, bins: pd.DataFrame, errors: pd.DataFrame
) -> Iterator[pd.DataFrame]:
    """The frames of a Tally, in its order."""
    yield _uncoded(
        _by(tested, "device", "label", "predicted").size().rename("answers").reset_index()
    )
    clips = [
        _by(tested, *keys)["clip"].nunique().rename("clips").reset_index().assign(everywhere=whole)
        for keys, whole in ((("device", "label"), False), (("label",), True))
    ]
    yield pd.concat([_uncoded(each) for each in clips], ignore_index=True)
    yield bins
    yield errors
    missed = tested.assign(missed=~tested["right"])
    heard = _by(missed, "clip", "label").agg(
        devices=("device", "nunique"), device=("device", "first"),
        heard=("missed", "size"), missed=("missed", "sum"),
    )  # fmt: skip
    yield _uncoded(heard.reset_index())
    wrong = missed[missed["missed"]].drop(columns="split")
    mistaken = wrong.groupby(["trial", "clip", "predicted"], observed=True, sort=False).size()
    yield _uncoded(mistaken.rename("answers").reset_index())


def _by(answers: pd.DataFrame, *names: str) -> Any:
    """The answers of each trial and split by these columns, in the order of their first."""
    return answers.groupby(["trial", "split", *names], observed=True, sort=False)


def _uncoded(frame: pd.DataFrame) -> pd.DataFrame:
    """Names in place of categories, as those of one trial are not those of another; as objects,
    since thousands of small frames of texts cost seconds.
    """
    coded = [name for name in NAMES if name in frame and frame[name].dtype == "category"]
    names = {
        name: frame[name].cat.categories.to_numpy(dtype=object)[frame[name].cat.codes]
        for name in coded
    }
    return frame.assign(**names)


def _as_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Names as texts."""
    return frame.astype({name: "str" for name in NAMES if name in frame})


def _rows(logits: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Logits as (N, Y); all rows have as many, as was checked when they were read."""
    flat = logits.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.astype(np.float64).reshape(len(logits), -1) if len(logits) else np.zeros((0, 1))


def _fitted(said: pd.DataFrame, logits_NY: npt.NDArray[np.float64]) -> float | None:
    """The temperature of a trial; None without validation clips, or where a class is never named,
    so that places in the logits cannot be told.
    """
    chosen = (said["split"] == VALIDATION).to_numpy()
    classes = sorted({*_used(said["label"]), *_used(said["predicted"])})
    if not chosen.any() or len(classes) != logits_NY.shape[1]:
        return None
    place = {name: at for at, name in enumerate(classes)}
    target_N = np.array([place[name] for name in said.loc[chosen, "label"]], dtype=np.int64)
    return temperature(logits_NY[chosen], target_N)


def _used(names: "pd.Series[str]") -> list[str]:
    """The categories that occur."""
    chosen: list[str] = names.cat.categories[np.unique(names.cat.codes)].tolist()
    return chosen


def temperature(logits_NY: npt.NDArray[np.float64], target_N: npt.NDArray[np.int64]) -> float:
    """The temperature under which these answers are most likely, within COOLEST and HOTTEST."""
    rows = np.arange(len(target_N))

    def surprise(log_temperature: float) -> float:
        logs_NY = log_softmax(logits_NY / np.exp(log_temperature), axis=1)
        return -float(logs_NY[rows, target_N].mean())

    bounds = np.log(COOLEST), np.log(HOTTEST)
    found = minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


class _Heard(NamedTuple):
    """A trial's answers on one split, at one stage."""

    trial: str
    split: str
    stage: str
    confidence_N: npt.NDArray[np.float64]
    right_N: npt.NDArray[np.bool_]


def _heard(
    trial: str, said: pd.DataFrame, logits_NY: npt.NDArray[np.float64], warmth: float | None
) -> Iterator[_Heard]:
    """The answers of each split, as trained and with the temperature."""
    stages = {AS_TRAINED: 1.0} | ({} if warmth is None else {TEMPERED: warmth})
    right_N, split = said["right"].to_numpy(), said["split"].cat
    for stage, divisor in stages.items():
        confidence_N = np.exp(log_softmax(logits_NY / divisor, axis=1).max(axis=1))
        for name in sorted(_used(said["split"])):
            here = split.codes.to_numpy() == split.categories.get_loc(name)
            yield _Heard(trial, name, stage, confidence_N[here], right_N[here])


def _calibrations(heard: Sequence[_Heard]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The bins and the errors of these answers; those that are as many are counted together."""
    sizes = np.array([len(each.right_N) for each in heard])
    bins: dict[int, Reliability] = {}
    for size in np.unique(sizes):
        alike = np.flatnonzero(sizes == size).tolist()
        sure_GN = np.stack([heard[at].confidence_N for at in alike])
        counted = reliability(sure_GN, np.stack([heard[at].right_N for at in alike]))
        bins |= {at: counted.of(row) for row, at in enumerate(alike)}
    ordered = [bins[at] for at in range(len(heard))]
    counts = [len(each.answers_B) for each in ordered]
    names = pd.DataFrame([each[:3] for each in heard], columns=["trial", "split", "stage"])
    columns: dict[str, list[Any]] = {
        "bin": [np.arange(1, count + 1) for count in counts],
        "answers": [each.answers_B for each in ordered],
        "confidence": [each.confidence_B for each in ordered],
        "accuracy": [each.accuracy_B for each in ordered],
    }
    none = [np.empty(0, int)]
    whole = {name: np.concatenate(none + parts) for name, parts in columns.items()}
    told = names.loc[np.repeat(names.index, counts)].reset_index(drop=True)
    frame = pd.DataFrame(whole).join(told)
    error, by_chance = np.array([expected_error(each) for each in ordered]).reshape(-1, 2).T
    errors = names.assign(
        answers=sizes.astype(int),
        confidence=[float(each.confidence_N.mean()) for each in heard],
        accuracy=[float(each.right_N.mean()) for each in heard],
        error=error,
        by_chance=by_chance,
    )
    return frame, errors


class Reliability(NamedTuple):
    """Bins of equal mass, from the least confident answers to the most; (B,), or of several sets of
    answers (G, B).
    """

    answers_B: npt.NDArray[np.int64]  # the same of all sets
    confidence_B: npt.NDArray[np.float64]  # means
    accuracy_B: npt.NDArray[np.float64]
    # what |accuracy - confidence| would be on average if the confidences were exactly right and the
    # answers independent
    by_chance_B: npt.NDArray[np.float64]

    def of(self, row: int) -> "Reliability":
        """Those of one set."""
        return Reliability(self.answers_B, *(each[row] for each in self[1:]))


def expected_error(bins: Reliability) -> tuple[float, float]:
    """The expected calibration error of one set of answers, and what it would be by chance: means
    over answers.
    """
    apart_B = np.abs(bins.accuracy_B - bins.confidence_B)
    share_B = bins.answers_B / bins.answers_B.sum()
    return float((share_B * apart_B).sum()), float((share_B * bins.by_chance_B).sum())


def reliability(
    confidence_N: npt.NDArray[np.float64], right_N: npt.NDArray[np.bool_ | np.float64]
) -> Reliability:
    """BINS bins of these answers (N,), or of each set of as many (G, N). Fewer answers than bins
    have a bin each.
    """
    order_N = np.argsort(confidence_N, axis=-1, kind="stable")
    sure_N = np.take_along_axis(confidence_N, order_N, -1)
    right_N = np.take_along_axis(right_N, order_N, -1)
    # answers of one confidence, as of a network that is sure of all, may stand in any order: each
    # is as right as all of them
    first_N = np.ones(sure_N.shape, bool)
    first_N[..., 1:] = sure_N[..., 1:] != sure_N[..., :-1]
    same_N = first_N.ravel().cumsum() - 1
    shared_N = (np.bincount(same_N, right_N.ravel()) / np.bincount(same_N))[same_N]
    shared_N = shared_N.reshape(sure_N.shape)
    bins = min(BINS, sure_N.shape[-1])
    parts = [*zip(*(np.array_split(n, bins, axis=-1) for n in (sure_N, shared_N)), strict=True)]
    # mean distance of a normal variable: sqrt(2 / pi) deviations
    deviations = [np.sqrt((p * (1 - p)).sum(axis=-1)) / p.shape[-1] for p, _ in parts]
    return Reliability(
        np.array([sure.shape[-1] for sure, _ in parts]),
        np.stack([sure.mean(axis=-1) for sure, _ in parts], axis=-1),
        np.stack([shared.mean(axis=-1) for _, shared in parts], axis=-1),
        np.sqrt(2 / np.pi) * np.stack(deviations, axis=-1),
    )
