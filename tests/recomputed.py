"""The numbers of figures and tables, recomputed from the Parquet files alone, in plain pandas.

A twin of `analysis`, of which nothing is imported: slow, one estimate at a time, for studies of
CP-ResNet that differ in width and damping. `python tests/recomputed.py RESULTS FIGURES` compares
the CSV files of `overhear analyze --differences`, `claims` and `choose --out` with it.
Conventions: an interval is of 95 % over folds, on unseen devices over devices crossed with folds.
Contents: Records, FIGURES, difference.
"""

import itertools
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import brentq, minimize_scalar, nnls
from scipy.special import softmax
from scipy.stats import norm, t

DAMPING, WIDTH, FOLD = "network.damping", "network.width", "split.fold"
HELD_OUT = ("seen", "unseen")
GAP = "unseen - seen"
DRAWS, SEED = 1000, 14  # of resamples
Rows = list[dict[str, Any]]


class Records(NamedTuple):
    """What the complete trials of a results folder have recorded."""

    trials: pd.DataFrame  # trial, seed, FOLD, DAMPING, WIDTH, costs, chance
    metrics: pd.DataFrame  # trial, epoch, split, device, metric, value and those of trials
    answers: pd.DataFrame  # trial, split, clip, device, label, predicted, logits likewise
    last: int  # epochs that are averaged

    @classmethod
    def of(cls, folder: Path) -> "Records":
        def read(kind: str) -> pd.DataFrame:
            return pd.concat(map(pd.read_parquet, sorted((folder / kind).glob("*.parquet"))))

        planned = read("manifest").sort_values("planned").drop_duplicates("trial", keep="last")
        ended = read("outcomes")
        done = planned[planned["trial"].isin(ended.loc[ended["status"] == "complete", "trial"])]
        kept = done["parameters"] - done["weights"] + done["kept_weights"]
        answers = read("predictions")
        chance = 1 / len(answers["logits"].iloc[0])
        names = [
            "trial",
            "seed",
            FOLD,
            DAMPING,
            WIDTH,
            "parameters",
            "kept_parameters",
            "macs",
            "chance",
        ]
        trials = done.assign(kept_parameters=kept, chance=chance)[names]
        return cls(
            trials.reset_index(drop=True),
            read("metrics").merge(trials, on="trial"),
            answers.merge(trials, on="trial"),
            int(done["evaluation.last"].iloc[0]),
        )

    def scores(self, metric: str) -> pd.DataFrame:
        """The mean over each trial's last epochs, by split and device."""
        rows = self.metrics[self.metrics["metric"] == metric].sort_values("epoch")
        keys = ["trial", "split", "device"]
        rows = rows.groupby(keys).tail(self.last)
        means = rows.groupby(keys)["value"].agg(value="mean", epochs="count").reset_index()
        return means.merge(self.trials, on="trial")

    def wide(self, metric: str, split: str) -> pd.DataFrame:
        """A row for each training: value, a column d:NAME for each device, and clips."""
        found = self.scores(metric)
        found = found[found["split"] == split]
        whole = found[found["device"] == "all"]
        named = found[~found["device"].isin(["all", ""])]
        by_device = named.pivot(index="trial", columns="device", values="value").add_prefix("d:")
        clips = self.answers[self.answers["split"] == split].groupby("trial")["clip"].nunique()
        return whole.join(by_device, on="trial").join(clips.rename("clips"), on="trial")

    def gaps(self) -> pd.DataFrame:
        """Unseen less seen, likewise; of devices each one less seen."""
        seen, unseen = (self.wide("accuracy", split).set_index("trial") for split in HELD_OUT)
        seen = seen.loc[unseen.index]
        made = unseen.assign(clips=seen["clips"])
        for name in ["value", *_devices(unseen)]:
            made[name] = unseen[name] - seen["value"]
        return made.reset_index()

    def on(self, metric: str, split: str) -> pd.DataFrame:
        """`wide` of a split, or `gaps`."""
        return self.gaps() if split == GAP else self.wide(metric, split)


class Scale(NamedTuple):
    """Where values may lie, and whether they are shares, whose clips bound an interval."""

    least: float = 0.0
    most: float = 1.0
    share: bool = True


SHARE, APART, MEAN = Scale(), Scale(-1.0), Scale(share=False)
LOSS = Scale(0.0, math.inf, False)


def _devices(runs: pd.DataFrame) -> list[str]:
    return [name for name in runs if str(name).startswith("d:") and runs[name].notna().all()]


