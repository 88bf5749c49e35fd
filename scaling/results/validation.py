"""Validation: what the rows of a record file must hold to be believed, whatever its name says. No
torch.

A file may be whole and yet be another trial's, or one that somebody edited. Each function raises
ValueError with what is wrong, in a few words; scaling.results.records names file and remedy.
Contents: `check` (its rows), `stated_ids` and `belongs` (a manifest's settings and their id).
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scaling import settings
from scaling.results.outcome import RECORDED
from scaling.results.schemas import SCHEMAS

# kinds named by their trial
OF_A_TRIAL = ("metrics", "predictions", "pairs", "maps", "latency", "int8", "outcomes")
SHARES = ("accuracy", "macro_f1", "fit")  # metrics between 0 and 1
# metrics that are finite and not negative
COUNTS = ("steps", "clips", "kept_weights", "kept_parameters", "kept_macs", "rate")
SLACK = 1e-6  # means of shares may be rounded above 1
# Columns that tell rows of one file apart.
KEYS = {
    "metrics": ("epoch", "split", "device", "metric"),
    "predictions": ("epoch", "split", "clip", "device"),
    "pairs": ("city", "label"),
    "maps": ("split", "kind"),
    "int8": ("split", "device"),
    "latency": ("machine", "runtime", "threads", "precision", "scope"),
}


FINITE = np.finfo(np.float64).max


class _Range(NamedTuple):
    column: str
    least: float
    most: float = math.inf
    unknown: bool = False  # whether it may be no number


_MILLISECONDS = ("p50_ms", "p95_ms", "low_ms", "high_ms", "cpu_ms")
_NUMBERS = (
    "parameters",
    "weights",
    "kept_weights",
    "macs",
    "kept_parameters",
    "kept_macs",
    "epoch_macs",
)
_RANGES = {
    "manifest": [_Range(name, 0) for name in (*_NUMBERS, "receptive_field")],
    "metrics": [_Range("epoch", 1)],
    "predictions": [_Range("epoch", 1)],
    "outcomes": [_Range("epochs", 0), _Range("wall_s", 0), _Range("peak_memory_bytes", 0)],
    "forecasts": [_Range("seconds", 0, unknown=True), _Range("slots", 1), _Range("wall_s", 0)],
    "forecast_errors": [_Range("predicted_s", 0), _Range("took_s", 0), _Range("error", -1)],
    "laws": [
        *(_Range(name, 0) for name in ("largest", "floor", "scale", "exponent", "size")),
        *(_Range(name, 0, unknown=True) for name in ("predicted", "low", "high")),
    ],
    "latency": [
        *(_Range(name, 0) for name in _MILLISECONDS),
        *(_Range(name, 0) for name in ("peak_memory_bytes", "model_memory_bytes")),
        *(_Range(name, 1) for name in ("threads", "repeats")),
        _Range("interrupted", 0, 1),
    ],
    "int8": [
        *(_Range(name, 0, 1) for name in ("float32_accuracy", "int8_accuracy")),
        _Range("finetuned_epochs", 0),
        *(_Range(n, 1) for n in ("clips", "float32_bytes", "int8_bytes", "calibration_clips")),
    ],
    "maps": [
        *(_Range(name, 1) for name in ("epoch", "clips", "rows", "columns")),
        _Range("inside", 0, 1 + SLACK, unknown=True),
    ],
}


def check(kind: str, name: str, table: pa.Table) -> None:
    """Raise ValueError unless these rows can be those of the file of this name (without ending)."""
    if kind in OF_A_TRIAL and (others := set(pc.unique(table["trial"]).to_pylist()) - {name}):
        raise ValueError(f"it holds trial {min(others)}, its name says {name}")
    for each in _RANGES.get(kind, ()):
        _within(table[each.column], each)
    if kind in KEYS:
        _told_apart(table, KEYS[kind])
    if kind in _OWN:
        _OWN[kind](table)


def _within(column: pa.ChunkedArray, asked: _Range) -> None:
    values = column.drop_null().to_numpy()
    good = (values >= asked.least) & (values <= asked.most)
    if values.dtype.kind == "f":
        good &= values <= FINITE
        good |= asked.unknown & np.isnan(values)
    if not good.all():
        bounds = f"at least {asked.least:g}"
        if asked.most < FINITE:
            bounds = f"between {asked.least:g} and {asked.most:.6g}"
        raise ValueError(f"{asked.column} is {values[~good][0]}, it is {bounds}")


def _told_apart(table: pa.Table, columns: Sequence[str]) -> None:
    """Raise ValueError where two rows stand for the same thing."""
    codes = np.zeros(table.num_rows, np.int64)
    size = 1
    for column in columns:
        encoded = table[column].combine_chunks().dictionary_encode()
        size *= max(1, len(encoded.dictionary))
        codes = codes * max(1, len(encoded.dictionary)) + encoded.indices.to_numpy()
    # to count takes a tenth of the time that it takes to sort, where few combinations are possible
    few = size <= 8 * len(codes)
    if (np.bincount(codes).max(initial=0) > 1) if few else len(np.unique(codes)) < len(codes):
        _, first, counts = np.unique(codes, return_index=True, return_counts=True)
        row = table.slice(int(first[counts > 1][0]), 1).to_pylist()[0]
        words = ", ".join(f"{column} {row[column]}" for column in columns)
        raise ValueError(f"it has more than one row for {words}")


def _metrics(table: pa.Table) -> None:
    encoded = table["metric"].combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    ranges = [_range_of(name) for name in names]
    least, most = (np.array([r[side] for r in ranges], float) for side in (1, 2))
    places, values = encoded.indices.to_numpy(), table["value"].to_numpy()
    if not len(values):
        return
    # analysis says itself which mean cannot hold what is no number
    unknown = np.isnan(values) & (most[places] != FINITE)
    good = (values >= least[places]) & (values <= most[places]) | unknown
    for at in np.flatnonzero(~good)[:1]:
        _within(pa.chunked_array([values[at : at + 1]]), ranges[places[at]])


def _range_of(metric: str) -> _Range:
    if metric in SHARES:
        return _Range(metric, 0, 1 + SLACK)
    counted = metric.split(".")[0] in COUNTS or metric.endswith("_seconds")
    return _Range(metric, 0, FINITE) if counted else _Range(metric, -math.inf)


def _predictions(table: pa.Table) -> None:
    logits = table["logits"].combine_chunks()
    lengths = pc.unique(pc.list_value_length(logits)).to_pylist()
    if len(lengths) > 1 or 0 in lengths:
        raise ValueError(f"its rows have {', '.join(map(str, sorted(lengths)))} logits")
    if logits.flatten().null_count:
        raise ValueError("a logit is empty")


def _maps(table: pa.Table) -> None:
    sizes = pc.multiply(table["rows"].cast(pa.int64()), table["columns"].cast(pa.int64()))
    lengths = pc.list_value_length(table["values"])
    if not pc.all(pc.equal(sizes, lengths), min_count=0).as_py():
        raise ValueError("a map has other than rows x columns values")
    if table["values"].combine_chunks().flatten().null_count:
        raise ValueError("a value of a map is empty")


def _outcomes(table: pa.Table) -> None:
    if table.num_rows != 1:
        raise ValueError(f"it has {table.num_rows} rows, an outcome is one")
    status = table["status"][0].as_py()
    if status not in RECORDED:
        raise ValueError(f"status is {status!r:.40}, it is one of {', '.join(RECORDED)}")


def _forecasts(table: pa.Table) -> None:
    if not table.num_rows:
        raise ValueError("it belongs to no trial")


def _manifest(table: pa.Table) -> None:
    """Raise ValueError where settings are not those of the trial that they stand beside."""
    trials = table["trial"].to_pylist()
    odd = [at for at, found in enumerate(stated_ids(table)) if found != trials[at]]
    if not odd:
        return
    known = set(SCHEMAS["manifest"].names)
    newer = [name for name in table.schema.names if name not in known]
    for at in odd:
        row = table.slice(at, 1).to_pylist()[0]
        # the setting of a later Overhear is part of the id, and cannot be checked here
        if not belongs(row) and all(row[name] is None for name in newer):
            raise ValueError(f"the settings of trial {trials[at]:.40} are not those of that id")


_OWN = {
    "metrics": _metrics,
    "predictions": _predictions,
    "maps": _maps,
    "outcomes": _outcomes,
    "forecasts": _forecasts,
    "manifest": _manifest,
}


def belongs(row: Mapping[str, Any]) -> bool:
    """Whether a manifest's row has the id of its settings, or the one before a revision."""
    try:
        trial = settings.unflat(row)
    except ValueError:
        return False
    return row["trial"] in (trial.id, *settings.earlier_ids(trial))


def stated_ids(table: pa.Table) -> list[str]:
    """The id that each row of a manifest states, as Trial.id of `unflat` has it, without making
    trials: of thousands, that would take seconds. A row whose id differs may still belong.
    """
    known = settings.settings()
    required = [name for name, each in known.items() if each.off is settings.REQUIRED]
    base: dict[str, Any] = {}
    for name in required:
        _inner(base, name)
    text = json.dumps(base)
    rows: list[dict[str, Any]] = [json.loads(text) for _ in range(table.num_rows)]
    for dotted, each in known.items():
        column = table[dotted]
        if pc.unique(column).to_pylist() in ([each.column], [None]):
            continue
        leaf = dotted.rpartition(".")[2]
        for row, value in zip(rows, column.to_pylist(), strict=True):
            if value is not None and value != each.column:
                several = each.type == tuple[str, ...]
                _inner(row, dotted)[leaf] = value.split(",") if several else value
    return [settings.hashed(row) for row in rows]


def _inner(row: dict[str, Any], dotted: str) -> dict[str, Any]:
    """The part of a nested row that a setting is in, made where it is missing."""
    for part in dotted.split(".")[:-1]:
        row = row.setdefault(part, {})
    return row
