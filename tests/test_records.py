import datetime
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest

from scaling.results import records
from scaling.results.records import HIDDEN, Results
from scaling.results.schemas import SCHEMAS, describe, to_table
from scaling.settings import Trial, flat, leaves

ROW = {
    "trial": "a",
    "epoch": 1,
    "split": "test",
    "device": "all",
    "metric": "accuracy",
    "value": 0.5,
}


def test_what_is_written_is_read(tmp_path: Path):
    results = Results(tmp_path / "r")
    assert results.read("metrics").num_rows == 0
    results.write("metrics", "b", [ROW | {"trial": "b", "value": math.nan}])
    results.write("metrics", "a", [ROW])
    found = results.read("metrics").to_pylist()
    assert [row["trial"] for row in found] == ["a", "b"]
    assert found[0] == ROW
    assert math.isnan(found[1]["value"])
    assert results.names("metrics") == ["a", "b"]


def test_any_parquet_reader_opens_it(tmp_path: Path):
    Results(tmp_path).write("metrics", "a", [ROW])
    table = pq.read_table(tmp_path / "metrics" / "a.parquet")
    assert table.to_pylist() == [ROW]
    assert table.schema.field("value").metadata[b"meaning"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"accuracy": 1}, "metrics has no column 'accuracy'"),
        ({"epoch": 0.5}, "metrics.epoch holds integers"),
        ({"value": "high"}, "metrics.value"),
        ({"split": None}, "metrics.split must not be empty"),
    ],
)
def test_what_a_column_cannot_hold_is_refused(tmp_path: Path, change: dict[str, object], line: str):
    with pytest.raises(ValueError, match=line):
        Results(tmp_path).write("metrics", "a", [ROW | change])
    assert not (tmp_path / "metrics").exists()


def test_the_manifest_has_a_column_for_every_setting(trial: Trial):
    assert set(leaves()) < set(SCHEMAS["manifest"].names)
    row = {
        "trial": trial.id,
        "study": "s",
        **flat(trial),
        **dict.fromkeys(("parameters", "weights", "kept_weights", "macs", "receptive_field"), 1),
        "data_digest": "d",
        "planned": datetime.datetime.now(datetime.UTC),
    }
    table = to_table("manifest", [row])
    assert table.schema.field("network.damping").type == pa.float64()
    assert table.schema.field("network.width").type == pa.int64()
    assert table.schema.field("evaluation.training_clips").type == pa.bool_()
    assert table.schema.field("split.validation_fold").type == pa.int64()
    assert table.to_pylist()[0]["split.train_devices"] == "a"


def test_every_column_has_a_meaning():
    for kind in SCHEMAS:
        assert all(meaning for _, _, meaning in describe(kind))


def test_newer_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    results = Results(tmp_path)
    monkeypatch.setattr(records, "VERSION", 99)
    results.write("metrics", "a", [ROW])
    monkeypatch.undo()
    with pytest.raises(
        ValueError,
        match=r"a.parquet was written by a newer version of Overhear \(layout 99, this one "
        r"knows 1\)",
    ):
        results.read("metrics")


def test_broken_files_are_named(tmp_path: Path):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "a.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(ValueError, match=r"a\.parquet cannot be read"):
        Results(tmp_path).read("metrics")


def test_an_unwritable_folder_is_said_at_once(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        ValueError, match=r"results folder .*file.* cannot be written .*--out"
    ) as caught:
        Results(tmp_path / "file" / "below").prepare()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A real ENOSPC, from the kernel's own full device."""
    results = Results(tmp_path)
    monkeypatch.setattr(results, "filesystem", _FullDisk(results.filesystem))
    with pytest.raises(
        ValueError, match=r"cannot be written \(No space left on device\): free some space"
    ):
        results.prepare()
    assert not list(tmp_path.iterdir())


class _FullDisk:
    """The local filesystem, all of whose streams end in /dev/full."""

    def __init__(self, real: pyarrow.fs.FileSystem) -> None:
        self.real = real

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)

    def open_output_stream(self, path: str, compression: None) -> object:
        Path(path).touch()
        return open("/dev/full", "wb", buffering=0)  # noqa: PTH123


def test_not_understood_uri():
    with pytest.raises(ValueError, match=r"results folder 'ftp://x/y' is not understood"):
        Results("ftp://x/y")


def test_uris_work(tmp_path: Path):
    results = Results(f"file://{tmp_path}/r")
    results.prepare()
    results.write("metrics", "a", [ROW])
    assert Results(tmp_path / "r").read("metrics").num_rows == 1


def test_readers_never_see_a_file_that_is_being_written(tmp_path: Path):
    """A process that is killed while it writes leaves no half file under the real name."""
    code = f"""
import os
from scaling.results.records import Results
results = Results({str(tmp_path)!r})
results.write("metrics", "a", [{ROW!r}])
real = results.filesystem.move
class Killed:
    def __getattr__(self, name): return getattr(inner, name)
    def move(self, *_): os.kill(os.getpid(), 9)
inner, results.filesystem = results.filesystem, Killed()
results.write("metrics", "b", [{ROW!r}])
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False, env=os.environ)
    assert ended.returncode == -9
    left = sorted(path.name for path in (tmp_path / "metrics").iterdir())
    assert len(left) == 2
    assert left[0].startswith(HIDDEN)
    assert re.fullmatch(r"a\.parquet", left[1])
    assert Results(tmp_path).names("metrics") == ["a"]
    assert Results(tmp_path).read("metrics").num_rows == 1


def test_remove(tmp_path: Path):
    results = Results(tmp_path)
    results.put(b"x", "checkpoints", "a", "last.pt")
    assert results.get("checkpoints", "a", "last.pt") == b"x"
    results.remove("checkpoints", "a")
    results.remove("checkpoints", "a")
    assert results.get("checkpoints", "a", "last.pt") is None


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """And its name is there before the writer goes on: a power cut leaves the old or the new."""
    done: list[tuple[str, str]] = []
    real_flush, results = os.fsync, Results(tmp_path / "deep" / "r")

    def flush(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        done.append(("flushed", name[-9:] if HIDDEN in name else name))
        real_flush(descriptor)

    class Watched:
        def __getattr__(self, name: str) -> object:
            return getattr(local, name)

        def move(self, source: str, target: str) -> None:
            done.append(("renamed", Path(target).name))
            local.move(source, target)

    local = results.filesystem
    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(results, "filesystem", Watched())
    monkeypatch.setattr(Results, "local", True)
    for _ in range(2):
        results.write("metrics", "a", [ROW])
    first = ["metrics", "r", "deep", tmp_path.name]  # each has a new entry
    file = ("flushed", "a.parquet"), ("renamed", "a.parquet")
    assert done == [*file, *(("flushed", each) for each in first), *file, ("flushed", "metrics")]
