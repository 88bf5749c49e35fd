"""Records: the files of a results folder, written whole and checked when they are read. No torch.

A results folder is a local path or any pyarrow filesystem URI. Below it lie
- one Parquet file per launch: `manifest/<launch>`; per forecast: `forecasts/<time>`,
  `forecast_errors/<time>`; per set of scaling laws: `laws/<digest>`; per trial: `metrics/`,
  `predictions/`, `pairs/`, `maps/`, `latency/`, `int8/` and `outcomes/<trial>`. Their columns are
  in scaling.results.schemas. Any Parquet reader opens them.
- `code/<digest>.diff`, how the code that planned a launch differs from its commit (code_version).
- `weights/<trial>.safetensors` (scaling.results.weights), and `checkpoints/<trial>/`, which a trial
  continues from (checkpoint) and whose `memory.json` says that it held too much (memory).
- `claims/<launch>.json`, what the study wants to know (claims), and `looks/<study>-<number>.json`,
  when it was judged while repeats were added (looks).
- `sweep.json`, by which one sweep at a time writes to the folder (lock_file).

A reader never sees half a file: it is written under another name, flushed to the disk and renamed;
an object of a store is put as a whole (folder). What is read is checked: its bytes are those that
were written (seal), it is of a bearable size, and it can be what its name says (validation).
Contents: Results, Refused, Damaged.
"""

import errno
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scaling.results import parquet, seal, validation
from scaling.results.folder import HIDDEN, Damaged, Folder, Refused
from scaling.results.outcome import RECORDED, Outcome, Status
from scaling.results.schemas import SCHEMAS, to_table
from scaling.storage import brief, scrubbed, trouble

__all__ = ["HIDDEN", "Damaged", "Refused", "Results"]

VERSION = 1  # of the layout; raised when an older reader would misread a newer folder
READERS = 16  # requests to a store at once: each waits longer than it works; of a disk, as cores
TABLES = 100  # in memory at once, before they are one
TRIES = 3  # to read an object that others replace
RECORD = 2**30  # bytes of a record file; of 10 million rows, a few hundred MB
_SWEEP = "run the same sweep again"
_REMEDIES = {  # for a file that cannot be read or believed, by its kind
    "manifest": f"delete it, and {_SWEEP}, which rewrites it",
    "outcomes": f"delete it, and {_SWEEP}: it resumes this trial",
    "latency": "delete it, and run overhear measure again",
    "int8": "delete it, and run overhear export --int8 again",
    "maps": "delete it, and run overhear erf again, which recomputes it",
    "forecasts": "delete it; overhear sweep --dry-run predicts again",
    "forecast_errors": "delete it",
    "laws": "delete it: what was predicted before is lost",
}


