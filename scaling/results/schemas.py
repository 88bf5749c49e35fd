"""Schemas: the columns of each kind of record, and rows as Arrow tables of them. No torch.

The meaning of a column is in its field's metadata. Contents: SCHEMAS, `describe`, `to_table`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from scaling import settings


def _field(name: str, kind: pa.DataType, meaning: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"meaning": meaning})


_TRIAL = _field("trial", pa.string(), "id: 12 hex digits of the SHA-256 of the trial's settings")
_EPOCH = _field("epoch", pa.int32(), "epochs trained when this was measured, from 1")
_SPLIT = _field(
    "split",
    pa.string(),
    "train (as augmented), train_clean, or held out: validation, test, seen, unseen (devices)",
)
_ARROW_OF: dict[Any, pa.DataType] = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def _setting(name: str, kind: Any) -> pa.Field:
    """The manifest's column for one field of Trial: numbers keep their type, all else is text."""
    base = next((k for k in (bool, int, float) if kind in (k, k | None)), str)
    return _field(name, _ARROW_OF.get(base, pa.string()), f"setting {name} of the trial", True)


# as scaling.receptive_field.gradients.Numbers has them, in input pixels: _f mel bands, _t frames
_FIELD_NUMBERS = (
    ("row", pa.float64(), "mel band that the field is centred on"),
    ("column", pa.float64(), "frame that the field is centred on"),
    ("sigma_f", pa.float64(), "standard deviation along frequency, mel bands"),
    ("sigma_t", pa.float64(), "standard deviation along time, frames"),
    ("f50", pa.int32(), "central width that holds 50 % of the mass, mel bands"),
    ("t50", pa.int32(), "the same along time, frames"),
    ("f95", pa.int32(), "central width that holds 95.45 % of the mass, mel bands"),
    ("t95", pa.int32(), "the same along time, frames"),
    ("luo_side", pa.float64(), "root of the number of pixels above 4.55 % of the largest"),
    ("participation", pa.float64(), "(sum g)^2 / sum g^2, pixels"),
    ("inside", pa.float64(), "share of the mass inside the maximum field: 1"),
)

