"""Results folders that no sweep would leave: one line each from analyze, status and erf.

A good folder is spoilt in the ways that people, full disks and other programs do.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_analysis_table import complete, end, measure, plan, predict, trial

from overhear.command import main
from scaling.results.records import Results

COMMANDS = (
    ["analyze", "--figure", "accuracy_vs_parameters", "--differences", "--format", "svg"],
    ["status"],
    ["erf"],
)


def run(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """Run a command; its exit code and its error, after what holds whatever it is given."""
    monkeypatch.setattr(sys, "argv", ["overhear", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    err = capsys.readouterr().err
    lines = err.splitlines()
    assert ended.value.code in (0, 2), err
    assert all(line.startswith("overhear: ") for line in lines), err
    errors = [line for line in lines if not line.startswith("overhear: warning")]
    assert len(errors) == (ended.value.code == 2), err
    assert max(map(len, lines), default=0) < 2500
    return int(ended.value.code or 0), "".join(errors)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three complete trials, one failed, one running, one missing."""
    where = tmp_path_factory.mktemp("good") / "results"
    results = Results(where)
    trials = [trial(seed=s, network__width=w) for s, w in ((0, 8), (0, 16), (1, 8))]
    splits = {"seen": [0.1, 0.2, 0.3], "unseen": [0.1, 0.2, 0.25]}
    complete(results, dict.fromkeys(trials, splits))
    predict(results, trials[0], 10)
    others = [trial(seed=s) for s in (7, 8, 9)]
    plan(results, "second", others, hours=1)
    end(results, others[0], "failed", "Diverged: the loss became nan")
    measure(results, others[1], splits)
    results.put(b'{"slots": 2}', "sweep.json")
    return where


def spoilt(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "results"))


def files(folder: Path, kind: str = "*") -> list[Path]:
    return sorted(folder.glob(f"{kind}/*.parquet"))


def change(kind: str, column: str, to: object) -> Callable[[Path], None]:
    """Every value of a column becomes another, of whichever type it has."""

    def spoil(folder: Path) -> None:
        for file in files(folder, kind):
            table = pq.read_table(file)
            at = table.schema.get_field_index(column)
            values = pa.array([to] * len(table))
            pq.write_table(table.set_column(at, column, values), file)

    return spoil


def drop(kind: str, column: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for file in files(folder, kind):
            pq.write_table(pq.read_table(file).drop_columns([column]), file)

    return spoil


def write(content: bytes, *names: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for name in names:
            for path in sorted(folder.glob(name)) or [folder / name]:
                path.parent.mkdir(exist_ok=True, parents=True)
                path.write_bytes(content)

    return spoil


def empty_rows(kind: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for file in files(folder, kind):
            pq.write_table(pq.read_table(file).slice(0, 0), file)

    return spoil


def half(kind: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for file in files(folder, kind):
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    return spoil


def newer(folder: Path) -> None:
    for file in files(folder):
        table = pq.read_table(file)
        pq.write_table(table.replace_schema_metadata({b"overhear": b"99"}), file)


def odd_layout(folder: Path) -> None:
    for file in files(folder, "metrics"):
        table = pq.read_table(file)
        pq.write_table(table.replace_schema_metadata({b"overhear": b"first"}), file)


def keep(*kinds: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for path in list(folder.iterdir()):
            if path.name not in kinds:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def only_metric(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for file in files(folder, "metrics"):
            table = pq.read_table(file)
            pq.write_table(table.filter(pa.compute.equal(table["metric"], name)), file)

    return spoil


def a_file_for_a_folder(kind: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        shutil.rmtree(folder / kind)
        (folder / kind).write_text("x")

    return spoil


def a_folder_for_a_file(kind: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for file in files(folder, kind):
            file.unlink()
            file.mkdir()

    return spoil


SPOILT: dict[str, Callable[[Path], None]] = {
    "nothing in it": keep(),
    "a manifest only": keep("manifest"),
    "metrics only": keep("metrics"),
    "outcomes only": keep("outcomes"),
    "no outcomes": keep("manifest", "metrics"),
    "no metrics": keep("manifest", "outcomes"),
    "half a manifest": half("manifest"),
    "half of the metrics": half("metrics"),
    "half of the outcomes": half("outcomes"),
    "half of the predictions": half("predictions"),
    "empty files": write(b"", "metrics/*.parquet"),
    "text for Parquet": write(b"trial,epoch\n", "outcomes/*.parquet"),
    "a newer layout": newer,
    "a layout of no number": odd_layout,
    "no planned row": empty_rows("manifest"),
    "no measured row": empty_rows("metrics"),
    "no ended row": empty_rows("outcomes"),
    "no predicted row": empty_rows("predictions"),
    "accuracy only": only_metric("accuracy"),
    "loss only": only_metric("loss"),
    "nan": change("metrics", "value", float("nan")),
    "infinite": change("metrics", "value", float("inf")),
    "text for a value": change("metrics", "value", "high"),
    "null values": change("metrics", "value", None),
    "null trials": change("metrics", "trial", None),
    "another split": change("metrics", "split", "moon"),
    "a split of no name": change("metrics", "split", ""),
    "a device named all": change("metrics", "device", "all"),
    "no device is all": change("metrics", "device", "a"),
    "epochs that are one": change("metrics", "epoch", 1),
    "a status that no one writes": change("outcomes", "status", "asleep"),
    "no status": change("outcomes", "status", None),
    "an error of a megabyte": change("outcomes", "error", "x" * 10**6),
    "no epochs": change("outcomes", "epochs", None),
    "an outcome of nobody's": change("outcomes", "trial", "0" * 12),
    "planned by nobody": change("manifest", "study", None),
    "a dataset of no name": change("manifest", "sound.dataset", None),
    "no parameters": change("manifest", "parameters", 0),
    "parameters below zero": change("manifest", "parameters", -5),
    "widths of text": change("manifest", "network.width", "wide"),
    "no widths": change("manifest", "network.width", None),
    "no digests": change("manifest", "data_digest", None),
    "kinds that do not exist": change("manifest", "network.kind", "transformer"),
    "prunings that do not exist": change("manifest", "pruning.kind", "hope"),
    "labels that do not exist": change("manifest", "split.labels", "none"),
    "objectives that do not exist": change("manifest", "objective.kind", "hope"),
    "no column trial": drop("manifest", "trial"),
    "no column value": drop("metrics", "value"),
    "no column status": drop("outcomes", "status"),
    "no column width": drop("manifest", "network.width"),
    "a sweep.json that is none": write(b"[" * 100_000, "sweep.json"),
    "a sweep.json of a list": write(b'["slots"]', "sweep.json"),
    "slots of a million": write(b'{"slots": 1e999}', "sweep.json"),
    "a file for the manifests": a_file_for_a_folder("manifest"),
    "a file for the metrics": a_file_for_a_folder("metrics"),
    "folders for the metrics": a_folder_for_a_file("metrics"),
    "a file for the figures": write(b"x", "figures"),
    "maps that are none": write(b"x", "maps/000000000000.parquet"),
    "forecasts that are none": write(b"x", "forecasts/2030.parquet"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_spoilt_folders_get_one_line(
    spoil: Callable[[Path], None],
    good: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = spoilt(good, tmp_path)
    spoil(folder)
    bad = []
    for command in COMMANDS:
        try:
            run([command[0], str(folder), *command[1:]], monkeypatch, capsys)
        except AssertionError as error:
            bad.append(f"{command}: {str(error)[:300]}")
    assert not bad, "\n".join(bad)
