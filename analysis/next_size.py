"""The next size: what a law predicts before it is trained, kept with the results, and how far off
it was.

A prediction is worth what it said before the outcome was known. So the law of each condition is
kept in the results folder as a record (kind `laws`) of what it was fitted to and what it predicts,
up to eight times the largest size; when a larger size has been trained, the last law that did not
know it is held against it.
Conventions: sizes are kept parameters, errors those of analysis.laws. A law that was kept already
is not kept again. Contents: SIZE, foretold, keep, came.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from analysis.data import Data
from analysis.intervals import over_units
from analysis.laws import SIZES, Runs, predicted, runs_by, values_of
from analysis.remembered import remembered
from scaling.results.records import Refused

SIZE = "kept_parameters"
FACTORS = 2 ** (np.arange(1, 13) / 4)  # of the largest size, at which predictions are kept
NEXT = 4  # of the factors: twice
KIND = "laws"
SAME = ["family", "split", "metric"]  # columns that a law and its outcome share


@remembered
def foretold(data: Data) -> pd.DataFrame:
    """What the law of each condition with enough sizes says at each of FACTORS: the columns of the
    record but `made`; empty where no condition has enough.
    """
    rows = [row for runs in _known(data) if len(runs.size_M) >= SIZES for row in _rows(runs)]
    return pd.DataFrame(rows).assign(metric=values_of(data)[1].metric)


def keep(data: Data) -> str | None:
    """Keep what `foretold` says in the results folder, under a name that says what was predicted;
    that name, or None where nothing is new, or only some of the studies, or several folders, were
    looked at. Warns where the folder cannot be written.
    """
    (results, *others), rows = data.snapshot.results.parts, foretold(data)
    if rows.empty or not data.snapshot.launches or others:
        return None
    said = json.dumps(rows.to_dict("records"), default=float)
    name = hashlib.sha256(said.encode()).hexdigest()[:12]
    try:
        if name in results.names(KIND):
            return None
        made = datetime.now(UTC)
        results.write(KIND, name, [r | {"made": made} for r in _plain(rows)])
    except Refused as error:
        warnings.warn(f"the predictions are not kept: {error}", stacklevel=2)
        return None
    return name


def came(data: Data) -> pd.DataFrame:
    """Each size that was trained after a law was kept that did not know it: one row, of the last
    such law: label, split, metric, made, sizes, largest, size; predicted, low, high, over_n and
    over_unit (units of its band); observed, observed_low, observed_high, n, unit; off (predicted -
    observed). Empty where there is none.
    """
    kept = data.snapshot.results.read(KIND).to_pandas()
    rows = []
    for runs in _known(data):
        of_it = kept[(kept["family"] == _family(runs)) & (kept["split"] == runs.about["split"])]
        of_it = of_it[of_it["metric"] == values_of(data)[1].metric]
        for size, values in zip(runs.size_M, runs.error_MU, strict=True):
            before = of_it[of_it["largest"] < size]
            if len(before):
                last = before[before["made"] == before["made"].max()]
                rows.append(_compared(last.sort_values("size"), runs, float(size), values))
    return pd.DataFrame(rows)


def _known(data: Data) -> Iterator[Runs]:
    yield from runs_by(data, SIZE)


def _family(runs: Runs) -> str:
    """12 digits of the settings that a condition's trials share."""
    return hashlib.sha256(runs.key.encode()).hexdigest()[:12]


def _rows(runs: Runs) -> Iterator[dict[str, Any]]:
    largest = float(runs.size_M[-1])
    found = predicted(runs, largest * FACTORS)
    about = {
        "family": _family(runs),
        "label": runs.about["family"],
        "split": runs.about["split"],
        "sizes": len(runs.size_M),
        "largest": largest,
        "n": runs.error_MU.shape[1] if runs.unit else 1,
        "unit": runs.unit or "none",
        **dict(zip(("floor", "scale", "exponent"), map(float, found.law), strict=True)),
        "of": " ".join(runs.trials),
    }
    bands = zip(found.mean_X, found.low_X, found.high_X, strict=True)
    for factor, (mean, low, high) in zip(FACTORS, bands, strict=True):
        yield about | {"size": largest * factor, "predicted": mean, "low": low, "high": high}


def _plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as records take them: Python's own numbers."""
    return [{str(k): getattr(v, "item", lambda v=v: v)() for k, v in row.items()}
            for row in rows.to_dict("records")]  # fmt: skip


def _compared(law: pd.DataFrame, runs: Runs, size: float, values: Any) -> dict[str, Any]:
    first = law.iloc[0]
    mean = float(first["floor"] + first["scale"] * size ** -first["exponent"])
    places = np.log(law["size"])
    inside = size <= law["size"].max()
    low, high = (
        float(np.interp(np.log(size), places, law[edge])) if inside else float("nan")
        for edge in ("low", "high")
    )
    observed, limits = float(np.mean(values)), over_units(values)
    return {
        **{name: first[name] for name in ("label", "split", "metric", "made", "sizes", "largest")},
        "size": size,
        **{"predicted": mean, "low": low, "high": high},
        **{"over_n": first["n"], "over_unit": first["unit"]},
        "observed": observed,
        "observed_low": max(limits.low, 0.0),
        "observed_high": limits.high,
        "n": len(values) if runs.unit else len(runs.trials),
        "unit": runs.unit or "trials",
        "off": mean - observed,
    }