SCHEMAS: dict[str, pa.Schema] = {
    "manifest": pa.schema(
        [
            _TRIAL,
            _field("study", pa.string(), "name of the study that planned it"),
            *(_setting(name, kind) for name, kind in settings.leaves().items()),
            _field("parameters", pa.int64(), "trainable numbers, normalization included"),
            _field("weights", pa.int64(), "convolution and linear weights, before pruning"),
            _field("kept_weights", pa.int64(), "convolution and linear weights that pruning keeps"),
            _field("macs", pa.int64(), "multiply-adds of one clip's forward pass"),
            _field("kept_parameters", pa.int64(), "parameters without cut channels, if any", True),
            _field("kept_macs", pa.int64(), "multiply-adds without cut channels, if any", True),
            _field(
                "dcase_macs",
                pa.int64(),
                "multiply-adds as the DCASE challenge counts them, without cut channels; null: "
                "not known, or planned by an earlier version",
                True,
            ),
            _field("epoch_macs", pa.int64(), "multiply-adds of training for an epoch", True),
            _field(
                "receptive_field",
                pa.int64(),
                "side of the maximum receptive field, input pixels; null: not known",
                True,
            ),
            _field("data_digest", pa.string(), "digest of the clip table (+ of the microphones)"),
            _field(
                "commit",
                pa.string(),
                "git commit of the code that planned it, if known; +D: files differ by code/D.diff",
                True,
            ),
            _field("planned", pa.timestamp("us", "UTC"), "when this launch planned it"),
        ]
    ),
    "metrics": pa.schema(
        [
            _TRIAL,
            _EPOCH,
            _SPLIT,
            _field("device", pa.string(), "recording device; all: mean over the split's clips"),
            _field("metric", pa.string(), "accuracy, loss, ...; measured by a clock: ..._seconds"),
            _field("value", pa.float64(), "its value; losses in nats"),
        ]
    ),
    "forecasts": pa.schema(
        [
            _TRIAL,
            _field("seconds", pa.float64(), "predicted seconds of the whole trial"),
            _field("at_most", pa.bool_(), "whether it may end sooner, as by patience"),
            _field(
                "how", pa.string(), "measured (its own step), scaled (another's), given, unknown"
            ),
            _field("speed", pa.float64(), "10^9 multiply-adds a second of the trial"),
            _field("slots", pa.int32(), "trials at once; null: unknown", True),
            _field("wall_s", pa.float64(), "predicted seconds of all of them, start to end", True),
            _field("node", pa.string(), "host name of where it was predicted"),
            _field("made", pa.timestamp("us", "UTC"), "when"),
        ]
    ),
    "forecast_errors": pa.schema(
        [
            _TRIAL,
            _field("predicted_s", pa.float64(), "predicted seconds of the trial"),
            _field("took_s", pa.float64(), "seconds it took: wall_s of its outcome"),
            _field("error", pa.float64(), "took / predicted - 1"),
            _field("predicted_wall_s", pa.float64(), "of all, where one launch ran them", True),
            _field("wall_s", pa.float64(), "seconds from that launch's start to its end", True),
        ]
    ),
    "laws": pa.schema(
        [
            _field("family", pa.string(), "digest of the settings that the sizes share"),
            _field("label", pa.string(), "the same in words"),
            _SPLIT,
            _field("metric", pa.string(), "what was fitted: loss, or accuracy as 1 - accuracy"),
            _field("sizes", pa.int32(), "how many sizes the law was fitted to"),
            _field("largest", pa.float64(), "kept parameters of the largest of them"),
            _field("floor", pa.float64(), "E of error = E + A N^-alpha"),
            _field("scale", pa.float64(), "A"),
            _field("exponent", pa.float64(), "alpha"),
            _field("size", pa.float64(), "kept parameters that it is predicted for"),
            _field("predicted", pa.float64(), "error that it predicts there"),
            _field("low", pa.float64(), "lower end of its 95 % band; no number: no band"),
            _field("high", pa.float64(), "upper end"),
            _field("n", pa.int32(), "units that the band is over"),
            _field("unit", pa.string(), "folds, repeats or none"),
            _field("of", pa.string(), "ids of the trials that it was fitted to"),
            _field("made", pa.timestamp("us", "UTC"), "when"),
        ]
    ),
    "predictions": pa.schema(
        [
            _TRIAL,
            _EPOCH,
            _SPLIT,
            _field("clip", pa.string(), "the clip's path below the dataset's root"),
            _field("device", pa.string(), "recording device or microphone, empty if unknown"),
            _field("label", pa.string(), "true class; of train_clean: the class it was taught"),
            _field("predicted", pa.string(), "class of the largest logit"),
            _field(
                "logits", pa.list_(pa.float32()), "one per class, classes in alphabetical order"
            ),
        ]
    ),
    "pairs": pa.schema(
        [
            _TRIAL,
            _field("city", pa.string(), "city"),
            _field("label", pa.string(), "class"),
            _field("part", pa.string(), "which side of the split the pair is on"),
        ]
    ),
    "maps": pa.schema(
        [
            _TRIAL,
            _EPOCH,
            _SPLIT,
            _field("kind", pa.string(), "what was differentiated: feature, logits, class NAME"),
            _field("clips", pa.int32(), "clips averaged over; one heard twice counts twice"),
            _field("rows", pa.int32(), "mel bands"),
            _field("columns", pa.int32(), "frames"),
            _field("values", pa.list_(pa.float32()), "mean |gradient|: rows x columns, by row"),
            *(_field(name, kind, meaning) for name, kind, meaning in _FIELD_NUMBERS),
        ]
    ),
    "latency": pa.schema(
        [
            _TRIAL,
            _field("machine", pa.string(), "what measured it: its processor, unless named"),
            _field("node", pa.string(), "host name"),
            _field("runtime", pa.string(), "torch or onnxruntime"),
            _field("threads", pa.int32(), "of the runtime"),
            _field("precision", pa.string(), "of the network: float32, bfloat16 (autocast), int8"),
            _field("scope", pa.string(), "waveform (to probabilities) or network (from features)"),
            _field("p50_ms", pa.float64(), "median milliseconds of one clip, by a wall clock"),
            _field("p95_ms", pa.float64(), "its 95th percentile"),
            _field("low_ms", pa.float64(), "lowest median of five stretches of the calls"),
            _field("high_ms", pa.float64(), "highest of these: other programs slow some down"),
            _field("cpu_ms", pa.float64(), "median milliseconds of processor time"),
            _field("peak_memory_bytes", pa.int64(), "peak of a fresh process, libraries included"),
            _field("model_memory_bytes", pa.int64(), "of it, what the model added to the process"),
            _field("repeats", pa.int32(), "timed calls that these are of, after warm-up"),
            _field("interrupted", pa.float64(), "share of calls that another program interrupted"),
            _field("versions", pa.string(), "JSON: Python and library versions"),
            _field("measured", pa.timestamp("us", "UTC"), "when"),
        ]
    ),
    "int8": pa.schema(
        [
            _TRIAL,
            _SPLIT,
            _field("device", pa.string(), "recording device or microphone; all: of the split"),
            _field("clips", pa.int32(), "held-out clips that both files answered"),
            _field("float32_accuracy", pa.float64(), "share that the exported file answers right"),
            _field("int8_accuracy", pa.float64(), "share that its int8 twin answers right"),
            _field("float32_bytes", pa.int64(), "size of the exported file"),
            _field("int8_bytes", pa.int64(), "size of its int8 twin"),
            _field("calibration_clips", pa.int32(), "training clips that ranges were read from"),
            _field("finetuned_epochs", pa.int32(), "epochs of training with rounded weights"),
            _field("made", pa.timestamp("us", "UTC"), "when"),
        ]
    ),
    "outcomes": pa.schema(
        [
            _TRIAL,
            _field("status", pa.string(), "complete, stopped (early, on purpose) or failed"),
            _field("error", pa.string(), "why it failed or was stopped, else null", True),
            _field("epochs", pa.int32(), "epochs trained"),
            _field("wall_s", pa.float64(), "seconds of training and scoring, over all attempts"),
            _field("node", pa.string(), "host name"),
            _field("device", pa.string(), "processor: cpu or the GPU's name"),
            _field("precision", pa.string(), "float32 or bfloat16 (autocast)"),
            _field("peak_memory_bytes", pa.int64(), "peak memory of the process, or of the GPU"),
            _field("versions", pa.string(), "JSON: Python and library versions"),
            _field(
                "labels",
                pa.list_(pa.string()),
                "of a complete trial: its classes, in the order of the logits",
                True,
            ),
        ]
    ),
}


def describe(kind: str) -> list[tuple[str, str, str]]:
    """(column, type, meaning) of one kind of record; the reference is made from it."""
    return [(f.name, str(f.type), f.metadata[b"meaning"].decode()) for f in SCHEMAS[kind]]


def to_table(kind: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as an Arrow table of this kind's schema.

    Arrow itself drops unknown columns and cuts 0.5 to 0 in an integer column without a word: here
    both raise ValueError, as does a null where none may be.
    """
    rows = list(rows)
    schema = SCHEMAS[kind]
    known = set(schema.names)
    for row in rows:
        if unknown := row.keys() - known:
            raise ValueError(
                f"{kind} has no column {sorted(unknown)[0]!r} (it has {', '.join(schema.names)})"
            )
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if not field.nullable and any(value is None for value in values):
            raise ValueError(f"{kind}.{field.name} must not be empty")
        if pa.types.is_integer(field.type) and any(isinstance(v, float) for v in values):
            raise ValueError(f"{kind}.{field.name} holds integers, not {values!r:.80}")
        try:
            columns.append(pa.array(values, field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ValueError(f"{kind}.{field.name}: {error}") from None
    return pa.Table.from_arrays(columns, schema=schema)
