"""Records: what a results folder holds. Schemas, atomic writer, reader. No torch.

A results folder is any pyarrow filesystem URI or local path; below it lies one folder per kind of
record: `manifest/<launch>.parquet`, `forecasts/` and `forecast_errors/<time>.parquet`, and per
trial `metrics/`, `predictions/`, `pairs/`, `maps/` and `outcomes/<trial>.parquet`,
`weights/<trial>.safetensors`, `checkpoints/<trial>/`. A reader never sees half a file: a file is
written under another name and renamed, an object of a store is put as a whole. Any Parquet reader
can open them; the meaning of a column is in its field's metadata. Contents: SCHEMAS, Results,
`to_table`, `describe`.
"""

import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet as pq

from scaling import config
from scaling.storage import NO_BUCKET, Trouble, opened, patiently, shown, trouble

VERSION = 1  # of the layout; raised when an older reader would misread a newer folder
HIDDEN = ".writing-"  # begins the name of a file that is being written
# Stores that take an object as a whole; renaming one would copy it.
OBJECTS = ("s3", "gcs", "abfs")
READERS = 16  # requests to a store at once: each waits longer than it works
TABLES = 100  # in memory at once, before they are one
TRIES = 3  # to read an object that others replace
PATIENCE = 30.0  # seconds in which a store that is busy or gone is asked again

T = TypeVar("T")


