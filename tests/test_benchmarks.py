"""Benchmarks: a ratio has its spread, and what a GPU machine will run, runs here."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The benchmarks importable, without their rests, and a history of its own."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import common

    monkeypatch.setattr(common, "REST", 0.0)
    history = tmp_path / "history.jsonl"
    monkeypatch.setattr(common, "HISTORY", history)
    return history


def test_a_ratio_has_the_quartiles_of_its_rounds():
    from common import timed

    found = timed("one", [1.0, 2.0, 4.0, 1.0], [2.0, 2.0, 4.0, 4.0], target=1.5, limit=1.0)
    assert (found.ours, found.peer) == (1500.0, 3000.0)  # medians, in ms
    assert found.ratio == 2.0
    assert (found.low, found.high) == (1.0, 2.5)  # of 1, 1, 2 and 4
    assert "reached" in found.verdict


def test_what_a_gpu_will_run_runs_on_a_cpu(beside: Path, capsys: pytest.CaptureFixture[str]):
    import gpu

    gpu.main(["--device", "cpu", "--quick"])
    names = [each["name"] for each in json.loads(beside.read_text())["results"]]
    for part in ("log_mel", "perceptual", "against float32", "against autocast", "2 trials, W"):
        assert any(part in name for name in names), part
    assert "2 trials, 1 epochs, s" in names
    assert "ceilings" in capsys.readouterr().out


def test_without_a_gpu_it_says_so(beside: Path, capsys: pytest.CaptureFixture[str]):
    import gpu
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    gpu.main([])
    assert "no GPU here" in capsys.readouterr().out
    assert not beside.exists()
