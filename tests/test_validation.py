"""What a record must be to be believed: its name, its settings, its range, its size."""

import io
import json
import math
import os
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_analysis_table import end as finish
from test_analysis_table import measure, plan
from test_analysis_table import trial as made

from analysis import table
from analysis.commands.status import status
from scaling import settings
from scaling.results import parquet, validation, weights
from scaling.results.records import Damaged, Results
from scaling.results.schemas import SCHEMAS
from sweeps.study import shipped


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Two complete trials."""
    found = Results(tmp_path / "r")
    trials = [made(), made(seed=1)]
    plan(found, "launch", trials)
    for one in trials:
        measure(found, one, {"test": [0.1, 0.2]})
        finish(found, one)
    return found


def changed(results: Results, kind: str, name: str, **columns: Any) -> None:
    """A file of the folder, with these columns of its first row changed."""
    first, *others = results.read(kind, [name]).to_pylist()
    free = pa.schema([field.with_nullable(True) for field in SCHEMAS[kind]])
    results.write(kind, name, pa.Table.from_pylist([first | columns, *others], free))


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("metrics", {"value": 7.0}, "accuracy is 7.0, it is between 0 and 1"),
    ("metrics", {"value": -0.1}, "accuracy is -0.1, it is between 0 and 1"),
    ("metrics", {"metric": "train_seconds", "value": math.inf}, "is inf, it is at least 0"),
    ("metrics", {"trial": None}, "trial is empty in 1 rows"),
    ("metrics", {"epoch": 0}, "epoch is 0, it is at least 1"),
    (
        "metrics",
        {"epoch": 2},
        "it has more than one row for epoch 2, split test, device all, metric",
    ),
    ("metrics", {"trial": "0123456789ab"}, "it holds trial 0123456789ab, its name says"),
    ("outcomes", {"status": "fine"}, "status is 'fine', it is one of complete, stopped, failed"),
    ("outcomes", {"epochs": -1}, "epochs is -1, it is at least 0"),
    ("outcomes", {"wall_s": math.nan}, "wall_s is nan, it is at least 0"),
    ("manifest", {"network.width": 99}, "the settings of trial .* are not those of that id"),
    ("manifest", {"network.kind": "cat"}, "the settings of trial .* are not those of that id"),
    ("manifest", {"trial": "x"}, "the settings of trial x are not those of that id"),
    ("manifest", {"parameters": -5}, "parameters is -5, it is at least 0"),
]


@pytest.mark.parametrize(("kind", "columns", "line"), WRONG)
def test_what_cannot_be_is_refused(results: Results, kind: str, columns: dict[str, Any], line: str):
    name = "launch" if kind == "manifest" else made().id
    changed(results, kind, name, **columns)
    path = results.path(kind, f"{name}.parquet")
    with pytest.raises(Damaged, match=rf"^{path} cannot be right \(.*{line}.*\): .*delete it"):
        table.scores(results)


def test_logits_of_one_file_are_as_many(results: Results):
    row = {"trial": "a", "epoch": 1, "split": "test", "device": "", "label": "x", "predicted": "x"}
    rows = [row | {"clip": f"c{n}", "logits": [0.5] * n} for n in (2, 3)]
    results.write("predictions", "a", rows)
    with pytest.raises(ValueError, match="its rows have 2, 3 logits"):
        results.read("predictions")
    results.write("predictions", "a", [rows[0], rows[0]])
    with pytest.raises(
        ValueError, match="it has more than one row for epoch 1, split test, clip c2"
    ):
        results.read("predictions")


def test_another_trial_s_file_is_not_taken_for_this_one_s(results: Results):
    one, other = made().id, made(seed=1).id
    content = Path(results.path("metrics", f"{other}.parquet")).read_bytes()
    Path(results.path("metrics", f"{one}.parquet")).write_bytes(content)
    with pytest.raises(Damaged, match=f"metrics/{one}.parquet .*it holds trial {other}, its name"):
        table.scores(results)


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ({"epoch": None}, "it has no column epoch"),
        ({"epoch": pa.array(["one"])}, "epoch is string, not int32, and cannot become it"),
        ({"epoch": pa.array([2**40])}, "epoch is int64, not int32, and cannot become it"),
        ({"value": pa.array([None], pa.float64())}, "value is empty in 1 rows"),
    ],
)
def test_columns_are_those_of_the_kind(
    results: Results, columns: dict[str, pa.Array | None], line: str
):
    rows = results.read("metrics", [made().id]).slice(0, 1)
    for name, values in columns.items():
        at = rows.schema.get_field_index(name)
        rows = rows.remove_column(at) if values is None else rows.set_column(at, name, values)
    pq.write_table(rows, results.path("metrics", f"{made().id}.parquet"))
    with pytest.raises(Damaged, match=line):
        results.read("metrics", [made().id])


def test_what_other_writers_make_of_the_same_columns_is_read(results: Results):
    """Wider integers, large strings, dictionaries; and a column that a later version added."""
    path = results.path("metrics", f"{made().id}.parquet")
    before = results.read("metrics", [made().id])
    wide = before.set_column(0, "trial", before["trial"].cast(pa.large_string()))
    wide = wide.set_column(1, "epoch", before["epoch"].cast(pa.int64()))
    wide = wide.set_column(2, "split", before["split"].dictionary_encode())
    pq.write_table(wide.append_column("later", before["epoch"]), path)
    found = results.read("metrics", [made().id])
    assert found.drop_columns(["later"]).equals(before)


def test_text_that_is_none_is_refused(results: Results):
    row = results.read("outcomes", [made().id])
    data = pa.array([b"\xff\xfe"]).view(pa.string())
    broken = row.set_column(row.schema.get_field_index("node"), "node", data)
    results.write("outcomes", made().id, broken)
    with pytest.raises(Damaged, match=r"cannot be right .*UTF"):
        results.read("outcomes")


# settings and their ids


def test_the_quick_way_to_an_id_is_the_trial_s_own(tmp_path: Path):
    """Over all trials of all shipped studies; the plain twin makes each trial."""
    trials = {one.id: one for study in shipped() for one in study.trials()}
    chosen = list(trials.values())[:: max(1, len(trials) // 3000)]
    plan(Results(tmp_path), "launch", chosen)
    rows = pq.read_table(tmp_path / "manifest" / "launch.parquet")
    assert len(chosen) > 1000
    # of trials that a revision concerns, the quick way tells the id of before
    plainly = [[*settings.earlier_ids(one), one.id][0] for one in chosen]
    assert validation.stated_ids(rows) == plainly
    revised = [row for row, one in enumerate(chosen) if settings.earlier_ids(one)]
    assert all(validation.belongs(row) for row in rows.take(revised[:50]).to_pylist())
    assert all(validation.belongs(row) for row in rows.slice(0, 50).to_pylist())


def test_a_manifest_of_14_000_trials_is_read_in_seconds(tmp_path: Path):
    trials = [made(seed=seed) for seed in range(2000)]
    plan(Results(tmp_path), "launch", trials)
    (tmp_path / "manifest" / "other.parquet").write_bytes(
        (tmp_path / "manifest" / "launch.parquet").read_bytes()
    )
    begun = time.process_time()
    assert Results(tmp_path).read("manifest").num_rows == 4000
    assert time.process_time() - begun < 3, "14,000 would take above 10 s"


def test_settings_of_a_later_version_cannot_be_checked_here(results: Results):
    path = results.path("manifest", "launch.parquet")
    rows = results.read("manifest").to_pylist()
    later = [row | {"trial": "0" * 12, "network.wings": 3} for row in rows[:1]]
    pq.write_table(pa.Table.from_pylist(later), path)
    assert results.read("manifest")["trial"].to_pylist() == ["0" * 12]


# sizes and forms


def bomb(path: Path, rows: int, text: str, kind: pa.DataType | None = None) -> None:
    """A small file of many rows; it says that its texts are of that kind, else nothing."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), pa.array([text]))
    whole = {"trial": column, "epoch": pa.array([1] * rows, pa.int32())}
    whole |= dict.fromkeys(("split", "device", "metric"), column)
    whole["value"] = pa.array([0.5] * rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(whole)
    with pq.ParquetWriter(path, table.schema, compression="zstd", store_schema=False) as writer:
        writer.write_table(table)
        if kind:
            kinds = {name: kind if value is column else value.type for name, value in whole.items()}
            stated = b64encode(pa.schema(kinds).serialize())
            writer.add_key_value_metadata({"ARROW:schema": stated})


def test_a_file_that_claims_too_many_rows_is_not_unpacked(tmp_path: Path):
    path = tmp_path / "metrics" / "a.parquet"
    bomb(path, parquet.ROWS + 1, "a")
    assert path.stat().st_size < 1_000_000
    with pytest.raises(Damaged, match="it claims 10,000,001 rows, a record has at most 10,000,000"):
        Results(tmp_path).read("metrics")


@pytest.mark.parametrize("kind", [None, pa.string(), pa.large_string()])
def test_a_long_text_in_many_rows_is_not_unpacked(tmp_path: Path, kind: pa.DataType | None):
    path = tmp_path / "metrics" / "a.parquet"
    bomb(path, 100_000, "x" * 100_000, kind)  # 10 GB in each of four columns
    assert path.stat().st_size < 1_000_000
    before = peak()
    with pytest.raises(Damaged, match=r"trial unpacks to 10,000,000,000 bytes, at most 2,147"):
        Results(tmp_path).read("metrics")
    assert peak() - before < 500_000_000


def peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_large_file_is_read_all_the_same(tmp_path: Path):
    """The cautious way gives what the plain one does."""
    rows = [
        {
            "trial": "a",
            "epoch": e,
            "split": "test",
            "device": f"d{d}",
            "metric": "loss",
            "value": 1.0,
        }
        for e in range(1, 300)
        for d in range(20)
    ]
    results = Results(tmp_path)
    results.write("metrics", "a", rows)
    content = results.get("metrics", "a.parquet")
    assert content is not None
    plain = parquet.read(content)
    limit, parquet.BYTES = parquet.BYTES, 10_000_000
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        assert parquet.bounded(file.metadata) > parquet.BYTES
        cautious = parquet.read(content)
    finally:
        parquet.BYTES = limit
    assert parquet.fitted("metrics", cautious).equals(parquet.fitted("metrics", plain))


def test_texts_as_codes_are_the_same_texts() -> None:
    """Each has one code, also where a dictionary has two for it."""
    twice = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int32()), ["a", "b", "a"])
    columns = {
        "trial": ["t"] * 3, "epoch": pa.array([1, 2, 1], pa.int32()), "split": twice,
        "device": ["all"] * 3, "metric": pa.array(["loss"] * 3, pa.large_string()),
        "value": [0.5] * 3,
    }  # fmt: skip
    coded = parquet.fitted("metrics", pa.table(columns), ("split", "device", "metric"))
    for name in ("split", "device", "metric"):
        dictionary = coded[name].combine_chunks().dictionary.to_pylist()
        assert dictionary == list(dict.fromkeys(coded[name].to_pylist()))
    assert coded.cast(SCHEMAS["metrics"]).equals(parquet.fitted("metrics", pa.table(columns)))
    with pytest.raises(ValueError, match="more than one row for epoch 1, split a"):
        validation.check("metrics", "t", coded)


