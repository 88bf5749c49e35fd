"""Benchmarks: a ratio has its spread, and what a GPU machine will run, runs here."""

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import torch

from scaling.sound.frontends import fused

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
    for part in (
        "log_mel, 2 clips against torchaudio",
        "perceptual, beside the aim",
        "against float32",
        "against autocast",
        "2 trials, W",
    ):
        assert any(part in name for name in names), part
    assert "2 trials, 1 epochs, s" in names
    assert "ceilings" in capsys.readouterr().out


def test_a_part_that_fails_costs_its_own_figures_alone(capsys: pytest.CaptureFixture[str]):
    import gpu
    from common import Result

    def fails() -> Iterator[Result]:
        yield Result("first", 1.0, 2.0, 2.0)
        raise torch.OutOfMemoryError("CUDA out of memory\nmore of it")

    def last() -> Iterator[Result]:
        yield Result("last", 1.0, 2.0, 2.0)

    found = gpu.measured([("one", fails), ("other", last)])
    assert [each.name for each in found] == ["first", "last"]
    assert not gpu.measured([("late", last)], time=-1.0)
    said = capsys.readouterr().out
    assert "one: not measured, OutOfMemoryError: CUDA out of memory\n" in said
    assert "late: not measured, -1 s are over\n" in said


def test_a_benchmark_that_fails_costs_its_own_figures_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    every = importlib.import_module("all")
    line = {"results": [{"name": "a step, ms", "ours": 2.0, "peer": 6.0, "ratio": 3.0}]}
    (tmp_path / "whole.py").write_text(f"print('measuring')\nprint({json.dumps(line)!r})")
    (tmp_path / "broken.py").write_text("print('so far')\nraise ValueError('no more')")
    monkeypatch.setattr(every, "HERE", tmp_path)
    monkeypatch.setattr(every, "BENCHMARKS", ("broken", "whole"))
    monkeypatch.setattr(sys, "argv", ["all.py"])
    with pytest.raises(SystemExit, match=r"^failed, see above: broken$"):
        every.main()
    said, told = capfd.readouterr()
    assert re.search(r"whole: a step, ms .* 3\.00 ", said)
    for each in ("so far\n", "ValueError: no more\n", "\nbroken: ", "measuring\nwhole: "):
        assert each in told


def test_parts_and_block_sizes_of_the_fused_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The code of both, with kernels that do nothing: none can be launched here."""
    import gpu_front_ends

    from scaling import machine

    monkeypatch.setattr(gpu_front_ends, "import_module", lambda _: MagicMock())
    monkeypatch.setattr(gpu_front_ends, "TILES", ((16, 32, 16),))
    here = machine.here("cpu")
    gpu_front_ends.parts("perceptual", torch.zeros(1, 3000), here, 2)
    gpu_front_ends.tiles(here, 1, 3000, 2)
    said = capsys.readouterr().out
    assert re.search(
        r"^perceptual, fused: frames [0-9.]+ ms, FFT [0-9.]+ ms, bands [0-9.]+ ms", said
    )
    assert "log_mel, (16, 32, 16): " in said
    assert fused.FRAMES == 32


def test_what_fails_before_and_after_the_parts_leaves_the_table(
    beside: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """The card's ceilings and the paper's hours cost no figure."""
    import gpu
    from common import Result

    def fails(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access")

    monkeypatch.setattr(gpu, "ceilings", fails)
    monkeypatch.setattr(gpu, "of_the_paper", fails)
    found = Result("one, ms", 1.0, 2.0, 2.0)

    def parts(here: object, scale: object, alone: list[object]) -> list[object]:
        alone.append(gpu.Alone(1, 1, 1.0))
        return [("one", lambda: [found])]

    monkeypatch.setattr(gpu, "parts", parts)
    gpu.main(["--device", "cpu"])
    told = capsys.readouterr().out
    assert told.count("not measured, RuntimeError: CUDA error: an illegal memory access") == 2
    (one,) = json.loads(beside.read_text())["results"]
    assert one["name"] == "one, ms"


def test_without_a_gpu_it_says_so(beside: Path, capsys: pytest.CaptureFixture[str]):
    import gpu

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    gpu.main([])
    assert "no GPU here" in capsys.readouterr().out
    assert not beside.exists()
