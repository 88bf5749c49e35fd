"""`overhear measure`: what is timed, what is left out, and what is kept of whom."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from test_model import brief, ended
from typer.testing import CliRunner

from overhear.command import app
from scaling import machine
from scaling.results.records import Results
from scaling.settings import Trial
from scaling.shipping import latency, stopwatch
from scaling.shipping.stopwatch import Job, Scope, Timing
from scaling.sound.store import Store

TIMING = Timing("waveform", 2.0, 3.0, 1.9, 2.1, 2.0, 300_000_000, 4_000_000, 200, 0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture
def complete(trial: Trial, store: Store, folder: Path) -> Results:
    """One small trial, trained once for this file."""
    if (folder / "weights").is_dir():
        return Results(folder)
    return ended(brief(trial), store, machine.here("cpu", "float32", 1), folder)


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Jobs are noted and answered at once."""
    asked: list[Job] = []

    def run(job: Job) -> list[Timing]:
        asked.append(job)
        return [TIMING._replace(scope="network", p50_ms=1.0), TIMING]

    monkeypatch.setattr(stopwatch, "run", run)
    return asked


def test_a_trial_is_measured_in_a_process_of_its_own(trial: Trial, complete: Results) -> None:
    name = brief(trial).id
    (rows,) = latency.measured(complete, [name], ["float32"], repeats=20)
    kept = complete.read("latency", [name]).to_pylist()
    assert [row["scope"] for row in kept] == ["network", "waveform"]
    assert kept == rows
    for row in kept:
        assert 0 < row["low_ms"] <= row["p50_ms"] <= min(row["p95_ms"], row["high_ms"])
        assert row["repeats"] >= 20
        # this process holds torch, too: a peak that began with its own would be above
        assert 1e5 < row["model_memory_bytes"] < 1e8 < row["peak_memory_bytes"]
        assert json.loads(row["versions"])["torch"]


def test_what_the_process_refuses_is_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = subprocess.CompletedProcess([], 2, "", "a warning\n--trial t: not in results\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: refused)
    with pytest.raises(ValueError, match=r"^--trial t: not in results$"):
        stopwatch.run(Job("results", "t"))


def test_a_process_that_dies_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    killed = subprocess.CompletedProcess([], -9, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: killed)
    with pytest.raises(ValueError, match=r"^t: the process that .* code -9 \(it said nothing\)"):
        stopwatch.run(Job("results", "t"))


@pytest.mark.parametrize(("every", "kept", "share"), [(0, 20, 0.0), (3, 20, 9 / 29), (1, 80, 1.0)])
def test_interrupted_calls_are_left_out_unless_all_are(
    monkeypatch: pytest.MonkeyPatch, every: int, kept: int, share: float
) -> None:
    """Every third call, the warm-up apart, or each."""
    monkeypatch.setattr(stopwatch, "WARM_UP", (0, 0.0))
    calls = switches = 0

    def call() -> None:
        nonlocal calls, switches
        calls += 1
        switches += bool(every) and calls % every == 0

    monkeypatch.setattr(stopwatch, "_switches", lambda: switches)
    times, found = stopwatch._times(call, 20)
    assert len(times) == kept
    assert found == pytest.approx(share)


def test_percentiles_are_those_of_the_times(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = np.random.default_rng(0).exponential(size=200).round(3).tolist()
    monkeypatch.setattr(stopwatch, "_times", lambda *_: ([(w, w / 2) for w in wall], 0.25))
    found = stopwatch._timing(Scope("waveform", lambda: None, 0), 200)
    assert found.p50_ms == pytest.approx(np.median(wall), abs=1e-3)
    assert found.p95_ms == np.quantile(wall, 0.95, method="inverted_cdf")
    medians = np.median(np.reshape(wall, (5, 40)), axis=1)
    assert (found.low_ms, found.high_ms) == pytest.approx((medians.min(), medians.max()), abs=1e-3)
    assert (found.cpu_ms, found.interrupted) == pytest.approx((np.median(wall) / 2, 0.25), abs=1e-3)


def test_machines_are_kept_side_by_side(
    trial: Trial, complete: Results, instant: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = brief(trial).id
    complete.remove("latency", f"{name}.parquet")
    for where, ms in (("A", 2.0), ("B", 9.0), ("A", 3.0)):
        monkeypatch.setattr(stopwatch, "run", lambda _, ms=ms: [TIMING._replace(p50_ms=ms)])
        [*latency.measured(complete, [name], ["float32"], named=where)]
    kept = complete.read("latency", [name]).to_pylist()
    assert [(row["machine"], row["p50_ms"]) for row in kept] == [("B", 9.0), ("A", 3.0)]


def test_the_command_tells_what_it_measured(
    trial: Trial, complete: Results, instant: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    asked = ["measure", complete.where, "--machine", "desk\x1b[31m"]
    said = CliRunner().invoke(app, asked, catch_exceptions=False).output
    said = " ".join(said.split())
    assert [job.precision for job in instant] == ["float32", "bfloat16"]
    assert "2.00 ms (cp_resnet-W2-fold1-seed3) from waveform to probabilities" in said
    assert "median in float32 on desk" in said
    assert "\x1b[31m" not in said
    lines = CliRunner().invoke(app, [*asked[:2], "--json", "--trial", brief(trial).id[:6]]).stdout
    rows = [json.loads(line) for line in lines.splitlines()]
    assert {row["trial"] for row in rows} == {brief(trial).id}
    assert {row["precision"] for row in rows} == {"float32", "bfloat16"}


def test_exported_files_are_timed_beside_it(
    trial: Trial, complete: Results, instant: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    name = brief(trial).id
    for ending in latency.FILES.values():
        complete.put(memoryview(b"a model"), "models", name + ending)
    said = CliRunner().invoke(app, ["measure", complete.where], catch_exceptions=False).output
    files = [(job.precision, Path(job.file).name, job.samples) for job in instant if job.file]
    samples = brief(trial).sound.samples
    assert files == [("float32", f"{name}.onnx", samples), ("int8", f"{name}.int8.onnx", samples)]
    kept = complete.read("latency", [name]).to_pylist()
    by = {(row["runtime"], row["precision"]) for row in kept}
    assert by >= {("torch", "bfloat16"), ("onnxruntime", "float32"), ("onnxruntime", "int8")}
    assert "onnxruntime" in said
    for ending in latency.FILES.values():
        complete.remove("models", name + ending)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--threads", "999"], f"^999: this machine has {os.cpu_count()} processors?: give"),
        (["--threads", "0"], "'0' is not a whole number, 1 or more"),
        (["--repeats", "3"], "'3' is not a whole number from 20 to 1,000,000"),
        (["--trial", "nobody"], "^--trial nobody: no trial of .* starts with that; the"),
        (["--study", "none"], "^--study none: not planned in "),
        (["--machine", "m" * 81], r"^--machine mmm.*: 81 letters, the limit is 80$"),
    ],
)
def test_bad_input_is_one_line(
    complete: Results, instant: list[Job], words: list[str], line: str
) -> None:
    with pytest.raises(Exception, match=line) as caught:
        app(["measure", complete.where, *words], standalone_mode=False)
    assert "\n" not in str(caught.value)
    assert not instant


def test_a_folder_without_weights_says_so(
    complete: Results, instant: list[Job], tmp_path: Path
) -> None:
    Results(tmp_path).write("manifest", "launch", complete.read("manifest"))
    with pytest.raises(ValueError, match=r"holds no trial's weights: run its sweep$"):
        app(["measure", str(tmp_path)], standalone_mode=False)