class Refused(OSError, ValueError):
    """The results folder cannot be read or written, in one line: full, gone, forbidden. It is
    nobody's failure but the folder's.
    """


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
            _field("epoch_macs", pa.int64(), "multiply-adds of training for an epoch", True),
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
            _field("error", pa.string(), "why it failed or was stopped, else null", True),
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
    `file:///...`). `address` opens it again, on any machine; `where` is what may be printed of it.
    """

    def __init__(self, where: str | os.PathLike[str], patience: float | None = None) -> None:
        """Raises ValueError when the URI is not understood or names nothing; touches nothing yet.
        `patience` is given in seconds, else by OVERHEAR_PATIENCE, else it is PATIENCE.
        """
        self.patience = _patience() if patience is None else patience
        self.address = os.fspath(where)
        if not self.address.strip() or "\0" in self.address:
            raise ValueError(f"results folder {self.address!r}: no folder has such a name")
        self.where = shown(self.address)
        if "://" in self.address:
            self.filesystem, self.base = opened(self.address, "results folder")
        else:
            self.filesystem = pa.fs.LocalFileSystem()
            self.base = Path(self.address).expanduser().resolve().as_posix()
            self.address = self.base

    @property
    def local(self) -> bool:
        """Whether files lie on a filesystem of this machine."""
        return bool(self.filesystem.type_name == "local")

    def path(self, *parts: str) -> str:
        """The path of a file in this folder, in the words of `self.filesystem`."""
        return "/".join((self.base.rstrip("/"), *parts))

    def prepare(self) -> None:
        """Make the folder and prove that it can be written; raises Refused at once when it
        cannot.
        """
        try:
            if self.filesystem.type_name not in OBJECTS:
                self.filesystem.create_dir(self.path(), recursive=True)
            probe = f"{HIDDEN}probe-{uuid.uuid4().hex}"
            self._put(b"overhear", probe)
            self.filesystem.delete_file(self.path(probe))
        except OSError as error:
            raise Refused(self._line("written", trouble(error))) from None

    def put(self, content: bytes | memoryview, *parts: str) -> None:
        """Write one whole file: under another name first, then renamed; an object directly.

        A writer that is killed leaves no file of that name, or the one that was there before (of a
        large object a store may keep unseen parts: let its lifecycle rule abort those uploads).
        Raises Refused when it cannot be written.
        """
        self._ask("written", lambda: self._put(content, *parts))

    def _put(self, content: bytes | memoryview, *parts: str) -> None:
        if self.filesystem.type_name in OBJECTS:
            # Arrow completes the object of a stream that an exception closes, however little was
            # written. Ctrl-C reaches the main thread only: here it waits until the object is whole.
            with ThreadPoolExecutor(1) as undisturbed:
                undisturbed.submit(int).result()  # one that comes as a thread starts loses it
                undisturbed.submit(self._stream, content, self.path(*parts)).result()
            return
        *folders, name = parts
        folder = self.path(*folders)
        self.filesystem.create_dir(folder, recursive=True)
        draft = f"{folder}/{HIDDEN}{uuid.uuid4().hex}-{name}"
        try:
            self._stream(content, draft)
            self.filesystem.move(draft, self.path(*parts))
        except BaseException:
            with suppress(OSError):
                self.filesystem.delete_file(draft)
            raise

    def _stream(self, content: bytes | memoryview, path: str) -> None:
        with self.filesystem.open_output_stream(path) as stream:
            stream.write(content)

    def get(self, *parts: str) -> bytes | None:
        """The content of one file, or None where there is none.

        Raises Refused when it is there and cannot be read.
        """
        return self._ask("read", lambda: self._get(*parts))

    def _get(self, *parts: str) -> bytes | None:
        try:
            # a file, not a stream: of an object, Arrow reads a stream in pieces, one request each
            with self.filesystem.open_input_file(self.path(*parts)) as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def remove(self, *parts: str) -> None:
        """Delete a file or a folder below this one, if it is there. Raises Refused."""
        self._ask("written", lambda: self._remove(*parts))

    def _remove(self, *parts: str) -> None:
        info = self.filesystem.get_file_info(self.path(*parts))
        with suppress(FileNotFoundError):  # another was quicker
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
        """Names of the finished files of one kind, sorted, without their ending.

        Raises Refused when they cannot be listed.
        """
        selector = pa.fs.FileSelector(self.path(kind), allow_not_found=True)
        infos = self._ask("read", lambda: self.filesystem.get_file_info(selector))
        if not infos and not self._in_a_bucket():
            raise Refused(self._line("read", NO_BUCKET))
        found = (info.base_name for info in infos if info.is_file)
        return sorted(
            n.removesuffix(suffix) for n in found if n.endswith(suffix) and not n.startswith(HIDDEN)
        )

    def folders(self, kind: str) -> list[str]:
        """Names of the folders of one kind. Raises Refused when a store does not list them."""
        selector = pa.fs.FileSelector(self.path(kind), allow_not_found=True)
        infos = self._ask("read", lambda: self.filesystem.get_file_info(selector))
        return [info.base_name for info in infos if info.type == pa.fs.FileType.Directory]

    def holds(self, kind: str, name: str) -> bool:
        """Whether there is a record of this name. Raises Refused when a store does not say."""
        path = self.path(kind, f"{name}.parquet")
        info = self._ask("read", lambda: self.filesystem.get_file_info(path))
        return bool(info.is_file)

    def _in_a_bucket(self) -> bool:
        """Whether there is anything that could hold objects: a list of none does not tell."""
        if self.filesystem.type_name not in OBJECTS:
            return True
        try:
            bucket = self.filesystem.get_file_info(self.base.partition("/")[0])
        except OSError:  # it may be listed below this folder only
            return True
        return bool(bucket.type != pa.fs.FileType.NotFound)

    def read(self, kind: str, names: Iterable[str] | None = None) -> pa.Table:
        """All rows of one kind (of the named files), in the order of the names; an empty table
        where there are none.

        Raises ValueError when a file was written by a newer version, or cannot be read.
        """
        wanted = self.names(kind) if names is None else list(names)
        parts = [empty := SCHEMAS[kind].empty_table()]
        with ThreadPoolExecutor(READERS) as readers:
            # by and by: what a small table takes is many times what it holds
            for at in range(0, len(wanted), TABLES):
                some = readers.map(
                    lambda name: self._read_one(kind, name), wanted[at : at + TABLES]
                )
                part = pa.concat_tables([empty, *some], promote_options="permissive")
                parts.append(part.combine_chunks())
        return pa.concat_tables(parts, promote_options="permissive")

    def _read_one(self, kind: str, name: str) -> pa.Table:
        path = self.path(kind, f"{name}.parquet")
        table = self._parsed(kind, f"{name}.parquet")
        version = int((table.schema.metadata or {}).get(b"overhear", b"0"))
        if version > VERSION:
            raise ValueError(
                f"{path} was written by a newer Overhear (layout {version}, this one knows "
                f"{VERSION}): "
                "update Overhear to read it"
            )
        return table.replace_schema_metadata(None)

    def _parsed(self, kind: str, name: str) -> pa.Table:
        """One file's table, of one moment.

        Of an object that grows between the question for its size and that for its content, a part
        is read: Parquet, whose index stands at the end, shows that.
        """
        for left in reversed(range(1 if self.local else TRIES)):
            try:
                content = self.get(kind, name)
                if content is None:
                    raise FileNotFoundError(2, "no such file")
                # read_table gathers for a data set first, which takes twice as long
                return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
            except Refused:
                raise
            except (pa.ArrowInvalid, OSError) as error:
                reason = trouble(error).reason
                if not left:
                    raise ValueError(
                        f"{self.path(kind, name)} cannot be read ({reason}): move it away"
                    ) from None
        raise AssertionError("the last try returns or raises")

    def _line(self, done: str, told: Trouble) -> str:
        """What stops this folder from being `done` (read, written), in one line."""
        local = "free some space, mend its rights" if done == "written" else "mend its rights"
        remedy = local if self.local else told.remedy
        other = "name another with --out" if done == "written" else "name another"
        return f"results folder {self.where} cannot be {done} ({told.reason}): {remedy}, or {other}"

    def _ask(self, done: str, question: Callable[[], T]) -> T:
        """The filesystem's answer; a store's is waited for. What it refuses becomes one line."""
        try:
            return question() if self.local else patiently(question, self.patience)
        except OSError as error:
            raise Refused(self._line(done, trouble(error))) from None


def _patience() -> float:
    given = os.environ.get("OVERHEAR_PATIENCE", "")
    try:
        seconds = float(given or PATIENCE)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise ValueError(f"OVERHEAR_PATIENCE={given}: seconds, 0 or more")
    return seconds


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