def _by_fold(runs: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The mean of each fold: of what shares a seed first, as several widths in one claim do."""
    if "seed" not in runs:
        return runs.groupby(FOLD)[names].mean()
    return runs.groupby([FOLD, "seed"])[names].mean().groupby(level=FOLD).mean()


def by_folds(runs: pd.DataFrame, confidence: float = 0.95) -> float:
    """Half of Student's interval over folds, seeds averaged within each."""
    folds = _by_fold(runs, ["value"])["value"]
    return float(t.ppf((1 + confidence) / 2, len(folds) - 1) * folds.std() / math.sqrt(len(folds)))


def crossed(runs: pd.DataFrame, confidence: float = 0.95) -> float:
    """Half of the interval over devices crossed with folds: at 95 % two thirds of the widest of the
    two together, what is left over taken off once, and of each alone; and a third of the first.
    """
    table = _by_fold(runs, _devices(runs))
    f, d = table.shape
    left = table.sub(table.mean(axis=1), axis=0) - table.mean(axis=0) + table.to_numpy().mean()
    over = (left**2).to_numpy().sum() / ((f - 1) * (d - 1)) / (f * d)
    rows, columns = table.mean(axis=1).var() / f, table.mean(axis=0).var() / d
    freedom = (rows + columns) ** 2 / (rows**2 / (f - 1) + columns**2 / (d - 1))
    ways = ((max(rows + columns - over, 0), freedom), (rows, f - 1), (columns, d - 1))
    edge = (1 + confidence) / 2
    together, *alone = (t.ppf(edge, n) * math.sqrt(variance) for variance, n in ways)
    widest = max(together, *alone)
    return float(widest - min((1 - confidence) / 0.05, 1) ** 2 / 3 * (widest - together))


def bounded(
    runs: pd.DataFrame, half: float, scale: Scale, heard: bool = False, confidence: float = 0.95
) -> tuple[float, float]:
    """Both ends: no narrower than its clips allow, and within what can be."""
    mean = _by_fold(runs, ["value"])["value"].mean()
    floor = 0.0
    if scale.share and "clips" in runs:
        clips = runs.groupby(FOLD)["clips"].max().sum()
        each = len(runs) / runs[FOLD].nunique() * (len(_devices(runs)) if heard else 1)
        floor = norm.ppf((1 + confidence) / 2) * math.sqrt(0.25 / clips)
        if min(abs(mean), 1 - abs(mean)) * clips * each > 4:
            floor /= 2 * math.sqrt(each)
    if (scale.least, scale.most) == (0, 1):
        return _near_the_ends(mean, half, floor)
    low, high = mean - half, mean + half
    if floor:
        near, far = _near_the_ends(abs(mean), 0.0, floor)
        low, high = min(low, near if mean > 0 else -far), max(high, -near if mean < 0 else far)
    return max(low, scale.least), min(high, scale.most)


def _near_the_ends(mean: float, half: float, floor: float) -> tuple[float, float]:
    """All shares p from which `mean` is no farther off than `half` would be at p."""
    square = max(half**2 / (mean * (1 - mean)) if 0 < mean < 1 else half, 4 * floor**2)
    middle = mean + square / 2
    inner = math.sqrt(square * (mean * (1 - mean) + square / 4))
    return (middle - inner) / (1 + square), (middle + inner) / (1 + square)


def estimate(runs: pd.DataFrame, scale: Scale, heard: bool = False) -> dict[str, Any]:
    """Mean, interval and n; `heard`: over devices crossed with folds, if there are three."""
    crosses = heard and len(_devices(runs)) >= 3
    low, high = bounded(runs, (crossed if crosses else by_folds)(runs), scale, crosses)
    n = len(_devices(runs)) if crosses else runs[FOLD].nunique()
    return {
        "mean": _by_fold(runs, ["value"])["value"].mean(),
        "low": low,
        "high": high,
        "n": n,
    }


def _split(runs: pd.DataFrame, split: str, scale: Scale = SHARE) -> dict[str, Any]:
    return estimate(runs, scale, split in ("unseen", GAP))


def accuracy(records: Records) -> Rows:
    """accuracy_vs_parameters."""
    rows: Rows = []
    for split in HELD_OUT:
        for (damping, width), runs in records.wide("accuracy", split).groupby([DAMPING, WIDTH]):
            every = records.metrics[
                records.metrics["trial"].isin(runs["trial"])
                & (records.metrics["metric"] == "accuracy")
                & (records.metrics["split"] == split)
                & (records.metrics["device"] == "all")
            ]
            every = every.sort_values("epoch").groupby("trial").tail(records.last)
            apart = every["value"] - every.groupby("trial")["value"].transform("mean")
            spare = len(every) - len(runs)
            by_device = runs.groupby(FOLD)[_devices(runs)].mean().mean()
            several = len(by_device) > 1
            rows.append(
                {DAMPING: damping, WIDTH: width, "split": split}
                | _split(runs, split)
                | {
                    "between_runs": runs["value"].std(),
                    "within_runs": math.sqrt((apart**2).sum() / spare) if spare else math.nan,
                    "pooled": every["value"].std(),
                    "epochs": records.last,
                    "chance": runs["chance"].iloc[0],
                    "worst": by_device.min() if several else math.nan,
                    "worst_device": by_device.idxmin().removeprefix("d:") if several else math.nan,
                    "parameters": runs["parameters"].iloc[0],
                }
            )
    return rows


def accuracy_on_lines(records: Records) -> Rows:
    """accuracy_vs_width: without lines of at most two thirds as many widths as the longest."""
    widths = records.trials.groupby(DAMPING)[WIDTH].nunique()
    return [r for r in accuracy(records) if widths[r[DAMPING]] > widths.max() * 2 / 3]


def frontier(records: Records, cost: str) -> Rows:
    """frontier_parameters and frontier_macs."""
    rows = []
    for split in ("validation", *HELD_OUT):
        runs = records.wide("accuracy", split)
        groups = list(runs.groupby([DAMPING, WIDTH]))
        errors = [1 - each.groupby(FOLD)["value"].mean().mean() for _, each in groups]
        costs = [each[cost].iloc[0] for _, each in groups]
        names = _devices(runs) if split == "unseen" else []
        if len(names) < 3:
            names = sorted(runs["seed"].unique())
            tables = [each.pivot(index=FOLD, columns="seed", values="value").reindex(columns=names)
                      for _, each in groups]  # fmt: skip
        else:
            tables = [each.groupby(FOLD)[names].mean() for _, each in groups]
        often = _often(np.stack([each.to_numpy() for each in tables]), costs)
        for place, ((damping, width), each) in enumerate(groups):
            found = _split(each, split)
            rows.append(
                {DAMPING: damping, WIDTH: width, "split": split, "error": errors[place]}
                | {"low": 1 - found["high"], "high": 1 - found["low"], "n": found["n"]}
                | {cost: costs[place], "on_frontier": _ahead(place, costs, errors)}
                | {"often": often[place]}
            )
    return rows


def _ahead(one: int, costs: list[float], errors: Any) -> bool:
    """Whether nobody is as good at less cost, or better at no more."""
    return not any(
        (costs[k] < costs[one] and errors[k] <= errors[one])
        or (costs[k] <= costs[one] and errors[k] < errors[one])
        for k in range(len(costs))
    )


def _often(value_CRK: np.ndarray, costs: list[float]) -> list[float]:
    """The share of resamples of both units in which each configuration is on the frontier."""
    draws = np.random.default_rng(SEED)
    _, r, k = value_CRK.shape
    rows, columns = (draws.multinomial(n, np.full(n, 1 / n), DRAWS) for n in (r, k))
    counts = np.zeros(len(costs))
    for of_rows, of_columns in zip(rows, columns, strict=True):
        drawn = value_CRK[:, np.repeat(range(r), of_rows)][:, :, np.repeat(range(k), of_columns)]
        # the mean of each fold first; folds that nobody was drawn of are left out
        sums, there = np.nansum(drawn, axis=2), (~np.isnan(drawn)).sum(axis=2)
        folds = np.where(there > 0, sums / np.maximum(there, 1), np.nan)
        known = ~np.isnan(folds)
        means = np.nansum(folds, axis=1) / np.maximum(known.sum(axis=1), 1)
        means = np.where(known.any(axis=1), means, np.nanmean(value_CRK, axis=(1, 2)))
        means = means.round(12)  # sums in another order
        counts += [_ahead(one, costs, 1 - means) for one in range(len(costs))]
    return list(counts / DRAWS)


def law(sizes: np.ndarray, errors: np.ndarray) -> tuple[float, float, float]:
    """E, A and alpha of E + A N^-alpha by least squares, E and A at least 0."""
    relative = sizes / sizes.min()

    def given(alpha: float) -> tuple[np.ndarray, float]:
        design = np.column_stack([np.ones(len(sizes)), relative**-alpha])
        return nnls(design, errors)  # type: ignore[no-any-return]

    grid = np.geomspace(0.01, 4, 60)
    best = int(np.argmin([given(alpha)[1] for alpha in grid]))
    around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(
        lambda alpha: given(alpha)[1] ** 2, bounds=around, method="bounded",
        options={"xatol": 1e-7},
    )  # fmt: skip
    alpha = min((found.x, *around), key=lambda each: given(each)[1])
    (floor, scale), _ = given(alpha)
    return floor, scale * sizes.min() ** alpha, alpha


class _Laws(NamedTuple):
    """One condition's errors on one split by size and fold, and the laws of their resamples."""

    sizes: np.ndarray
    error_MU: np.ndarray
    weight_VU: np.ndarray  # the resamples, each once
    count_V: np.ndarray  # how often each was drawn

    @classmethod
    def of(cls, runs: pd.DataFrame, cost: str) -> "_Laws":
        table = runs.groupby([cost, FOLD])["value"].mean().unstack().dropna(axis="columns")
        units = table.shape[1]
        draws = np.random.default_rng(SEED).multinomial(units, np.full(units, 1 / units), DRAWS)
        drawn, count = np.unique(draws, axis=0, return_counts=True)
        return cls(table.index.to_numpy(float), table.to_numpy(), drawn / units, count)

    def predicted(self, at: np.ndarray, without_largest: bool = False) -> dict[str, Any]:
        """The law, its values at sizes, bands, and how far off it is of the largest size."""
        chosen = slice(None, -1) if without_largest else slice(None)
        units = self.error_MU.shape[1]
        error_VM = self.weight_VU @ self.error_MU.T
        drawn = [law(self.sizes[chosen], each[chosen]) for each in error_VM]
        floor, scale, alpha = law(self.sizes[chosen], self.error_MU.mean(axis=1)[chosen])
        mean = floor + scale * at**-alpha
        reach = t.ppf(0.975, units - 1) * math.sqrt(units / (units - 1))
        values = np.array([e + a * at**-x for e, a, x in drawn])
        largest = self.sizes[-1]
        apart = [
            e + a * largest**-x - row[-1] for (e, a, x), row in zip(drawn, error_VM, strict=True)
        ]
        off = floor + scale * largest**-alpha - self.error_MU[-1].mean()
        band = np.exp(reach * self._deviation(np.log(np.maximum(values, 1e-9))))
        wide = math.exp(reach * self._deviation(np.log([[x] for *_, x in drawn]))[0])
        away = reach * self._deviation(np.array(apart)[:, None])[0]
        return {
            "floor": floor, "scale": scale, "exponent": alpha,
            "exponent_low": alpha / wide, "exponent_high": alpha * wide,
            "mean": mean, "low": mean / band, "high": mean * band,
            "off": off, "off_low": off - away, "off_high": off + away,
        }  # fmt: skip

    def _deviation(self, values: np.ndarray) -> np.ndarray:
        """Over all resamples."""
        mean = np.average(values, axis=0, weights=self.count_V)
        made = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=self.count_V))
        return np.asarray(made)


