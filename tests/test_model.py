"""A trained trial in use: its logits are those that its evaluation recorded, its classes exact."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor

from scaling import machine
from scaling.networks.modules.kernels import Prunable
from scaling.results import weights
from scaling.results.manifest import plan, record
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed, sizes
from scaling.shipping import model
from scaling.sound.store import Store
from scaling.training.inputs import Listener

CHAIN = {
    "network.kind": "vgg5",
    "network.depth": 0,
    "network.pointwise": 0,
    "sound.features.mels": 64,
    "sound.features.hop": 128,
    "sound.patch": 96,
    "evaluation.patch_hop": 20,
}
PRUNED = {
    "network.width": 4,
    "pruning.kind": "magnitude",
    "pruning.target_width": 2,
    "pruning.length": 1,
}
PROTOTYPES = {
    "objective.kind": "prototypes",
    "objective.embedding": 4,
    "network.initialization": "he",
}
KINDS = {
    "base": {},
    "damped": {"network.damping": 0.9},
    "pruned": PRUNED,
    "patches": CHAIN,
    "learnt": {"sound.features.trainable": "mel", "training.rate": 1e-2},
    "bottleneck": {"objective.kind": "bottleneck", "objective.latent": 3, "objective.beta": 1e-3},
}


def ended(trial: Trial, store: Store, here: machine.Machine, folder: Path) -> Results:
    """The results folder of this trial, complete."""
    results = Results(folder)
    planned = plan("s", [trial], {trial.sound.dataset: store.table})
    record(planned, {trial.id: store.digest}, results)
    *_, last = run_trial(trial, store, here, results)
    assert last.error is None
    return results


def heard(trial: Trial, store: Store, here: machine.Machine, clips: list[str]) -> Tensor:
    """The waves of these clips, as evaluation hears them."""
    listener = Listener(trial, store, here)
    rows = listener.table.reset_index().set_index("clip")["index"]
    return listener.waves(rows[clips].to_numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_as_evaluation_did(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path, kind: str
):
    small = changed(trial, {"training.epochs": 2, "evaluation.last": 1, **KINDS[kind]})
    results = ended(small, store, here, tmp_path)
    loaded = model.load(results, small.id)
    recorded = results.read("predictions", [small.id]).to_pandas()
    waves_BT = heard(small, store, here, recorded["clip"].tolist())
    logits_BY = loaded(waves_BT)
    assert np.abs(logits_BY.numpy() - np.stack(recorded["logits"])).max() < 1e-5
    said = [loaded.labels[y] for y in logits_BY.argmax(dim=1).tolist()]
    assert said == recorded["predicted"].tolist()
    assert set(recorded["label"]) <= set(loaded.labels)
    assert (loaded.id, loaded.rate, loaded.samples) == (small.id, 16_000, 16_000)
    assert torch.allclose(loaded(waves_BT[:1]), logits_BY[:1], atol=1e-5)
    if kind == "pruned":
        layers = [m for m in loaded.classifier.network.modules() if isinstance(m, Prunable)]
        kept = sum(int(layer.weight.count_nonzero()) for layer in layers)
        assert kept == sizes.kept_weights(small, len(loaded.labels))


@pytest.fixture
def complete(trial: Trial, store: Store, here: machine.Machine, tmp_path: Path) -> Results:
    """Of one epoch; none of its held-out clips is of the first class."""
    table = store.table
    gone = (table["label"] == store.labels[0]) & (table["fold"] == 1)
    moved = table.assign(fold=table["fold"].mask(gone, 2))
    return ended(brief(trial), dataclasses.replace(store, table=moved), here, tmp_path)


def brief(trial: Trial) -> Trial:
    return changed(trial, {"training.epochs": 1, "training.warmup": 0.0})


def test_classes_are_those_of_the_logits(trial: Trial, store: Store, complete: Results):
    """Also one that no held-out clip is of, and none is answered with."""
    loaded = model.load(complete, brief(trial).id)
    assert loaded.labels == store.labels
    scored = complete.read("predictions").to_pandas()
    assert store.labels[0] not in set(scored["label"])


def test_classes_of_earlier_folders_are_those_in_predictions(
    trial: Trial, store: Store, complete: Results
):
    name = brief(trial).id
    outcome = complete.read("outcomes", [name])
    complete.write("outcomes", name, outcome.drop_columns(["labels"]))
    scored = complete.read("predictions", [name])
    if store.labels[0] in scored["predicted"].to_pylist():
        others = pa.array(scored["label"].to_pylist())
        at = scored.schema.get_field_index("predicted")
        scored = scored.set_column(at, scored.schema.field("predicted"), others)
        complete.write("predictions", name, scored)
    line = f"trial {name} has {len(store.labels)} logits, but its records name "
    with pytest.raises(ValueError, match=line):
        model.load(complete, name)
    rows = scored.to_pylist()
    complete.write("predictions", name, [rows[0] | {"predicted": store.labels[0]}, *rows[1:]])
    assert model.load(complete, name).labels == store.labels


def test_temperature_divides_logits(trial: Trial, complete: Results):
    loaded = model.load(complete, brief(trial).id)
    logits_BY = torch.tensor([[0.0, 2.0, 1.0, 1.0]])
    assert torch.equal(loaded.probabilities(logits_BY), logits_BY.softmax(dim=1))
    loaded.temperature = 2.0
    assert torch.equal(loaded.probabilities(logits_BY), (logits_BY / 2).softmax(dim=1))


def test_what_cannot_be_a_model_is_refused_in_one_line(
    trial: Trial, store: Store, here: machine.Machine, complete: Results, tmp_path: Path
):
    name = brief(trial).id
    loaded = model.load(complete, name)
    with pytest.raises(ValueError, match=r"^waves of \(1, 7\): model .* takes \(clips, 16000\)"):
        loaded(torch.zeros(1, 7))
    with pytest.raises(ValueError, match="not in"):
        model.load(complete, "0" * 12)
    weights.save(name, complete, {"none": torch.zeros(1)})
    with pytest.raises(ValueError, match="holds another network's weights"):
        model.load(complete, name)
    prototypes = changed(
        brief(trial),
        {"objective.kind": "prototypes", "objective.embedding": 4, "network.initialization": "he"},
    )
    results = ended(prototypes, store, here, tmp_path / "prototypes")
    with pytest.raises(ValueError, match="measures distances to training clips"):
        model.load(results, prototypes.id)
