"""Records: what a results folder holds. Schemas, atomic writer, reader. No torch.

A results folder is any pyarrow filesystem URI or local path; below it lies one folder per kind of
record: `manifest/<launch>.parquet`, and per trial `metrics/`, `predictions/`, `pairs/`, `maps/`
and `outcomes/<trial>.parquet`, `weights/<trial>.safetensors`, `checkpoints/<trial>/`. Every file is
written under another name and renamed, so that a reader never sees half a file. Any Parquet reader
can open them; the meaning of a column is in its field's metadata.
"""

import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet as pq

from scaling import config

VERSION = 1  # of the layout; raised when an older reader would misread a newer folder
HIDDEN = ".writing-"  # begins the name of a file that is being written


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


# as scaling.erf.Numbers has them, in pixels of the input: _f mel bands, _t frames
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
            *(_setting(name, kind) for name, kind in config.leaves().items()),
            _field("parameters", pa.int64(), "trainable numbers, normalization included"),
            _field("weights", pa.int64(), "convolution and linear weights, before pruning"),
            _field("kept_weights", pa.int64(), "convolution and linear weights that pruning keeps"),
            _field("macs", pa.int64(), "multiply-adds of one clip's forward pass"),
            _field(
                "receptive_field", pa.int64(), "side of the maximum receptive field, input pixels"
            ),
            _field("data_digest", pa.string(), "digest of the clip table (+ of the microphones)"),
            _field("commit", pa.string(), "git commit of the code that planned it, if known", True),
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
    "outcomes": pa.schema(
        [
            _TRIAL,
            _field("status", pa.string(), "complete, stopped (early, on purpose) or failed"),
            _field("error", pa.string(), "why it failed, else null", True),
            _field("epochs", pa.int32(), "epochs trained"),
            _field("wall_s", pa.float64(), "seconds of training and scoring, over all attempts"),
            _field("node", pa.string(), "host name"),
            _field("device", pa.string(), "processor: cpu or the GPU's name"),
            _field("precision", pa.string(), "float32 or bfloat16 (autocast)"),
            _field("peak_memory_bytes", pa.int64(), "peak memory of the process, or of the GPU"),
            _field("versions", pa.string(), "JSON: Python and library versions"),
        ]
    ),
}


def describe(kind: str) -> list[tuple[str, str, str]]:
    """(column, type, meaning) of one kind of record; README's tables are made from it."""
    return [(f.name, str(f.type), f.metadata[b"meaning"].decode()) for f in SCHEMAS[kind]]


class Results:
    """One results folder: a local path or any pyarrow filesystem URI (`s3://bucket/study`,
    `file:///...`).
    """

    def __init__(self, where: str | os.PathLike[str]) -> None:
        """Raises ValueError when the URI is not understood; touches nothing yet."""
        self.where = os.fspath(where)
        try:
            if "://" in self.where:
                self.filesystem, self.base = pa.fs.FileSystem.from_uri(self.where)
            else:
                self.filesystem = pa.fs.LocalFileSystem()
                self.base = Path(self.where).expanduser().resolve().as_posix()
        except (pa.ArrowInvalid, OSError) as error:
            raise ValueError(
                f"results folder {self.where!r} is not understood ({error}): give a folder or a "
                "URI such as s3://bucket/study"
            ) from None

    @property
    def local(self) -> bool:
        """Whether files lie on a filesystem that renames atomically."""
        return isinstance(self.filesystem, pa.fs.LocalFileSystem)

    def path(self, *parts: str) -> str:
        """The path of a file in this folder, in the words of `self.filesystem`."""
        return "/".join((self.base.rstrip("/"), *parts))

    def prepare(self) -> None:
        """Make the folder and prove that it can be written; raises ValueError when it cannot."""
        try:
            self.filesystem.create_dir(self.path(), recursive=True)
            probe = f"{HIDDEN}probe-{uuid.uuid4().hex}"
            self.put(b"overhear", probe)
            self.filesystem.delete_file(self.path(probe))
        except OSError as error:
            raise ValueError(
                f"results folder {self.where} cannot be written ({_reason(error)}): "
                "free some space, mend its rights, or name another with --out"
            ) from None

    def put(self, content: bytes | memoryview, *parts: str) -> None:
        """Write one whole file: under another name first, then renamed (object stores put whole
        objects anyway).
        """
        *folders, name = parts
        target = self.path(*parts)
        if self.local:
            folder = self.path(*folders)
            self.filesystem.create_dir(folder, recursive=True)
            draft = f"{folder}/{HIDDEN}{uuid.uuid4().hex}-{name}"
            try:
                with self.filesystem.open_output_stream(draft) as stream:
                    stream.write(content)
                self.filesystem.move(draft, target)
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise
        else:
            with self.filesystem.open_output_stream(target) as stream:
                stream.write(content)

    def get(self, *parts: str) -> bytes | None:
        """The content of one file, or None where there is none."""
        try:
            with self.filesystem.open_input_stream(self.path(*parts)) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def remove(self, *parts: str) -> None:
        """Delete a file or a folder below this one, if it is there."""
        info = self.filesystem.get_file_info(self.path(*parts))
        if info.type == pa.fs.FileType.Directory:
            self.filesystem.delete_dir(self.path(*parts))
        elif info.type == pa.fs.FileType.File:
            self.filesystem.delete_file(self.path(*parts))

    def write(self, kind: str, name: str, rows: Iterable[Mapping[str, Any]] | pa.Table) -> None:
        """Write all rows of one record file. Raises ValueError for a column or value the schema
        cannot hold.
        """
        table = rows if isinstance(rows, pa.Table) else to_table(kind, rows)
        sink = pa.BufferOutputStream()
        metadata = {**(table.schema.metadata or {}), b"overhear": str(VERSION).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), sink, compression="zstd")
        self.put(memoryview(sink.getvalue()), kind, f"{name}.parquet")

    def names(self, kind: str, suffix: str = ".parquet") -> list[str]:
        """Names of the finished files of one kind, sorted, without their ending."""
        selector = pa.fs.FileSelector(self.path(kind), allow_not_found=True)
        found = (info.base_name for info in self.filesystem.get_file_info(selector) if info.is_file)
        return sorted(
            n.removesuffix(suffix) for n in found if n.endswith(suffix) and not n.startswith(HIDDEN)
        )

    def read(self, kind: str, names: Iterable[str] | None = None) -> pa.Table:
        """All rows of one kind (of the named files), in the order of the names; an empty table
        where there are none.

        Raises ValueError when a file was written by a newer version, or cannot be read.
        """
        wanted = self.names(kind) if names is None else list(names)
        tables = [self._read_one(kind, name) for name in wanted]
        empty = SCHEMAS[kind].empty_table()
        return pa.concat_tables([empty, *tables], promote_options="permissive") if tables else empty

    def _read_one(self, kind: str, name: str) -> pa.Table:
        path = self.path(kind, f"{name}.parquet")
        try:
            table = pq.read_table(path, filesystem=self.filesystem, partitioning=None)
        except (pa.ArrowInvalid, OSError) as error:
            raise ValueError(f"{path} cannot be read ({_reason(error)}): move it away") from None
        version = int((table.schema.metadata or {}).get(b"overhear", b"0"))
        if version > VERSION:
            raise ValueError(
                f"{path} was written by a newer Overhear (layout {version}, this one knows "
                f"{VERSION}): "
                "update Overhear to read it"
            )
        return table.replace_schema_metadata(None)


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


def _reason(error: Exception) -> str:
    """An OSError in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__