def scaling_law(records: Records, cost: str) -> Rows:
    """scaling_law_parameters and scaling_law_macs: errors are cross-entropies."""
    rows: Rows = []
    for split in HELD_OUT:
        for damping, runs in records.wide("loss", split).groupby(DAMPING):
            laws = _Laws.of(runs, cost)
            if len(laws.sizes) < 4:
                continue
            about = {DAMPING: damping, "split": split, "n": laws.error_MU.shape[1]}
            for size, values in zip(laws.sizes, laws.error_MU, strict=True):
                frame = pd.DataFrame({FOLD: range(len(values)), "value": values})
                rows.append(about | {"kind": "size", "size": size} | estimate(frame, LOSS))
            places = np.geomspace(laws.sizes[0], 2 * laws.sizes[-1], 40)
            whole = laws.predicted(np.append(places, 2 * laws.sizes[-1]))
            said = ("floor", "scale", "exponent", "exponent_low", "exponent_high")
            for k, size in enumerate([*places, 2 * laws.sizes[-1]]):
                rows.append(
                    about | {"kind": "law" if k < len(places) else "next", "size": size}
                    | {name: whole[name][k] for name in ("mean", "low", "high")}
                    | {name: whole[name] for name in said}
                )  # fmt: skip
            if len(laws.sizes) > 4:
                part = laws.predicted(laws.sizes[-1:], without_largest=True)
                rows.append(
                    about | {"kind": "held out", "size": laws.sizes[-1]}
                    | {name: part[name][0] for name in ("mean", "low", "high")}
                    | {name: part[name] for name in ("off", "off_low", "off_high")}
                )  # fmt: skip
    return rows