def test_a_column_asked_for_as_codes_may_be_missing() -> None:
    """It is said by name, as for any other column."""
    file = io.BytesIO()
    pq.write_table(pa.table({"trial": ["t"], "split": ["seen"]}), file)
    read = parquet.read(file.getvalue(), ("split", "device"))
    with pytest.raises(ValueError, match="it has no column epoch"):
        parquet.fitted("metrics", read, ("split", "device"))


def pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # its name must be short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("form", [pipe, a_socket, loop, device, Path.mkdir])
def test_what_is_no_file_is_never_opened(results: Results, form: Callable[[Path], None]):
    """To open a pipe is to wait for ever; a device has no end."""
    said: list[str] = []

    def ask(call: Callable[..., object], *words: str) -> None:
        try:
            call(*words)
        except ValueError as error:
            said.append(str(error))

    def look() -> None:
        for kind, suffix in (("metrics", ".parquet"), ("weights", ".safetensors")):
            path = Path(results.path(kind, f"zz{suffix}"))
            path.parent.mkdir(exist_ok=True)
            form(path)
            ask(results.names, kind, suffix)
            ask(results.get, kind, path.name)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "it waits"
    assert len(said) == 4
    assert all("zz." in line and "\n" not in line for line in said), said


def test_a_sparse_giant_is_not_read(results: Results):
    path = Path(results.path("metrics", f"{made().id}.parquet"))
    with path.open("r+b") as file:
        file.truncate(2**31)
    with pytest.raises(Damaged, match=r"has 2,147,483,648 bytes, at most 1,073,741,824 are read"):
        results.read("metrics")


