"""analysis.figures.frontend_filters: what of each filter is measured, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_analysis_table import complete, results, trial
from torch import Tensor

from analysis.data import Data
from analysis.figures import frontend_filters
from scaling.results import weights, weights_file
from scaling.results.records import Results
from scaling.settings import Trial
from scaling.sound import frontends
from scaling.sound.frontends import plain
from scaling.training.classifier import FRONTEND

__all__ = ["results"]  # the fixture
STFT = {"sound__features__trainable": "stft", "sound__features__mels": 32}
STEP = 16_000 / 512  # Hz, of the trials' FFT


def learning(kind: str = "mel", **changes: object) -> Trial:
    return trial(sound__features__trainable=kind, **changes)


def began(of: Trial) -> dict[str, Tensor]:
    """What a trial's front end adds to its weights before anything is learnt."""
    front = frontends.build(of.sound.features, of.sound.rate)
    return {f"{FRONTEND}{name}": value.clone() for name, value in front.state_dict().items()}


def kept(results: Results, states: dict[Trial, dict[str, Tensor]]) -> Data:
    """Results of complete trials that ended with these weights."""
    complete(results, {one: {"test": [0.5]} for one in states})
    for one, state in states.items():
        weights.save(one.id, results, state)
    return Data(results)


def test_bands_are_measured_one_by_one(results: Results) -> None:
    one = learning()
    state = began(one)
    (name,) = [name for name in state if "initial" not in name]
    initial_FQ = state[name]
    initial_FQ[10] *= 1.5
    initial_FQ[40] = torch.roll(initial_FQ[40], 5)
    initial_FQ[50] = -initial_FQ[50]
    initial_FQ[60] = 0
    points = frontend_filters.points(kept(results, {one: state})).set_index("filter")
    assert len(points) == 64
    still = points.drop(index=[10, 40, 50, 60])
    assert (still["change"] == 0).all()
    assert (still["shift"] == 0).all()
    assert (still["widening"] == 1).all()
    assert points.loc[[10, 50, 60], "change"].to_list() == pytest.approx([0.5, 2, 1])
    assert points.loc[[10, 50], "shift"].to_list() == pytest.approx([0, 0], abs=1e-5)
    moved = points.loc[40]
    assert moved["learnt_centre"] - moved["centre"] == pytest.approx(5 * STEP)
    assert moved["shift"] == pytest.approx(5 * STEP / moved["bandwidth"])
    assert moved["widening"] == pytest.approx(1)
    assert np.isnan(points.loc[60, "learnt_centre"])
    filters_FQ = plain.bands(one.sound.features, 16_000)
    assert points["centre"].to_numpy() == pytest.approx(filters_FQ.argmax(1) * STEP, abs=2 * STEP)


def test_kernels_are_measured_by_their_response(results: Results) -> None:
    one = learning("stft", sound__features__mels=32)
    state = began(one)
    (name,) = [name for name in state if "initial" not in name]
    real_T, imaginary_T = state[name][:, 100].numpy()
    # 300 Hz higher, as kernels of higher bins turn the other way round
    turned_T = np.exp(-2j * np.pi * 300 / 16_000 * np.arange(512)) * (real_T + 1j * imaginary_T)
    state[name][:, 100] = torch.from_numpy(np.stack([turned_T.real, turned_T.imag]))
    points = frontend_filters.points(kept(results, {one: state})).set_index("filter")
    inner = points.loc[2:254]
    assert inner["centre"].to_numpy() == pytest.approx(inner.index.to_numpy() * STEP, abs=1)
    assert points.loc[100, "learnt_centre"] == pytest.approx(100 * STEP + 300, abs=1)
    assert points.loc[100, "widening"] == pytest.approx(1, abs=0.01)
    assert (points.drop(index=100)["change"] == 0).all()


def test_one_trial_of_each_model_is_shown(results: Results) -> None:
    models = [
        learning(seed=s, split__fold=f, network__width=w)
        for s, f in ((3, 1), (0, 2), (0, 1))
        for w in (8, 16)
    ]
    data = kept(results, {one: began(one) for one in models} | {trial(): {}})
    Path(weights_file.path(models[-2].id, results)).unlink()  # then the next seed's
    points = frontend_filters.points(data)
    assert set(points["trial"]) == {models[0].id, models[5].id}
    assert frontend_filters.obstacle(data) is None


def test_nothing_to_draw(results: Results, tmp_path: Path) -> None:
    line = "no front end of these trials learnt (sound.features.trainable is none in all of them)"
    assert frontend_filters.obstacle(kept(results, {trial(): {}})) == line
    bare = Results(str(tmp_path / "bare"))
    complete(bare, {learning(): {"test": [0.5]}})
    line = "no trial whose front end learnt has weights in this folder"
    assert frontend_filters.obstacle(Data(bare)) == line


def test_damaged_and_other_weights_are_named(results: Results) -> None:
    one = learning()
    data = kept(results, {one: {"network.classifier.weight": torch.ones(2)}})
    with pytest.raises(ValueError, match=rf"{one.id}.safetensors holds no filters of a front end"):
        frontend_filters.points(data)
    path = Path(weights_file.path(one.id, results))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"safetensors cannot be read \(its checksum does not fit"):
        frontend_filters.points(data)