def next_size(records: Records, known: float = math.inf) -> Rows:
    """Twice the largest size; and each size above `known`, as the law of the others saw it."""
    rows: Rows = []
    for split in HELD_OUT:
        for _, runs in records.wide("loss", split).groupby(DAMPING):
            laws = _Laws.of(runs, "kept_parameters")
            before = _Laws.of(runs[runs["kept_parameters"] <= known], "kept_parameters")
            if len(laws.sizes) >= 4:
                whole = laws.predicted(2 * laws.sizes[-1:])
                rows.append(
                    {"split": split, "size": 2 * laws.sizes[-1], "predicted": whole["mean"][0]}
                    | {"low": whole["low"][0], "high": whole["high"][0], "sizes": len(laws.sizes)}
                )
            if len(before.sizes) < 4 or len(before.sizes) == len(laws.sizes):
                continue
            for size, values in zip(laws.sizes, laws.error_MU, strict=True):
                if size <= known:
                    continue
                whole = before.predicted(before.sizes[-1] * 2 ** (np.arange(1, 13) / 4))
                mean = whole["floor"] + whole["scale"] * size ** -whole["exponent"]
                frame = pd.DataFrame({FOLD: range(len(values)), "value": values})
                seen = estimate(frame, LOSS)
                places = np.log(before.sizes[-1] * 2 ** (np.arange(1, 13) / 4))
                rows.append(
                    {"split": split, "size": size, "predicted": mean, "sizes": len(before.sizes)}
                    | {e: np.interp(math.log(size), places, whole[e]) for e in ("low", "high")}
                    | {"observed": seen["mean"], "off": mean - seen["mean"], "n": seen["n"]}
                    | {"observed_low": seen["low"], "observed_high": seen["high"]}
                )
    return rows