# one damaged file in a folder


def test_status_shows_the_rest_and_analysis_refuses(
    results: Results, capsys: pytest.CaptureFixture[str]
):
    path = Path(results.path("outcomes", f"{made().id}.parquet"))
    path.write_bytes(b"torn")
    with pytest.warns(UserWarning, match=f"^{path} cannot be read .*delete it, and run the same"):
        status(results.address, json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["complete"] == 1
    with pytest.raises(ValueError, match=f"^{path} cannot be read"):
        table.scores(results)


def test_weights_say_whose_they_are(tmp_path: Path):
    import torch

    content = bytes(weights.packed("a" * 12, {"w": torch.ones(3)}))
    assert weights.unpacked(content, "a" * 12, "x/w.safetensors")["w"].tolist() == [1, 1, 1]
    with pytest.raises(
        ValueError, match=r"x/w.safetensors cannot be read \(it holds the weights of"
    ):
        weights.unpacked(content, "b" * 12, "x/w.safetensors")


def test_a_loss_may_be_any_number_or_none(results: Results):
    """Analysis says which mean cannot hold it."""
    rows = results.read("metrics", [made().id]).to_pylist()
    odd = iter([math.nan, math.inf, -math.inf, -5.0])
    rows = [r | ({"value": next(odd, 1.0)} if r["metric"] == "loss" else {}) for r in rows]
    results.write("metrics", made().id, rows)
    found = results.read("metrics", [made().id]).to_pylist()
    assert repr(found) == repr(rows)
