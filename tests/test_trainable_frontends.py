"""A front end that learns with its network: trained, cut and resumed, saved, taken over, mapped."""

import io
import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load
from test_trial import losses, timeless
from typer.testing import CliRunner

from overhear.command import app
from scaling import machine
from scaling.networks.cost import Cost
from scaling.receptive_field import runs as maps
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.results.transfer import source
from scaling.settings import Trial, changed, sizes
from scaling.sound.store import Store
from scaling.training import classifier, optimizer
from scaling.training.inputs import Listener
from scaling.training.methods import run
from scaling.training.stages import Draws, as_recorded
from scaling.training.views import Views
from sweeps.engine import preflight
from sweeps.launch import Compute

STILL = {"augment.roll": 0.0, "augment.mixup": 0.0}
CQT = {
    "sound.features.kind": "cqt",
    "sound.features.window": 0,
    "sound.features.low": 200.0,
    "sound.features.trainable": "stft",
}
MEL = {"sound.features.trainable": "mel"}
FILTERS, INITIAL = "frontend.filters_FQ", "frontend.initial_filters_FQ"


@pytest.mark.parametrize(
    "changes",
    [MEL, MEL | STILL, CQT, {"sound.features.trainable": "stft", "sound.features.window": 256}],
    ids=["mel", "mel-as-recorded", "cqt-stft", "stft"],
)
def test_resumed_is_undisturbed(
    trial: Trial, store: Store, here: machine.Machine, changes: dict[str, object]
):
    """Cut behind an epoch, saved and loaded as a checkpoint is: the rest is the same, to the bit;
    and the filters have learnt.
    """
    learning = changed(trial, {"training.epochs": 2, **changes})
    epochs = run(learning, store, here)
    first, saved = next(epochs), io.BytesIO()
    torch.save(first.state, saved)
    whole = list(epochs)
    state = torch.load(io.BytesIO(saved.getvalue()), weights_only=True)
    resumed = list(run(learning, store, here, state))
    assert timeless(iter(resumed)) == timeless(iter(whole))
    (name,) = [name for name in state["model"] if "frontend" in name and "initial" not in name]
    path, last = name.rsplit(".", 1)
    began = state["model"][f"{path}.initial_{last}"]
    learnt = [s["model"][name] for s in (state, whole[-1].state, resumed[-1].state)]
    assert torch.equal(learnt[1], learnt[2])
    assert not torch.equal(learnt[0], began)
    assert not torch.equal(learnt[0], learnt[1])
    assert 1e-4 < float((learnt[0] - began).abs().max()) < 0.2


def test_steps_reach_the_filters_through_augmented_views(
    trial: Trial, store: Store, here: machine.Machine
):
    for changes in ({}, STILL):
        listener = Listener(changed(trial, MEL | changes), store, here)
        clips, draws = listener.parts["train"][:4], Draws(0, 0, 0)
        assert Views(listener, torch.nn.Identity()).augmented(clips, draws, 0.0).requires_grad
        assert listener.kept_BFN is None
    fixed = Listener(trial, store, here)
    made = Views(fixed, torch.nn.Identity()).augmented(clips, draws, 0.0)
    assert not made.requires_grad
    assert as_recorded(changed(trial, STILL))
    assert not as_recorded(changed(trial, STILL | MEL))


def test_filters_do_not_decay(trial: Trial, store: Store, here: machine.Machine):
    learning = changed(trial, MEL | {"training.weight_decay": 0.1})
    listener = Listener(learning, store, here)
    model, _ = classifier.of_trial(learning, listener, here, None, None)
    groups = optimizer.build(model, learning.training).param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    (filters,) = groups[1]["params"]
    assert filters is listener.frontend.filters_FQ


@pytest.mark.parametrize("changes", [MEL, CQT, {"sound.features.trainable": "stft"}, {}])
def test_what_learns_is_counted(
    trial: Trial, store: Store, here: machine.Machine, changes: dict[str, object]
):
    learning = changed(trial, changes)
    listener = Listener(learning, store, here)
    model, _ = classifier.of_trial(learning, listener, here, None, None)
    cost: Cost = sizes.cost(learning, len(listener.labels))
    assert sum(p.numel() for p in model.parameters()) == cost.parameters
    assert sum(part.parameters for part in cost.parts) == cost.parameters
    assert sum(part.macs for part in cost.parts) == cost.macs
    plain = sizes.cost(trial, len(listener.labels))
    assert cost.weights == plain.weights
    learnt = learning.sound.features.learnt(16_000)
    assert cost.macs - plain.macs == learnt * learning.sound.frames