def learning_curves(records: Records) -> Rows:
    """Each epoch by itself, on training and on validation clips."""
    rows: Rows = []
    for name, metric, split in (
        ("cross_entropy", "cross_entropy", "train"),
        ("cross_entropy", "loss", "validation"),
        ("accuracy", "accuracy", "validation"),
    ):
        chosen = records.metrics[
            (records.metrics["metric"] == metric)
            & (records.metrics["split"] == split)
            & (records.metrics["device"] == "all")
        ]
        for (damping, width, epoch), runs in chosen.groupby([DAMPING, WIDTH, "epoch"]):
            scale = MEAN if name == "accuracy" else LOSS
            rows.append(
                {DAMPING: damping, WIDTH: width, "metric": name, "split": split, "epoch": epoch}
                | estimate(runs, scale)
            )
    return rows


def devices(records: Records) -> Rows:
    """Accuracy by device."""
    scores = records.scores("accuracy")
    clips = records.answers.groupby(["trial", "split", "device"])["clip"].nunique()
    scores = scores.join(clips.rename("clips"), on=["trial", "split", "device"])
    rows = []
    for split in HELD_OUT:
        here = scores[scores["split"] == split]
        named = here[~here["device"].isin(["all", ""])]
        if named.empty:  # clips of no device
            named = here.assign(device="").drop(columns="clips")
            whole = records.answers[records.answers["split"] == split]
            named = named.join(whole.groupby("trial")["clip"].nunique().rename("clips"), on="trial")
        for (damping, width, device), runs in named.groupby([DAMPING, WIDTH, "device"]):
            about = {DAMPING: damping, WIDTH: width, "split": split, "device": device}
            rows.append(about | _valued(estimate(runs, SHARE)))
    return rows


def _valued(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"value" if name == "mean" else name: each for name, each in found.items()}


def classes(records: Records, keys: tuple[str, ...]) -> Rows:
    """classes, and classes_by_device."""
    rows = []
    answers = _tested(records)
    answers = answers.assign(right=answers["label"] == answers["predicted"])
    for key, here in answers.groupby([DAMPING, WIDTH, *keys]):
        runs = here.groupby(["trial", FOLD, "seed"]).agg(
            value=("right", "mean"), clips=("clip", "nunique")
        )
        about = dict(zip([DAMPING, WIDTH, *keys], key, strict=True))
        rows.append(about | _valued(estimate(runs.reset_index(), SHARE)) | {"trials": len(runs)})
    return rows


def _tested(records: Records) -> pd.DataFrame:
    """The answers that figures of failures are about: of six models at most, else of the largest
    of each family.
    """
    answers = records.answers[records.answers["split"].isin(HELD_OUT)]
    models = records.trials[[DAMPING, WIDTH, "kept_parameters"]].drop_duplicates()
    if len(models) <= 6:
        return answers
    largest = models.loc[models.groupby(DAMPING)["kept_parameters"].idxmax(), [DAMPING, WIDTH]]
    return answers.merge(largest, on=[DAMPING, WIDTH])


