"""One scene through two devices: the features that a network is given, and their difference."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.figures import scene as figure
from analysis.figures.bands import Bands
from overhear.commands.scene import scene
from scaling import machine
from scaling.settings import Trial
from scaling.sound.store import Store
from scaling.training.inputs import Listener
from scaling.training.scene import _scene, through


def test_features_are_standardized_by_the_training_clips(
    trial: Trial, store: Store, here: machine.Machine
):
    found = through(trial, store, here, devices=("a", "s1"))
    assert found.devices == ("a", "s1")
    assert found.clips[1] == f"{found.clips[0].removesuffix('/a')}/s1"
    listener = Listener(trial, store, here)
    train = listener.features(listener.parts["train"]).double()
    mean_F, deviation_F = train.mean(dim=(0, 2)), train.std(dim=(0, 2))
    for name, shown_FN in zip(found.clips, found.features_2FN, strict=True):
        (at,) = np.flatnonzero(listener.table["clip"] == name)
        plain_FN = listener.features(np.array([at]))[0].double()
        expected = (plain_FN - mean_F[:, None]) / deviation_F[:, None]
        torch.testing.assert_close(torch.from_numpy(shown_FN).double(), expected, atol=1e-3, rtol=0)
    again = through(trial, store, here, clip=found.clips[1], devices=("a", "s1"))
    assert again.clips == found.clips
    with pytest.raises(ValueError, match=r"^--clip nowhere: no such clip"):
        through(trial, store, here, clip="nowhere")
    with pytest.raises(ValueError, match=r"^--device q: no such device \(known: a, b"):
        through(trial, store, here, devices=("a", "q"))
    with pytest.raises(ValueError, match=r"^1 --device: name two"):
        through(trial, store, here, devices=("a",))


def test_a_scene_is_a_clips_name_without_its_device():
    names = ("audio/park-paris-9-a.wav", "audio/park-paris-9-s1.wav")
    first, second = (_scene(n, d) for n, d in zip(names, ("a", "s1"), strict=True))
    assert first == second
    assert first != _scene("audio/park-paris-8-a.wav", "a")
    assert _scene("a/a/a", "a") == _scene("a/a/b", "b")


def test_the_figure_holds_both_and_their_difference():
    random = np.random.default_rng(0)
    features_2FN = random.normal(size=(2, 16, 20))
    rows = figure.bands(features_2FN, ("a", "b"))
    np.testing.assert_allclose(rows["difference"], rows["mean of b"] - rows["mean of a"])
    drawn = figure.draw(features_2FN, ("a", "b"), "t", Bands("log_mel", 16, 0, 8000, 12), 0.02)
    images = [place.images[0] for place in drawn.axes if place.images]
    assert [image.axes.get_title("left") for image in images] == ["a", "b", "b less a"]
    np.testing.assert_array_equal(images[1].get_array(), features_2FN[1])
    np.testing.assert_array_equal(images[2].get_array(), features_2FN[1] - features_2FN[0])
    assert images[0].get_clim() == images[1].get_clim()
    low, high = images[2].get_clim()
    assert low == -high


def test_the_command_draws_a_scene(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The named clip's scene, through the first two devices."""
    with pytest.raises(ValueError, match=r"^--recipe quikstart: no such recipe"):
        scene(recipe="quikstart")
    scene(out=str(tmp_path), clip="meadow/alder/0/b", threads=1)
    said = capsys.readouterr().out
    assert "a: meadow/alder/0/a\nb: meadow/alder/0/b\n" in said
    assert (tmp_path / "scene-a-b.png").stat().st_size > 1000
    assert len(pd.read_csv(tmp_path / "scene-a-b.csv")) == 64
