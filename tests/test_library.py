"""The public API: its examples run, and it says what the commands say."""

import doctest
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torch import nn
from typer.testing import CliRunner

import overhear
from overhear import library
from overhear.command import app

CPU = {"device": "cpu", "threads": 1}
TINY = {
    "sound.rate": 8_000,
    "sound.seconds": 0.5,
    "sound.features.window": 512,
    "sound.features.hop": 128,
    "sound.features.mels": 32,
    "split.validation_fold": 2,
    "network.depth": 0,
    "network.pointwise": 0,
    "training.epochs": 1,
    "training.batch": 4,
    "training.warmup": 0,
    "augment.roll": 0.1,
}
STUDY = """
from scaling.results.claims import Claim
from scaling.settings import changed
from scaling.settings.recipes import OWN
QUESTION, SOURCE = "Does width help?", "a test"
CLAIMS = (Claim("width helps", {"network.width": 4}, {"network.width": 2}, on="test"),)
def trials():
    return [changed(OWN, {**TINY, "network.width": width}) for width in (2, 4)]
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of one's own: ten of a low and ten of a high tone, in noise."""
    found = tmp_path_factory.mktemp("recordings")
    draws, time_T = np.random.default_rng(0), np.arange(4_000) / 8_000
    for label, pitch in (("low", 300), ("high", 2_000)):
        (found / label).mkdir()
        for number in range(10):
            wave_T = np.sin(2 * np.pi * pitch * time_T) + draws.normal(0, 0.3, len(time_T))
            soundfile.write(found / label / f"{number}.wav", wave_T / 4, 8_000)
    return found


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory, root: Path) -> dict[str, Any]:
    """What the examples of the docstrings speak of."""
    where = tmp_path_factory.mktemp("library")
    study = where / "mine.py"
    study.write_text(STUDY.replace("TINY", repr(TINY)))
    folder = where / "results"
    for width in (2, 4):
        settings = {**TINY, "network.width": width}
        trained = overhear.train(settings, recipe="own", root=root, out=folder, **CPU)
    trial = trained["trial"].iloc[0]
    return {"folder": folder, "study": str(study), "tiny": TINY, "root": root, "trial": trial}


@pytest.mark.parametrize("name", overhear.__all__)
def test_its_example_runs(name: str, example: dict[str, Any]):
    function = getattr(library, name)
    assert function.__doc__
    (found,) = doctest.DocTestFinder(recurse=False).find(
        function, name, globs=vars(library) | example
    )
    assert found.examples, f"overhear.{name} has no example"
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(found, out=told.append)
    assert not told, "".join(told)


def test_importing_it_loads_nothing_heavy_and_says_what_there_is():
    assert set(overhear.__all__) <= set(dir(overhear))
    assert all(
        getattr(overhear, name).__module__ == "overhear.library" for name in overhear.__all__
    )


def test_train_continues_and_tells_of_each_epoch(root: Path, tmp_path: Path):
    heard: list[int] = []
    wanted = {**TINY, "network.width": 2, "training.epochs": 2}
    where = {"recipe": "own", "root": root, "out": tmp_path, **CPU}
    first = overhear.train(wanted, progress=lambda step: heard.append(step.epoch), **where)
    assert sorted({*heard}) == [1, 2]
    again = overhear.train(wanted, **where)
    pd.testing.assert_frame_equal(first, again)
    with pytest.raises(ValueError, match=r"network.widht: no such setting"):
        overhear.train({"network.widht": 2}, out=tmp_path)
    with pytest.raises(ValueError, match="recipe=quick: no such recipe"):
        overhear.train(recipe="quick", out=tmp_path)


def test_choose_says_what_the_command_says(example: dict[str, Any]):
    folder = str(example["folder"])
    said = CliRunner().invoke(app, ["choose", folder, "--json"]).stdout
    best = json.loads(said.splitlines()[0])
    assert overhear.choose(folder).best["trials"] == best["trials"]


def test_prune_keeps_exactly_the_largest_and_they_stay_cut():
    """By hand: 8 weights of two layers, the four largest stay."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, (1, 2), bias=False), nn.Flatten(), nn.Linear(4, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[4.0, 0.1], [0.2, -5.0]])[:, None, None])
        model[2].weight.copy_(torch.tensor([[0.3, 6.0, -7.0, 0.4]]))
    masks = overhear.prune(model, keep=0.5)
    assert masks["0"].flatten().tolist() == [True, False, False, True]
    assert masks["2"].flatten().tolist() == [False, True, True, False]
    before = {name: mask.clone() for name, mask in masks.items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        model(torch.randn(3, 1, 1, 3)).square().mean().backward()
        optimizer.step()
    assert all(
        (model.get_submodule(name).weight[~mask] == 0).all() for name, mask in before.items()
    )
    fewer = overhear.prune(model, keep=0.25)
    assert sum(int(mask.sum()) for mask in fewer.values()) == 2
    assert all((fewer[name] <= before[name]).all() for name in before)
    for share in (0, 1.5):
        with pytest.raises(ValueError, match=f"keep={share} must be a share of the 8 weights"):
            overhear.prune(model, share)


def test_channels_of_a_model_are_cut_and_left_out(example: dict[str, Any]):
    model = overhear.load_model(example["folder"], example["trial"])
    dense = sum(each.numel() for each in model.parameters())
    named = {"budget": "parameters", "ranking": "network", "criterion": "l2"}
    masks = overhear.prune(model, 0.6, "channels", **named)
    network = model.classifier.network
    assert all((network.get_submodule(n).weight[~m] == 0).all() for n, m in masks.items())
    assert not any(each.requires_grad for each in model.parameters())
    small = overhear.compact(model)
    left = sum(each.numel() for each in small.parameters())
    assert 0.4 * dense < left <= 0.6 * dense
    again = overhear.compact(small)
    assert sum(each.numel() for each in again.parameters()) == left
    overhear.prune(small, 0.5)  # single weights, of a model whose parameters ask for no gradient
    for words, line in (
        ((model, 0.0, "channels"), "keep=0 and limit=0: exactly one"),
        ((model, 0.01, "channels"), "pruning.keep=0.01 leaves .* at least pruning.keep="),
        ((nn.Linear(2, 2), 0.5, "channels"), "way=channels: a Linear does not say"),
    ):
        with pytest.raises(ValueError, match=line):
            overhear.prune(*words)
    with pytest.raises(ValueError, match="way=static has no budget, only channels has"):
        overhear.prune(model, 0.5, "static", **named)


def test_frontend_names_what_is_no_setting():
    with pytest.raises(ValueError, match="windw"):
        overhear.frontend(windw=512)
