"""Maximal update parametrization: its scales, its identity at the base width, its coordinates."""

import math
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from overhear.command import app
from scaling.machine import Machine
from scaling.networks import mup
from scaling.networks.cost import Layer
from scaling.settings import Trial, changed, sizes
from scaling.sound.store import Store
from scaling.training import classifier, loop, stacked
from scaling.training.coordinates import coordinates
from scaling.training.epoch import Epoch
from scaling.training.inputs import Listener
from scaling.training.session import Session

MUP = {"network.parametrization": "mup", "network.base_width": 4, "network.initialization": "he"}


def test_scales_by_hand():
    """First, hidden, depthwise and last layer, 4 times as wide; Yang et al. 2022, Table 3."""

    def layers(width: int) -> list[Layer]:
        return [
            Layer("first", 1, width, (3, 3)),
            Layer("hidden", width, 2 * width, (3, 3)),
            Layer("depthwise", 2 * width, 2 * width, (3, 3), groups=2 * width),
            Layer("last", 2 * width, 10, reads="mean"),
        ]

    assert mup.scales(layers(32), layers(8)) == {
        "first": (1.0, 1.0),
        "hidden": (0.25, 1.0),
        "depthwise": (1.0, 1.0),
        "last": (0.25, 0.5),
    }


def test_weights_learn_at_their_layers_rate(trial: Trial, store: Store, here: Machine):
    wide = changed(trial, MUP | {"network.width": 16})
    session = Session(wide, Listener(wide, store, here), here, None, None)
    names = {id(each): name for name, each in session.model.named_parameters()}
    rates = {
        names[id(each)]: group["factor"]
        for group in session.optimizer.param_groups
        for each in group["params"]
    }
    assert len(rates) == len(names)
    assert rates["network.stem.weight"] == 1.0
    assert rates["network.block2.conv1.weight"] == 0.25
    assert rates["network.deep1.conv2.weight"] == 0.25
    assert rates["network.classifier.weight"] == 0.25
    assert {rate for name, rate in rates.items() if "norm" in name} == {1.0}


def test_it_changes_nothing_at_the_base_width(trial: Trial):
    standard = changed(trial, {"network.width": 4, "network.initialization": "he"})
    scaled = changed(standard, MUP)
    assert scaled.id != standard.id
    assert all(scale == (1.0, 1.0) for scale in sizes.scales(scaled, 3).values())
    assert sizes.scales(standard, 3) == {}
    one, other = (
        classifier.network(each, 3, torch.Generator().manual_seed(0)).classifier.weight
        for each in (changed(each, {"network.width": 16}) for each in (scaled, standard))
    )
    torch.testing.assert_close(one, other * math.sqrt(1 / 4))


def test_coordinates_stay_flat_over_widths(trial: Trial, store: Store, here: Machine):
    """From W = 4 to 64, after three steps: hidden layers move alike by mup, ever more without."""

    def growth(settings: dict[str, object]) -> float:
        """How much more the hidden layers of the wide network move, by their median."""
        moved: dict[int, list[float]] = {}
        for width in (4, 64):
            made = changed(trial, {**settings, "network.width": width, "training.rate": 1e-3})
            moves = [move for move in coordinates(made, store, here, 3) if move.step == 3]
            hidden = [move.size for move in moves if move.layer not in ("stem", "classifier")]
            moved[width] = sorted(hidden)
        narrow, wide = (each[len(each) // 2] for each in moved.values())
        return wide / narrow

    flat = growth(MUP)
    standard = growth({"network.initialization": "he"})
    assert 0.5 < flat < 2.0
    assert standard > 4


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"training.optimizer": "sgd"},
            "network.parametrization=mup applies to Adam, not to training.optimizer=sgd",
        ),
        ({"network.base_width": 0}, "network.base_width"),
        ({"network.parametrization": "standard"}, "network.base_width=4 changes nothing"),
    ],
)
def test_what_it_cannot_be_is_one_line(trial: Trial, settings: dict[str, object], line: str):
    with pytest.raises(ValueError, match=line) as raised:
        changed(trial, MUP | settings)
    assert "\n" not in str(raised.value)


def test_the_command_draws_the_check(tmp_path: Path):
    words = ["coordinates", "network.depth=0", "network.pointwise=0", "--widths", "2,8"]
    words += ["--steps", "1", "--threads", "1", "--out", str(tmp_path)]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    assert re.search(r"^mup: from W = 2 to 8 layers move", told.output, re.MULTILINE)
    rows = pd.read_csv(tmp_path / "coordinates.csv")
    assert set(rows["parametrization"]) == {"standard", "mup"}
    assert (tmp_path / "coordinates.png").stat().st_size > 10_000
    wrong = CliRunner().invoke(app, ["coordinates", "--widths", "8"])
    assert wrong.exit_code != 0


def test_side_by_side_as_alone(trial: Trial, store: Store, here: Machine):
    one, other = (changed(trial, MUP | {"network.width": 8, "seed": seed}) for seed in (0, 1))
    together = {
        each.id: Session(each, Listener(each, store, here), here, None, None)
        for each in (one, other)
    }
    beside = next(stacked.run(together))[one.id]
    alone = next(loop.run(one, Listener(one, store, here), here))
    assert isinstance(beside, Epoch)
    losses = [
        row.value
        for epoch in (beside, alone)
        for row in epoch.metrics
        if (row.split, row.metric) == ("train", "loss")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