def confusion(records: Records) -> Rows:
    """The share of a class's answers that name each class, where any training named it."""
    rows = []
    keys, of_trial = [DAMPING, WIDTH, "split", "label"], ["trial", FOLD, "seed"]
    for key, here in _tested(records).groupby(keys):
        given = here.groupby([*of_trial, "predicted"]).size().unstack(fill_value=0)
        clips = here.groupby(of_trial)["clip"].nunique()
        for predicted, counts in given.items():
            runs = (counts / given.sum(axis=1)).rename("value").to_frame().assign(clips=clips)
            rows.append(
                dict(zip(keys, key, strict=True))
                | {"predicted": predicted, "answers": counts.sum()}
                | _valued(estimate(runs.reset_index(), SHARE))
            )
    return rows


def calibration(records: Records) -> Rows:
    """Ten bins of equal mass for each training, before and after a temperature."""
    bins, wholes = [], []
    every = records.answers[records.answers["trial"].isin(_tested(records)["trial"])]
    for trial, answers in every.groupby("trial"):
        names = sorted({*answers["label"], *answers["predicted"]})
        about = answers.iloc[0][[DAMPING, WIDTH, FOLD, "seed"]].to_dict() | {"trial": trial}
        stages = {"as trained": 1.0, "with temperature": _temperature(answers, names)}
        for split, (stage, warmth) in itertools.product(HELD_OUT, stages.items()):
            here = answers[answers["split"] == split]
            sure = softmax(np.stack(here["logits"]).astype(float) / warmth, axis=1).max(axis=1)
            frame = pd.DataFrame({"sure": sure, "right": (here["label"] == here["predicted"])})
            frame = frame.sort_values("sure", kind="stable")
            frame["right"] = frame.groupby("sure")["right"].transform("mean")
            said = about | {"split": split, "stage": stage}
            parts = [frame.iloc[part] for part in np.array_split(np.arange(len(frame)), 10)]
            error = chance = 0.0
            for number, part in enumerate(parts, start=1):
                confidence, right = part["sure"].mean(), part["right"].mean()
                bins.append(said | {"bin": number, "value": right, "confidence": confidence})
                error += len(part) / len(frame) * abs(right - confidence)
                noise = math.sqrt((part["sure"] * (1 - part["sure"])).sum()) / len(part)
                chance += len(part) / len(frame) * math.sqrt(2 / math.pi) * noise
            wholes.append(
                said | {"value": error, "by_chance": chance, "accuracy": frame["right"].mean()}
                | {"sure": frame["sure"].mean(), "temperature": math.log(warmth)}
            )  # fmt: skip
    keys = [DAMPING, WIDTH, "split", "stage"]
    rows, of_splits = [], dict(list(pd.DataFrame(wholes).groupby(keys)))
    for key, runs in pd.DataFrame(bins).groupby([*keys, "bin"]):
        whole = of_splits[key[:-1]]
        means = whole.groupby(FOLD)[["by_chance", "accuracy", "sure", "temperature"]].mean().mean()
        error = estimate(whole, MEAN)
        rows.append(
            dict(zip([*keys, "bin"], key, strict=True)) | _valued(estimate(runs, MEAN))
            | {"confidence": runs.groupby(FOLD)["confidence"].mean().mean()}
            | {"error": error["mean"], "error_low": error["low"], "error_high": error["high"]}
            | means.to_dict() | {"temperature": math.exp(means["temperature"])}
        )  # fmt: skip
    return rows


def _temperature(answers: pd.DataFrame, names: list[str]) -> float:
    """What makes the answers to validation clips likeliest."""
    chosen = answers[answers["split"] == "validation"]
    logits = np.stack(chosen["logits"]).astype(float)
    place = chosen["label"].map(names.index).to_numpy()

    def surprise(log: float) -> float:
        share = softmax(logits / math.exp(log), axis=1)[np.arange(len(place)), place]
        return -float(np.log(share).mean())

    found = minimize_scalar(surprise, bounds=(math.log(0.05), math.log(20)), method="bounded",
                            options={"xatol": 1e-9})  # fmt: skip
    return math.exp(found.x)


def hardest_clips(records: Records) -> Rows:
    """The clips that trainings miss most, over all models."""
    answers = records.answers[records.answers["split"].isin(HELD_OUT)]
    answers = answers.assign(missed=answers["label"] != answers["predicted"])
    rows: Rows = []
    for clip, here in answers.groupby("clip"):
        shares = here.groupby("trial")["missed"].mean()
        wrong = here.loc[here["missed"], "predicted"].value_counts()
        rows.append(
            {"clip": clip, "label": here["label"].iloc[0], "value": shares.mean()}
            | {"n": len(shares), "missed": int((shares > 0.5).sum())}
            | {"models": len(here[[DAMPING, WIDTH]].drop_duplicates())}
            | {"taken": wrong.max() / wrong.sum() if len(wrong) else math.nan}
        )
    hard = sum(2 * row["missed"] > row["n"] for row in rows)
    rows = [row | {"hard": hard, "clips": len(rows)} for row in rows if row["value"] > 0]
    return sorted(rows, key=lambda row: (-row["value"], row["clip"]))[:100]


