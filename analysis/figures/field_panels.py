"""Panels of effective receptive fields: from the records of maps to what each panel shows.

Conventions: maps are those of the records, bands x frames, cropped to the maximum receptive field;
a panel is one model, its map and its numbers the means over its trials (seeds and folds), each map
with equal weight. Contents: NUMBERS, Panel, means, panels, cropped.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.aggregate import DIMENSIONS
from analysis.conditions import SIZE, labels, varied
from analysis.figures.bands import Bands
from analysis.squares import SQUARES, squares

NUMBERS = ("sigma_f", "sigma_t", "f50", "t50", "f95", "t95", "luo_side", "participation")
INSIDE = 1 - 1e-6  # share of the mass inside the maximum field below which the crop hides some


class Panel(NamedTuple):
    """What one panel shows."""

    title: str  # condition, and below it the size and the number of trials
    values_FN: NDArray[np.float64]  # the mean of maps that each sum to 1, cropped
    corner: tuple[int, int]  # row and column of the map that values_FN begin at
    centre: tuple[float, float]  # row and column of the target
    size: tuple[int, int]  # bands and frames of the input
    reach: float  # pixels from the target to the edge of the maximum field
    bands: Bands
    hop: float  # seconds per frame
    most: int | None  # side of the maximum field, pixels; None: not known
    numbers: dict[str, float]  # NUMBERS and SQUARES
    trials: tuple[str, ...]
    about: str  # what was differentiated, and on which clips


def means(
    maps: pd.DataFrame, manifest: pd.DataFrame, kind: str = "feature", split: str = "test"
) -> pd.DataFrame:
    """One row per model, by condition, width, depth and pointwise; pure.

    `maps` are records as in scaling.results.schemas.SCHEMAS, of which the last epoch of each trial
    counts; `manifest` is reading.manifest's. Columns: family (the condition in words), condition
    columns, width, depth, pointwise, n (trials), NUMBERS, SQUARES, receptive_field (side of the
    maximum field), kind, split, trials, and what `panels` needs: values_FN (the mean of maps that
    each sum to 1, cropped), top and left (its corner), row and column (the target), rows and
    columns (the input), reach, frontend (its kind), bands, low, high, per_octave, hop.
    Raises ValueError for a kind or split without maps and for a map of a trial that was not
    planned. Warns where mass lies outside the crop.
    """
    here = maps[(maps["kind"] == kind) & (maps["split"] == split)]
    if here.empty:
        known = sorted({f"{k} on {s}" for k, s in zip(maps["kind"], maps["split"], strict=True)})
        raise ValueError(
            f"no map of {kind} on {split} to draw: there are {', '.join(known) or 'none'}"
        )
    here = here.sort_values("epoch", kind="stable").drop_duplicates("trial", keep="last")
    if unplanned := sorted(set(here["trial"]) - set(manifest["trial"])):
        raise ValueError(
            f"map of {unplanned[0]}: no manifest plans this trial (nor {len(unplanned) - 1} more): "
            "move it away"
        )
    planned = manifest[manifest["trial"].isin(here["trial"])]
    conditions = varied(planned)
    joined = here.merge(planned, on="trial", validate="one_to_one")
    outside = joined[joined["inside"] < INSIDE]
    if len(outside):
        warnings.warn(
            f"{len(outside)} of {len(joined)} maps have mass outside their maximum field (as little"
            f" as {outside['inside'].min():.4f} inside), which is not drawn",
            stacklevel=2,
        )
    keys = [*conditions, *SIZE]
    rows = [
        dict(zip([*conditions, *DIMENSIONS], key, strict=True)) | _mean(trials)
        for key, trials in joined.groupby(keys, dropna=False)
    ]
    frame = pd.DataFrame(rows)
    frame.insert(0, "family", labels(frame))
    return frame.sort_values(["family", *DIMENSIONS], ignore_index=True)


def _mean(trials: pd.DataFrame) -> dict[str, Any]:
    """The mean over trials of one model."""
    first = trials.iloc[0]
    size = (int(first["rows"]), int(first["columns"]))
    centre = (float(first["row"]), float(first["column"]))
    alike = ["rows", "columns", "row", "column", "receptive_field"]
    known = trials[alike].fillna(-1)  # the field of a person's own network is not known
    assert (known == known.iloc[0]).all(axis=None), f"one model, several {alike}"
    shares = [np.asarray(values, np.float64).reshape(size) for values in trials["values"]]
    mean_FN = np.mean([share / share.sum() for share in shares], axis=0)
    held = [squares(share, centre) for share in shares]
    side = first["receptive_field"]
    far = max(max(at, length - 1 - at) for at, length in zip(centre, size, strict=True))
    reach = float(far) if pd.isna(side) else (int(side) - 1) / 2
    (top, bottom), (left, right) = (
        (max(0, round(at - reach)), min(length - 1, round(at + reach)))
        for at, length in zip(centre, size, strict=True)
    )
    rate = float(first["sound.rate"])
    return {
        "n": len(trials),
        **{name: float(trials[name].mean()) for name in NUMBERS},
        **{name: float(np.mean([each[name] for each in held])) for name in SQUARES},
        "receptive_field": None if pd.isna(side) else int(side),
        "kind": first["kind"],
        "split": first["split"],
        "trials": " ".join(trials["trial"]),
        "values_FN": mean_FN[top : bottom + 1, left : right + 1],
        "top": top,
        "left": left,
        "row": centre[0],
        "column": centre[1],
        "rows": size[0],
        "columns": size[1],
        "reach": reach,
        "frontend": first["sound.features.kind"],
        "bands": int(first["sound.features.mels"]),
        "low": float(first["sound.features.low"]),
        "high": float(first["sound.features.high"]) or rate / 2,
        "per_octave": int(first["sound.features.bins_per_octave"]),
        "hop": float(first["sound.features.hop"]) / rate,
    }


def panels(points: pd.DataFrame) -> list[Panel]:
    """One panel per row, under a title made from its condition columns."""
    rows = zip(labels(points), points.to_dict("records"), strict=True)
    return [
        Panel(
            title=f"{family}\nW {row['width']}, D {row['depth']}, K {row['pointwise']} "
            f"(n = {row['n']})",
            values_FN=row["values_FN"],
            corner=(row["top"], row["left"]),
            centre=(row["row"], row["column"]),
            size=(row["rows"], row["columns"]),
            reach=row["reach"],
            bands=Bands(*(row[n] for n in ("frontend", "bands", "low", "high", "per_octave"))),
            hop=row["hop"],
            most=None if pd.isna(row["receptive_field"]) else int(row["receptive_field"]),
            numbers={name: row[name] for name in (*NUMBERS, *SQUARES)},
            trials=tuple(row["trials"].split()),
            about=f"{row['kind']}, {row['split']} clips",
        )
        for family, row in rows
    ]


def cropped(panels: list[Panel]) -> list[Panel]:
    """The panels cropped to the smallest of their maximum fields, as in the paper's Figure 7."""
    reach = min(panel.reach for panel in panels)
    return [_cropped(panel, reach) for panel in panels]


def _cropped(panel: Panel, reach: float) -> Panel:
    corner, kept = [], []
    for first, at, length in zip(panel.corner, panel.centre, panel.values_FN.shape, strict=True):
        start = max(first, round(at - reach))
        stop = min(first + length - 1, round(at + reach))
        corner.append(start)
        kept.append(slice(start - first, stop - first + 1))
    values_FN = panel.values_FN[kept[0], kept[1]]
    return panel._replace(values_FN=values_FN, corner=(corner[0], corner[1]), reach=reach)
