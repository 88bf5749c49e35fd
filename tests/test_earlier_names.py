"""Weights and checkpoints of earlier versions, whose layers had other names, still load."""

import io
from pathlib import Path

import pytest
import safetensors.torch
import torch

from scaling import machine
from scaling.networks.modules.state import renamed
from scaling.results import checkpoint, seal, weights, weights_file
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed
from scaling.sound.store import Store

NOW = {
    "standardize.mean_F": 0,
    "network.stem.weight": 1,
    "network.block1.conv1.weight": 2,
    "network.conv1.weight": 3,
    "network.conv1_norm.running_mean": 4,
    "network.input_norm.weight": 5,
    "network.dense.bias": 6,
    "network.answer.weight": 7,
}
BEFORE = {
    "standardize.mean_F": 0,
    "network.stem.weight": 1,
    "network.base.blocks.block1.conv1.weight": 2,
    "network.blocks.conv1.weight": 3,
    "network.base.norms.conv1.running_mean": 4,
    "network.input_norm.weight": 5,
    "network.base.dense.bias": 6,
    "network.answer.weight": 7,
}


def earlier(name: str) -> str:
    """A name of CP-ResNet's state as it was before."""
    inner = name.removeprefix("network.")
    return f"network.blocks.{inner}" if inner.startswith(("block", "deep", "pointwise")) else name


def test_each_name_has_its_present_one():
    assert renamed(BEFORE) == NOW  # type: ignore[arg-type, comparison-overlap]
    assert renamed(NOW) == NOW  # type: ignore[arg-type, comparison-overlap]


@pytest.fixture
def half(trial: Trial, store: Store, here: machine.Machine, tmp_path: Path) -> Results:
    """A results folder whose trial was cut off behind its first epoch, as before."""
    results = Results(tmp_path / "half")
    running = run_trial(trial, store, here, results)
    next(running)
    running.close()
    path = Path(results.path("checkpoints", trial.id, checkpoint.NAME))
    state = torch.load(path, weights_only=True)
    state["model"] = {earlier(name): value for name, value in state["model"].items()}
    content = io.BytesIO()
    torch.save({**state, "version": 2}, content)
    path.write_bytes(seal.archive(content))
    return results


@pytest.mark.filterwarnings("error:trial")
def test_a_trial_resumes_from_its_earlier_checkpoint(
    trial: Trial, store: Store, here: machine.Machine, half: Results, tmp_path: Path
):
    list(run_trial(trial, store, here, half))
    whole = Results(tmp_path / "whole")
    list(run_trial(trial, store, here, whole))
    ours, theirs = weights.load(trial.id, half), weights.load(trial.id, whole)
    assert ours is not None
    assert theirs is not None
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_earlier_weights_load(trial: Trial, store: Store, here: machine.Machine, tmp_path: Path):
    short, results = changed(trial, {"training.epochs": 1, "training.warmup": 0}), Results(tmp_path)
    list(run_trial(short, store, here, results))
    learned = weights.load(short.id, results)
    assert learned is not None
    before = {earlier(name): value for name, value in learned.items()}
    assert before.keys() != learned.keys()
    about = {weights_file.FIELD: f"trial {short.id} {seal.BLANK}"}
    path = Path(results.path("weights", f"{short.id}.safetensors"))
    path.write_bytes(seal.sealed(safetensors.torch.save(before, about)))
    assert weights.load(short.id, results).keys() == learned.keys()  # type: ignore[union-attr]