def _pairs(one: pd.DataFrame, other: pd.DataFrame, on: list[str]) -> pd.DataFrame:
    """One less the other, by seed, fold and what else they share."""
    both = one.merge(other, on=["seed", FOLD, *on], suffixes=("", "_other"))
    made = both.copy()
    for name in ["value", *_devices(one)]:
        made[name] = both[name] - both[f"{name}_other"]
    return made[["seed", FOLD, *on, "value", "clips", *_devices(one)]]


def differences(records: Records) -> Rows:
    """Width against the smallest, damping against none, and the gap."""
    rows: Rows = []
    for split in (*HELD_OUT, GAP):
        runs = records.on("accuracy", split)
        for damping, here in runs.groupby(DAMPING):
            least = here[WIDTH].min()
            for width in sorted(set(here[WIDTH]) - {least}):
                pairs = _pairs(here[here[WIDTH] == width], here[here[WIDTH] == least], [DAMPING])
                family = "damped 0.99" if damping else "base"
                about = {"comparison": f"width {width} - width {least}", "at": family}
                if len(pairs) and pairs[FOLD].nunique() >= 3:
                    rows.append({"split": split} | about | _split(pairs, split, APART))
        for width, here in runs.groupby(WIDTH):
            pairs = _pairs(here[here[DAMPING] > 0], here[here[DAMPING] == 0], [WIDTH])
            about = {"comparison": "damped 0.99 - base", "at": f"width {width}"}
            if len(pairs):
                rows.append({"split": split} | about | _split(pairs, split, APART))
        if split == GAP:
            for (damping, width), here in runs.groupby([DAMPING, WIDTH]):
                family = "damped 0.99" if damping else "base"
                about = {"comparison": GAP, "at": f"{family}, width {width}"}
                rows.append({"split": split} | about | _split(here, split, APART))
    return rows


Selected = tuple[str, str, Mapping[str, float], Mapping[str, float]]


def claims(records: Records, stated: list[Selected]) -> Rows:
    """Claims (text, split, settings of the better and of the worse side) with Holm's correction
    over all of them.
    """
    rows: Rows = []
    for text, split, better, worse in stated:
        runs = records.on("accuracy", split)
        sides = [_where(runs, side) for side in (better, worse)]
        pairs = _pairs(
            *sides, [name for name in (DAMPING, WIDTH) if name not in {**better, **worse}]
        )
        found = _split(pairs, split, APART)
        rows.append(
            {"claim": text, "effect": found["mean"], "n": found["n"], "pairs": len(pairs)}
            | {"low": found["low"], "high": found["high"]}
            | {"p": _p(pairs, split in ("unseen", GAP))}
        )
    largest = 0.0
    ordered = sorted(rows, key=lambda row: row["p"])
    for place, row in enumerate(ordered):
        largest = max(largest, min(1.0, row["p"] * (len(rows) - place)))
        row["p_holm"] = largest
        said = "supported" if row["effect"] > 0 else "contradicted"
        row["verdict"] = said if largest <= 0.05 else "undecided"
    return rows


def _where(runs: pd.DataFrame, side: Mapping[str, float]) -> pd.DataFrame:
    for name, value in side.items():
        runs = runs[runs[name] == value]
    return runs


def _p(pairs: pd.DataFrame, heard: bool) -> float:
    """1 - the confidence of the interval that ends at 0."""

    def nearest(log: float) -> float:
        sure = 1 - math.exp(log)
        half = (crossed if heard else by_folds)(pairs, sure)
        low, high = bounded(pairs, half, APART, heard, sure)
        return low if high + low > 0 else -high

    if nearest(math.log(1e-12)) > 0:
        return 1e-12
    return math.exp(brentq(nearest, math.log(1e-12), -1e-9, xtol=1e-9))