def test_filters_are_saved_restored_and_taken_over(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    results = Results(str(tmp_path))
    results.prepare()
    learning = changed(trial, MEL | {"training.epochs": 2})
    list(run_trial(learning, store, here, results))
    content = results.get("weights", f"{learning.id}.safetensors")
    assert content is not None
    learnt = load(content)
    assert not torch.equal(learnt[FILTERS], learnt[INITIAL])

    listener = Listener(learning, store, here)
    assert torch.equal(listener.frontend.filters_FQ, learnt[INITIAL])
    maps._restored(results, learning, listener, here)
    assert torch.equal(listener.frontend.filters_FQ, learnt[FILTERS])

    heir = changed(learning, {"transfer.trial": learning.id, "seed": 4})
    state, other = source(heir, results), Listener(heir, store, here)
    _, slow = classifier.of_trial(heir, other, here, None, state)
    assert torch.equal(other.frontend.filters_FQ, learnt[FILTERS])
    assert FILTERS in slow
    deaf = changed(heir, {"sound.features.trainable": "none"})
    with pytest.raises(
        ValueError, match=r"^transfer: the front end of \w{12} was trained, and this one"
    ):
        classifier.of_trial(deaf, Listener(deaf, store, here), here, None, state)
    fixed = {name: value for name, value in learnt.items() if not name.startswith("frontend")}
    begins = Listener(heir, store, here)
    classifier.of_trial(heir, begins, here, None, fixed)
    assert torch.equal(begins.frontend.filters_FQ, learnt[INITIAL])


def test_the_backend_is_recorded_and_no_part_of_a_trial(trial: Trial, store: Store, tmp_path: Path):
    brief = changed(trial, {"training.epochs": 2, "training.rate": 1e-4})
    found = {}
    for backend in ("auto", "torchaudio", "nnaudio"):
        results = Results(str(tmp_path / backend))
        results.prepare()
        there = machine.here("cpu", "float32", 1, backend)
        list(run_trial(brief, store, there, results))
        (row,) = results.read("outcomes", [brief.id]).to_pylist()
        found[backend] = json.loads(row["versions"]).get("frontend_backend")
    assert found == {"auto": None, "torchaudio": "torchaudio", "nnaudio": "nnaudio"}
    usual, other = (
        losses(brief, store, machine.here("cpu", "float32", 1, backend))
        for backend in ("auto", "nnaudio")
    )
    assert other == pytest.approx(usual, rel=1e-4)
    assert other != usual


def test_what_learns_beside_what_keeps_features(trial: Trial):
    prototypes = {"objective.kind": "prototypes", "objective.embedding": 9}
    line = r"sound.features.trainable=mel: objective.kind=prototypes keeps the features of its exa"
    with pytest.raises(ValueError, match=line):
        changed(trial, MEL | prototypes | {"network.initialization": "he"})
    nearest = {"objective.kind": "neighbours", "network.kind": "mfcc", **STILL}
    with pytest.raises(ValueError, match=r"trainable=mel changes nothing: network.kind=mfcc hears"):
        changed(trial, MEL | nearest | {"network.depth": 0, "network.pointwise": 0})


def test_workers_of_a_sweep_compute_with_the_backend_named():
    task = preflight.Task({}, "", 1, Compute("cpu", "float32", "nnaudio"))
    assert preflight.machine_of(task).frontend == "nnaudio"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--frontend-backend", "nnaudo"], "'nnaudo' is not auto, .* .did you mean nnaudio"),
        (
            ["--frontend-backend", "torchaudio", "sound.features.trainable=stft"],
            "frontend_backend=torchaudio has no trainable=stft: take nnaudio, or auto",
        ),
    ],
)
@pytest.mark.parametrize("command", ["train", "sweep"])
def test_a_backend_that_cannot_is_said_before_anything_runs(
    command: str, words: list[str], line: str, tmp_path: Path
):
    option, name, *settings = words
    changes = [word for each in settings for word in ("--set", each)]
    stated = ["quickstart", *changes] if command == "sweep" else settings
    asked = [command, *stated, option, name, "--dry-run", "--out", str(tmp_path)]
    ended = CliRunner().invoke(app, asked)
    assert ended.exit_code in (1, 2)  # 1: not yet a line of the command's
    said = " ".join(ended.output.split()) if ended.exit_code == 2 else str(ended.exception)
    assert re.search(line, said), said