class Results(Folder):
    """A results folder, as every writer and reader of records uses it.

    Records of a kind: `write` a file of rows, `read` files as one table, `each` one by one, `names`
    of the files, `holds` one. How trials end: `end` writes the outcome, `ended` tells which trials
    have one, `outcome` and `outcomes` read it, `reopen` removes it so that the trial runs again.
    Any other file: `put`, `get`, `remove`, `path`. `prepare` makes the folder and proves that it
    can be written. Kinds are those of SCHEMAS; trials are named by their ids.
    """

    def write(self, kind: str, name: str, rows: Iterable[Mapping[str, Any]] | pa.Table) -> None:
        """Write all rows of one record file. Raises ValueError for a column or value the schema
        cannot hold.
        """
        table = rows if isinstance(rows, pa.Table) else to_table(kind, rows)
        metadata = {**(table.schema.metadata or {}), b"overhear": str(VERSION).encode()}
        table = table.replace_schema_metadata(metadata)
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(
            sink, table.schema, compression="zstd", write_page_checksum=True
        ) as writer:
            writer.write_table(table)
            writer.add_key_value_metadata({seal.FIELD: seal.BLANK})
        self.put(memoryview(seal.sealed(memoryview(sink.getvalue()))), kind, f"{name}.parquet")

    def read(self, kind: str, names: Iterable[str] | None = None) -> pa.Table:
        """All rows of one kind (of the named files), in the order of the names; an empty table
        where there are none.

        Raises Damaged, which is a ValueError, when a file cannot be read, is not what was written,
        or holds what its name or kind forbids; ValueError when a newer version wrote it. Unknown
        columns of a newer version are kept after the others.
        """
        parts = [empty := SCHEMAS[kind].empty_table()]
        tables = (table for _, table in self.each(kind, names))
        # by and by: what a small table takes is many times what it holds
        while some := list(islice(tables, TABLES)):
            part = pa.concat_tables([empty, *some], promote_options="permissive")
            parts.append(part.combine_chunks())
        return pa.concat_tables(parts, promote_options="permissive")

    def each(
        self, kind: str, names: Iterable[str] | None = None, coded: Sequence[str] = ()
    ) -> Iterator[tuple[str, pa.Table]]:
        """The files of one kind (those named), one by one: name and rows, in the order of the
        names. A few are read ahead, so that any number fits into memory. The columns `coded` are
        dictionaries of their texts, which takes half the time. Raises as `read` does.
        """
        wanted = iter(self.names(kind) if names is None else names)
        ahead: deque[tuple[str, Future[pa.Table | None]]] = deque()
        at_once = min(READERS, os.cpu_count() or 1) if self.local else READERS
        with ThreadPoolExecutor(at_once) as readers:

            def start(count: int) -> None:
                for name in islice(wanted, count):
                    ahead.append((name, readers.submit(self._read_one, kind, name, coded)))

            start(2 * at_once)
            while ahead:
                name, reading = ahead.popleft()
                table = reading.result()
                start(1)
                if table is not None:
                    yield name, table

    def end(self, outcome: Outcome) -> None:
        """Record how a trial ended; nothing runs it again. Raises Refused."""
        assert outcome.status in RECORDED, f"trial {outcome.trial} is {outcome.status}: no end"
        error = brief(scrubbed(outcome.error)) if outcome.error else None
        self.write("outcomes", outcome.trial, [outcome._replace(error=error)._asdict()])

    def reopen(self, trial: str) -> None:
        """Forget how a trial ended, so that it runs again."""
        self.remove("outcomes", f"{trial}.parquet")

    def ended(self, trials: Iterable[str] | None = None) -> set[str]:
        """Which of these trials (ids; None: of all) have ended, as complete, stopped or failed."""
        there = set(self.names("outcomes"))
        return there if trials is None else there.intersection(trials)

    def outcome(self, trial: str) -> Outcome | None:
        """How a trial ended; None: it has not. Raises Damaged where that cannot be told."""
        return self._outcomes([trial] if self.holds("outcomes", trial) else []).get(trial)

    def outcomes(self, trials: Iterable[str]) -> dict[str, Outcome]:
        """How those of these trials ended that have, by id. Raises as `read` does."""
        return self._outcomes(sorted(self.ended(trials)))

    def _outcomes(self, names: Iterable[str]) -> dict[str, Outcome]:
        rows = self.read("outcomes", names).select(Outcome._fields).to_pylist()
        return {row["trial"]: Outcome(**row | {"status": Status(row["status"])}) for row in rows}

    def _read_one(self, kind: str, name: str, coded: Sequence[str] = ()) -> pa.Table | None:
        """One file's table; None where a lenient reader leaves it out."""
        path = self.path(kind, f"{name}.parquet")
        remedy = _REMEDIES.get(
            kind, f"restore it from a copy, or delete it and outcomes/{name}.parquet, and {_SWEEP}"
        )
        try:
            table = self._parsed(kind, f"{name}.parquet", remedy, coded)
            try:
                version = int((table.schema.metadata or {}).get(b"overhear", b"0"))
                if version <= VERSION:
                    table = parquet.fitted(kind, table.replace_schema_metadata(None), coded)
                    validation.check(kind, name, table)
            except (ValueError, pa.ArrowException) as error:
                reason = trouble(error).reason
                raise Damaged(f"{path} cannot be right ({reason}): {remedy}") from None
        except Damaged as error:
            self._damaged(error)
            return None
        if version > VERSION:
            raise ValueError(
                f"{path} was written by a newer version of Overhear (layout {version}, this "
                f"one knows {VERSION}): update Overhear to read it"
            )
        return table

    def _parsed(self, kind: str, name: str, remedy: str, coded: Sequence[str]) -> pa.Table:
        """One file's table, of one moment.

        Of an object that grows between the question for its size and that for its content, a part
        is read: its seal shows that.
        """
        for left in reversed(range(1 if self.local else TRIES)):
            try:
                content = self.get(kind, name, most=RECORD)
                if content is None:
                    raise FileNotFoundError(errno.ENOENT, "no such file")
                seal.check(content)
                return parquet.read(content, coded)
            except (Refused, Damaged):
                raise
            except Exception as error:  # noqa: BLE001
                # Arrow raises many kinds of error for a damaged file, MemoryError among them
                if not left:
                    reason = trouble(error).reason
                    path = self.path(kind, name)
                    raise Damaged(f"{path} cannot be read ({reason}): {remedy}") from None
        raise AssertionError("the last try returns or raises")