def choose(records: Records) -> Rows:
    """All configurations by validation accuracy, with their held-out scores."""
    rows = []
    splits = {split: records.wide("accuracy", split) for split in ("validation", *HELD_OUT)}
    for damping, width in (
        records.trials[[DAMPING, WIDTH]].drop_duplicates().itertuples(index=False)
    ):
        row: dict[str, Any] = {DAMPING: damping, WIDTH: width}
        for split, runs in splits.items():
            found = _valued(_split(_where(runs, {DAMPING: damping, WIDTH: width}), split))
            prefix = "" if split == "validation" else f"{split}_"
            row |= {f"{prefix}{n}".replace(f"{split}_value", split): v for n, v in found.items()}
        rows.append(row)
    return rows


class Compared(NamedTuple):
    """How a CSV file is held against its twin."""

    make: Callable[[Records], Rows]
    keys: tuple[str, ...]


SPLIT = (DAMPING, WIDTH, "split")
FIGURES = {
    "accuracy_vs_parameters": Compared(accuracy, SPLIT),
    "accuracy_vs_width": Compared(accuracy_on_lines, SPLIT),
    "frontier_parameters": Compared(lambda each: frontier(each, "kept_parameters"), SPLIT),
    "frontier_macs": Compared(lambda each: frontier(each, "macs"), SPLIT),
    "scaling_law_parameters": Compared(
        lambda each: scaling_law(each, "kept_parameters"), (DAMPING, "split", "kind", "size")
    ),
    "scaling_law_macs": Compared(
        lambda each: scaling_law(each, "macs"), (DAMPING, "split", "kind", "size")
    ),
    "next_size": Compared(next_size, ("split", "size")),
    "learning_curves": Compared(learning_curves, (DAMPING, WIDTH, "metric", "split", "epoch")),
    "devices": Compared(devices, (*SPLIT, "device")),
    "classes": Compared(lambda each: classes(each, ("split", "label")), (*SPLIT, "label")),
    "classes_by_device": Compared(
        lambda each: classes(each, ("split", "device", "label")), (*SPLIT, "device", "label")
    ),
    "confusion": Compared(confusion, (*SPLIT, "label", "predicted")),
    "calibration": Compared(calibration, (*SPLIT, "stage", "bin")),
    "hardest_clips": Compared(hardest_clips, ("clip",)),
    "differences": Compared(differences, ("split", "comparison", "at")),
    "choose": Compared(choose, (DAMPING, WIDTH)),
}


def difference(written: pd.DataFrame, rows: Rows, keys: tuple[str, ...]) -> tuple[float, str, int]:
    """The largest difference of any number, relative to it where it is above 1; the column that has
    it, and how many numbers were compared. Raises AssertionError for other rows or texts.
    """
    twin = pd.DataFrame(rows)
    keyed = [each.assign(**{k: _key(each, k) for k in keys}) for each in (written, twin)]
    for each in keyed:
        assert not each.duplicated([*keys]).any(), f"rows that {keys} do not tell apart"
    both = keyed[0].merge(keyed[1], on=[*keys], how="outer", suffixes=("", "_twin"), indicator=True)
    odd = both[both["_merge"] != "both"]
    assert odd.empty, f"rows of one side only:\n{odd[[*keys, '_merge']].to_string()}"
    worst, where, count = 0.0, "", 0
    for name in [name for name in twin if name not in keys]:
        one, other = both[f"{name}_twin" if name not in written else name], both[f"{name}_twin"]
        if one.dtype.kind not in "fiub" or other.dtype.kind not in "fiub":
            assert (one.fillna("") == other.fillna("")).all(), f"{name} differs"
            continue
        one, other = one.astype(float), other.astype(float)
        assert (one.isna() == other.isna()).all(), f"{name}: numbers on one side only"
        apart = ((one - other).abs() / np.maximum(1, other.abs())).max()
        count += int(one.notna().sum())
        if apart > worst:
            worst, where = float(apart), name
    return worst, where, count


def _key(rows: pd.DataFrame, name: str) -> "pd.Series[Any]":
    """A key as text, numbers to nine digits; a number that a study does not vary is not written."""
    names = {WIDTH: "width", DAMPING: "damping"}
    found = rows.get(name, rows.get(names.get(name, name), 0.0))
    column = pd.Series(found, index=rows.index)
    numbers = column.dtype.kind in "fiu"
    return column.map(lambda each: f"{each:.9g}") if numbers else column.fillna("").astype(str)


def main() -> None:
    """Print the largest difference of each CSV file that is there."""
    results, figures = map(Path, sys.argv[1:3])
    records = Records.of(results)
    chosen = sys.argv[3:] or FIGURES
    for name, (make, keys) in FIGURES.items():
        if name in chosen and (file := figures / f"{name}.csv").exists():
            worst, where, count = difference(pd.read_csv(file), make(records), keys)
            print(f"| {name} | {count:,} | {worst:.1e} | {where} |")


if __name__ == "__main__":
    main()
